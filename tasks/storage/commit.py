"""The commit: parts first, the receipt last."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from tasks.folders import get_parts_folder, get_receipts_folder
from tasks.storage.durable import discard, publish
from tasks.storage.errors import DatasetError
from tasks.storage.parts import stage_part
from tasks.storage.receipts import (
    PartFile,
    Receipt,
    list_receipt_paths,
    name_chunk,
    read_receipt,
    write_receipt,
)
from tasks.storage.snapshot import get_part_path
from tasks.tables.columns import SCHEMA_VERSION
from tasks.tables.declarations import TABLES


@dataclass(frozen=True)
class ReceiptDraft:
    """A receipt before its files are written; see `Receipt` for the attributes."""

    stage: str
    keys: Mapping[str, tuple[str, ...]]
    created: datetime
    failed: tuple[str, ...] = ()
    transient: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    generation: int = 0
    supersedes: tuple[str, ...] = ()


def commit_parts(
    root: Path, draft: ReceiptDraft, rows: Mapping[str, Iterable[pa.Table]]
) -> Receipt:
    """Write the parts of a chunk beside their final names, publish them, then the receipt.

    Parameters
    ----------
    root : Path
        Folder of the dataset.
    draft : ReceiptDraft
        What the receipt will say.
    rows : mapping from str to iterable of pyarrow.Table
        Batches of rows by name of the table.

    Returns
    -------
    Receipt
        The receipt as written.

    Raises
    ------
    DatasetError
        When the disk refuses; nothing is committed then.
    """
    staged: dict[str, tuple[Path, PartFile]] = {}
    try:
        for name, batches in sorted(rows.items()):
            staged[name] = stage_part(get_parts_folder(root) / name, TABLES[name], batches)
        files = {name: part for name, (_, part) in staged.items() if part.rows}
        receipt = _make_receipt(draft, files)
        for name in files:
            publish(staged[name][0], get_part_path(root, name, receipt.chunk))
    finally:
        for temporary, _ in staged.values():
            discard(temporary)
    if not receipt.supersedes:
        receipt = replace(receipt, supersedes=_list_redundant(root, receipt))
    write_receipt(get_receipts_folder(root), receipt)
    return receipt


def _list_redundant(root: Path, receipt: Receipt) -> tuple[str, ...]:
    """Name the earlier commits of the same keys that a new one makes redundant.

    A commit gives way only to one that follows it in the order of names, which never changes: so
    of any number of commits at the same time one stays. Of n commits one after the other about
    log n stay.
    """
    found = []
    for path in list_receipt_paths(get_receipts_folder(root), receipt.chunk.rpartition("-")[0]):
        try:
            earlier = read_receipt(path)
        except DatasetError:
            if path.exists():
                raise
            continue  # it was pruned a moment ago
        if _is_contained(earlier, receipt):
            found.append(earlier.chunk)
    return tuple(found)


def _is_contained(earlier: Receipt, later: Receipt) -> bool:
    """Whether all an earlier commit of the same keys knows is in a later one."""
    return (
        earlier.chunk < later.chunk
        and earlier.created <= later.created
        and earlier.generation == later.generation
        and earlier.succeeded <= later.succeeded
        and earlier.done <= later.done
        and earlier.files.keys() <= later.files.keys()
        and earlier.keys == later.keys
    )


def _make_receipt(draft: ReceiptDraft, files: Mapping[str, PartFile]) -> Receipt:
    return Receipt(
        chunk=name_chunk(draft.stage, draft.keys, files, draft.generation),
        stage=draft.stage,
        schema_version=SCHEMA_VERSION,
        created=draft.created,
        keys=draft.keys,
        files=files,
        failed=draft.failed,
        transient=draft.transient,
        timings=draft.timings,
        generation=draft.generation,
        supersedes=draft.supersedes,
    )
