"""Crystals from files: read, checked, reduced to the primitive cell and given an identity."""

import hashlib
import io
import itertools
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
import spglib
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from pymatgen.core import Composition, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifFile, CifParser

from tasks.failures import Failure, RemediableError, failure_of

STAGE = "read"
_ID_CHARACTERS = re.compile(r"[^A-Za-z0-9._+-]")
_MAX_ID_LENGTH = 120
_MARK_LENGTH = 8
# Atoms closer than this share of the sum of their covalent radii are on top of each other.
_OVERLAP = 0.5
_VOLUME_PER_ATOM = (1.0, 1000.0)  # Å^3; no crystal under ordinary conditions lies outside
_HASH_DECIMALS = 6


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


@dataclass(frozen=True)
class Material:
    """A crystal ready for the screening.

    Attributes
    ----------
    material_id : str
        Unique name.
    atoms : ase.Atoms
        Idealised primitive cell.
    structure_hash : str
        SHA-256 (hex) of species, cell and positions of `atoms`, rounded to 1e-6 (Å and fractions).
    source_record : str
        Where it was read.
    """

    material_id: str
    atoms: Atoms
    structure_hash: str
    source_record: str


def read_materials(source: Path, symprec: float) -> Iterator[Material | Failure]:
    """Read every structure of a file or folder, one at a time.

    Parameters
    ----------
    source : pathlib.Path
        A CIF, POSCAR or extended XYZ file, or a folder searched for them in all its depth.
    symprec : float
        Tolerance of the symmetry search in Å.

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
    seen: dict[str, str] = {}
    for item in _records(source_files(source), source):
        if isinstance(item, Failure):
            yield item
            continue
        try:
            require_new(item.material_id, item.source_record, seen)
            yield material_of(item, symprec)
        except Exception as error:  # noqa: BLE001 - any defect of one record is a row, not an end
            yield _failure(error, item.source_record)


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


def material_of(record: Record, symprec: float) -> Material:
    """Check a crystal and reduce it to its idealised primitive cell.

    Parameters
    ----------
    record : Record
        The crystal as read.
    symprec : float
        Tolerance of the symmetry search in Å.

    Returns
    -------
    Material
        With its hash.

    Raises
    ------
    RemediableError
        When cell or positions are not those of an ordered crystal.
    """
    check_crystal(record.atoms)
    atoms = standardize(record.atoms, symprec)
    return Material(record.material_id, atoms, structure_hash(atoms), record.source_record)


def check_crystal(atoms: Atoms) -> None:
    """Refuse what is not an ordered three-dimensional crystal.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.

    Raises
    ------
    RemediableError
        For no atoms, no cell, values that are not numbers, an absurd volume, overlapping atoms.
    """
    if len(atoms) == 0:
        raise RemediableError("the structure has no atoms", "give a structure with atoms")
    values = np.append(np.asarray(atoms.cell), atoms.positions)
    if not np.isfinite(values).all():
        message = "a cell vector or position is not a finite number (NaN or infinite)"
        raise RemediableError(message, "correct the file")
    volume = abs(float(np.linalg.det(atoms.cell))) / len(atoms)
    if not _VOLUME_PER_ATOM[0] <= volume <= _VOLUME_PER_ATOM[1]:
        message = f"absurd cell: {volume:.3g} Å^3 per atom, expected 1 to 1000"
        raise RemediableError(message, "give a periodic cell with lengths in Å")
    _refuse_overlaps(atoms)


def standardize(atoms: Atoms, symprec: float) -> Atoms:
    """Reduce a crystal to its idealised primitive cell.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.
    symprec : float
        Tolerance of the symmetry search in Å.

    Returns
    -------
    ase.Atoms
        Primitive cell in spglib's standard orientation, of the same handedness; the coordinates
        obey the space group exactly.

    Raises
    ------
    RemediableError
        When spglib finds no symmetry.
    """
    cell = (np.asarray(atoms.cell), atoms.get_scaled_positions(), atoms.numbers)
    try:
        found = spglib.standardize_cell(cell, to_primitive=True, symprec=symprec)
    except spglib.SpglibError as error:
        message = f"spglib finds no space group at symprec {symprec} Å: {error}"
        raise RemediableError(message, "check for overlapping atoms, or change symprec") from error
    lattice, positions, numbers = found
    return Atoms(numbers=numbers, cell=lattice, scaled_positions=positions, pbc=True)


def structure_hash(atoms: Atoms) -> str:
    """Digest of species, cell and positions.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.

    Returns
    -------
    str
        SHA-256 (hex) over values rounded to 1e-6.
    """
    # Adding zero turns -0.0 into 0.0, which has another byte pattern.
    cell = np.round(np.asarray(atoms.cell), _HASH_DECIMALS) + 0.0
    fractions = np.round(atoms.get_scaled_positions(), _HASH_DECIMALS) % 1.0 + 0.0
    parts = (atoms.numbers.astype("<i8"), cell.astype("<f8"), fractions.astype("<f8"))
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


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


def reduced_formula(atoms: Atoms) -> str:
    """Reduced chemical formula, the electropositive elements first.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.

    Returns
    -------
    str
        Such as ``SiO2``.
    """
    return str(Composition(atoms.get_chemical_formula()).reduced_formula)


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


def _records(files: Iterable[Path], source: Path) -> Iterator[Record | Failure]:
    """All records of all files; a file that cannot be read, or holds none, is one failure."""
    for path in files:
        name = path.name if path == source else path.relative_to(source).as_posix()
        empty = True
        try:
            for record in _READERS[_kind(path)](path, name):
                empty = False
                yield record
        except Exception as error:  # noqa: BLE001 - a file that breaks its parser is a row
            yield _failure(_unreadable(error), name)
        else:
            if empty:
                yield _failure(_nothing_in(path), name)


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


def _read_cif(path: Path, name: str) -> Iterator[Record | Failure]:
    """Every data block of a CIF that holds a structure."""
    blocks = CifFile.from_file(path).data
    for header, block in blocks.items():
        record = name if len(blocks) == 1 else f"{name}#{header}"
        material_id = safe_id(path.stem if len(blocks) == 1 else f"{path.stem}-{header}")
        try:
            yield Record(material_id, _cif_structure(str(block)), record)
        except Exception as error:  # noqa: BLE001 - other blocks may be sound
            yield _failure(_unreadable(error), record)


def _cif_structure(text: str) -> Atoms:
    """Crystal of one CIF data block."""
    with warnings.catch_warnings(action="ignore"):
        parser = CifParser.from_str(text, occupancy_tolerance=1.0)
        [structure] = parser.parse_structures(primitive=False, check_occu=True)
    return _ordered(structure)


def _ordered(structure: Structure) -> Atoms:
    """Atoms of an ordered structure."""
    for site in structure:
        if not site.is_ordered:
            message = f"disordered: a site is occupied by {site.species_string}"
            raise RemediableError(message, "give an ordered approximant of the structure")
    atoms = AseAtomsAdaptor.get_atoms(structure)
    return Atoms(numbers=atoms.numbers, cell=atoms.cell, positions=atoms.positions, pbc=True)


def _read_poscar(path: Path, name: str) -> Iterator[Record]:
    """The structure of a POSCAR; a file named POSCAR takes its folder's name."""
    bare = path.name.upper() in {"POSCAR", "CONTCAR"}
    stem = path.parent.name if bare else path.stem
    yield Record(safe_id(stem), ase.io.read(path, format="vasp"), name)


def _read_xyz(path: Path, name: str) -> Iterator[Record | Failure]:
    """Every frame of an extended XYZ file."""
    frames = list(_xyz_frames(path))
    for index, text in enumerate(frames):
        record = name if len(frames) == 1 else f"{name}#{index}"
        material_id = safe_id(path.stem if len(frames) == 1 else f"{path.stem}-{index}")
        try:
            atoms = ase.io.read(io.StringIO(text), format="extxyz")
            name_in_file = safe_id(str(atoms.info.get("material_id", material_id)))
            yield Record(name_in_file, atoms, record)
        except Exception as error:  # noqa: BLE001 - other frames may be sound
            yield _failure(_unreadable(error), record)


def _xyz_frames(path: Path) -> Iterator[str]:
    """Text of each frame: a line with the number of atoms, a comment line, the atoms."""
    with path.open(encoding="utf-8") as stream:
        while (count := stream.readline()).strip():
            if not count.strip().isdigit():
                raise ValueError(f"expected a number of atoms, found {count.strip()[:40]!r}")
            yield "".join([count, *itertools.islice(stream, int(count) + 1)])


_READERS: dict[str, Callable[[Path, str], Iterator[Record | Failure]]] = {
    "cif": _read_cif,
    "poscar": _read_poscar,
    "xyz": _read_xyz,
}


def _refuse_overlaps(atoms: Atoms) -> None:
    """Refuse atoms on top of each other."""
    radii = _OVERLAP * covalent_radii[atoms.numbers]
    first, second, distance = neighbor_list("ijd", atoms, cutoff=radii)
    if len(distance):
        k = int(distance.argmin())
        pair = f"{atoms.symbols[first[k]]}{first[k]} and {atoms.symbols[second[k]]}{second[k]}"
        message = f"overlapping atoms: {pair} are {distance[k]:.3f} Å apart"
        raise RemediableError(message, "remove the duplicate site or correct the cell")


def _failure(error: Exception, source_record: str) -> Failure:
    """Failure of the read stage, named by its record: the structure's own name may be taken."""
    return failure_of(
        error,
        material_id=safe_id(source_record),
        key=hashlib.sha256(f"{source_record}\n{error}".encode()).hexdigest(),
        stage=STAGE,
        source_record=source_record,
    )
