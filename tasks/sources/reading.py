"""Every file of a source, whatever it holds, cut into records and parsed."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.crystals import Provenance, Record
from tasks.crystals.masses import find_special_masses
from tasks.crystals.records import make_safe_id
from tasks.failures import Failure, RemediableError
from tasks.folders import is_dataset
from tasks.sources.archives import read_tar_members, read_zip_members
from tasks.sources.cif import parse_cif
from tasks.sources.cif_blocks import cut_cif
from tasks.sources.databases import cut_database
from tasks.sources.documents import (
    KNOWN_FILES,
    Document,
    find_born_file,
    find_kind,
    is_foreign,
    is_hidden,
    open_document,
)
from tasks.sources.evidence import Observation, choose_observation
from tasks.sources.number_lists import parse_mapping
from tasks.sources.parsed_crystals import ParsedCrystal, require_few_atoms
from tasks.sources.poscar import cut_poscar, parse_poscar
from tasks.sources.records import RawRecord, explain_parser_error, make_read_failure
from tasks.sources.settings import DEFAULT_MAX_ATOMS, SourceSettings
from tasks.sources.tables import cut_csv, cut_json, cut_json_lines, cut_parquet
from tasks.sources.xyz import cut_xyz, parse_xyz

# Cuts a source into records, like `read_raw_records`.
Read = Callable[[Path, SourceSettings], Iterator[RawRecord | Failure]]
# Applies a function to each of many things and gives the results in order, like `map`.
ParallelMap = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
_Cutter = Callable[[Document, SourceSettings], Iterator[RawRecord | Failure]]
_DEFAULTS = SourceSettings()


def read_raw_records(
    source: Path, settings: SourceSettings = _DEFAULTS
) -> Iterator[RawRecord | Failure]:
    """Cut every file of a source into records, one at a time.

    Parameters
    ----------
    source : pathlib.Path
        A file of structures, a table, a database, an archive, or a folder searched for them in all
        its depth; see ``docs/sources.md``.
    settings : SourceSettings
        Provenance, meaning of columns, limits.

    Yields
    ------
    RawRecord or Failure
        In the order of the sorted file names. A file that cannot be cut, or holds nothing, is one
        failure; what was cut before its defect is kept.

    Raises
    ------
    FileNotFoundError
        When the source does not exist.
    ValueError
        When a folder holds no file of a known kind.
    """
    for path in list_paths(source):
        yield from read_path_records(path, source, settings)


def read_path_records(
    path: Path, source: Path, settings: SourceSettings
) -> Iterator[RawRecord | Failure]:
    """Cut one file of a source into records.

    Parameters
    ----------
    path : pathlib.Path
        One of `list_paths`.
    source : pathlib.Path
        The source.
    settings : SourceSettings
        Provenance, meaning of columns, limits.

    Yields
    ------
    RawRecord or Failure
        See `read_raw_records`.
    """
    name = name_file(path, source)
    if not find_kind(path.name) or not path.is_file():
        yield make_read_failure(_make_unread_error(path), name)
        return
    try:
        with open_document(path, name, settings.max_expansion) as document:
            yield from _read_document_records(document, settings)
    except Exception as error:  # noqa: BLE001 - a file that cannot be opened is a row
        yield make_read_failure(explain_parser_error(error), name)


def name_file(path: Path, source: Path) -> str:
    """Name a file of a source, for people.

    Parameters
    ----------
    path, source : pathlib.Path
        The file, and the source itself or a folder.

    Returns
    -------
    str
        Path relative to the folder.
    """
    return path.name if path == source else path.relative_to(source).as_posix()


def parse_record(raw: RawRecord, max_atoms: int = DEFAULT_MAX_ATOMS) -> Record:
    """Parse a record.

    Parameters
    ----------
    raw : RawRecord
        Its text.
    max_atoms : int
        Most atoms of its cell.

    Returns
    -------
    Record
        The crystal as given.

    Raises
    ------
    RemediableError
        When the text is no structure, a disordered one, or one of too many atoms.
    """
    try:
        found = _PARSERS[raw.kind](raw.text, max_atoms)
        require_few_atoms(len(found.atoms), max_atoms)
    except Exception as error:
        raise explain_parser_error(error) from error
    material_id = raw.material_id if found.name is None else make_safe_id(found.name)
    notes = (*raw.notes, *found.notes)
    told = _add_text_provenance(raw.provenance, found)
    return Record(material_id, found.atoms, raw.source_record, told, notes)


def _add_text_provenance(said: Provenance, found: ParsedCrystal) -> Provenance:
    """Provenance with what the text itself tells, unless row or user have said it."""
    group, origin = said.space_group_stated, said.cell_origin
    if origin is None and (said.functional or found.measured):
        origin = "computed" if said.functional else "measured"
    return replace(
        _add_evidence(said, found.evidence),
        space_group_stated=found.space_group if group is None else group,
        cell_origin=origin,
    )


def _add_evidence(said: Provenance, told: Provenance) -> Provenance:
    """Provenance with what the text alone tells; of two observations the later one."""
    missing = {n: value for n, value in asdict(told).items() if getattr(said, n) is None}
    statements = [Observation(p.observed, p.observed_source) for p in (said, told)]
    seen = choose_observation(statements)
    return replace(said, **missing | {"observed": seen.observed, "observed_source": seen.source})


def list_source_files(source: Path) -> list[Path]:
    """List the structure files of a source.

    Parameters
    ----------
    source : pathlib.Path
        A file, or a folder.

    Returns
    -------
    list of pathlib.Path
        Sorted; hidden files and datasets of results left out.

    Raises
    ------
    FileNotFoundError
        When the source does not exist.
    ValueError
        When there is no file of a known kind.
    """
    files = [path for path in list_paths(source) if find_kind(path.name)]
    if not files:
        raise ValueError(f"no structure file in {source}; expected {KNOWN_FILES}")
    return files


def list_paths(source: Path) -> list[Path]:
    """List the files that hold structures, and what is to be told because it is not read.

    Parameters
    ----------
    source : pathlib.Path
        A file, or a folder.

    Returns
    -------
    list of pathlib.Path
        Sorted.

    Raises
    ------
    FileNotFoundError
        When the source does not exist.
    ValueError
        When there is no file of a known kind.
    """
    if not source.exists():
        raise FileNotFoundError(f"no such file or folder: {source}")
    found = sorted([source] if source.is_file() else _list_files_below(source))
    if not any(find_kind(path.name) for path in found):
        told = "".join(f"; {path.name}: {_make_unread_error(path)}" for path in found[:3])
        raise ValueError(f"no structure file in {source}; expected {KNOWN_FILES}{told}")
    return found


def _list_files_below(folder: Path) -> Iterator[Path]:
    """Files in all depth, but for the hidden ones and those of datasets, and what is told."""
    closed: list[OSError] = []
    for root, folders, names in os.walk(folder, onerror=closed.append):
        path = Path(root)
        if is_dataset(path):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not is_hidden(name)]
        yield from (path / name for name in folders if _is_outside_link(path / name, folder))
        yield from (path / name for name in names if _may_hold_structures(path / name))
    yield from (Path(error.filename) for error in closed)


def _is_outside_link(folder: Path, source: Path) -> bool:
    """Whether a folder is a link to one that is not read at its own place, nor a dataset."""
    inside = folder.resolve().is_relative_to(source.resolve())
    return folder.is_symlink() and not inside and not is_dataset(folder)


def _may_hold_structures(path: Path) -> bool:
    """Whether a file is read or reported, such as a link that leads nowhere or another format."""
    if is_hidden(path.name):
        return False
    wanted = bool(find_kind(path.name)) or is_foreign(path.name)
    return (wanted or not path.suffix) if not path.exists() else (wanted and path.is_file())


def _make_unread_error(path: Path) -> RemediableError:
    """Say of a file or folder why it is not read."""
    if path.is_symlink() and not path.exists():
        return RemediableError("a link that leads nowhere", "correct or remove the link")
    if path.is_symlink() and path.is_dir():
        message = f"a link to a folder outside of the source is not followed ({path.resolve()})"
        return RemediableError(message, "give that folder as a source of its own")
    if path.is_dir():
        return RemediableError("the folder cannot be opened", "ask for the right to read it")
    return _make_other_format_error(path.name)


def _make_other_format_error(name: str) -> RemediableError:
    """Say of a file or member of an archive that its format is not read."""
    path = PurePosixPath(name)
    message = f"a format that is not read ({path.suffix or path.name})"
    return RemediableError(message, "convert it to CIF or extended XYZ, or unpack it")


def _read_document_records(
    document: Document, settings: SourceSettings
) -> Iterator[RawRecord | Failure]:
    """Records of a file or of the members of an archive, and what is wrong with the file itself."""
    kind, empty = find_kind(document.name), True
    try:
        for record in _cut_document(document, kind, settings):
            empty = False
            yield record
    except Exception as error:  # noqa: BLE001 - a file that breaks its reader is a row
        yield make_read_failure(explain_parser_error(error), document.name)
    else:
        if empty:
            yield make_read_failure(_make_empty_error(document), document.name)


def _cut_document(
    document: Document, kind: str, settings: SourceSettings
) -> Iterator[RawRecord | Failure]:
    """Records of a file, with what the user said of the source."""
    if kind in _ARCHIVES and document.path:
        for member in _ARCHIVES[kind](document, settings):
            if isinstance(member, Failure):
                yield member
            elif find_kind(member.name):
                yield from _read_document_records(member, settings)
            elif is_foreign(member.name):
                yield make_read_failure(_make_other_format_error(member.name), member.name)
        return
    if kind in _ARCHIVES:
        raise RemediableError("an archive inside an archive", "extract it first")
    born = find_born_file(document.path) if kind in _SINGLE else None
    for record in _CUTTERS[kind](document, settings):
        if not isinstance(record, RawRecord):
            yield record
            continue
        told = _add_provenance(record, settings)
        yield _add_born_charges(told, born, settings.max_atoms) if born else told


def _add_born_charges(raw: RawRecord, born: Path, max_atoms: int) -> RawRecord | Failure:
    """Record with the Born charges of the file beside its own."""
    from tasks.sources.born import add_charges  # noqa: PLC0415 - loads phonopy

    try:
        record = parse_record(raw, max_atoms)
        content = json.loads(add_charges(record.atoms, born))
    except RemediableError as error:
        return make_read_failure(error, raw.source_record)
    masses = find_special_masses(record.atoms)
    if masses is not None:
        content["masses"] = masses.tolist()
    return RawRecord(
        record.material_id,
        "json",
        json.dumps(content),
        raw.source_record,
        record.provenance,
        record.notes,
    )


def _add_provenance(record: RawRecord, settings: SourceSettings) -> RawRecord:
    """Record with what the user said of the source, unless a table's row has said it already."""
    if record.provenance != Provenance():
        return record
    url = settings.url and settings.url.replace("{id}", record.material_id)
    said = Provenance(
        settings.database,
        settings.database_version,
        licence=settings.licence,
        url=url,
        functional=settings.functional,
        cell_origin=settings.cell_origin,
    )
    return replace(record, provenance=said)


def _make_empty_error(document: Document) -> RemediableError:
    """Say why a file held no record."""
    message = "unreadable: no structure found" if document.size else "empty file"
    return RemediableError(message, "correct or remove the file")


def _cut_tensors(document: Document, settings: SourceSettings) -> Iterator[RawRecord | Failure]:
    """Records of a file of tensors; only these need torch."""
    from tasks.sources.tensors import cut_tensors  # noqa: PLC0415

    return cut_tensors(document, settings)


_ARCHIVES: dict[str, Callable[[Document, SourceSettings], Iterator[Document | Failure]]] = {
    "zip": read_zip_members,
    "tar": read_tar_members,
}
# Kinds of files that hold a crystal to which a BORN file may belong.
_SINGLE = frozenset(("cif", "poscar"))
_CUTTERS: dict[str, _Cutter] = {
    "cif": cut_cif,
    "poscar": cut_poscar,
    "xyz": cut_xyz,
    "json": cut_json,
    "jsonl": cut_json_lines,
    "csv": cut_csv,
    "parquet": cut_parquet,
    "database": cut_database,
    "tensors": _cut_tensors,
}
_PARSERS: dict[str, Callable[[str, int], ParsedCrystal]] = {
    "cif": parse_cif,
    "poscar": parse_poscar,
    "xyz": parse_xyz,
    "json": parse_mapping,
}
