"""Structures as plain numbers: OPTIMADE entries, pymatgen's dictionaries, and objects of lists.

pymatgen's own reader would import the classes that a dictionary names; this one takes the numbers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from tasks.crystals.dielectric import BORN_CHARGES, DIELECTRIC_TENSOR
from tasks.crystals.masses import find_number_and_mass, set_special_masses
from tasks.failures import RemediableError
from tasks.sources.cells import build_lattice
from tasks.sources.json_text import parse_json
from tasks.sources.parsed_crystals import ParsedCrystal, require_few_atoms, take_masses
from tasks.sources.settings import DEFAULT_MAX_ATOMS

FloatArray = NDArray[np.float64]

LENGTHS_AND_ANGLES: Final = ("a", "b", "c", "alpha", "beta", "gamma")
"""Names of the lengths (Å) and angles (degrees) of a cell."""
FRACTIONAL: Final = ("fractional_site_positions", "frac_coords", "fractional_coordinates")
CARTESIAN: Final = ("cartesian_site_positions", "cart_coords", "positions")
"""Names of positions that are known."""
# Sites that are not all atoms of a crystal, by the word with which OPTIMADE says so.
_FEATURES: Final[Mapping[str, str]] = {
    "disorder": "disordered: sites are occupied in part",
    "assemblies": "disordered: groups of sites exclude each other (assemblies)",
    "implicit_atoms": "atoms without positions (implicit_atoms)",
    "site_attachments": "atoms without positions are attached to sites (site_attachments)",
}
_COMPLETE: Final = "give an ordered structure with the positions of all atoms"
_REMEDY: Final = "correct the record"
_ROUGH_VOLUME: Final = 0.01  # lengths are rounded
_FULL = 1e-6  # an occupancy differs from 1 by less


def parse_mapping(text: str, max_atoms: int = DEFAULT_MAX_ATOMS) -> ParsedCrystal:
    """Parse a record of kind ``json``.

    Parameters
    ----------
    text : str
        JSON: a dictionary of pymatgen, or an object with ``lattice`` (Å, rows), ``numbers`` or
        ``species`` and ``fractional`` or ``cartesian`` (Å); with ``masses`` (u), ``born_charges``
        (e) and ``dielectric_tensor`` where they are known.
    max_atoms : int
        Most atoms of its cell.

    Returns
    -------
    ParsedCrystal
        The crystal.

    Raises
    ------
    RemediableError
        For disorder, too many atoms, a crystal that is not periodic in three directions,
        lists of other lengths, and sites that are not all atoms.
    """
    given = parse_json(text)
    _refuse_other_dimensions(given)
    _refuse_incomplete(given)
    value = _convert_pymatgen(given) if "sites" in given else given
    cell = _read_cell(value)
    listed = value.get("numbers") or value.get("species") or ()
    require_few_atoms(len(listed) if isinstance(listed, list) else 0, max_atoms)
    numbers, masses = _read_numbers_and_masses(value)
    kind, positions = _read_positions(value, len(numbers), given.get("nsites"))
    atoms = Atoms(numbers=numbers, cell=cell, pbc=True, **{kind: positions})
    set_special_masses(atoms, masses)
    notes = take_masses(atoms, given.get("masses"))
    if given.get("born_charges") is not None:
        charges = read_numbers(given["born_charges"], "born_charges")
        if charges.size != 9 * len(atoms):
            message = f"unreadable: {charges.size} Born charges, 9 of each atom are needed"
            raise RemediableError(message, _REMEDY)
        atoms.set_array(BORN_CHARGES, charges.reshape(len(atoms), 9))
    if given.get("dielectric_tensor") is not None:
        atoms.info[DIELECTRIC_TENSOR] = given["dielectric_tensor"]
    return ParsedCrystal(atoms, notes=notes)


def _refuse_other_dimensions(given: Mapping[str, Any]) -> None:
    """Refuse what is not periodic in three directions, however it says so."""
    lattice = given.get("lattice")
    told = {
        "pbc": given.get("pbc"),
        "lattice.pbc": lattice.get("pbc") if isinstance(lattice, Mapping) else None,
        "dimension_types": given.get("dimension_types"),
        "nperiodic_dimensions": given.get("nperiodic_dimensions"),
    }
    for name, value in told.items():
        if value is None:
            continue
        if name == "nperiodic_dimensions":
            is_crystal = value == 3
        elif isinstance(value, list):
            is_crystal = len(value) == 3 and all(bool(v) for v in value)
        else:
            is_crystal = value is True
        if not is_crystal:
            message = f"not periodic in three directions: {name} {value}"
            raise RemediableError(message, "give crystals; a slab or a molecule is none")


def _refuse_incomplete(given: Mapping[str, Any]) -> None:
    """Refuse a record that says that its sites are not all atoms, or not always occupied."""
    for feature in given.get("structure_features") or ():
        unknown = f"the record has a feature that is not known: {str(feature)[:40]!r}"
        raise RemediableError(_FEATURES.get(feature, unknown), _COMPLETE)
    if given.get("assemblies"):
        raise RemediableError(_FEATURES["assemblies"], _COMPLETE)


def _read_cell(value: Mapping[str, Any]) -> FloatArray:
    """Lattice vectors as rows (Å), from nine numbers or from lengths and angles."""
    lattice = value.get("lattice")
    if isinstance(lattice, Mapping):
        if lattice.get("matrix") is None and not has_lengths(lattice):
            message = "unreadable: the lattice has neither a matrix nor lengths and angles"
            raise RemediableError(message, _REMEDY)
        lattice = _read_pymatgen_cell(lattice)
    elif lattice is None and has_lengths(value):
        lattice = _build_cell(value)
    if lattice is None:
        message = "a molecule, or a record without a lattice"
        raise RemediableError(message, "give a crystal with its lattice")
    found = read_numbers(lattice, "lattice")
    if found.size == 6:
        message = "unreadable: a lattice of six numbers"
        raise RemediableError(message, "give nine numbers, or a, b, c, alpha, beta and gamma")
    if found.size != 9:
        raise RemediableError(f"unreadable: a lattice of {found.size} numbers", _REMEDY)
    return found.reshape(3, 3)


def _read_pymatgen_cell(lattice: Mapping[str, Any]) -> object:
    """Lattice vectors of a dictionary of pymatgen, which states the lengths as well."""
    if not lattice.get("matrix"):
        return _build_cell(lattice)
    vectors = read_numbers(lattice["matrix"], "lattice")
    if vectors.size == 9 and has_lengths(lattice):
        volumes = [abs(np.linalg.det(v)) for v in (vectors.reshape(3, 3), _build_cell(lattice))]
        if abs(volumes[0] - volumes[1]) > _ROUGH_VOLUME * volumes[0]:
            told = "matrix {:.1f} Å^3, lengths and angles {:.1f} Å^3".format(*volumes)
            raise RemediableError(f"the record states two cells: {told}", _REMEDY)
    return vectors


def has_lengths(value: Mapping[str, Any]) -> bool:
    """Tell whether a cell is given by its lengths and angles."""
    return all(value.get(name) is not None for name in LENGTHS_AND_ANGLES)


def _build_cell(value: Mapping[str, Any]) -> FloatArray:
    """Lattice vectors of lengths (Å) and angles (degrees)."""
    numbers = read_numbers([value[name] for name in LENGTHS_AND_ANGLES], "lengths and angles")
    return np.asarray(build_lattice(numbers.tolist()).matrix)


def read_numbers(value: object, name: str) -> FloatArray:
    """Take the numbers of a list, however it is nested.

    Parameters
    ----------
    value : object
        The list.
    name : str
        What it is, for the message.

    Returns
    -------
    ndarray
        In the shape of the list.

    Raises
    ------
    RemediableError
        When something in it is no number, or its rows differ in length.
    """
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError) as error:
        message = f"unreadable: {name} holds something that is no number, or rows of other lengths"
        raise RemediableError(message, _REMEDY) from error


def _read_positions(
    value: Mapping[str, Any], n_atoms: int, n_sites: object
) -> tuple[str, FloatArray]:
    """Keyword of ASE and positions: fractional ones where there are any."""
    fractional = value.get("fractional") is not None
    name = "fractional" if fractional else "cartesian"
    if value.get(name) is None:
        known = ", ".join((*FRACTIONAL, *CARTESIAN))
        message = f"unreadable: the record has no positions (names that are known: {known})"
        raise RemediableError(message, "complete the record, or name the column in source.columns")
    found = read_numbers(value[name], "positions")
    if found.size != 3 * n_atoms or n_sites not in {None, n_atoms}:
        stated = "" if n_sites in {None, n_atoms} else f", and nsites is {n_sites}"
        message = f"unreadable: {found.size / 3:g} positions of {n_atoms} atoms{stated}"
        raise RemediableError(message, _REMEDY)
    return "scaled_positions" if fractional else "positions", found.reshape(-1, 3)


def _convert_pymatgen(value: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of a dictionary that pymatgen wrote."""
    sites = value["sites"]
    if not (isinstance(sites, list) and all(isinstance(site, Mapping) for site in sites)):
        raise RemediableError("unreadable: the sites are no list of objects", _REMEDY)
    names = [_find_only_element(site) for site in sites]
    fractional = all(site.get("abc") is not None for site in sites)
    key, kind = ("abc", "fractional") if fractional else ("xyz", "cartesian")
    if any(site.get(key) is None for site in sites):
        raise RemediableError("unreadable: a site has no coordinates (abc or xyz)", _REMEDY)
    lattice = value.get("lattice")
    return {"lattice": lattice, "species": names, kind: [site[key] for site in sites]}


def _find_only_element(site: Mapping[str, Any]) -> str:
    """Symbol of a site that one element occupies."""
    occupied = site.get("species")
    if not isinstance(occupied, list) or not all(_is_element_name(kind) for kind in occupied):
        raise RemediableError("unreadable: a site names no element", _REMEDY)
    if len(occupied) != 1 or abs(_read_occupancy(occupied[0].get("occu", 1)) - 1) > _FULL:
        raise _make_disorder_error([(k["element"], k.get("occu", 1)) for k in occupied])
    return str(occupied[0]["element"])


def _is_element_name(kind: object) -> bool:
    return isinstance(kind, Mapping) and "element" in kind


def _read_occupancy(value: object) -> float:
    """Occupancy of a site."""
    return float(read_numbers(value, "an occupancy").reshape(-1)[0])


def _read_numbers_and_masses(value: Mapping[str, Any]) -> tuple[list[int], list[float] | None]:
    """Atomic numbers, each 1 to 118, and the masses that their symbols or kinds tell."""
    if value.get("numbers") is not None:
        numbers = read_numbers(value["numbers"], "atomic numbers").reshape(-1)
        wrong = [n for n in numbers.tolist() if not (float(n).is_integer() and 1 <= n <= 118)]
        if wrong:
            raise RemediableError(f"unreadable: no element {wrong[0]:g}", _REMEDY)
        return [int(number) for number in numbers], None
    names = value.get("species")
    if names is None:
        raise RemediableError("unreadable: the record names no elements", _REMEDY)
    kinds = {}
    for kind in value.get("kinds") or ():
        if not (isinstance(kind, Mapping) and "name" in kind and "chemical_symbols" in kind):
            raise RemediableError("unreadable: a kind of atoms has no name or symbols", _REMEDY)
        kinds[kind["name"]] = kind
    found = [_find_number_and_mass(str(name), kinds) for name in names]
    return [number for number, _ in found], [mass for _, mass in found]


def _find_number_and_mass(name: str, kinds: Mapping[str, Mapping[str, Any]]) -> tuple[int, float]:
    """Element of a site and its mass, by the kinds of OPTIMADE where they are given."""
    if name not in kinds:
        return find_number_and_mass(name)
    kind = kinds[name]
    symbols, shares = kind["chemical_symbols"], kind.get("concentration") or [1.0]
    if any(kind.get("nattached") or ()) or kind.get("attached"):
        raise RemediableError(_FEATURES["site_attachments"], _COMPLETE)
    if list(symbols) == ["vacancy"]:
        raise RemediableError(f"a site ({name}) is a vacancy", _COMPLETE)
    if len(symbols) != 1 or abs(_read_occupancy(shares[0]) - 1) > _FULL:
        raise _make_disorder_error(list(zip(symbols, shares, strict=False)))
    number, natural = find_number_and_mass(str(symbols[0]))
    return number, _read_occupancy(kind["mass"]) if kind.get("mass") else natural


def _make_disorder_error(shares: Sequence[tuple[object, object]]) -> RemediableError:
    told = ", ".join(f"{element}:{share}" for element, share in shares) or "nothing"
    message = f"disordered: a site is occupied by {told}"
    return RemediableError(message, "give an ordered approximant of the structure")
