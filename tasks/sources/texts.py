"""CIF, POSCAR and extended XYZ: cut into records, and parsed."""

import io
import re
import warnings
from collections import Counter
from collections.abc import Iterator

import ase.io
from ase import Atoms
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifParser

from tasks.dielectric import DIELECTRIC_TENSOR
from tasks.failures import RemediableError
from tasks.sources.documents import Document, read_line, read_text
from tasks.sources.records import RawRecord, safe_id
from tasks.sources.settings import SourceSettings

_CIF_BLOCK = re.compile(r"\s*data_(\S*)", re.IGNORECASE)
_NO_STRUCTURE = "powder_pattern"  # blocks of diffraction data of some databases
_SHORTEST_ATOM_LINE = 8  # bytes: a symbol and three numbers


def cut_cif(document: Document, settings: SourceSettings) -> Iterator[RawRecord]:
    """Give every data block of a CIF.

    Parameters
    ----------
    document : Document
        The file.
    settings : SourceSettings
        Limits.

    Yields
    ------
    RawRecord
        A single block is named by its file.
    """
    text = read_text(document.stream, settings.max_record_bytes)
    stem, name = document.stem, document.name
    blocks = _cif_blocks(text)
    if len(blocks) < 2 and text.strip():
        yield RawRecord(safe_id(stem), "cif", text, name)
        return
    headers: Counter[str] = Counter()
    for header, block in blocks:
        headers[header] += 1
        label = f"{header}-{headers[header]}" if headers[header] > 1 else header
        yield RawRecord(safe_id(f"{stem}-{label}"), "cif", block, f"{name}#{label}")


def _cif_blocks(text: str) -> list[tuple[str, str]]:
    """Header and text of each data block that may hold a structure."""
    blocks: list[tuple[str, list[str]]] = []
    for line, is_quoted in _cif_lines(text):
        if not is_quoted and (header := _CIF_BLOCK.match(line)):
            blocks.append((header.group(1), []))
        if blocks:
            blocks[-1][1].append(line)
    return [(header, "".join(lines)) for header, lines in blocks if _NO_STRUCTURE not in header]


def _cif_lines(text: str) -> Iterator[tuple[str, bool]]:
    """Lines of a CIF, and whether each belongs to a text between semicolons."""
    is_quoted = False
    for line in text.splitlines(keepends=True):
        delimits = line.startswith(";")
        yield line, is_quoted or delimits
        is_quoted ^= delimits


def _only_block(text: str) -> str:
    """Data block in which nothing but its first line looks like the head of a block.

    pymatgen takes any line that begins so for a head, also inside of a text, and only in lower
    case.
    """
    lines = []
    for line, is_quoted in _cif_lines(text):
        head = _CIF_BLOCK.match(line)
        if head and is_quoted:
            lines.append(f". {line.lstrip()}")
        elif head:
            lines.append(f"data_{line[head.start(1) :]}")
        else:
            lines.append(line)
    return "".join(lines)


def cut_poscar(document: Document, settings: SourceSettings) -> Iterator[RawRecord]:
    """Give the structure of a POSCAR; a file named POSCAR takes its folder's name.

    Parameters
    ----------
    document : Document
        The file.
    settings : SourceSettings
        Limits.

    Yields
    ------
    RawRecord
        The only one.
    """
    text = read_text(document.stream, settings.max_record_bytes)
    bare = document.stem.upper() in {"POSCAR", "CONTCAR"}
    material_id = safe_id(document.folder if bare else document.stem)
    yield RawRecord(material_id, "poscar", text, document.name)


def cut_xyz(document: Document, settings: SourceSettings) -> Iterator[RawRecord]:
    """Give every frame of an extended XYZ file, as they are needed.

    Parameters
    ----------
    document : Document
        The file.
    settings : SourceSettings
        Limits.

    Yields
    ------
    RawRecord
        A single frame is named by its file.
    """
    frames = _xyz_frames(document, settings.max_record_bytes)
    stem, name = document.stem, document.name
    first = next(frames, None)
    if first is None:
        return
    second = next(frames, None)
    if second is None:
        yield RawRecord(safe_id(stem), "xyz", first, name)
        return
    for index, text in enumerate((first, second)):
        yield RawRecord(safe_id(f"{stem}-{index}"), "xyz", text, f"{name}#{index}")
    for index, text in enumerate(frames, start=2):
        yield RawRecord(safe_id(f"{stem}-{index}"), "xyz", text, f"{name}#{index}")


def _xyz_frames(document: Document, limit: int) -> Iterator[str]:
    """Text of each frame: a line with the number of atoms, a comment line, the atoms."""
    while (count := read_line(document.stream, limit)).strip():
        digits = count.strip()
        if not (digits.isascii() and digits.isdigit()):
            raise ValueError(f"expected a number of atoms, found {digits[:40]!r}")
        if len(digits) > 12 or int(digits) * _SHORTEST_ATOM_LINE > limit:
            raise ValueError(f"{digits[:40]} atoms in one frame")
        lines = (read_line(document.stream, limit) for _ in range(int(digits) + 1))
        yield "".join([count, *lines])


def parse_cif(text: str) -> tuple[Atoms, None]:
    """Parse one CIF data block.

    Parameters
    ----------
    text : str
        The block.

    Returns
    -------
    atoms : ase.Atoms
        The crystal.
    name : None
        The text carries no name beside its block's.

    Raises
    ------
    Exception
        Whatever the parser finds wrong; a disordered crystal is a ``RemediableError``.
    """
    with warnings.catch_warnings(action="ignore"):
        parser = CifParser.from_str(_only_block(text), occupancy_tolerance=1.0)
        [structure] = parser.parse_structures(primitive=False, check_occu=True)
    return _ordered(structure), None


def parse_poscar(text: str) -> tuple[Atoms, None]:
    """Parse a POSCAR.

    Parameters
    ----------
    text : str
        The file.

    Returns
    -------
    atoms : ase.Atoms
        The crystal.
    name : None
        The text carries none.
    """
    return ase.io.read(io.StringIO(text), format="vasp"), None


def parse_xyz(text: str) -> tuple[Atoms, str | None]:
    """Parse a frame, which may carry its own name.

    Parameters
    ----------
    text : str
        The frame.

    Returns
    -------
    atoms : ase.Atoms
        The crystal.
    name : str or None
        Value of ``material_id`` in the comment line.
    """
    atoms = ase.io.read(io.StringIO(text), format="extxyz")
    # ASE takes this name for a result of a calculation.
    if atoms.calc is not None and DIELECTRIC_TENSOR in atoms.calc.results:
        atoms.info[DIELECTRIC_TENSOR] = atoms.calc.results[DIELECTRIC_TENSOR]
    name = atoms.info.get("material_id")
    return atoms, None if name is None else str(name)


def _ordered(structure: Structure) -> Atoms:
    """Atoms of an ordered structure."""
    for site in structure:
        if not site.is_ordered:
            message = f"disordered: a site is occupied by {site.species_string}"
            raise RemediableError(message, "give an ordered approximant of the structure")
    atoms = AseAtomsAdaptor.get_atoms(structure)
    return Atoms(numbers=atoms.numbers, cell=atoms.cell, positions=atoms.positions, pbc=True)
