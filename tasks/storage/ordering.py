"""Rows in a wanted order of their keys, with flat memory."""

from collections.abc import Iterator, Sequence
from tempfile import TemporaryFile
from typing import IO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.storage.snapshot import Snapshot
from tasks.tables.declarations import TABLES

_BATCH_BYTES: Final = 64 * 2**20


def read_rows_in_order(snapshot: Snapshot, table: str, keys: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the rows of keys in the order of the keys, a bounded number of bytes at a time.

    Parameters
    ----------
    snapshot : Snapshot
        Committed rows.
    table : str
        Name of the table.
    keys : sequence of str
        Keys without repetition; those without rows are passed over.

    Yields
    ------
    pyarrow.Table
        Rows ordered by key, then material; rows of one material keep their order.

    Raises
    ------
    DatasetError
        When a part is missing or damaged.
    """
    batches = list(_make_batches(snapshot, table, keys))
    if len(batches) > 1:
        found = _spool_batches(snapshot, table, batches)
    else:
        found = (snapshot.read(table, keys=batch) for batch in batches)
    for batch, rows in zip(batches, found, strict=True):
        ranked = pc.index_in(_list_keys(rows, table), value_set=pa.array(batch, pa.string()))
        ranks = pa.table({"rank": ranked, "name": rows[TABLES[table].identity[0]]})
        yield rows.take(pc.sort_indices(ranks, [("rank", "ascending"), ("name", "ascending")]))


def _spool_batches(
    snapshot: Snapshot, table: str, batches: Sequence[Sequence[str]]
) -> Iterator[pa.Table]:
    """Rows of batch after batch, though every part is read once: they wait on the disk.

    The file has no name, so that nothing of it is left when a program is killed.
    """
    keys = pa.array([key for batch in batches for key in batch], pa.string())
    batch_of = np.repeat(np.arange(len(batches)), [len(batch) for batch in batches])
    places: list[list[int]] = [[] for _ in batches]
    with TemporaryFile(dir=snapshot.root) as spool:
        for rows in snapshot.scan(table, keys=keys.to_pylist()):
            numbers = batch_of[pc.index_in(_list_keys(rows, table), value_set=keys).to_numpy()]
            order = np.argsort(numbers, kind="stable")
            grouped = rows.take(order)
            present, starts = np.unique(numbers[order], return_index=True)
            lengths = np.diff(starts, append=len(numbers))
            for number, start, length in zip(present, starts, lengths, strict=True):
                places[number].append(spool.tell())
                _append_rows(spool, grouped.slice(start, length))
        for offsets in places:
            yield pa.concat_tables([_read_rows_at(spool, offset) for offset in offsets])


def _append_rows(spool: IO[bytes], rows: pa.Table) -> None:
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(spool, rows.schema, options=options) as writer:
        writer.write_table(rows)


def _read_rows_at(spool: IO[bytes], offset: int) -> pa.Table:
    spool.seek(offset)
    return pa.ipc.open_stream(spool).read_all()


def _list_keys(rows: pa.Table, table: str) -> pa.ChunkedArray:
    return rows[TABLES[table].identity[-1]]


def _make_batches(snapshot: Snapshot, table: str, keys: Sequence[str]) -> Iterator[list[str]]:
    """Cut the keys such that the rows of each piece fit into memory."""
    batch: list[str] = []
    total = 0.0
    for key in keys:
        memory = _estimate_memory(snapshot, table, key)
        if memory and total + memory > _BATCH_BYTES and batch:
            yield batch
            batch, total = [], 0.0
        if memory:
            batch.append(key)
            total += memory
    if batch:
        yield batch


def _estimate_memory(snapshot: Snapshot, table: str, key: str) -> float:
    """Estimate the memory of a key's rows from the mean of its chunks."""
    holders = (receipt for receipt in snapshot.holders.get(key, ()) if table in receipt.files)
    return sum(receipt.files[table].memory / len(receipt.keys) for receipt in holders)
