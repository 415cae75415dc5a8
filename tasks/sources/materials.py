"""Checked crystals of a source, one at a time."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tasks.crystals.structures import Material, make_material
from tasks.failures import Failure, RemediableError
from tasks.sources import (
    ParallelMap,
    RawRecord,
    Read,
    SourceSettings,
    make_read_failure,
    parse_record,
    read_raw_records,
    require_new,
)


def read_materials(
    source: Path,
    symprec: float,
    settings: SourceSettings | None = None,
    *,
    read: Read = read_raw_records,
    parallel_map: ParallelMap = map,
) -> Iterator[Material | Failure]:
    """Read every structure of a file or folder, one at a time.

    Parameters
    ----------
    source : pathlib.Path
        Anything that `tasks.sources.read_raw_records` reads.
    symprec : float
        Tolerance of the symmetry search in Å.
    settings : SourceSettings, optional
        Provenance, meaning of columns, limits.
    read : callable
        Like `read_raw_records`; may use another process.
    parallel_map : callable
        Like `map`; may use other processes, and gives the results in order.

    Yields
    ------
    Material or Failure
        In the order of the sorted file names. A record that is unreadable, disordered, overlapping
        or a repetition of an earlier identifier is a failure.

    Raises
    ------
    FileNotFoundError
        When the source does not exist.
    ValueError
        When a folder holds no file of a known kind.
    """
    settings = settings or SourceSettings()
    seen: dict[str, str] = {}
    parse = partial(_make_material_from_record, symprec=symprec, max_atoms=settings.max_atoms)
    for found in parallel_map(parse, read(source, settings)):
        try:
            if isinstance(found, Material):
                require_new(found.material_id, found.source_record, seen)
            yield found
        except RemediableError as error:
            yield make_read_failure(error, found.source_record)


def _make_material_from_record(
    record: RawRecord | Failure, symprec: float, max_atoms: int
) -> Material | Failure:
    """Crystal of a record; depends on nothing but the arguments, and may be made anywhere."""
    if isinstance(record, Failure):
        return record
    try:
        return make_material(parse_record(record, max_atoms), symprec)
    except Exception as error:  # noqa: BLE001 - any defect of one record is a row, not an end
        return make_read_failure(error, record.source_record)
