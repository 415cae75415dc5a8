"""The check of a dataset against its receipts."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasks.folders import get_receipts_folder
from tasks.storage.errors import DatasetError, OutdatedDatasetError
from tasks.storage.parts import Selection, count_rows, describe_difference, list_keys
from tasks.storage.receipts import (
    PartFile,
    Receipt,
    list_receipt_paths,
    parse_chunk_name,
    read_receipt,
)
from tasks.storage.snapshot import drop_superseded, get_part_path
from tasks.tables.declarations import TABLES

ProblemKind = Literal[
    "unreadable receipt", "outdated receipt", "missing part", "corrupt part", "orphan part"
]
"""What can be wrong with a dataset."""


@dataclass(frozen=True)
class Problem:
    """Something wrong with a dataset.

    Attributes
    ----------
    kind : str
        What is wrong.
    path : Path
        File it is about.
    message : str
        Details, and what to do.
    """

    kind: ProblemKind
    path: Path
    message: str


def find_problems(root: Path) -> list[Problem]:
    """Check every file of a dataset against the receipts.

    A part without a receipt is left over from a commit that was killed. It is a problem only as
    long as its work was not done again.

    Parameters
    ----------
    root : Path
        Folder of the dataset.

    Returns
    -------
    list of Problem
        What is wrong, receipts first; empty for a sound dataset.
    """
    receipts, problems = _read_all(root)
    outdated = {parse_chunk_name(p.path) for p in problems if p.kind == "outdated receipt"}
    for receipt in receipts:
        problems += check_parts(root, receipt)
    settled = frozenset().union(*(receipt.keys for receipt in drop_superseded(receipts)))
    unnamed = [path for path in list_unnamed_parts(root, receipts) if path.stem not in outdated]
    return problems + list(_list_orphans(unnamed, settled))


def check_parts(root: Path, receipt: Receipt) -> list[Problem]:
    """Compare the parts of a chunk with what its receipt says of them.

    Parameters
    ----------
    root : Path
        Folder of the dataset.
    receipt : Receipt
        Receipt of the chunk.

    Returns
    -------
    list of Problem
        Parts that are missing or not what was committed.
    """
    parts = (
        (get_part_path(root, table, receipt.chunk), part) for table, part in receipt.files.items()
    )
    return [problem for path, part in parts for problem in _check_part(path, part)]


def list_unnamed_parts(root: Path, receipts: Iterable[Receipt]) -> list[Path]:
    """List the parts that no receipt names.

    Parameters
    ----------
    root : Path
        Folder of the dataset.
    receipts : iterable of Receipt
        All its receipts.

    Returns
    -------
    list of Path
        Parts, in the order of their names.
    """
    named = {get_part_path(root, table, r.chunk) for r in receipts for table in r.files}
    return sorted(path for path in root.glob("parts/*/*.parquet") if path not in named)


def _read_all(root: Path) -> tuple[list[Receipt], list[Problem]]:
    receipts, problems = [], []
    for path in list_receipt_paths(get_receipts_folder(root)):
        try:
            receipts.append(read_receipt(path))
        except OutdatedDatasetError as error:
            problems.append(Problem("outdated receipt", path, f"{error}: {error.remedy}"))
        except DatasetError as error:
            problems.append(Problem("unreadable receipt", path, str(error)))
    return receipts, problems


def _check_part(path: Path, part: PartFile) -> list[Problem]:
    """Compare a file with what its receipt says of it."""
    remedy = "remove its receipt and run again to compute it again"
    if not path.is_file():
        return [Problem("missing part", path, f"{path} is missing: {remedy}")]
    try:
        difference = _describe_difference(path, part)
    except DatasetError as error:
        return [Problem("corrupt part", path, str(error))]
    if not difference:
        return []
    message = f"{path} is not what was committed ({difference}): {remedy}"
    return [Problem("corrupt part", path, message)]


def _describe_difference(path: Path, part: PartFile) -> str:
    """Say how a file differs from what was committed; one that is damaged is not parsed."""
    if difference := describe_difference(path, part):
        return difference
    rows = count_rows(path)
    return "" if rows == part.rows else f"{part.rows} rows; found {rows}"


def _list_orphans(paths: Iterable[Path], settled: frozenset[str]) -> Iterator[Problem]:
    """Report the parts whose work no receipt vouches for."""
    for path in paths:
        lost = _read_keys(path) - settled
        if lost:
            message = (
                f"{path} has no receipt, so its work on {len(lost)} keys does not count: "
                "run again to redo it, or prune"
            )
            yield Problem("orphan part", path, message)


def _read_keys(path: Path) -> frozenset[str]:
    """Keys in a part; a part that cannot be read counts as one lost key."""
    unknown = frozenset({"?"})
    if path.parent.name not in TABLES:
        return unknown
    try:
        return list_keys(Selection(path), TABLES[path.parent.name])
    except DatasetError:
        return unknown
