"""Crystals of CIF data blocks: sites, their orbits, and whether they are all that the block states.

A coordinate is printed to a few digits, so that a site on a special position is not quite there:
the operations that carry it to within 0.1 Å of itself are its stabiliser, and the mean of its
images under these is the position that was meant. No two atoms are so close to each other.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd, isclose
from typing import Final

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray
from pymatgen.core import Composition, Element, Lattice

from tasks.crystals.masses import HEAVY_HYDROGEN, find_number_and_mass, set_masses_of_symbols
from tasks.crystals.records import Provenance
from tasks.failures import RemediableError
from tasks.sources.cells import build_lattice
from tasks.sources.cif_blocks import ABSENT, CifBlock, read_block
from tasks.sources.cif_symmetry import (
    Operations,
    find_group,
    read_block_operations,
    read_stated_group,
)
from tasks.sources.evidence import name_source, read_identifiers
from tasks.sources.parsed_crystals import ParsedCrystal, require_few_atoms
from tasks.sources.settings import DEFAULT_MAX_ATOMS
from tasks.symmetry import find_dataset
from tasks.tolerances import AS_PRINTED

FloatArray = NDArray[np.float64]

SAME_SITE: Final = 0.1
"""Distance in Å within which two images of a site are one atom."""
_MOVED: Final = 1e-3  # Å; a larger move onto a special position is told
_THIRDS: Final = (1 / 3, 2 / 3)
_THIRD_TOLERANCE: Final = 1e-4  # relative; 0.3333 and 0.6667 are thirds
_FULL: Final = 1e-3  # an occupancy differs from 1 by less
_ROUGH_FORMULA: Final = 0.01  # a formula with decimals is rounded
_ROUGH_VOLUME: Final = 0.01  # a stated volume is rounded
_NUMBER: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:\(\d*\)?)?")
_TYPE: Final = re.compile(r"([A-Za-z]{1,2})(?:\d*[+-]\d*|\d*)")
_SURE_LABEL: Final = re.compile(r"([A-Z][a-z]?)(?![A-Za-z])")
_FORMULA: Final = re.compile(r"(?:[A-Z][a-z]?|[\d.]+|[()\[\]])+")
_CELL: Final = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_AXES: Final = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")
_STRUCTURAL: Final = "_chemical_formula_structural"
_MODULATED: Final = ("_cell_modulation_dimension", "_cell_wave_vector_x")
# Items that only an experiment gives; a density and a journal can be stated of any cell.
_EXPERIMENT: Final = ("_cell_measurement_", "_diffrn_", "_refine_ls_", "_reflns_", "_pd_")
# Numbers in the ICSD and the COD, year of the publication, and how the COD says it was found.
_TOLD: Final = (
    ("_database_code_icsd",),
    ("_cod_database_code",),
    ("_journal_year", "_citation_year"),
    ("_cod_struct_determination_method", "_cod_structure_determination_method"),
)
_REMEDY: Final = "correct the file"


@dataclass(frozen=True)
class _Site:
    """An atom of the asymmetric unit."""

    label: str
    symbol: str
    position: FloatArray
    occupancy: float


@dataclass(frozen=True)
class _Orbit:
    """All images of a site in the cell, and how far the site had to move to be special."""

    site: _Site
    positions: FloatArray
    moved: float


def parse_cif(text: str, max_atoms: int = DEFAULT_MAX_ATOMS) -> ParsedCrystal:
    """Parse a CIF with one structure.

    Parameters
    ----------
    text : str
        The data block, or a file of which only one block lists atoms.
    max_atoms : int
        Most atoms of its cell.

    Returns
    -------
    ParsedCrystal
        The crystal in the cell of the file.

    Raises
    ------
    RemediableError
        When elements, cell, positions or symmetry operations are missing or contradict each other,
        for disorder, for too many atoms, and where the sites are not all atoms that the block
        states.
    """
    block = read_block(text)
    if block.get_column(*_MODULATED) is not None:
        raise RemediableError("a modulated structure", "give a commensurate approximant")
    lattice = _read_lattice(block)
    cell = np.asarray(lattice.matrix)
    formula = _read_formula(block)
    sites = _read_sites(block, formula)
    operations, stated = read_block_operations(block, cell @ cell.T), read_stated_group(block)
    orbits = _build_orbits(sites, operations, cell, max_atoms)
    _refuse_shared_places(orbits, cell)
    _refuse_hydrogens_without_places(block)
    atoms = _build_atoms(orbits, cell)
    _compare_composition(block, atoms, formula)
    _compare_group(atoms, operations, stated)
    moved = max(orbit.moved for orbit in orbits)
    if moved > _MOVED:
        block.notes.append(f"sites moved by up to {moved:.3f} Å onto their special positions")
    measured = block.has_known(*_EXPERIMENT)
    evidence = _read_evidence(block, is_measured=measured)
    return ParsedCrystal(atoms, None, tuple(block.notes), stated, measured, evidence)


def _read_evidence(block: CifBlock, *, is_measured: bool) -> Provenance:
    """Numbers in databases; the crystal was observed if the block names an experiment or the COD.

    The COD collects measured crystals and marks the few that are not; the ICSD has computed ones
    as well, so that its number alone says nothing.
    """
    icsd, cod, year, method = (_find_known(block, *names) for names in _TOLD)
    is_computed = (method or "").lower() == "theoretical"
    observed = None if is_computed or not (is_measured or cod) else True
    database = ("ICSD" if icsd else None) or ("COD" if cod else None)
    source = name_source(database or "record", year) if observed else None
    return Provenance(
        observed=observed,
        observed_source=source,
        icsd_id=read_identifiers(icsd),
        cod_id=read_identifiers(cod),
    )


def _find_known(block: CifBlock, *names: str) -> str | None:
    """First known value; what is wrong with it costs no crystal."""
    found = (value for name in names for value in block.values.get(name, ()))
    return next((value for value in found if value not in ABSENT), None)


def _read_lattice(block: CifBlock) -> Lattice:
    """Cell of a block."""
    values = [_require_value(block, f"_cell_{name}") for name in _CELL]
    numbers = [_parse_number(value, f"_cell_{n}") for value, n in zip(values, _CELL, strict=True)]
    lattice, stated = (
        build_lattice(numbers),
        _NUMBER.fullmatch(block.get_value("_cell_volume") or ""),
    )
    if stated and abs(float(stated[1]) - lattice.volume) > _ROUGH_VOLUME * lattice.volume:
        told = f"lengths and angles give {lattice.volume:.1f} Å^3, _cell_volume is {stated[1]}"
        raise RemediableError(f"the file states two cells: {told}", "correct the cell")
    return lattice


def _require_value(block: CifBlock, name: str) -> str:
    """Value that has to be there."""
    value = block.get_value(name)
    if value is None:
        raise RemediableError(f"unreadable: the file has no {name}", "complete the file")
    return value


def _parse_number(text: str, place: str) -> float:
    """Number of a value, without its uncertainty."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise RemediableError(f"unreadable: {place}: {text[:40]!r} is no number", _REMEDY)
    return float(match[1])


def _read_sites(block: CifBlock, formula: Mapping[str, float] | None) -> list[_Site]:
    """Sites of the asymmetric unit; dummies that mark a place only are left out with a note."""
    columns = [block.get_column(name) for name in _AXES]
    names = block.get_column("_atom_site_label", "_atom_site_type_symbol")
    types = block.get_column("_atom_site_type_symbol")
    if any(column is None for column in columns):
        raise _make_no_coordinates_error(block)
    if names is None:
        raise RemediableError("unreadable: the sites have no symbols and no labels", _REMEDY)
    full = ("1",) * len(names)
    occupancies = block.get_column("_atom_site_occupancy") or full
    flags = block.get_column("_atom_site_calc_flag") or full
    if {len(c) for c in (names, occupancies, flags, types or full, *filter(None, columns))} != {
        len(names)
    }:
        raise RemediableError("unreadable: the columns of the sites differ in length", _REMEDY)
    sites = []
    for i, label in enumerate(names):
        occupancy = (
            1.0 if occupancies[i] == "." else _parse_number(occupancies[i], f"occupancy of {label}")
        )
        if occupancy == 0 or flags[i].lower() in {"dum", "dummy"}:
            block.notes.append(f"site {label} holds no atom and is left out")
            continue
        symbol = (
            _parse_type_symbol(types[i], label) if types else _parse_label_symbol(label, formula)
        )
        position = [_parse_coordinate(column[i], label) for column in columns if column]
        sites.append(_Site(label, symbol, np.array(position), occupancy))
    _refuse_disorder_groups(block)
    if not sites:
        raise RemediableError("the structure has no atoms", "give a structure with atoms")
    return sites


def _make_no_coordinates_error(block: CifBlock) -> RemediableError:
    """Say why there are no coordinates."""
    if block.get_column("_atom_site_cartn_x") is not None:
        message = "a macromolecular CIF (mmCIF): Cartesian coordinates only"
        return RemediableError(message, "give a CIF with _atom_site_fract_x, y and z")
    message = "unreadable: the sites have no coordinates (_atom_site_fract_x, y and z)"
    return RemediableError(message, "complete the file")


def _parse_coordinate(text: str, label: str) -> float:
    """Fractional coordinate; thirds are printed with four digits or more."""
    if text in {"?", "."}:
        message = f"site {label} has no coordinates"
        raise RemediableError(message, "complete the site, or remove it if it holds no atom")
    number = _parse_number(text, f"site {label}")
    for third in _THIRDS:
        if isclose(number / third, 1, abs_tol=_THIRD_TOLERANCE, rel_tol=0):
            return third
    return number


def _parse_type_symbol(text: str, label: str) -> str:
    """Symbol of a type such as ``O2-``; oxidation states are left out."""
    match = _TYPE.fullmatch(text)
    if match is None or not _is_symbol(match[1].capitalize()):
        raise RemediableError(f"unreadable: site {label}: {text[:40]!r} is no element", _REMEDY)
    return match[1].capitalize()


def _parse_label_symbol(label: str, formula: Mapping[str, float] | None) -> str:
    """Symbol of a label: its letters where they are one, else what the formula sum leaves open."""
    sure = _SURE_LABEL.match(label)
    if sure and _is_symbol(sure[1]):
        return sure[1]
    letters = re.match("[A-Za-z]*", label)
    begun = letters[0] if letters else ""
    possible = {begun[:n].capitalize() for n in (1, 2)} & set(formula or ())
    if len(possible) != 1:
        message = f"unreadable: site {label}: neither its label nor a type symbol is an element"
        raise RemediableError(message, "add the column _atom_site_type_symbol")
    return possible.pop()


def _is_symbol(text: str) -> bool:
    return text in HEAVY_HYDROGEN or text in chemical_symbols[1:]


def _refuse_disorder_groups(block: CifBlock) -> None:
    """Refuse sites that exclude each other, whatever their occupancies say."""
    groups = set(block.get_column("_atom_site_disorder_group") or ()) - {".", "?", "0"}
    if len(groups) > 1:
        message = f"disordered: the sites belong to the groups {', '.join(sorted(groups))}"
        raise RemediableError(message, "give an ordered approximant of the structure")


def _build_orbits(
    sites: Sequence[_Site], operations: Operations, cell: FloatArray, max_atoms: int
) -> list[_Orbit]:
    """Orbits of all sites, as long as these are not too many atoms."""
    # Fewer operations already fill the smallest cell there is with a lattice of points.
    require_few_atoms(max(len(operations.rotations), len(sites)), max_atoms)
    orbits, n_atoms = [], 0
    for site in sites:
        orbits.append(_build_orbit(site, operations, cell))
        n_atoms += len(orbits[-1].positions)
        require_few_atoms(n_atoms, max_atoms)
    return orbits


def _build_orbit(site: _Site, operations: Operations, cell: FloatArray) -> _Orbit:
    """Images of a site in the cell, each once."""
    position = site.position
    for _ in range(2):  # the mean can bring further images near
        apart = operations.rotations @ position + operations.translations - position
        apart -= np.rint(apart)
        stable = np.linalg.norm(apart @ cell, axis=1) < SAME_SITE
        position = position + apart[stable].mean(axis=0)
    images = operations.rotations @ position + operations.translations
    images -= np.floor(images)
    apart = images[:, None] - images[None]
    same = np.linalg.norm((apart - np.rint(apart)) @ cell, axis=-1) < SAME_SITE
    first = ~np.tril(same, -1).any(axis=1)
    if first.sum() * stable.sum() != len(images):
        message = f"site {site.label}: its images under the operations lie too close to each other"
        raise RemediableError(message, "give its coordinates with more digits, or correct them")
    moved = position - site.position
    return _Orbit(site, images[first], float(np.linalg.norm((moved - np.rint(moved)) @ cell)))


def _refuse_shared_places(orbits: Sequence[_Orbit], cell: FloatArray) -> None:
    """Refuse a place that several sites share, and one that is not always occupied."""
    places = np.array([orbit.positions[0] for orbit in orbits])
    for index, orbit in enumerate(orbits):
        apart = orbit.positions[:, None] - places[None, : index + 1]
        distance = np.linalg.norm((apart - np.rint(apart)) @ cell, axis=-1).min(axis=0)
        shared = [orbits[int(i)].site for i in np.flatnonzero(distance < SAME_SITE)]
        if len(shared) > 1:
            raise _make_shared_place_error(shared)
    for orbit in orbits:
        if abs(orbit.site.occupancy - 1) > _FULL:
            raise _make_shared_place_error([orbit.site])


def _make_shared_place_error(sites: Sequence[_Site]) -> RemediableError:
    """Say which sites share a place, or that one is not full."""
    shares = ", ".join(f"{site.symbol}:{site.occupancy:g}" for site in sites)
    total = sum(site.occupancy for site in sites)
    *others, last = [site.label for site in sites]
    if others and all(abs(site.occupancy - 1) < _FULL for site in sites):
        told = f"site {last} lies on {others[0]}, and their occupancies add up to {total:g}"
        return RemediableError(f"overlapping atoms: {told}", "remove the site that is too much")
    message = f"disordered: the site of {last} is occupied by {shares}"
    if others:
        message += f" ({', '.join(others)} and {last})"
    return RemediableError(message, "give an ordered approximant of the structure")


def _refuse_hydrogens_without_places(block: CifBlock) -> None:
    """Refuse hydrogens that are stated and have no site."""
    numbers = block.get_column("_atom_site_attached_hydrogens") or ()
    labels = block.get_column("_atom_site_label") or numbers
    found = [label for label, n in zip(labels, numbers, strict=False) if n not in {"0", ".", "?"}]
    if found:
        message = f"hydrogens without coordinates are attached to {', '.join(found[:5])}"
        raise RemediableError(message, "add the sites of the hydrogens")


def _build_atoms(orbits: Sequence[_Orbit], cell: FloatArray) -> Atoms:
    """Atoms of the cell, the electropositive elements first."""
    ordered = sorted(orbits, key=lambda orbit: _get_electronegativity(orbit.site.symbol))
    symbols = [orbit.site.symbol for orbit in ordered for _ in orbit.positions]
    numbers = [find_number_and_mass(symbol)[0] for symbol in symbols]
    positions = np.concatenate([orbit.positions for orbit in ordered]) @ cell
    atoms = Atoms(numbers=numbers, cell=cell, positions=positions, pbc=True)
    set_masses_of_symbols(atoms, symbols)
    return atoms


def _get_electronegativity(symbol: str) -> tuple[float, str]:
    """Order of an element; the light noble gases have none and come last."""
    value = float(Element("H" if symbol in HEAVY_HYDROGEN else symbol).data.get("X") or np.inf)
    return value, symbol


def _read_formula(block: CifBlock) -> dict[str, float] | None:
    """Amounts in the formula sum; None where there is none, or none that can be read."""
    text = block.get_value("_chemical_formula_sum")
    found = None if text is None else _parse_amounts(text)
    if text is not None and found is None:
        block.notes.append(f"the formula sum {text[:60]!r} is not compared with the sites")
    return found


def _parse_amounts(text: str) -> dict[str, float] | None:
    """Amount of each element in a formula; None for a text that is none."""
    plain = re.sub(r"[\s,]", "", text)
    try:
        found = Composition(plain) if _FORMULA.fullmatch(plain) else Composition()
    except ValueError:
        return None
    amounts: dict[str, float] = {}
    for element, amount in found.as_dict().items():
        symbol = "H" if element in HEAVY_HYDROGEN else element
        amounts[symbol] = amounts.get(symbol, 0.0) + amount
    return amounts if amounts and all(map(_is_symbol, amounts)) else None


def _compare_composition(
    block: CifBlock, atoms: Atoms, formula: Mapping[str, float] | None
) -> None:
    """Refuse a cell whose atoms are not those of the formula sum and the number of units."""
    if formula is None or not sum(formula.values()):
        return
    found = Counter(atoms.symbols)
    units = len(atoms) / sum(formula.values())
    is_whole = all(float(amount).is_integer() for amount in formula.values())
    # Whole numbers are compared exactly, but for the rounding of the quotient above.
    tolerance = 1e-6 if is_whole else _ROUGH_FORMULA
    expected = {symbol: units * amount for symbol, amount in formula.items() if amount}
    wrong = set(found) != set(expected) or any(
        abs(found[s] - amount) > tolerance * max(found[s], 1) for s, amount in expected.items()
    )
    if wrong:
        stated = block.get_value("_chemical_formula_sum")
        message = f"the sites give {atoms.get_chemical_formula()}, the formula sum is {stated!r}"
        raise RemediableError(message, "complete the sites, or correct the formula sum")
    if is_whole:
        _compare_units(block, len(atoms), [int(amount) for amount in formula.values()])


def _compare_units(block: CifBlock, n_atoms: int, amounts: Sequence[int]) -> None:
    """Refuse a cell of more or fewer atoms than its formula units have.

    Some programs count the units of the formula sum, others those of the reduced or of the
    structural formula.
    """
    match = _NUMBER.fullmatch(block.get_value("_cell_formula_units_z") or "")
    if match is None:
        return
    stated, structural = float(match[1]), _parse_amounts(block.get_value(_STRUCTURAL) or "") or {}
    sizes = {sum(amounts), sum(amounts) // (gcd(*amounts) or 1), int(sum(structural.values()))}
    if all(abs(n_atoms - stated * size) > 0.5 for size in sizes):
        atoms = f"{stated:g} formula units of {min(sizes - {0})} atoms"
        message = f"the sites and operations give {n_atoms} atoms, the file states {atoms}"
        raise RemediableError(message, "correct the operations, or _cell_formula_units_Z")


def _compare_group(atoms: Atoms, operations: Operations, stated: int | None) -> None:
    """Refuse operations of another space group than the stated one, unless the crystal has it."""
    if stated is None or find_group(operations, atoms.cell.array) == stated:
        return
    try:
        found = int(find_dataset(atoms, AS_PRINTED).number)
    except ValueError:
        found = 0
    if found != stated:
        message = f"the operations are not those of the stated space group {stated}"
        raise RemediableError(message, "correct the operations or the space group")
