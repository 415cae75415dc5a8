"""Tables that people read: the catalogue of a dataset, or such files alone in a folder."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from tasks.failures import RemediableError
from tasks.folders import MATERIALS, get_receipts_folder, get_table_file
from tasks.storage.dataset import Dataset
from tasks.tables.declarations import CATALOG_TABLES

_CHECKED: Final = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


@dataclass(frozen=True)
class TableFolder:
    """A folder of Parquet files, one per table: released, or copied from a dataset.

    Attributes
    ----------
    root : Path
        The folder with the files, or with the folder ``catalog`` that has them.
    """

    root: Path

    def get_file(self, table: str) -> Path:
        """File of a table, whether it exists or not."""
        return get_table_file(self.root, table)

    def has_table(self, table: str) -> bool:
        """Whether there is a file of a table."""
        return self.get_file(table).is_file()

    def list_missing_columns(self, table: str) -> list[str]:
        """Columns that the schema declares and the file of a table lacks, in their order."""
        stored = set(pq.read_schema(self.get_file(table)).names)
        return [name for name in CATALOG_TABLES[table].names if name not in stored]

    def read(
        self,
        table: str,
        *,
        keys: Collection[str] | None = None,
        material_ids: Collection[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Read rows into memory.

        Parameters
        ----------
        table : str
            Name of a table; ``chirality`` has the columns of the catalogue.
        keys, material_ids : collection of str, optional
            Take only rows with these keys, and of these materials.
        columns : sequence of str, optional
            Columns to read; all that the schema declares by default.

        Returns
        -------
        pyarrow.Table
            Columns that the file lacks are empty; a table without a file has no rows.

        Raises
        ------
        FileNotFoundError
            When there is no file of the materials.
        RemediableError
            When a file is damaged.
        """
        schema = CATALOG_TABLES[table].arrow_schema
        if table != MATERIALS and not self.has_table(table):
            return schema.empty_table().select(list(columns or schema.names))
        wanted = {"key": keys, "material_id": material_ids}
        chosen = pc.scalar(True)
        for name, values in wanted.items():
            chosen = chosen if values is None else chosen & pc.field(name).isin(list(values))
        with _explain_damage(self.get_file(table)):
            return self._open_dataset(table).to_table(list(columns or schema.names), filter=chosen)

    def scan(self, table: str, size: int) -> Iterator[pa.Table]:
        """Read all rows of a table, at most so many at a time, in their order."""
        with _explain_damage(self.get_file(table)):
            for batch in self._open_dataset(table).to_batches(batch_size=size):
                yield pa.Table.from_batches([batch])

    def _open_dataset(self, table: str) -> ds.Dataset:
        """The file under the declared schema, which fills in what it lacks."""
        schema = CATALOG_TABLES[table].arrow_schema
        return ds.dataset(str(self.get_file(table)), schema=schema, format=_CHECKED)


@contextmanager
def _explain_damage(path: Path) -> Iterator[None]:
    """Say what to do about a file whose pages are not what was written."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno:  # of the system; Arrow's have no number
            raise
        text = str(error).splitlines()[0]
        remedy = "run the same screening again, which builds the catalogue anew"
        raise RemediableError(f"{path} is damaged: {text}", remedy) from error


TableSource: TypeAlias = Dataset | TableFolder
"""What results are read from."""


def open_tables(folder: Path) -> TableSource:
    """Open a folder of results.

    Parameters
    ----------
    folder : Path
        Folder of a dataset, or of tables alone.

    Returns
    -------
    Dataset or TableFolder
        The dataset, whose parts are vouched for, where there are receipts.
    """
    return Dataset(folder) if get_receipts_folder(folder).is_dir() else TableFolder(folder)
