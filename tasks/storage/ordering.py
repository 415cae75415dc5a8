"""Rows in a wanted order of their keys, with flat memory."""

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from tasks.storage.schema import TABLES
from tasks.storage.snapshot import Snapshot

_BATCH_BYTES: Final = 64 * 2**20


def rows_in_order(snapshot: Snapshot, table: str, keys: Sequence[str]) -> Iterator[pa.Table]:
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
    for batch in _batches(snapshot, table, keys):
        rows = snapshot.read(table, keys=batch)
        ranked = pc.index_in(
            rows[TABLES[table].identity[-1]], value_set=pa.array(batch, pa.string())
        )
        ranks = pa.table({"rank": ranked, "name": rows[TABLES[table].identity[0]]})
        yield rows.take(pc.sort_indices(ranks, [("rank", "ascending"), ("name", "ascending")]))


def _batches(snapshot: Snapshot, table: str, keys: Sequence[str]) -> Iterator[list[str]]:
    """Cut the keys such that the rows of each piece fit into memory."""
    batch: list[str] = []
    total = 0.0
    for key in keys:
        memory = _memory(snapshot, table, key)
        if memory and total + memory > _BATCH_BYTES and batch:
            yield batch
            batch, total = [], 0.0
        if memory:
            batch.append(key)
            total += memory
    if batch:
        yield batch


def _memory(snapshot: Snapshot, table: str, key: str) -> float:
    """Estimate the memory of a key's rows from the mean of its chunks."""
    holders = (receipt for receipt in snapshot.holders.get(key, ()) if table in receipt.files)
    return sum(receipt.files[table].memory / len(receipt.keys) for receipt in holders)
