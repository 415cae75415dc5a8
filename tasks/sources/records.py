"""Records of a source, their names and where they are from."""

import csv
import gzip
import hashlib
import json
import lzma
import re
import sqlite3
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field

import pyarrow as pa
from ase import Atoms

from tasks.failures import Failure, RemediableError, failure_of
from tasks.sources.settings import CellOrigin

STAGE = "read"
_REMEDY = "correct or remove the file"
_REMEDY_OF_SIZE = "divide the file, write JSON lines, or raise source.record_memory"
_UNKNOWN = "its content is not what its kind of file holds"
# What the libraries below raise, in words for people; the first that fits is told.
_TOLD: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((json.JSONDecodeError,), "no JSON"),
    ((zipfile.BadZipFile,), "no zip archive, or a damaged one"),
    ((tarfile.TarError,), "no tar archive, or a damaged one"),
    ((gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError), "the compressed data are damaged"),
    ((pa.ArrowException,), "no Parquet table, or a damaged one"),
    ((sqlite3.Error,), "no database, or a damaged one"),
    ((csv.Error,), "no table of comma-separated values"),
    ((MemoryError,), "it does not fit into the memory"),
    ((OSError,), "the file cannot be read"),
)
_ID_CHARACTERS = re.compile(r"[^A-Za-z0-9._+-]")
_MAX_ID_LENGTH = 120
_MARK_LENGTH = 8


@dataclass(frozen=True)
class Provenance:
    """What a database says of one of its structures.

    Attributes
    ----------
    database, database_version : str or None
        Name of the database and its release.
    database_id : str or None
        Name of the structure there, unchanged.
    licence, url, functional : str or None
        Licence of the data, page of the structure, density functional of its relaxation.
    energy_above_hull : float or None
        Energy above the convex hull in eV/atom.
    band_gap : float or None
        Band gap in eV.
    space_group_stated : int or None
        Space-group number that the record states.
    cell_origin : str or None
        Whether its cell is ``measured`` or ``computed``; None where nothing says so.
    """

    database: str | None = None
    database_version: str | None = None
    database_id: str | None = None
    licence: str | None = None
    url: str | None = None
    functional: str | None = None
    energy_above_hull: float | None = None
    band_gap: float | None = None
    space_group_stated: int | None = None
    cell_origin: CellOrigin | None = None


@dataclass(frozen=True)
class RawRecord:
    """Text of one structure, not yet parsed.

    Attributes
    ----------
    material_id : str
        Name made of letters, digits and ``. _ + -`` only; the text may carry another one.
    kind : str
        Format of the text: ``cif``, ``poscar``, ``xyz`` or ``json``.
    text : str
        The structure.
    source_record : str
        File, and the record inside it where it holds several.
    provenance : Provenance
        Where it is from.
    notes : tuple of str
        What was read otherwise than to the letter, or not used.
    """

    material_id: str
    kind: str
    text: str
    source_record: str
    provenance: Provenance = field(default_factory=Provenance)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """One structure as it stands in a source.

    Attributes
    ----------
    material_id : str
        Name made of letters, digits and ``. _ + -`` only.
    atoms : ase.Atoms
        The crystal as given; with the array ``masses`` where they are special.
    source_record : str
        File, and the record inside it where it holds several.
    provenance : Provenance
        Where it is from.
    notes : tuple of str
        What was read otherwise than to the letter, or not used.
    """

    material_id: str
    atoms: Atoms
    source_record: str
    provenance: Provenance = field(default_factory=Provenance)
    notes: tuple[str, ...] = ()


def require_new(material_id: str, source_record: str, seen: dict[str, str]) -> None:
    """Refuse a name that an earlier record had, and remember it.

    Parameters
    ----------
    material_id : str
        Name of the record.
    source_record : str
        Where it stands.
    seen : dict
        Names and records so far; the new one is added.

    Raises
    ------
    RemediableError
        When another record has the name.
    """
    first = seen.setdefault(material_id, source_record)
    if first != source_record:
        message = f"duplicate id {material_id!r}: already read from {first}"
        raise RemediableError(message, "rename one of the files or records")


def safe_id(name: str) -> str:
    """Turn any text into an identifier that is also a harmless file name.

    Parameters
    ----------
    name : str
        Any text.

    Returns
    -------
    str
        Letters, digits and ``. _ + -``, not beginning with a dot, at most 120 characters. A text
        that had to be changed carries a mark of the original, so that two texts stay apart.

    Examples
    --------
    >>> safe_id("mp-149")
    'mp-149'
    >>> safe_id("../../etc/passwd")
    '_.._etc_passwd-3754d6cb'
    """
    found = _ID_CHARACTERS.sub("_", name).lstrip(".")[:_MAX_ID_LENGTH]
    if found == name and found:
        return found
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK_LENGTH]
    return f"{found[: _MAX_ID_LENGTH - _MARK_LENGTH - 1]}-{mark}".lstrip("-")


def read_failure(error: Exception, source_record: str) -> Failure:
    """Failure of the read stage, named by its record: the structure's own name may be taken.

    Parameters
    ----------
    error : Exception
        What was raised.
    source_record : str
        File, and the record inside it where it holds several.

    Returns
    -------
    Failure
        A row of ``failures``.
    """
    told = f"{source_record}\n{error}".encode("utf-8", "surrogatepass")
    return failure_of(
        error,
        material_id=safe_id(source_record),
        key=hashlib.sha256(told).hexdigest(),
        stage=STAGE,
        source_record=source_record,
    )


def unreadable(error: Exception) -> RemediableError:
    """Say of a parser's error what it means for the user.

    Parameters
    ----------
    error : Exception
        What a parser raised.

    Returns
    -------
    RemediableError
        The error itself where its remedy is known.
    """
    if isinstance(error, RemediableError):
        return error
    unknown = f"{_UNKNOWN} ({type(error).__name__})"
    told = next((text for kinds, text in _TOLD if isinstance(error, kinds)), unknown)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else None
    if isinstance(error, json.JSONDecodeError):
        reason = f"line {error.lineno}, column {error.colno}"
    remedy = _REMEDY_OF_SIZE if isinstance(error, MemoryError) else _REMEDY
    return RemediableError(f"unreadable: {told}{f' ({reason})' if reason else ''}", remedy)
