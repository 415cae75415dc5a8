"""Parquet files of a dataset: writing them, and reading selected rows."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from tasks.storage.durable import compute_file_digest, stage_file
from tasks.storage.errors import DatasetError, explain_os_errors
from tasks.storage.receipts import PartFile
from tasks.tables.columns import Table
from tasks.tables.rows import name_identities

# A row group is what a reader decodes at least: small enough to read few materials cheaply.
_ROW_GROUP_ROWS: Final = 32_768
_ROW_GROUP_BYTES: Final = 4 * 2**20
# Files that this process has found to be what was committed.
_COMPARED: Final[set[tuple[object, ...]]] = set()


@dataclass(frozen=True)
class Selection:
    """Rows to take from one part.

    Attributes
    ----------
    path : Path
        The Parquet file.
    filter : pyarrow.dataset.Expression or None
        Condition that the file's statistics can use to skip row groups; None takes all.
    dropped : frozenset of str
        Identities whose rows are taken from another part.
    part : PartFile or None
        What the receipt says of the file; None reads it unchecked.
    """

    path: Path
    filter: ds.Expression | None = None
    dropped: frozenset[str] = frozenset()
    part: PartFile | None = None


def write_rows(path: Path, schema: pa.Schema, batches: Iterable[pa.Table]) -> int:
    """Write batches of rows into a Parquet file, one batch in memory at a time.

    Parameters
    ----------
    path : Path
        File to write.
    schema : pyarrow.Schema
        Schema of every batch.
    batches : iterable of pyarrow.Table
        The rows.

    Returns
    -------
    int
        Size of the rows in memory in bytes.
    """
    memory = 0
    # Readers of the catalogue compare the sums of its pages; a part has its digest besides.
    options = {"compression": "zstd", "write_page_checksum": True}
    with pq.ParquetWriter(path, schema, **options) as writer:
        for batch in batches:
            memory += batch.nbytes
            writer.write_table(batch, row_group_size=_choose_row_group_rows(batch))
    return memory


def stage_part(folder: Path, table: Table, batches: Iterable[pa.Table]) -> tuple[Path, PartFile]:
    """Write a part beside its final name and describe it.

    Parameters
    ----------
    folder : Path
        Folder of the part.
    table : Table
        Declaration of the table.
    batches : iterable of pyarrow.Table
        Its rows.

    Returns
    -------
    Path
        The temporary file.
    PartFile
        What a receipt says about it.

    Raises
    ------
    DatasetError
        When it cannot be written.
    """
    memory: list[int] = []
    schema = table.arrow_schema
    path = stage_file(folder, lambda file: memory.append(write_rows(file, schema, batches)))
    rows = pq.read_metadata(path).num_rows
    return path, PartFile(rows, path.stat().st_size, memory[0], compute_file_digest(path))


def describe_difference(path: Path, part: PartFile) -> str:
    """Say how a file differs from what was committed.

    Parameters
    ----------
    path : Path
        The file.
    part : PartFile
        What the receipt says of it.

    Returns
    -------
    str
        Sizes and digests; empty where there is no difference.

    Raises
    ------
    DatasetError
        When the file cannot be read.
    """
    state, digest = _read_state(path), compute_file_digest(path)
    size = state.st_size
    if (size, digest) != (part.size, part.sha256):
        expected = f"{part.size} bytes, sha256 {part.sha256}"
        return f"{expected}; found {size} bytes, sha256 {digest}"
    _COMPARED.add(_make_identity(path, part, state))
    return ""


def require_committed(path: Path, part: PartFile) -> None:
    """Refuse a file that is not what was committed; a process compares each once.

    Parameters
    ----------
    path : Path
        The file.
    part : PartFile
        What the receipt says of it.

    Raises
    ------
    DatasetError
        When the file differs, or cannot be read.
    """
    if _make_identity(path, part, _read_state(path)) in _COMPARED:
        return
    if difference := describe_difference(path, part):
        remedy = "the next screening moves it away and computes it again"
        raise DatasetError(f"{path} is damaged ({difference}): {remedy}")


def _read_state(path: Path) -> os.stat_result:
    with explain_os_errors("read", path):
        return path.stat()


def _make_identity(path: Path, part: PartFile, state: os.stat_result) -> tuple[object, ...]:
    """What tells a file that was compared from another one, or from itself changed."""
    return path, part.sha256, state.st_mtime_ns, state.st_size, state.st_ino


def count_rows(path: Path) -> int:
    """Count the rows of a Parquet file from its footer.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    DatasetError
        When it cannot be read.
    """
    with _explain_damage(path):
        return int(pq.read_metadata(path).num_rows)


def scan_part(
    selection: Selection, table: Table, columns: Sequence[str] | None = None
) -> Iterator[pa.Table]:
    """Read the selected rows of a part, one row group in memory at a time.

    Parameters
    ----------
    selection : Selection
        Which rows of which file.
    table : Table
        Declaration of the table; columns that an older file lacks are empty.
    columns : sequence of str, optional
        Columns to read; all by default.

    Yields
    ------
    pyarrow.Table
        Rows in the order of the file.

    Raises
    ------
    DatasetError
        When the file is missing or damaged.
    """
    names = table.names if columns is None else tuple(columns)
    if selection.part:
        require_committed(selection.path, selection.part)
    needed = {*names, *table.identity} if selection.dropped else names
    schema = pa.schema([table.column(name).field for name in names])
    schema = schema.with_metadata(table.arrow_schema.metadata)
    with _explain_damage(selection.path):
        for batch in _read_batches(selection, table, list(needed)):
            kept = _drop_identities(batch, table, selection.dropped)
            if kept.num_rows:
                yield pa.Table.from_arrays([kept[name] for name in names], schema=schema)


def list_identities(selection: Selection, table: Table) -> frozenset[str]:
    """Name everything that has rows in the selected part.

    Parameters
    ----------
    selection : Selection
        Which rows of which file.
    table : Table
        Declaration of the table.

    Returns
    -------
    frozenset of str
        Identities as `tasks.tables.rows.join_identity` joins them.

    Raises
    ------
    DatasetError
        When the file is missing or damaged.
    """
    batches = scan_part(selection, table, table.identity)
    return frozenset(
        name for batch in batches for name in name_identities(table, batch).unique().to_pylist()
    )


def list_keys(selection: Selection, table: Table) -> frozenset[str]:
    """Return the keys that have rows in the selected part.

    Parameters
    ----------
    selection : Selection
        Which rows of which file.
    table : Table
        Declaration of the table.

    Returns
    -------
    frozenset of str
        Keys.

    Raises
    ------
    DatasetError
        When the file is missing or damaged.
    """
    key = table.identity[-1]
    batches = scan_part(selection, table, [key])
    return frozenset(name for batch in batches for name in batch[key].unique().to_pylist())


def _read_batches(selection: Selection, table: Table, columns: list[str]) -> Iterator[pa.Table]:
    """Decode row group after row group, without threads of its own or reading far ahead."""
    part = ds.dataset(str(selection.path), schema=table.arrow_schema, format="parquet")
    scanner = part.scanner(
        columns=columns,
        filter=selection.filter,
        batch_readahead=1,
        fragment_readahead=1,
        use_threads=False,
    )
    for batch in scanner.to_batches():
        yield pa.Table.from_batches([batch])


def _drop_identities(batch: pa.Table, table: Table, dropped: frozenset[str]) -> pa.Table:
    if not dropped:
        return batch
    unwanted = pa.array(sorted(dropped), pa.string())
    return batch.filter(pc.invert(pc.is_in(name_identities(table, batch), value_set=unwanted)))


def _choose_row_group_rows(batch: pa.Table) -> int:
    """Rows of one row group: bounded in number and in bytes."""
    bytes_per_row = max(1, batch.nbytes // max(1, batch.num_rows))
    return max(1, min(_ROW_GROUP_ROWS, int(_ROW_GROUP_BYTES // bytes_per_row)))


@contextmanager
def _explain_damage(path: Path) -> Iterator[None]:
    """Turn whatever Arrow says about a damaged file into a DatasetError."""
    try:
        with explain_os_errors("read", path):
            yield
    except (pa.ArrowException, UnicodeDecodeError) as error:  # names of columns may be no text
        message = f"{path} is damaged ({error}): remove its receipt and run again"
        raise DatasetError(message) from error
