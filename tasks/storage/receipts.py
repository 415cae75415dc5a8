"""Receipts: they list the parts of a chunk with their digests.

A chunk is named after its stage, its keys and its content. Repeating a commit therefore writes
the same names and bytes, another outcome makes another chunk, and no committed file is ever
overwritten by other content.

A receipt is a JSON object in a file named after the chunk and the format of receipts, such as
``<chunk>.v2.json``. Its last field is the SHA-256 digest of all bytes before that field. Receipts
of format 1, ``<chunk>.json``, have no digest: a flipped bit in them can change which rows hold, so
that only `tasks.storage.upgrade` reads them.
"""

import hashlib
import os
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Final

from pydantic import TypeAdapter, ValidationError, with_config

from tasks.storage.durable import write_durably
from tasks.storage.errors import (
    DatasetError,
    NewerDatasetError,
    OutdatedDatasetError,
    explain_os_errors,
)
from tasks.tables.columns import SCHEMA_VERSION
from tasks.tables.declarations import TABLES

RECEIPT_FORMAT: Final = 2
"""Format of the receipts that this program writes; any change of their fields makes a new one."""

_FIRST_FORMAT: Final = 1
_FILE: Final = re.compile(r"([^.]+)(?:\.v([2-9]|[1-9][0-9]+))?\.json")
_STAGE: Final = re.compile(r"[a-z][a-z0-9_]*")
_CHUNK: Final = re.compile(r"[a-z][a-z0-9_]*(-[0-9a-z]+)+")


@with_config(extra="forbid")
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


@with_config(extra="forbid")
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
    failed: tuple[str, ...]
    transient: tuple[str, ...]
    timings: Mapping[str, float]
    generation: int
    supersedes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot name a file of a dataset."""
        for chunk in (self.chunk, *self.supersedes):
            if not _CHUNK.fullmatch(chunk) or not chunk.startswith(f"{self.stage}-"):
                raise ValueError(f"{chunk!r} is no chunk of stage {self.stage!r}")
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


def name_chunk(
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
    return f"{stage}-{_compute_digest(keys)[:20]}-{_compute_digest(content)[:12]}{suffix}"


def name_receipt(chunk: str, number: int = RECEIPT_FORMAT) -> str:
    """Name the file of a receipt.

    Parameters
    ----------
    chunk : str
        Name of the chunk.
    number : int
        Format of the receipt.

    Returns
    -------
    str
        Name of the file.
    """
    return f"{chunk}.json" if number == _FIRST_FORMAT else f"{chunk}.v{number}.json"


def parse_chunk_name(path: PurePath) -> str:
    """Name the chunk that a receipt vouches for.

    Parameters
    ----------
    path : PurePath
        File of the receipt.

    Returns
    -------
    str
        Name of the chunk, or the whole name of a file that is no receipt.
    """
    match = _FILE.fullmatch(path.name)
    return match[1] if match else path.name


def parse_format(path: PurePath) -> int:
    """Tell the format of a receipt from the name of its file.

    Parameters
    ----------
    path : PurePath
        File of the receipt.

    Returns
    -------
    int
        Format, 1 where the name has no number; 0 for a file that is no receipt.
    """
    match = _FILE.fullmatch(path.name)
    return int(match[2] or _FIRST_FORMAT) if match else 0


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
    body = _ADAPTER.dump_json(receipt).removesuffix(b"}")
    content = body + _make_digest_field(body)
    write_durably(folder / name_receipt(receipt.chunk), lambda path: _write_bytes(path, content))


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
        When it is damaged, belongs to another file, or is of another format.
    """
    with explain_os_errors("read", path):
        content = path.read_bytes()
    return parse_receipt(path, content)


def parse_receipt(path: PurePath, content: bytes) -> Receipt:
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
        When it is damaged, belongs to another file, or is of another format.
    """
    _refuse_other_formats(path)
    body = content[: -len(_make_digest_field(b""))]
    if content != body + _make_digest_field(body):
        raise DatasetError(_make_damage_error(path, "its digest is another one"))
    version = _VERSION.search(body)
    if version and int(version[1]) > SCHEMA_VERSION:
        raise NewerDatasetError(
            f"{path} has schema version {int(version[1])}, this program knows {SCHEMA_VERSION}: "
            "update the program"
        )
    return _validate_receipt(path, body + b"}")


def parse_old_receipt(path: PurePath, content: bytes) -> Receipt:
    """Parse a receipt of format 1, which nothing but its parts can confirm.

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
        When it is damaged or belongs to another file.
    """
    return _validate_receipt(path, content)


def list_receipt_paths(folder: Path, stage: str | None = None) -> list[Path]:
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


def _refuse_other_formats(path: PurePath) -> None:
    """Refuse a receipt that another program has to read, or none."""
    number = parse_format(path)
    if number > RECEIPT_FORMAT:
        raise NewerDatasetError(
            f"{path} is a receipt of format {number}, this program knows {RECEIPT_FORMAT}: "
            "update the program"
        )
    if number == 0:
        raise DatasetError(_make_damage_error(path, "its name is not that of a receipt"))
    if number < RECEIPT_FORMAT:
        raise OutdatedDatasetError(
            f"{path} is of format {number}, in which damage goes unnoticed: upgrade the dataset",
            f"chiralscreen upgrade {shlex.quote(str(path.parent.parent))}",
        )


def _validate_receipt(path: PurePath, content: bytes) -> Receipt:
    """Parse a receipt; a field too many or too few is an error."""
    try:
        receipt = _ADAPTER.validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DatasetError(_make_damage_error(path, f"{place}: {first['msg']}")) from error
    if receipt.chunk != parse_chunk_name(path):
        raise DatasetError(_make_damage_error(path, f"it names the chunk {receipt.chunk}"))
    return receipt


def _make_digest_field(body: bytes) -> bytes:
    """End of a receipt: the digest of all before it."""
    return b',"sha256":"%s"}' % hashlib.sha256(body).hexdigest().encode()


def _make_damage_error(path: PurePath, reason: str) -> str:
    return f"{path} is damaged ({reason}): remove it and run again to redo its work"


def _compute_digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
