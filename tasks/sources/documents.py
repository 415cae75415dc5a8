"""Files and members of archives as streams that end before they fill the memory."""

import bz2
import gzip
import io
import lzma
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from tasks.failures import RemediableError

_OPENERS: dict[str, Callable[[BinaryIO], object]] = {
    ".gz": gzip.open,
    ".xz": lzma.open,
    ".bz2": bz2.open,
}
_TAR_OPENERS: dict[str, Callable[[BinaryIO], object]] = {
    ".tgz": gzip.open,
    ".txz": lzma.open,
    ".tbz2": bz2.open,
}
_KINDS = {
    ".cif": "cif",
    ".mcif": "cif",
    ".xyz": "xyz",
    ".extxyz": "xyz",
    ".vasp": "poscar",
    ".poscar": "poscar",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".db": "database",
    ".pt": "tensors",
    ".zip": "zip",
    **dict.fromkeys((".tar", *_TAR_OPENERS), "tar"),
}
# Kinds of files that hold structures, or archives of them, and are not read.
_FOREIGN = frozenset(
    (".res", ".xsf", ".cssr", ".gen", ".traj", ".pdb", ".ent", ".mol", ".mol2", ".sdf", ".xtl")
).union((".pwi", ".pwo", ".cell", ".castep", ".pkl", ".pickle", ".rar", ".7z", ".zst"))
_BARE_NAMES = frozenset(("POSCAR", "CONTCAR"))
KNOWN_FILES = (
    "*.cif, *.mcif, POSCAR*, CONTCAR*, *.vasp, *.xyz, *.extxyz, *.json, *.jsonl, *.csv, *.parquet, "
    "*.db (ASE), *.pt (tensors), *.zip or *.tar, also compressed (*.gz, *.xz, *.bz2)"
)
FREE_BYTES = 2**20
"""What a compressed file may become whatever its size: an empty one has a header too."""


@dataclass(frozen=True)
class Document:
    """A file, or a member of an archive.

    Attributes
    ----------
    name : str
        Path inside the source, for people; never opened.
    stream : binary stream
        Content, decompressed.
    size : int
        Bytes of the file as it is stored.
    path : pathlib.Path or None
        The file itself; None for a member of an archive.
    """

    name: str
    stream: BinaryIO
    size: int
    path: Path | None = None

    @property
    def stem(self) -> str:
        """Name of the file without folder and endings."""
        return PurePosixPath(strip_compression(self.name)).stem

    @property
    def folder(self) -> str:
        """Name of the folder it lies in."""
        inside = PurePosixPath(self.name).parent.name
        return inside or (self.path.resolve().parent.name if self.path else "")


def strip_compression(name: str) -> str:
    """Remove the ending of a compressed file."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in _OPENERS else name


def find_born_file(path: Path | None) -> Path | None:
    """Find the BORN file of a structure.

    Parameters
    ----------
    path : pathlib.Path or None
        File of one structure.

    Returns
    -------
    pathlib.Path or None
        ``<name>.BORN`` beside ``<name>.cif`` or ``<name>.vasp``, compressed or not; ``BORN``
        beside a file with VASP's own name, as in phonopy; None where there is none.
    """
    if path is None:
        return None
    plain = strip_compression(path.name)
    born = path.with_name("BORN" if plain in _BARE_NAMES else f"{Path(plain).stem}.BORN")
    return born if born.is_file() else None


def find_kind(name: str) -> str:
    """Tell the kind of a file by its name.

    Parameters
    ----------
    name : str
        Name of a file.

    Returns
    -------
    str
        Such as ``cif``; empty when unknown.
    """
    path = PurePosixPath(strip_compression(name))
    if found := _KINDS.get(path.suffix.lower()):
        return found
    return "poscar" if path.name.upper().startswith(("POSCAR", "CONTCAR")) else ""


def is_foreign(name: str) -> bool:
    """Tell whether a file holds structures in a format that is not read.

    Parameters
    ----------
    name : str
        Name of a file.

    Returns
    -------
    bool
        False for all files that are read, and for those that hold no structures.
    """
    path = PurePosixPath(strip_compression(name))
    return path.suffix.lower() in _FOREIGN or path.name.upper().startswith("XDATCAR")


def is_hidden(name: str) -> bool:
    """Tell whether a file is hidden, or was added by a program that packs or shows folders.

    Parameters
    ----------
    name : str
        Path of a file inside a source.

    Returns
    -------
    bool
        True for resource forks of macOS and the like.
    """
    parts = PurePosixPath(name).parts
    return any((p.startswith(".") and p != "..") or p == "__MACOSX" for p in parts)


@contextmanager
def open_document(path: Path, name: str, max_expansion: float) -> Iterator[Document]:
    """Open a file, decompressed where its name says so.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    name : str
        Its name in the source.
    max_expansion : float
        Most bytes that one compressed byte may become.

    Yields
    ------
    Document
        Whose stream raises ``RemediableError`` beyond that limit.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        yield Document(name, decompress(stream, name, size, max_expansion), size, path)


def decompress(stream: BinaryIO, name: str, size: int, max_expansion: float) -> BinaryIO:
    """Decompress a stream where the name of its file says that it is compressed.

    Parameters
    ----------
    stream : binary stream
        The file as it is stored.
    name : str
        Its name.
    size : int
        Its size in bytes.
    max_expansion : float
        Most bytes that one compressed byte may become.

    Returns
    -------
    binary stream
        Raises ``RemediableError`` beyond that limit.
    """
    suffix = PurePosixPath(name).suffix.lower()
    opener = {**_OPENERS, **_TAR_OPENERS}.get(suffix)
    if opener is None:
        return stream
    content = cast("BinaryIO", opener(stream))
    limit = int(size * max_expansion) + FREE_BYTES
    return cast("BinaryIO", io.BufferedReader(_Bounded(content, limit)))


def read_all(stream: BinaryIO, limit: int) -> bytes:
    """Read a stream to its end.

    Parameters
    ----------
    stream : binary stream
        The stream.
    limit : int
        Most bytes.

    Returns
    -------
    bytes
        All of it.

    Raises
    ------
    RemediableError
        When there is more.
    """
    content = stream.read(limit + 1)
    if len(content) > limit:
        message = f"larger than {limit} bytes"
        raise RemediableError(message, "cut the file, or raise source.max_record_bytes")
    return content


def read_text(stream: BinaryIO, limit: int) -> str:
    """Read a stream to its end as text.

    Parameters
    ----------
    stream : binary stream
        The stream.
    limit : int
        Most bytes.

    Returns
    -------
    str
        Letters of an unknown encoding, as in the names of authors, are replaced; a byte order mark
        is left out.

    Raises
    ------
    RemediableError
        When there is more.
    """
    content = read_all(stream, limit)
    # Windows programs write a mark before the text, and some of them two bytes for each letter.
    encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    return content.decode(encoding, errors="replace")


def read_line(stream: BinaryIO, limit: int) -> str:
    """Read one line of a stream as text, with its end; empty at the end of the stream.

    Parameters
    ----------
    stream : binary stream
        The stream.
    limit : int
        Most bytes.

    Returns
    -------
    str
        The line.

    Raises
    ------
    RemediableError
        When it is longer.
    """
    line = stream.readline(limit + 1)
    if len(line) > limit:
        message = f"a line is longer than {limit} bytes"
        raise RemediableError(message, "cut the file, or raise source.max_record_bytes")
    return line.removeprefix(BOM_UTF8).decode("utf-8", errors="replace")


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more than some number of bytes."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        super().__init__()
        self._stream = stream
        self._left = limit

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        """Read into a buffer."""
        content = self._stream.read(len(buffer))
        self._left -= len(content)
        if self._left < 0:
            message = "the compressed file becomes suspiciously large"
            raise RemediableError(message, "decompress it yourself, or raise source.max_expansion")
        buffer[: len(content)] = content
        return len(content)
