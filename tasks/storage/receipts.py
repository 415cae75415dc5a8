"""Receipts: what vouches for the parts of a chunk.

A chunk is named after its stage, its keys and its content. Repeating a commit therefore writes
the same names and bytes, another outcome makes another chunk, and no committed file is ever
overwritten by other content.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePath
from typing import Final

from pydantic import TypeAdapter, ValidationError

from tasks.storage.durable import write_durably
from tasks.storage.errors import DatasetError, NewerDatasetError, explained
from tasks.storage.schema import SCHEMA_VERSION, TABLES

_STAGE: Final = re.compile(r"[a-z][a-z0-9_]*")
_CHUNK: Final = re.compile(r"[a-z][a-z0-9_]*(-[0-9a-z]+)+")


@dataclass(frozen=True)
class PartFile:
    """One Parquet file of a chunk.

    Attributes
    ----------
    rows : int
        Number of rows.
    size : int
        Size of the file in bytes.
    memory : int
        Size of its rows in memory in bytes.
    sha256 : str
        Digest of the file.
    """

    rows: int
    size: int
    memory: int
    sha256: str


@dataclass(frozen=True)
class Receipt:
    """What one commit did.

    Attributes
    ----------
    chunk : str
        Name of the chunk, and of its files.
    stage : str
        Stage that made it.
    schema_version : int
        Version of the schema its rows obey.
    created : datetime
        Time of the commit (UTC); after a compaction that of its youngest source.
    keys : mapping from str to tuple of str
        Keys of the stage this chunk settles, and the materials with rows under each.
    files : mapping from str to PartFile
        File of each table that got rows.
    failed : tuple of str
        Keys that failed; they may have rows all the same.
    transient : tuple of str
        Those of them worth another try.
    timings : mapping from str to float
        Seconds spent, by name.
    generation : int
        0 for a commit, one more than its sources for a compaction.
    supersedes : tuple of str
        Chunks that readers pass over: all they hold is in this one and, after a compaction, in
        those compacted before it.
    """

    chunk: str
    stage: str
    schema_version: int
    created: datetime
    keys: Mapping[str, tuple[str, ...]]
    files: Mapping[str, PartFile]
    failed: tuple[str, ...] = ()
    transient: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    generation: int = 0
    supersedes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot name a file of a dataset."""
        if not _CHUNK.fullmatch(self.chunk) or not self.chunk.startswith(f"{self.stage}-"):
            raise ValueError(f"{self.chunk!r} is no chunk of stage {self.stage!r}")
        if unknown := set(self.files) - set(TABLES):
            raise ValueError(f"unknown tables {sorted(unknown)}")

    @property
    def done(self) -> frozenset[str]:
        """Keys that need no further work: finished, or failed for good."""
        return frozenset(self.keys) - frozenset(self.transient)

    @property
    def succeeded(self) -> frozenset[str]:
        """Keys that did not fail."""
        return frozenset(self.keys) - frozenset(self.failed)


_ADAPTER: Final = TypeAdapter(Receipt)
_VERSION: Final = re.compile(rb'"schema_version":\s*(\d+)')


def chunk_name(
    stage: str, keys: Iterable[str], files: Mapping[str, PartFile], generation: int = 0
) -> str:
    """Name a chunk after its stage, its keys and its content.

    Parameters
    ----------
    stage : str
        Name of the stage.
    keys : iterable of str
        Keys of the chunk in any order.
    files : mapping from str to PartFile
        File of each table.
    generation : int
        Generation of a compaction.

    Returns
    -------
    str
        Name made of lower-case letters, digits, underscores and hyphens.

    Raises
    ------
    DatasetError
        When the stage's name is not made of lower-case letters, digits and underscores.
    """
    if not _STAGE.fullmatch(stage):
        raise DatasetError(f"stage name {stage!r}: use lower-case letters, digits, underscores")
    content = (f"{table}:{part.sha256}" for table, part in files.items())
    suffix = f"-c{generation}" if generation else ""
    return f"{stage}-{_digest(keys)[:20]}-{_digest(content)[:12]}{suffix}"


def write_receipt(folder: Path, receipt: Receipt) -> None:
    """Write a receipt; from then on readers see its chunk.

    Parameters
    ----------
    folder : Path
        Folder of the receipts.
    receipt : Receipt
        The receipt.

    Raises
    ------
    DatasetError
        When it cannot be written.
    """
    content = _ADAPTER.dump_json(receipt)
    write_durably(folder / f"{receipt.chunk}.json", lambda path: _write_bytes(path, content))


def read_receipt(path: Path) -> Receipt:
    """Read a receipt.

    Parameters
    ----------
    path : Path
        File of the receipt.

    Returns
    -------
    Receipt
        Its content.

    Raises
    ------
    DatasetError
        When it is damaged, belongs to another file, or was written by a newer program.
    """
    with explained("read", path):
        content = path.read_bytes()
    return parsed_receipt(path, content)


def parsed_receipt(path: PurePath, content: bytes) -> Receipt:
    """Parse the content of a receipt.

    Parameters
    ----------
    path : PurePath
        Where it was found.
    content : bytes
        What was found.

    Returns
    -------
    Receipt
        The receipt.

    Raises
    ------
    DatasetError
        When it is damaged, belongs to another file, or was written by a newer program.
    """
    version = _VERSION.search(content)
    if version and int(version[1]) > SCHEMA_VERSION:
        raise NewerDatasetError(
            f"{path} has schema version {int(version[1])}, this program knows {SCHEMA_VERSION}: "
            "update the program"
        )
    try:
        receipt = _ADAPTER.validate_json(content)
    except ValidationError as error:
        raise DatasetError(_damaged(path, str(error.errors()[0]["msg"]))) from error
    if receipt.chunk != path.stem:
        raise DatasetError(_damaged(path, f"it names the chunk {receipt.chunk}"))
    return receipt


def receipt_paths(folder: Path, stage: str | None = None) -> list[Path]:
    """List the receipts of a dataset.

    Parameters
    ----------
    folder : Path
        Folder of the receipts; it may be missing.
    stage : str, optional
        Take the receipts of this stage only.

    Returns
    -------
    list of Path
        Files in the order of their names.
    """
    if not folder.is_dir():
        return []
    # Names, since whole paths take ten times as long to compare, and a run asks for each chunk.
    start = f"{stage}-" if stage else ""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.name.endswith(".json"))
    return [folder / name for name in names if name.startswith(start)]


def _damaged(path: PurePath, reason: str) -> str:
    return f"{path} is damaged ({reason}): remove it and run again to redo its work"


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
