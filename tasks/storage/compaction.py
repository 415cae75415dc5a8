"""Compaction: few large parts sorted by space group instead of many small ones.

A compacted chunk is committed like any other and names the chunks whose rows it took over. Its
sources stay on disk, for readers who hold them, until they are pruned.
"""

import math
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np

from tasks.folders import get_receipts_folder
from tasks.storage.commit import ReceiptDraft, commit_parts
from tasks.storage.dataset import Dataset
from tasks.storage.durable import TEMPORARY_SUFFIX
from tasks.storage.errors import explain_os_errors
from tasks.storage.ordering import read_rows_in_order
from tasks.storage.receipts import Receipt, list_receipt_paths, name_receipt, read_receipt
from tasks.storage.snapshot import Snapshot, drop_superseded, get_part_path
from tasks.storage.verification import list_unnamed_parts

DEFAULT_PART_BYTES: Final = 256 * 2**20
_UNCLASSIFIED: Final = 231  # sorts after every space group


def compact(dataset: Dataset, *, part_bytes: int = DEFAULT_PART_BYTES) -> list[Receipt]:
    """Merge the small chunks of each stage into large ones sorted by space group.

    Chunks whose largest part has at least half the wanted size stay as they are. Programs may go
    on reading and writing meanwhile, and a compaction that was killed can be started again.

    Parameters
    ----------
    dataset : Dataset
        The dataset.
    part_bytes : int
        Wanted size of the largest part of a chunk in bytes.

    Returns
    -------
    list of Receipt
        The new chunks; empty when there is nothing to gain.

    Raises
    ------
    DatasetError
        When a part is missing or damaged, or the disk refuses the new ones.
    """
    snapshot = dataset.take_snapshot()
    order = _read_space_groups(snapshot)
    made: list[Receipt] = []
    for stage in sorted({receipt.stage for receipt in snapshot.receipts}):
        sources = [
            r for r in snapshot.receipts if r.stage == stage and _estimate_bytes(r) < part_bytes / 2
        ]
        if len(sources) > 1:
            made += _merge(Snapshot(dataset.root, tuple(sources)), order, part_bytes)
    return made


def prune(dataset: Dataset, *, older_than: timedelta) -> list[Path]:
    """Remove what no reader needs: superseded chunks, and leftovers of killed programs.

    Parameters
    ----------
    dataset : Dataset
        The dataset.
    older_than : timedelta
        Keep what was superseded or left over more recently; choose it longer than any reader or
        writer lives.

    Returns
    -------
    list of Path
        Removed files.

    Raises
    ------
    DatasetError
        When a receipt is damaged, since its parts cannot be told from leftovers then.
    """
    root, before = dataset.root, time.time() - older_than.total_seconds()
    receipts = [read_receipt(path) for path in list_receipt_paths(get_receipts_folder(root))]
    removed: list[Path] = []
    for receipt in _list_outlived(root, receipts, before):
        parts = [get_part_path(root, table, receipt.chunk) for table in receipt.files]
        removed += _remove([_get_receipt_path(root, receipt.chunk), *parts])
    temporary = (
        path
        for folder in ("parts/*", "receipts", "catalog")
        for path in root.glob(f"{folder}/.*{TEMPORARY_SUFFIX}")
    )
    leftovers = [*list_unnamed_parts(root, receipts), *temporary]
    return removed + _remove(path for path in leftovers if _get_modification_time(path) < before)


def _merge(sources: Snapshot, order: Mapping[str, int], part_bytes: int) -> Iterator[Receipt]:
    """Commit the rows of some chunks of one stage anew; the last chunk takes over from them."""
    tables = sorted({name for receipt in sources.receipts for name in receipt.files})
    slices = list(_split_keys(sources, _sort_keys(sources, order), part_bytes))
    for keys in slices:
        rows = {name: read_rows_in_order(sources, name, keys) for name in tables}
        draft = _make_draft(sources, keys)
        if keys is slices[-1]:
            draft = _supersede_sources(sources, draft)
        yield commit_parts(sources.root, draft, rows)


def _make_draft(sources: Snapshot, keys: Sequence[str]) -> ReceiptDraft:
    """Receipt of some keys; a result anywhere outweighs a failure elsewhere."""
    succeeded = frozenset().union(*(receipt.succeeded for receipt in sources.receipts))
    done = frozenset().union(*(receipt.done for receipt in sources.receipts))
    return ReceiptDraft(
        stage=sources.receipts[0].stage,
        keys={key: _list_materials(sources, key) for key in sorted(keys)},
        created=max(receipt.created for receipt in sources.receipts),
        failed=tuple(sorted(set(keys) - succeeded)),
        transient=tuple(sorted(set(keys) - done)),
        generation=1 + max(receipt.generation for receipt in sources.receipts),
    )


def _supersede_sources(sources: Snapshot, draft: ReceiptDraft) -> ReceiptDraft:
    """Let a receipt supersede the sources, and what they superseded as long as it is there."""
    earlier = (chunk for receipt in sources.receipts for chunk in receipt.supersedes)
    present = {chunk for chunk in earlier if _get_receipt_path(sources.root, chunk).exists()}
    chunks = present.union(receipt.chunk for receipt in sources.receipts)
    timings: Counter[str] = Counter()
    for receipt in sources.receipts:
        timings.update(receipt.timings)
    return replace(draft, supersedes=tuple(sorted(chunks)), timings=dict(timings))


def _list_materials(sources: Snapshot, key: str) -> tuple[str, ...]:
    return tuple(sorted({m for receipt in sources.holders[key] for m in receipt.keys[key]}))


def _sort_keys(sources: Snapshot, order: Mapping[str, int]) -> list[str]:
    """Keys sorted by space group and material."""

    def rank(key: str) -> tuple[int, tuple[str, ...], str]:
        materials = _list_materials(sources, key)
        number = min((order.get(m, _UNCLASSIFIED) for m in materials), default=_UNCLASSIFIED)
        return number, materials, key

    return sorted(sources.holders, key=rank)


def _split_keys(sources: Snapshot, keys: Sequence[str], part_bytes: int) -> Iterator[list[str]]:
    """Cut the keys into pieces whose largest parts come out about equal."""
    largest = max(
        (name for receipt in sources.receipts for name in receipt.files),
        key=lambda name: sum(r.files[name].size for r in sources.receipts if name in r.files),
    )
    sizes = np.array(
        [sum(_estimate_key_bytes(r, largest) for r in sources.holders[key]) for key in keys]
    )
    total = sizes.sum()
    count = max(1, round(total / part_bytes))
    middles = np.cumsum(sizes) - sizes / 2
    piece = np.minimum(middles * count // total, count - 1)
    for number in range(count):
        if chosen := [keys[i] for i in np.flatnonzero(piece == number).tolist()]:
            yield chosen


def _estimate_key_bytes(receipt: Receipt, table: str) -> float:
    """Bytes of a part for each of its keys."""
    return receipt.files[table].size / len(receipt.keys) if table in receipt.files else 0.0


def _estimate_bytes(receipt: Receipt) -> int:
    return max((part.size for part in receipt.files.values()), default=0)


def _read_space_groups(snapshot: Snapshot) -> dict[str, int]:
    """Space-group number of each classified material."""
    rows = snapshot.read("materials", columns=["material_id", "space_group_number"])
    ids, numbers = (column.to_pylist() for column in rows.columns)
    return dict(zip(ids, numbers, strict=True))


def _list_outlived(root: Path, receipts: Sequence[Receipt], before: float) -> Iterator[Receipt]:
    """Yield the chunks that were superseded long enough ago, and whose keys all live on."""
    settled = frozenset().union(*(receipt.keys for receipt in drop_superseded(receipts)))
    since: dict[str, float] = {}
    for successor in receipts:
        changed = _get_modification_time(_get_receipt_path(root, successor.chunk))
        for chunk in successor.supersedes:
            since[chunk] = min(changed, since.get(chunk, math.inf))
    for receipt in receipts:
        if since.get(receipt.chunk, math.inf) < before and receipt.keys.keys() <= settled:
            yield receipt


def _get_receipt_path(root: Path, chunk: str) -> Path:
    return get_receipts_folder(root) / name_receipt(chunk)


def _get_modification_time(path: Path) -> float:
    """Time of the last change; a file that has just gone counts as new."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _remove(paths: Iterable[Path]) -> list[Path]:
    """Remove files in this order."""
    removed = []
    for path in paths:
        with explain_os_errors("remove", path):
            path.unlink(missing_ok=True)
        removed.append(path)
    return removed
