"""Records of a source, their names and where they are from."""

import csv
import gzip
import hashlib
import json
import lzma
import sqlite3
import tarfile
import zipfile
import zlib
from dataclasses import dataclass, field

import pyarrow as pa

from tasks.crystals.records import Provenance, make_safe_id
from tasks.failures import Failure, RemediableError, make_failure

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


def make_read_failure(error: Exception, source_record: str) -> Failure:
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
    content = f"{source_record}\n{error}".encode("utf-8", "surrogatepass")
    return make_failure(
        error,
        material_id=make_safe_id(source_record),
        key=hashlib.sha256(content).hexdigest(),
        stage=STAGE,
        source_record=source_record,
    )


def explain_parser_error(error: Exception) -> RemediableError:
    """Say of a parser's error what it means for the user."""
    if isinstance(error, RemediableError):
        return error
    unknown = f"{_UNKNOWN} ({type(error).__name__})"
    content = next((text for kinds, text in _TOLD if isinstance(error, kinds)), unknown)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else None
    if isinstance(error, json.JSONDecodeError):
        reason = f"line {error.lineno}, column {error.colno}"
    remedy = _REMEDY_OF_SIZE if isinstance(error, MemoryError) else _REMEDY
    return RemediableError(f"unreadable: {content}{f' ({reason})' if reason else ''}", remedy)
