"""Write the demo crystals ``data/demo/*.cif`` and their tables from ``data/demo_crystals.toml``.

``data/measured_cells.csv`` holds their measured volumes, with which a screening compares the
volumes of relaxed crystals, whoever's files they are from.

The table holds published facts (space group, cell, asymmetric unit, source). All arithmetic on
coordinates is done with fractions, so a second run gives the same bytes and a mirror image is
exact. Run ``python data/make_demo.py`` after a change of the table.
"""

import argparse
import math
import sys
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import spglib

HERE = Path(__file__).resolve().parent
TABLE = HERE / "demo_crystals.toml"
DEMO = HERE / "demo"
CELLS = "measured_cells.csv"

Point = tuple[Fraction, Fraction, Fraction]
Rotation = tuple[tuple[int, int, int], ...]
Operation = tuple[Rotation, Point]

IDENTITY: Rotation = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
INVERSION: Rotation = ((-1, 0, 0), (0, -1, 0), (0, 0, -1))


@dataclass(frozen=True)
class Site:
    """One atom of the asymmetric unit, in fractional coordinates."""

    element: str
    position: Point


@dataclass(frozen=True)
class Source:
    """Where the numbers were published, and how they were checked (``listing`` or ``bonds``)."""

    authors: tuple[str, ...]
    journal: str
    volume: str
    pages: str
    year: int
    check: str
    temperature: int | None


@dataclass(frozen=True)
class Crystal:
    """One row of the table: a crystal in the setting of International Tables A.

    ``lengths`` are the cell lengths in angstrom as text (a, b, c), ``angles`` are in degrees.
    """

    material_id: str
    name: str
    space_group: int
    lengths: tuple[str, str, str]
    angles: tuple[int, int, int]
    sites: tuple[Site, ...]
    source: Source
    hand: str
    note: str


def fraction(text: str) -> Fraction:
    """Read a coordinate without rounding.

    Parameters
    ----------
    text : str
        Decimals and fractions, joined by plus signs, such as ``0.1191+2/3``.

    Returns
    -------
    fractions.Fraction
        The exact value.

    Raises
    ------
    ValueError
        When a term is no number.
    """
    return sum((Fraction(term) for term in text.split("+")), Fraction(0))


def read_table(path: Path = TABLE) -> tuple[Crystal, ...]:
    """Read the table of the crystals.

    Parameters
    ----------
    path : pathlib.Path
        A TOML file like ``demo_crystals.toml``.

    Returns
    -------
    tuple of Crystal
        In the order of the file, mirror images included.

    Raises
    ------
    KeyError
        When a row lacks a field, or is the mirror image of a crystal that is not there.
    """
    rows = {row["id"]: row for row in tomllib.loads(path.read_text("utf-8"))["crystal"]}
    return tuple(_crystal(row, rows) for row in rows.values())


def _crystal(row: dict[str, Any], rows: dict[str, dict[str, Any]]) -> Crystal:
    """Build one crystal; a mirror image takes all but symmetry and text from its original."""
    facts = rows[row["mirror_of"]] if "mirror_of" in row else row
    sites = tuple(_site(text) for text in facts["sites"])
    lengths, angles = _cell(facts["cell"].split(), row["space_group"])
    return Crystal(
        material_id=row["id"],
        name=row["name"],
        space_group=row["space_group"],
        lengths=lengths,
        angles=angles,
        sites=tuple(map(_inverted, sites)) if "mirror_of" in row else sites,
        source=_source(facts),
        hand=row.get("hand", ""),
        note=row.get("note", ""),
    )


def _site(text: str) -> Site:
    """Read ``element x y z``."""
    element, *coordinates = text.split()
    x, y, z = map(fraction, coordinates)
    return Site(element, (x, y, z))


def _inverted(site: Site) -> Site:
    """Return the site inverted through the origin."""
    x, y, z = site.position
    return Site(site.element, (-x, -y, -z))


def _source(facts: dict[str, Any]) -> Source:
    """Collect the citation."""
    plain = {key: facts[key] for key in ("journal", "volume", "pages", "year", "check")}
    return Source(authors=tuple(facts["authors"]), temperature=facts.get("temperature"), **plain)


def _cell(lengths: list[str], number: int) -> tuple[tuple[str, str, str], tuple[int, int, int]]:
    """Complete the cell from what the crystal system leaves free."""
    gamma = 120 if 143 <= number <= 194 else 90
    a, c = lengths[0], lengths[-1]
    b = lengths[1] if len(lengths) == 3 else a
    return (a, b, c), (90, 90, gamma)


@cache
def _hall_numbers() -> dict[int, int]:
    """Hall number (spglib's) of the setting used here, by space group."""
    numbers: dict[int, int] = {}
    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        # Hexagonal axes and origin choice 2 where there is a choice; else the first, standard one.
        if kind.choice in {"", "H", "2"}:
            numbers.setdefault(kind.number, hall)
    return numbers


@cache
def _operations(space_group: int) -> tuple[Operation, ...]:
    """Return all operations of the conventional cell, centring translations included."""
    table = spglib.get_symmetry_from_database(_hall_numbers()[space_group])
    rotations = table["rotations"].tolist()
    shifts = table["translations"].tolist()
    return tuple(
        (tuple(map(tuple, rotation)), _exact(shift))
        for rotation, shift in zip(rotations, shifts, strict=True)
    )


def _exact(shift: list[float]) -> Point:
    """Turn a translation into fractions: all of them are multiples of 1/12."""
    x, y, z = (Fraction(round(12 * value), 12) % 1 for value in shift)
    return x, y, z


def _orbit(position: Point, space_group: int) -> frozenset[Point]:
    """Return all positions in the conventional cell that are equivalent to ``position``."""
    return frozenset(_image(position, operation) for operation in _operations(space_group))


def _image(position: Point, operation: Operation) -> Point:
    """Apply one operation and bring the result into the cell."""
    rotation, shift = operation
    x, y, z = (
        (sum(r * p for r, p in zip(row, position, strict=True)) + t) % 1
        for row, t in zip(rotation, shift, strict=True)
    )
    return x, y, z


def class_of(space_group: int) -> str:
    """Tell the class of a space group from its operations.

    Parameters
    ----------
    space_group : int
        Number in International Tables A.

    Returns
    -------
    str
        I (with inversion), II (proper operations only, that is chiral) or III (all others).
    """
    rotations = {rotation for rotation, _ in _operations(space_group)}
    if INVERSION in rotations:
        return "I"
    return "II" if all(_determinant(rotation) == 1 for rotation in rotations) else "III"


def _determinant(rotation: Rotation) -> int:
    """Return the determinant of a 3 x 3 integer matrix."""
    (a, b, c), (d, e, f), (g, h, i) = rotation
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def _composition(crystal: Crystal) -> Counter[str]:
    """Count the atoms of each element in the conventional cell."""
    counts: Counter[str] = Counter()
    for site in crystal.sites:
        counts[site.element] += len(_orbit(site.position, crystal.space_group))
    return counts


def _n_primitive_atoms(crystal: Crystal) -> int:
    """Return the number of atoms in the primitive cell."""
    centrings = sum(rotation == IDENTITY for rotation, _ in _operations(crystal.space_group))
    return _composition(crystal).total() // centrings


def _formula(crystal: Crystal) -> list[str]:
    """Return element symbols with their numbers, in the order of the table's sites."""
    counts = _composition(crystal)
    unit = math.gcd(*counts.values())
    return [name + (str(n // unit) if n > unit else "") for name, n in counts.items()]


def _hill(part: str) -> tuple[bool, str]:
    """Return the sorting key of the Hill order of CIF: carbon first, then by the alphabet."""
    element = part.rstrip("0123456789")
    return element != "C", element


def _xyz(operation: Operation) -> str:
    """Write one operation as a coordinate triplet, such as ``-y,x-y,z+2/3``."""
    rotation, shift = operation
    return ",".join(_row(row, value) for row, value in zip(rotation, shift, strict=True))


def _row(row: tuple[int, int, int], shift: Fraction) -> str:
    """Write one line of an operation."""
    terms = [("-" if r < 0 else "+") + axis for r, axis in zip(row, "xyz", strict=True) if r]
    return "".join(terms).removeprefix("+") + (f"+{shift}" if shift else "")


def _decimal(value: Fraction) -> str:
    """Write a coordinate modulo 1, with 15 decimals where it does not end before.

    Thirds are written as -1/3 and -2/3: pymatgen warns at every 1/3 and 2/3, exact or not.
    """
    value %= 1
    if value.denominator == 3:
        value -= 1
    text = f"{float(value):.15f}" if value else "0.0"
    whole, decimals = text.split(".")
    return f"{whole}.{decimals.rstrip('0') or '0'}"


def _volume(crystal: Crystal) -> float:
    """Return the volume of the conventional cell in cubic angstrom."""
    product = math.prod(map(float, crystal.lengths))
    return product * math.sin(math.radians(crystal.angles[2]))


def _symbol(space_group: int) -> str:
    """Return the Hermann-Mauguin symbol as CIF writes it, with the setting where there are two."""
    kind = spglib.get_spacegroup_type(_hall_numbers()[space_group])
    setting = f" :{kind.choice}" if kind.choice else ""
    return f"{kind.international.replace('_', '')}{setting}"


def cif(crystal: Crystal) -> str:
    """Write one crystal as CIF.

    Parameters
    ----------
    crystal : Crystal
        A row of the table.

    Returns
    -------
    str
        Text of the file: citation, cell, all operations, asymmetric unit.
    """
    blocks = (_head(crystal), _cell_items(crystal), _symmetry(crystal), _atoms(crystal))
    return _ascii("\n".join(line for block in blocks for line in block) + "\n")


def _ascii(text: str) -> str:
    """Leave out the accents: CIF 1.1 allows ASCII only."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def _head(crystal: Crystal) -> Iterator[str]:
    """Yield the citation."""
    source = crystal.source
    first, _, last = source.pages.partition("-")
    yield from (f"# {crystal.name}", "# Facts from the publication below; this file: CC0-1.0.")
    yield from (f"# {text}" for text in (crystal.hand, crystal.note) if text)
    yield f"data_{crystal.material_id}"
    yield from ("loop_", "_publ_author_name")
    yield from (f"'{author}'" for author in source.authors)
    yield f"_journal_name_full '{source.journal}'"
    yield f"_journal_volume {source.volume}"
    yield f"_journal_year {source.year}"
    yield f"_journal_page_first {first}"
    if last:
        yield f"_journal_page_last {last}"
    if source.temperature:
        yield f"_diffrn_ambient_temperature {source.temperature}"


def _cell_items(crystal: Crystal) -> Iterator[str]:
    """Yield formula and cell."""
    counts = _composition(crystal)
    yield f"_chemical_name_common '{crystal.name}'"
    yield f"_chemical_formula_sum '{' '.join(sorted(_formula(crystal), key=_hill))}'"
    yield from (f"_cell_length_{n} {v}" for n, v in zip("abc", crystal.lengths, strict=True))
    names = ("alpha", "beta", "gamma")
    yield from (f"_cell_angle_{n} {v}" for n, v in zip(names, crystal.angles, strict=True))
    yield f"_cell_volume {_volume(crystal):.3f}"
    yield f"_cell_formula_units_Z {math.gcd(*counts.values())}"


def _symmetry(crystal: Crystal) -> Iterator[str]:
    """Yield space group and operations."""
    number = crystal.space_group
    yield f"_space_group_IT_number {number}"
    yield f"_space_group_name_H-M_alt '{_symbol(number)}'"
    hall = spglib.get_spacegroup_type(_hall_numbers()[number]).hall_symbol
    yield f"_space_group_name_Hall '{hall}'"
    yield from ("loop_", "_space_group_symop_id", "_space_group_symop_operation_xyz")
    yield from (f"{i} '{_xyz(op)}'" for i, op in enumerate(_operations(number), start=1))


def _atoms(crystal: Crystal) -> Iterator[str]:
    """Yield the asymmetric unit."""
    items = ("label", "type_symbol", "symmetry_multiplicity", "fract_x", "fract_y", "fract_z")
    yield from ("loop_", *(f"_atom_site_{item}" for item in items), "_atom_site_occupancy")
    for index, site in enumerate(crystal.sites, start=1):
        multiplicity = len(_orbit(site.position, crystal.space_group))
        coordinates = " ".join(map(_decimal, site.position))
        yield f"{site.element}{index} {site.element} {multiplicity} {coordinates} 1.0"


README = """\
# Demo crystals

Small, well-known crystals to try the pipeline on: {chiral} chiral ones (class II), {achiral}
without inversion centre that are not chiral (class III), and {centric} centrosymmetric controls
(class I), in which the angular momentum of every phonon must vanish. The file stem is the
material id.

The files are written by `python data/make_demo.py` from `data/demo_crystals.toml`; edit the table
there, not the files. Coordinates are in the settings of International Tables A: hexagonal axes
for the R groups, origin choice 2. A coordinate of one third appears as -2/3, one of two thirds
as -1/3.

**Licence.** Space groups, lattice constants and atomic coordinates are facts and carry no
copyright. The files themselves are released under CC0-1.0. Please cite the publications below.

**Hand.** `quartz-154` (P3_221) and `quartz-152` (P3_121) are exact mirror images: every coordinate
is inverted. The P3_121 structure, with its right-handed screw, is laevorotatory (left) quartz, and
P3_221 is dextrorotatory (right) quartz: J. D. H. Donnay, Y. Le Page, Acta Crystallographica
Section A 34, 584-594 (1978). Every other chiral crystal is given in one of its two hands, and
nothing is said about its rotation of light.

**Check.** "listing": the numbers agree with an independent listing (the AFLOW prototype library,
the American Mineralogist crystal structure database, the tables of NCrystal or xraylib, or another
CIF). "bonds": no such listing was at hand; the bond lengths that follow are the expected ones.
`tests/data/test_demo.py` tests every file for its space group at several tolerances, its bond
lengths, shortest distances and density.

| {columns} |
|{rules}
"""
COLUMNS = (
    *("id", "crystal", "formula", "space group", "class", "atoms in primitive cell"),
    *("a, b, c (Å)", "source", "check"),
)


def readme(crystals: Iterable[Crystal]) -> str:
    """Write the table of all crystals.

    Parameters
    ----------
    crystals : iterable of Crystal
        The rows.

    Returns
    -------
    str
        Text of ``data/demo/README.md``.
    """
    crystals = tuple(crystals)
    classes = Counter(class_of(crystal.space_group) for crystal in crystals)
    head = README.format(
        chiral=classes["II"],
        achiral=classes["III"],
        centric=classes["I"],
        columns=" | ".join(COLUMNS),
        rules="---|" * len(COLUMNS),
    )
    return head + "".join(f"| {' | '.join(_columns(crystal))} |\n" for crystal in crystals)


def _columns(crystal: Crystal) -> tuple[str, ...]:
    """Return one line of the table."""
    number = crystal.space_group
    return (
        f"`{crystal.material_id}`",
        crystal.name + (f" ({crystal.note})" if crystal.note else ""),
        "".join(_formula(crystal)),
        f"{_symbol(number)} ({number})",
        class_of(number),
        str(_n_primitive_atoms(crystal)),
        ", ".join(crystal.lengths),
        _citation(crystal.source),
        crystal.source.check,
    )


def _citation(source: Source) -> str:
    """Return the source in one line."""
    names = [f"{given} {family}" for family, given in (a.split(", ") for a in source.authors)]
    many = f"{names[0]} and others" if len(names) > 5 else ", ".join(names)
    warm = f", at {source.temperature} K" if source.temperature else ""
    return f"{many}, {source.journal} {source.volume}, {source.pages} ({source.year}){warm}"


def measured_cells(crystals: Iterable[Crystal]) -> str:
    """Write the table of measured volumes.

    Parameters
    ----------
    crystals : iterable of Crystal
        The rows.

    Returns
    -------
    str
        CSV: formula, space group, atoms of the primitive cell, volume per atom (Å^3), source.
    """
    lines = ["formula,space_group,n_atoms,volume,source"]
    for crystal in crystals:
        volume = _volume(crystal) / _composition(crystal).total()
        numbers = f"{crystal.space_group},{_n_primitive_atoms(crystal)},{volume:.4f}"
        lines.append(f'{"".join(_formula(crystal))},{numbers},"{_citation(crystal.source)}"')
    return "\n".join(lines) + "\n"


def files() -> dict[str, str]:
    """Compose the demo folder.

    Returns
    -------
    dict of str to str
        Text of every file by its name.
    """
    crystals = read_table()
    return {
        **{f"{crystal.material_id}.cif": cif(crystal) for crystal in crystals},
        "README.md": readme(crystals),
    }


def differing(folder: Path, texts: dict[str, str]) -> list[str]:
    """Compare a folder with what it should hold.

    Parameters
    ----------
    folder : pathlib.Path
        The folder as it is.
    texts : dict of str to str
        Text of every file by its name.

    Returns
    -------
    list of str
        Sorted names of the files that are missing, changed or left over.
    """
    present = {path.name for path in folder.glob("*") if path.is_file()}
    changed = {
        name
        for name, text in texts.items()
        if name not in present or (folder / name).read_text("utf-8") != text
    }
    return sorted(changed | (present - texts.keys()))


def main(arguments: list[str] | None = None) -> int:
    """Write the demo folder and, beside it, the measured volumes; or compare them with the table.

    Parameters
    ----------
    arguments : list of str, optional
        Command line without the program's name; that of the process by default.

    Returns
    -------
    int
        Exit status: 1 when ``--check`` finds a difference, else 0.
    """
    parser = argparse.ArgumentParser(description="Write the demo crystals from their table.")
    parser.add_argument("--output", type=Path, default=DEMO, help="folder (default: %(default)s)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    options = parser.parse_args(arguments)
    texts, cells = files(), options.output.parent / CELLS
    volumes = measured_cells(read_table())
    if options.check:
        stale = differing(options.output, texts)
        if not cells.exists() or cells.read_text("utf-8") != volumes:
            stale.append(CELLS)
        sys.stderr.writelines(f"differs from the table: {name}\n" for name in stale)
        return 1 if stale else 0
    options.output.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (options.output / name).write_text(text, "utf-8", newline="\n")
    cells.write_text(volumes, "utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
