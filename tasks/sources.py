"""Files of structures: found, cut into records, and parsed.

Cutting is cheap and done in one place, in order; parsing a record is dear and independent of all
others, so that it can be done anywhere.
"""

import hashlib
import io
import itertools
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import ase.io
from ase import Atoms
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifFile, CifParser

from tasks.failures import Failure, RemediableError, failure_of

STAGE = "read"
_ID_CHARACTERS = re.compile(r"[^A-Za-z0-9._+-]")
_MAX_ID_LENGTH = 120
_MARK_LENGTH = 8
_CIF_BLOCK = re.compile(r"^data_", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class RawRecord:
    """Text of one structure, not yet parsed.

    Attributes
    ----------
    material_id : str
        Name made of letters, digits and ``. _ + -`` only; the text may carry another one.
    kind : str
        Format of the text: ``cif``, ``poscar`` or ``xyz``.
    text : str
        The structure.
    source_record : str
        File, and the record inside it where it holds several.
    """

    material_id: str
    kind: str
    text: str
    source_record: str


@dataclass(frozen=True)
class Record:
    """One structure as it stands in a source.

    Attributes
    ----------
    material_id : str
        Name made of letters, digits and ``. _ + -`` only.
    atoms : ase.Atoms
        The crystal as given.
    source_record : str
        File, and the record inside it where it holds several.
    """

    material_id: str
    atoms: Atoms
    source_record: str


def raw_records(source: Path) -> Iterator[RawRecord | Failure]:
    """Cut every file of a source into records, one at a time.

    Parameters
    ----------
    source : pathlib.Path
        A CIF, POSCAR or extended XYZ file, or a folder searched for them in all its depth.

    Yields
    ------
    RawRecord or Failure
        In the order of the sorted file names. A file that cannot be cut, or holds nothing, is one
        failure.

    Raises
    ------
    FileNotFoundError
        When the source does not exist.
    ValueError
        When a folder holds no file of a known kind.
    """
    for path in source_files(source):
        name = path.name if path == source else path.relative_to(source).as_posix()
        empty = True
        try:
            for record in _CUTTERS[_kind(path)](path, name):
                empty = False
                yield record
        except Exception as error:  # noqa: BLE001 - a file that breaks its reader is a row
            yield read_failure(_unreadable(error), name)
        else:
            if empty:
                yield read_failure(_nothing_in(path), name)


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
        return _PARSERS[raw.kind](raw)
    except Exception as error:
        raise _unreadable(error) from error


def source_files(source: Path) -> list[Path]:
    """List the structure files of a source.

    Parameters
    ----------
    source : pathlib.Path
        A file, or a folder.

    Returns
    -------
    list of pathlib.Path
        Sorted; hidden files left out.

    Raises
    ------
    FileNotFoundError
        When the source does not exist.
    ValueError
        When there is no file of a known kind.
    """
    if not source.exists():
        raise FileNotFoundError(f"no such file or folder: {source}")
    candidates = [source] if source.is_file() else sorted(source.rglob("*"))
    files = [
        path
        for path in candidates
        if path.is_file()
        and _kind(path)
        and not any(part.startswith(".") for part in path.relative_to(source).parts)
    ]
    if not files:
        raise ValueError(
            f"no structure file in {source}; expected *.cif, POSCAR*, CONTCAR*, *.vasp, *.xyz or "
            "*.extxyz"
        )
    return files


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
    mark = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:_MARK_LENGTH]
    return f"{found[: _MAX_ID_LENGTH - _MARK_LENGTH - 1]}-{mark}".lstrip("-")


def read_failure(error: Exception, source_record: str) -> Failure:
    """Failure of the read stage, named by its record: the structure's own name may be taken."""
    return failure_of(
        error,
        material_id=safe_id(source_record),
        key=hashlib.sha256(f"{source_record}\n{error}".encode()).hexdigest(),
        stage=STAGE,
        source_record=source_record,
    )


def _nothing_in(path: Path) -> RemediableError:
    """Say why a file held no record."""
    message = "unreadable: no structure found" if path.stat().st_size else "empty file"
    return RemediableError(message, "correct or remove the file")


def _unreadable(error: Exception) -> RemediableError:
    """Say of a parser's error what it means for the user."""
    if isinstance(error, RemediableError):
        return error
    detail = str(error).strip() or type(error).__name__
    return RemediableError(f"unreadable: {detail}", "correct or remove the file")


def _kind(path: Path) -> str:
    """Kind of a structure file by its name; empty when unknown."""
    suffix = path.suffix.lower()
    if suffix == ".cif":
        return "cif"
    if suffix in {".xyz", ".extxyz"}:
        return "xyz"
    poscar = suffix in {".vasp", ".poscar"} or path.name.upper().startswith(("POSCAR", "CONTCAR"))
    return "poscar" if poscar else ""


def _text(path: Path) -> str:
    """Text of a file; letters of an unknown encoding, as in the names of authors, do not matter."""
    return path.read_text(encoding="utf-8", errors="replace")


def _cut_cif(path: Path, name: str) -> Iterator[RawRecord]:
    """Every data block of a CIF."""
    text = _text(path)
    blocks = {path.stem: text}
    if len(_CIF_BLOCK.findall(text)) > 1:
        blocks = {header: str(block) for header, block in CifFile.from_str(text).data.items()}
    for header, block in blocks.items() if text.strip() else ():
        alone = len(blocks) == 1
        material_id = safe_id(path.stem if alone else f"{path.stem}-{header}")
        yield RawRecord(material_id, "cif", block, name if alone else f"{name}#{header}")


def _cut_poscar(path: Path, name: str) -> Iterator[RawRecord]:
    """The structure of a POSCAR; a file named POSCAR takes its folder's name."""
    bare = path.name.upper() in {"POSCAR", "CONTCAR"}
    yield RawRecord(safe_id(path.parent.name if bare else path.stem), "poscar", _text(path), name)


def _cut_xyz(path: Path, name: str) -> Iterator[RawRecord]:
    """Every frame of an extended XYZ file."""
    frames = _xyz_frames(path)
    first = list(itertools.islice(frames, 2))
    alone = len(first) == 1
    for index, text in enumerate(itertools.chain(first, frames)):
        material_id = safe_id(path.stem if alone else f"{path.stem}-{index}")
        yield RawRecord(material_id, "xyz", text, name if alone else f"{name}#{index}")


def _xyz_frames(path: Path) -> Iterator[str]:
    """Text of each frame: a line with the number of atoms, a comment line, the atoms."""
    with path.open(encoding="utf-8") as stream:
        while (count := stream.readline()).strip():
            if not count.strip().isdigit():
                raise ValueError(f"expected a number of atoms, found {count.strip()[:40]!r}")
            yield "".join([count, *itertools.islice(stream, int(count) + 1)])


def _parse_cif(raw: RawRecord) -> Record:
    """Crystal of one CIF data block."""
    with warnings.catch_warnings(action="ignore"):
        parser = CifParser.from_str(raw.text, occupancy_tolerance=1.0)
        [structure] = parser.parse_structures(primitive=False, check_occu=True)
    return Record(raw.material_id, _ordered(structure), raw.source_record)


def _ordered(structure: Structure) -> Atoms:
    """Atoms of an ordered structure."""
    for site in structure:
        if not site.is_ordered:
            message = f"disordered: a site is occupied by {site.species_string}"
            raise RemediableError(message, "give an ordered approximant of the structure")
    atoms = AseAtomsAdaptor.get_atoms(structure)
    return Atoms(numbers=atoms.numbers, cell=atoms.cell, positions=atoms.positions, pbc=True)


def _parse_poscar(raw: RawRecord) -> Record:
    """Crystal of a POSCAR."""
    atoms = ase.io.read(io.StringIO(raw.text), format="vasp")
    return Record(raw.material_id, atoms, raw.source_record)


def _parse_xyz(raw: RawRecord) -> Record:
    """Crystal of a frame, which may carry its own name."""
    atoms = ase.io.read(io.StringIO(raw.text), format="extxyz")
    material_id = safe_id(str(atoms.info.get("material_id", raw.material_id)))
    return Record(material_id, atoms, raw.source_record)


_CUTTERS: dict[str, Callable[[Path, str], Iterator[RawRecord]]] = {
    "cif": _cut_cif,
    "poscar": _cut_poscar,
    "xyz": _cut_xyz,
}
_PARSERS: dict[str, Callable[[RawRecord], Record]] = {
    "cif": _parse_cif,
    "poscar": _parse_poscar,
    "xyz": _parse_xyz,
}
