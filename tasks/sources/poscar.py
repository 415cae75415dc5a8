"""POSCAR files of VASP, read line by line; an incomplete line is an error."""

from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from typing import Final

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from tasks.crystals.masses import HEAVY_HYDROGEN, find_number_and_mass, set_masses_of_symbols
from tasks.crystals.records import make_safe_id
from tasks.failures import RemediableError
from tasks.sources.documents import Document, read_text
from tasks.sources.parsed_crystals import ParsedCrystal, require_few_atoms
from tasks.sources.records import RawRecord
from tasks.sources.settings import DEFAULT_MAX_ATOMS, SourceSettings

FloatArray = NDArray[np.float64]

_SYMBOLS: Final = frozenset((*chemical_symbols[1:], *HEAVY_HYDROGEN))
_VELOCITIES: Final = ("lattice velocities", "direct", "cartesian")  # heads of what may follow
_REMEDY: Final = "correct the file"
_NO_ELEMENTS: Final = (
    "the file names no elements (VASP 4 form), and its first line is not exactly one symbol for "
    "each count"
)


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
    material_id = make_safe_id(document.folder if bare else document.stem)
    if text.strip():
        yield RawRecord(material_id, "poscar", text, document.name)


def parse_poscar(text: str, max_atoms: int = DEFAULT_MAX_ATOMS) -> ParsedCrystal:
    """Parse a POSCAR.

    Parameters
    ----------
    text : str
        The file. Without a line of symbols, in the form of VASP 4, the symbols are those behind the
        coordinates, or those of the first line where it is exactly one symbol for each count.
    max_atoms : int
        Most atoms of its cell.

    Returns
    -------
    ParsedCrystal
        The crystal.

    Raises
    ------
    RemediableError
        When the elements are not stated, there are too many atoms, or a line is not
        what the format has there.
    """
    lines = _Lines(text)
    title = lines.read_words("a title")
    scale, vectors = _read_numbers(lines, "a scale"), [_read_vector(lines) for _ in range(3)]
    cell, factor = _scale_vectors(np.array(vectors), scale)
    words, notes = lines.read_words("symbols or counts"), []
    symbols = None if _is_count(words[0]) else [_parse_symbol(word) for word in words]
    counts = _read_counts(words if symbols is None else lines.read_words("counts"))
    require_few_atoms(sum(counts), max_atoms)
    mode = lines.read_words("'Direct' or 'Cartesian'")[0].lower()
    is_selective = mode.startswith("s")
    if is_selective:
        mode = lines.read_words("'Direct' or 'Cartesian'")[0].lower()
    rows, behind = _read_rows(lines, sum(counts), 6 if is_selective else 3)
    if rest := lines.describe_rest():
        notes.append(rest)
    if symbols is None:
        symbols, where = _find_old_symbols(title, behind, counts)
        notes.append(f"the elements are those {where} (VASP 4 form)")
    if len(symbols) != len(counts):
        message = f"unreadable: {len(symbols)} symbols above {len(counts)} counts"
        raise RemediableError(message, _REMEDY)
    named = list(chain.from_iterable(map(repeat, symbols, counts)))
    _refuse_other_symbols(named, behind)
    is_cartesian = mode[0] in "ck"
    positions = {"positions": rows * factor} if is_cartesian else {"scaled_positions": rows}
    numbers = [find_number_and_mass(symbol)[0] for symbol in named]
    atoms = Atoms(numbers=numbers, cell=cell, pbc=True, **positions)
    set_masses_of_symbols(atoms, named)
    return ParsedCrystal(atoms, None, tuple(notes))


class _Lines:
    """Lines of a file, one after the other."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self.number = 0

    def read_words(self, wanted: str) -> list[str]:
        """Words of the next line."""
        self.number += 1
        if self.number > len(self._lines):
            message = f"unreadable: the file ends where {wanted} should stand (line {self.number})"
            raise RemediableError(message, _REMEDY)
        line = self._lines[self.number - 1]
        words = line.split("!")[0].split() if self.number > 1 else line.split()
        if not words and self.number > 1:
            message = f"unreadable: line {self.number} is empty; {wanted} should stand there"
            raise RemediableError(message, _REMEDY)
        return words

    def has_coordinates_at(self, offset: int) -> bool:
        """Whether a line so far ahead begins with three numbers."""
        line = next(iter(self._lines[self.number + offset :]), "")
        try:
            return len([float(word) for word in line.split()[:3]]) == 3
        except ValueError:
            return False

    def describe_rest(self) -> str | None:
        """Note on what follows the coordinates, unless it is empty or velocities."""
        line = next(iter(self._lines[self.number :]), "").lower()
        is_usual = line.startswith(_VELOCITIES) and "configuration" not in line
        if not line.strip() or is_usual:
            return None
        return f"what follows from line {self.number + 1} on is not read"

    @property
    def n_left(self) -> int:
        """Lines with content that are left before the next empty one."""
        left = self._lines[self.number :]
        return next((k for k, line in enumerate(left) if not line.strip()), len(left))


def _read_numbers(lines: _Lines, wanted: str) -> list[float]:
    """Numbers at the beginning of the next line."""
    words, found = lines.read_words(wanted), []
    for word in words:
        try:
            found.append(float(word))
        except ValueError:
            break
    if not found:
        message = f"unreadable: line {lines.number}: {words[0][:40]!r} is not {wanted}"
        raise RemediableError(message, _REMEDY)
    return found


def _read_vector(lines: _Lines) -> list[float]:
    """Three numbers of the next line."""
    found = _read_numbers(lines, "three numbers")
    if len(found) < 3:
        message = f"unreadable: line {lines.number}: expected three numbers"
        raise RemediableError(message, _REMEDY)
    return found[:3]


def _scale_vectors(vectors: FloatArray, scale: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Cell, and the factor of Cartesian positions; a negative scale is the volume."""
    if len(scale) not in {1, 3} or not all(scale) or (len(scale) == 3 and min(scale) < 0):
        raise RemediableError(f"unreadable: line 2: the scale is {scale}", "give 1 or 3 factors")
    factor = np.array(scale)
    if scale[0] < 0:
        volume = abs(float(np.linalg.det(vectors)))
        factor = np.cbrt(-factor / volume) if volume else np.zeros(1)
    return vectors * factor, factor


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdigit()


def _read_counts(words: Sequence[str]) -> list[int]:
    """Atoms of each kind."""
    if not all(map(_is_count, words)):
        found = " ".join(words)[:60]
        raise RemediableError(f"unreadable: the counts are {found!r}", "give whole numbers")
    if any(len(word) > 9 for word in words):
        raise RemediableError("unreadable: too many atoms", _REMEDY)
    return [int(word) for word in words]


def _parse_symbol(word: str) -> str:
    """Symbol of an element, without the name of its potential such as in ``Ti_pv``."""
    symbol = word.replace("/", "_").split("_")[0]
    find_number_and_mass(symbol)
    return symbol


def _read_rows(lines: _Lines, n_atoms: int, n_words: int) -> tuple[FloatArray, list[str | None]]:
    """Coordinates, and the symbol behind each where exactly one stands there."""
    if lines.n_left < n_atoms:
        message = f"unreadable: {n_atoms} atoms announced, {lines.n_left} lines found"
        raise RemediableError(message, "correct the counts, or complete the file")
    if lines.has_coordinates_at(n_atoms):
        message = f"unreadable: {n_atoms} atoms announced, and further coordinates follow"
        raise RemediableError(message, "correct the counts, or remove the line")
    rows, behind = [], list[str | None]()
    for _ in range(n_atoms):
        words = lines.read_words("coordinates")
        try:
            rows.append([float(word) for word in words[:3]])
        except ValueError as error:
            found = " ".join(words)[:60]
            message = f"unreadable: line {lines.number}: {found!r} are no coordinates"
            raise RemediableError(message, _REMEDY) from error
        if len(words) < 3:
            message = f"unreadable: line {lines.number}: expected three numbers"
            raise RemediableError(message, _REMEDY)
        rest = words[n_words:]
        behind.append(rest[0] if len(rest) == 1 and rest[0] in _SYMBOLS else None)
    return np.array(rows).reshape(-1, 3), behind


def _find_old_symbols(
    title: Sequence[str], behind: Sequence[str | None], counts: Sequence[int]
) -> tuple[list[str], str]:
    """Symbols of a file without a line of symbols, and where they stand."""
    ends = np.cumsum(counts)
    blocks = [set(behind[end - n : end]) for end, n in zip(ends, counts, strict=True) if n]
    if all(len(block) == 1 and None not in block for block in blocks) and 0 not in counts:
        return [str(block.pop()) for block in blocks], "behind the coordinates"
    if len(title) == len(counts) and set(title) <= _SYMBOLS:
        return list(title), "of the first line"
    raise RemediableError(_NO_ELEMENTS, "add a line of symbols above the counts")


def _refuse_other_symbols(named: Sequence[str], behind: Sequence[str | None]) -> None:
    """Refuse a file whose symbols behind the coordinates are others than above the counts."""
    for index, (symbol, other) in enumerate(zip(named, behind, strict=True), start=1):
        if other not in {None, symbol}:
            message = (
                f"atom {index} is {symbol} above the counts and {other} behind its coordinates"
            )
            raise RemediableError(message, _REMEDY)
