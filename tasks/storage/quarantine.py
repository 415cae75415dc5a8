"""Moving damaged chunks away, so that the next run computes them again."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tasks.folders import get_receipts_folder
from tasks.storage.durable import make_folder, publish
from tasks.storage.errors import DatasetError, NewerDatasetError, explain_os_errors
from tasks.storage.receipts import RECEIPT_FORMAT, name_receipt, parse_chunk_name, read_receipt
from tasks.storage.verification import Problem

_FOLDER: Final = "damaged"
_LET_BE: Final = frozenset({"orphan part", "outdated receipt"})
_FORMATS: Final = range(1, RECEIPT_FORMAT + 1)
_CHUNK: Final = re.compile(r"[a-z][a-z0-9_]*(-[0-9a-z]+)+")


def quarantine_chunks(root: Path, problems: Iterable[Problem]) -> list[Path]:
    """Move chunks that are not what was committed out of the way of readers.

    Their keys count as open from then on. Where the chunks that a damaged compaction was made of
    are still there, they hold again.

    Parameters
    ----------
    root : Path
        Folder of the dataset.
    problems : iterable of Problem
        What the check found; leftovers of killed programs are let be, and what other programs
        wrote.

    Returns
    -------
    list of Path
        Files as they were named, now in the folder ``damaged``.

    Raises
    ------
    DatasetError
        When a file cannot be moved.
    """
    damaged = [p for p in problems if p.kind not in _LET_BE and not _is_newer_format(p)]
    chunks = {_find_chunk(problem.path) for problem in damaged}
    moved: list[Path] = []
    for chunk in sorted(filter(_CHUNK.fullmatch, chunks)):
        # The receipt goes first: without it readers ignore the parts.
        receipts = [get_receipts_folder(root) / name_receipt(chunk, n) for n in _FORMATS]
        for path in [*receipts, *sorted(root.glob(f"parts/*/{chunk}.parquet"))]:
            if path.exists():
                _move_file(path, root / _FOLDER / path.relative_to(root))
                moved.append(path)
    return moved


def _find_chunk(path: Path) -> str:
    """Chunk of a part or of a receipt."""
    return path.stem if path.suffix == ".parquet" else parse_chunk_name(path)


def _is_newer_format(problem: Problem) -> bool:
    """Whether a newer program could read what this one cannot."""
    try:
        if problem.kind == "unreadable receipt":
            read_receipt(problem.path)
    except NewerDatasetError:
        return True
    except DatasetError:
        return False
    return False


def _move_file(path: Path, target: Path) -> None:
    with explain_os_errors("write", target):
        make_folder(target.parent)
    publish(path, target)
