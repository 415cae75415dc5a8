"""The dataset on disk: tables, commits, catalogue, compaction."""

from tasks.folders import is_dataset
from tasks.storage.compaction import compact, prune
from tasks.storage.dataset import Dataset
from tasks.storage.dictionary import data_dictionary
from tasks.storage.errors import DatasetError
from tasks.storage.lease import at_work, leased
from tasks.storage.receipts import Receipt
from tasks.storage.repair import set_aside
from tasks.storage.schema import CATALOG_TABLES, SCHEMA_VERSION, TABLES, Column, Table, column_info
from tasks.storage.snapshot import Snapshot
from tasks.storage.table_folder import TableFolder, TableSource, open_tables
from tasks.storage.upgrade import upgrade_receipts
from tasks.storage.verification import Problem

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
    "at_work",
    "column_info",
    "compact",
    "data_dictionary",
    "is_dataset",
    "leased",
    "open_tables",
    "prune",
    "set_aside",
    "upgrade_receipts",
]
