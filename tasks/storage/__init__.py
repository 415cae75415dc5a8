"""The dataset on disk: commits, receipts, catalogue, compaction.

What comes in: rows of declared tables with their keys. What goes out: the committed rows at one
moment, each once, and the files of the catalogue. From outside import the names below, and the
tools of `durable`. It knows bytes, keys and `tasks.tables`, and no physics: what a row means is
not its business.
"""

from tasks.folders import is_dataset
from tasks.storage.compaction import compact, prune
from tasks.storage.dataset import Dataset
from tasks.storage.errors import DatasetError
from tasks.storage.lease import hold_lease, hold_work_lock
from tasks.storage.quarantine import quarantine_chunks
from tasks.storage.receipts import Receipt
from tasks.storage.snapshot import Snapshot
from tasks.storage.table_folder import TableFolder, TableSource, open_tables
from tasks.storage.upgrade import upgrade_receipts
from tasks.storage.verification import Problem
from tasks.tables.columns import SCHEMA_VERSION, Column, Table
from tasks.tables.declarations import CATALOG_TABLES, TABLES, column_info
from tasks.tables.dictionary import format_data_dictionary

__all__ = [
    "CATALOG_TABLES",
    "SCHEMA_VERSION",
    "TABLES",
    "Column",
    "Dataset",
    "DatasetError",
    "Problem",
    "Receipt",
    "Snapshot",
    "Table",
    "TableFolder",
    "TableSource",
    "column_info",
    "compact",
    "format_data_dictionary",
    "hold_lease",
    "hold_work_lock",
    "is_dataset",
    "open_tables",
    "prune",
    "quarantine_chunks",
    "upgrade_receipts",
]
