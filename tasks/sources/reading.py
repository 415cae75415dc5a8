"""Every file of a source, whatever it holds, cut into records and parsed."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ase import Atoms

from tasks.failures import Failure, RemediableError
from tasks.sources.archives import tar_members, zip_members
from tasks.sources.born import born_file, with_charges
from tasks.sources.databases import cut_database
from tasks.sources.documents import KNOWN_FILES, Document, kind_of, opened
from tasks.sources.mappings import parse_mapping
from tasks.sources.records import Provenance, RawRecord, Record, read_failure, safe_id, unreadable
from tasks.sources.settings import SourceSettings
from tasks.sources.space_groups import space_group_of, stated_in_cif
from tasks.sources.tables import cut_csv, cut_json, cut_json_lines, cut_parquet
from tasks.sources.texts import (
    cut_cif,
    cut_poscar,
    cut_xyz,
    parse_cif,
    parse_poscar,
    parse_xyz,
)
from tasks.storage import is_dataset

_Cutter = Callable[[Document, SourceSettings], Iterator[RawRecord | Failure]]
_DEFAULTS = SourceSettings()


def raw_records(
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
    for path in source_files(source):
        name = path.name if path == source else path.relative_to(source).as_posix()
        try:
            with opened(path, name, settings.max_expansion) as document:
                yield from _of_file(document, settings)
        except Exception as error:  # noqa: BLE001 - a file that cannot be opened is a row
            yield read_failure(unreadable(error), name)


def parsed(raw: RawRecord) -> Record:
    """Parse a record.

    Parameters
    ----------
    raw : RawRecord
        Its text.

    Returns
    -------
    Record
        The crystal as given.

    Raises
    ------
    RemediableError
        When the text is no structure, or a disordered one.
    """
    try:
        atoms, name = _PARSERS[raw.kind](raw.text)
    except Exception as error:
        raise unreadable(error) from error
    material_id = raw.material_id if name is None else safe_id(name)
    return Record(material_id, atoms, raw.source_record, _with_space_group(raw, atoms))


def _with_space_group(raw: RawRecord, atoms: Atoms) -> Provenance:
    """Provenance with the space group that the text itself states, unless its row has."""
    provenance = raw.provenance
    if provenance.space_group_stated is not None:
        return provenance
    stated = stated_in_cif(raw.text) if raw.kind == "cif" else None
    if "space_group_number" in atoms.info:
        stated = space_group_of(atoms.info["space_group_number"])
    return provenance if stated is None else replace(provenance, space_group_stated=stated)


def source_files(source: Path) -> list[Path]:
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
    if not source.exists():
        raise FileNotFoundError(f"no such file or folder: {source}")
    candidates = [source] if source.is_file() else _files_below(source)
    files = sorted(path for path in candidates if kind_of(path.name) and path.is_file())
    if not files:
        raise ValueError(f"no structure file in {source}; expected {KNOWN_FILES}")
    return files


def _files_below(folder: Path) -> Iterator[Path]:
    """Files in all depth, but for the hidden ones and those of datasets."""
    for root, folders, names in os.walk(folder):
        path = Path(root)
        if is_dataset(path):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (path / name for name in names if not name.startswith("."))


def _of_file(document: Document, settings: SourceSettings) -> Iterator[RawRecord | Failure]:
    """Records of a file or of the members of an archive, and what is wrong with the file itself."""
    kind, empty = kind_of(document.name), True
    try:
        for record in _read(document, kind, settings):
            empty = False
            yield record
    except Exception as error:  # noqa: BLE001 - a file that breaks its reader is a row
        yield read_failure(unreadable(error), document.name)
    else:
        if empty:
            yield read_failure(_nothing_in(document), document.name)


def _read(document: Document, kind: str, settings: SourceSettings) -> Iterator[RawRecord | Failure]:
    """Records of a file, with what the user said of the source."""
    if kind in _ARCHIVES and document.path:
        for member in _ARCHIVES[kind](document, settings):
            if isinstance(member, Failure):
                yield member
            elif kind_of(member.name):
                yield from _of_file(member, settings)
        return
    if kind in _ARCHIVES:
        raise RemediableError("an archive inside an archive", "extract it first")
    born = born_file(document.path) if kind in _SINGLE else None
    for record in _CUTTERS[kind](document, settings):
        if not isinstance(record, RawRecord):
            yield record
            continue
        told = _with_provenance(record, settings)
        yield _charged(told, born) if born else told


def _charged(raw: RawRecord, born: Path) -> RawRecord:
    """Record with the Born charges of the file beside its own."""
    record = parsed(raw)
    text = with_charges(record.atoms, born)
    return RawRecord(record.material_id, "json", text, raw.source_record, record.provenance)


def _with_provenance(record: RawRecord, settings: SourceSettings) -> RawRecord:
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
    )
    return replace(record, provenance=said)


def _nothing_in(document: Document) -> RemediableError:
    """Say why a file held no record."""
    message = "unreadable: no structure found" if document.size else "empty file"
    return RemediableError(message, "correct or remove the file")


def _cut_tensors(document: Document, settings: SourceSettings) -> Iterator[RawRecord | Failure]:
    """Records of a file of tensors; only these need torch."""
    from tasks.sources.tensors import cut_tensors  # noqa: PLC0415

    return cut_tensors(document, settings)


_ARCHIVES: dict[str, Callable[[Document, SourceSettings], Iterator[Document | Failure]]] = {
    "zip": zip_members,
    "tar": tar_members,
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
_PARSERS: dict[str, Callable[[str], tuple[Atoms, str | None]]] = {
    "cif": parse_cif,
    "poscar": parse_poscar,
    "xyz": parse_xyz,
    "json": parse_mapping,
}
