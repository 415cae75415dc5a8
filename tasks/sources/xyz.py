"""Extended XYZ: frames one after the other, each a record."""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final

import ase.io
import numpy as np
from ase import Atoms

from tasks.crystals.dielectric import DIELECTRIC_TENSOR
from tasks.crystals.masses import HEAVY_HYDROGEN, find_number_and_mass, set_masses_of_symbols
from tasks.crystals.records import make_safe_id
from tasks.failures import Failure, RemediableError
from tasks.sources.documents import Document, read_line
from tasks.sources.mappings import read_evidence
from tasks.sources.parsed_crystals import ParsedCrystal, require_few_atoms, take_masses
from tasks.sources.records import RawRecord, make_read_failure
from tasks.sources.settings import DEFAULT_MAX_ATOMS, SourceSettings
from tasks.sources.space_groups import parse_space_group

_SHORTEST_ATOM_LINE: Final = 8  # bytes: a symbol and three numbers
_LONGEST_COUNT: Final = 12  # digits
_PROPERTIES: Final = re.compile(r"""(?:^|\s)Properties=(?:"([^"]*)"|'([^']*)'|(\S+))""")
_USUAL_PROPERTIES: Final = "species:S:1:pos:R:3"
_MASSES: Final = ("masses", "mass")
_REMEDY: Final = "correct the frame"


def cut_xyz(document: Document, settings: SourceSettings) -> Iterator[RawRecord | Failure]:
    """Give every frame of an extended XYZ file, as they are needed.

    Parameters
    ----------
    document : Document
        The file.
    settings : SourceSettings
        Limits.

    Yields
    ------
    RawRecord or Failure
        A single frame is named by its file. Lines that belong to no frame are a failure, after
        which reading goes on with the next line that is a number of atoms.
    """
    frames = _Frames(document, settings.max_record_bytes).split()
    stem, name = document.stem, document.name
    head = list(islice(frames, 2))
    for index, frame in enumerate(chain(head, frames)):
        mark = f"{index}" if len(head) > 1 else ""
        place = f"{name}#{mark}" if mark else name
        if isinstance(frame, str):
            yield RawRecord(make_safe_id(f"{stem}-{mark}" if mark else stem), "xyz", frame, place)
        else:
            yield make_read_failure(frame, place)


@dataclass
class _Frames:
    """Cuts a file into frames: a line with the number of atoms, a comment line, the atoms."""

    document: Document
    limit: int
    number: int = 0
    _kept: list[str] = field(default_factory=list)

    def split(self) -> Iterator[str | RemediableError]:
        """Text of each frame, or why some lines are none."""
        while line := self._read_line():
            if not line.strip():
                continue
            if not _is_count(line):
                yield self._skip_rubbish(line)
                continue
            if len(line.strip()) > _LONGEST_COUNT or int(line) * _SHORTEST_ATOM_LINE > self.limit:
                message = f"unreadable: line {self.number}: {line.strip()[:40]} atoms in one frame"
                yield RemediableError(message, _REMEDY)
                continue
            yield self._read_frame(line)

    def _read_line(self) -> str:
        """Next line; empty at the end."""
        self.number += 1
        if self._kept:
            return self._kept.pop()
        return read_line(self.document.stream, self.limit)

    def _put_back(self, line: str) -> None:
        self.number -= 1
        self._kept.append(line)

    def _skip_rubbish(self, line: str) -> RemediableError:
        """Pass over the lines up to the next number of atoms."""
        start, found = self.number, line.strip()[:40]
        while (line := self._read_line()) and not _is_count(line):
            pass
        self._put_back(line)
        lines = f"line {start}" if self.number == start else f"lines {start} to {self.number}"
        message = f"unreadable: {lines}: expected a number of atoms, found {found!r}"
        return RemediableError(message, "correct the file")

    def _read_frame(self, count: str) -> str | RemediableError:
        """Frame that begins with a number; one that the next number cuts short is none."""
        start, n_atoms = self.number, int(count)
        lines = [self._read_line()]
        while len(lines) <= n_atoms and (line := self._read_line()).strip() and not _is_count(line):
            lines.append(line)
        if len(lines) <= n_atoms:
            self._put_back(line)
            told = f"{n_atoms} atoms announced, {len(lines) - 1} lines found"
            return RemediableError(f"unreadable: line {start}: {told}", _REMEDY)
        return "".join([count, *lines])


def _is_count(line: str) -> bool:
    """Whether a line is a number of atoms and nothing else."""
    digits = line.strip()
    return digits.isascii() and digits.isdigit()


def parse_xyz(text: str, max_atoms: int = DEFAULT_MAX_ATOMS) -> ParsedCrystal:
    """Parse a frame, which may carry its own name.

    Parameters
    ----------
    text : str
        The frame.
    max_atoms : int
        Most atoms of its cell.

    Returns
    -------
    ParsedCrystal
        The name is the value of ``material_id`` in the comment line.

    Raises
    ------
    RemediableError
        When there are too many atoms, an atom is no element, or a line does not have the
        columns that are announced.
    """
    count, comment, *rows = text.splitlines()
    require_few_atoms(int(count), max_atoms)
    match = _PROPERTIES.search(comment)
    announced = next(filter(None, match.groups()), "") if match else _USUAL_PROPERTIES
    columns = _parse_properties(announced)
    words = [row.split() for row in rows[: int(count)]]
    for index, row in enumerate(words, start=3):
        if len(row) < sum(columns.values()):
            message = f"unreadable: line {index} of the frame has {len(row)} values for {announced}"
            raise RemediableError(message, _REMEDY)
    symbols = _take_symbols(words, columns)
    plain = "\n".join([count, comment, *map(" ".join, words)])
    try:
        atoms = ase.io.read(io.StringIO(plain), format="extxyz")
    except Exception as error:
        message = f"unreadable: a value of the frame is not what its columns ({announced}) hold"
        raise RemediableError(message, _REMEDY) from error
    notes = _take_masses(atoms, symbols)
    # ASE takes this name for a result of a calculation.
    if atoms.calc is not None and DIELECTRIC_TENSOR in atoms.calc.results:
        atoms.info[DIELECTRIC_TENSOR] = atoms.calc.results[DIELECTRIC_TENSOR]
    name, group = atoms.info.get("material_id"), atoms.info.get("space_group_number")
    told = list(notes)
    info = {n: v.tolist() if isinstance(v, np.ndarray) else v for n, v in atoms.info.items()}
    evidence = read_evidence(info, SourceSettings(), told)
    return ParsedCrystal(
        atoms,
        None if name is None else str(name),
        tuple(told),
        parse_space_group(group),
        evidence=evidence,
    )


def _parse_properties(announced: str) -> dict[str, int]:
    """Number of columns of each property, in order."""
    fields = announced.split(":")
    names, sizes = fields[::3], fields[2::3]
    is_sound = len(fields) % 3 == 0 and all(map(str.isdigit, sizes))
    if not (is_sound and "pos" in names and {"species", "Z"} & set(names)):
        message = f"unreadable: the columns {announced[:60]!r} are no elements and positions"
        raise RemediableError(message, "announce species:S:1:pos:R:3")
    return dict(zip(names, map(int, sizes), strict=True))


def _take_symbols(words: Sequence[list[str]], columns: dict[str, int]) -> list[str] | None:
    """Symbol of each atom; in the lines those of heavy hydrogen become H."""
    if "species" not in columns:
        return None
    place = sum(list(columns.values())[: list(columns).index("species")])
    symbols = [row[place].capitalize() for row in words]
    for symbol, row in zip(symbols, words, strict=True):
        find_number_and_mass(symbol)
        row[place] = "H" if symbol in HEAVY_HYDROGEN else row[place]
    return symbols


def _take_masses(atoms: Atoms, symbols: list[str] | None) -> tuple[str, ...]:
    """Take the masses of a column, else those that the symbols tell; notes on them."""
    columns = [atoms.arrays.pop(name) for name in _MASSES if name in atoms.arrays]
    if symbols is not None:
        set_masses_of_symbols(atoms, symbols)
    return take_masses(atoms, columns[0]) if columns else ()
