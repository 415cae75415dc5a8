"""Databases of ASE in SQLite, of which only numbers and plain JSON are read."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from tasks.failures import Failure, RemediableError
from tasks.sources.documents import Document
from tasks.sources.json_text import parse_json
from tasks.sources.mappings import make_record
from tasks.sources.records import RawRecord, explain_parser_error, make_read_failure
from tasks.sources.settings import SourceSettings

_QUERY = (
    "SELECT id, numbers, positions, cell, pbc, key_value_pairs, masses FROM systems ORDER BY id"
)


def cut_database(document: Document, settings: SourceSettings) -> Iterator[RawRecord | Failure]:
    """Give every row of a database.

    Parameters
    ----------
    document : Document
        The file; opened for reading only.
    settings : SourceSettings
        Which key of a row means what; names are searched among its key-value pairs.

    Yields
    ------
    RawRecord or Failure
        In the order of the rows' numbers.

    Raises
    ------
    RemediableError
        When the file is no database of ASE, or lies in an archive.
    """
    if document.path is None:
        raise RemediableError("a database inside an archive", "extract it first")
    with closing(_connect(document.path, settings.max_record_bytes)) as connection:
        for row in connection.execute(_QUERY):
            place = f"{document.name}#{row[0]}"
            try:
                yield make_record(_rename_values(row), f"{document.stem}-{row[0]}", place, settings)
            except Exception as error:  # noqa: BLE001 - a defective row is a row of failures
                yield make_read_failure(explain_parser_error(error), place)


def _connect(path: Path, limit: int) -> sqlite3.Connection:
    """Connection that writes nothing, with a table of systems: a view could run anything."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(limit, 2**30))
    query = "SELECT type FROM sqlite_master WHERE name = 'systems'"
    try:
        kind = connection.execute(query).fetchone()
    except sqlite3.DatabaseError as error:
        connection.close()
        raise explain_parser_error(error) from error
    if kind != ("table",):
        connection.close()
        message = "unreadable: no table 'systems', so no database of ASE"
        raise RemediableError(message, "give a file written by ase.db")
    return connection


def _rename_values(row: tuple[Any, ...]) -> dict[str, Any]:
    """Values by the names that tables use."""
    _, numbers, positions, cell, periodic, pairs, masses = row
    found = parse_json(pairs) if isinstance(pairs, str) else {}
    blobs = {"lattice": cell, "numbers": numbers, "cart_coords": positions, "masses": masses}
    kinds = {"numbers": "<i4"}
    return {
        **(found if isinstance(found, dict) else {}),
        **{n: _decode_array(b, kinds.get(n, "<f8"), n) for n, b in blobs.items() if b is not None},
        "dimension_types": [int(bool(periodic & bit)) for bit in (1, 2, 4)],
    }


def _decode_array(blob: bytes, kind: str, name: str) -> list[float]:
    """Numbers of a column of bytes."""
    if len(blob) % np.dtype(kind).itemsize:
        message = f"unreadable: the column {name!r} is damaged"
        raise RemediableError(message, "write the row again")
    return list(np.frombuffer(blob, dtype=kind).tolist())
