"""Structures as plain numbers: rows of tables, OPTIMADE entries, pymatgen's dictionaries.

pymatgen's own reader would import the classes that a dictionary names; this one takes the numbers.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from tasks.dielectric import BORN_CHARGES, DIELECTRIC_TENSOR
from tasks.failures import RemediableError
from tasks.sources.json_text import json_value
from tasks.sources.records import Provenance, RawRecord, safe_id, unreadable
from tasks.sources.settings import Meaning, SourceSettings
from tasks.sources.space_groups import space_group_of

USUAL_NAMES: Final[Mapping[Meaning, tuple[str, ...]]] = {
    "id": ("material_id", "mp_id", "entry_id", "mat_id", "id", "uid", "file"),
    "cif": ("cif", "cif_string"),
    "structure": ("structure",),
    "lattice": ("lattice_vectors", "lattice", "cell"),
    "numbers": ("atomic_numbers", "numbers"),
    "species": ("species_at_sites",),
    "fractional": ("fractional_site_positions", "frac_coords", "fractional_coordinates"),
    "cartesian": ("cartesian_site_positions", "cart_coords"),
    "database": ("database",),
    "database_version": ("database_version",),
    "licence": ("licence", "license"),
    "url": ("url",),
    "functional": ("functional",),
    "energy_above_hull": ("energy_above_hull", "e_above_hull", "_mp_energy_above_hull"),
    "band_gap": ("band_gap", "_mp_band_gap"),
    "space_group": (
        "space_group_number",
        "spacegroup_number",
        "space_group_it_number",
        "spacegroup.number",
        "sg_number",
    ),
    "born_charges": (BORN_CHARGES,),
    "dielectric_tensor": (DIELECTRIC_TENSOR,),
}
# Taken as they are where an entry has them; their names are those of OPTIMADE.
_OPTIMADE_KEYS = ("species", "dimension_types")
_TENSORS: Final[tuple[Meaning, ...]] = ("born_charges", "dielectric_tensor")
_SAID: Final[tuple[Meaning, ...]] = ("database", "database_version", "licence", "functional")
_FULL = 1e-6  # an occupancy differs from 1 by less


def wanted_columns(names: Sequence[str], settings: SourceSettings) -> list[str]:
    """Choose the columns of a table that mean something here.

    Parameters
    ----------
    names : sequence of str
        Columns of the table.
    settings : SourceSettings
        Which column means what.

    Returns
    -------
    list of str
        In the order of the table.

    Raises
    ------
    RemediableError
        When there is no structure among them, or a column of the settings is missing.
    """
    missing = sorted(set(settings.columns.values()) - set(names))
    if missing:
        message = f"no column {missing[0]!r}; the table has {', '.join(names)[:300]}"
        raise RemediableError(message, "correct source.columns")
    wanted = {c for meaning in USUAL_NAMES if (c := _column(meaning, names, settings))}
    meanings = {m for m in USUAL_NAMES if _column(m, names, settings)}
    if not (meanings & {"cif", "structure"} or "lattice" in meanings):
        message = f"no column holds structures; the table has {', '.join(names)[:300]}"
        raise RemediableError(message, "name the columns in source.columns")
    return [name for name in names if name in wanted or name in _OPTIMADE_KEYS]


def record_of(
    row: Mapping[str, Any], default_id: str, source_record: str, settings: SourceSettings
) -> RawRecord:
    """Turn a row of a table or an entry of a JSON file into a record.

    Parameters
    ----------
    row : mapping
        Values by column.
    default_id : str
        Name of a row that has none.
    source_record : str
        Where it stands.
    settings : SourceSettings
        Which column means what.

    Returns
    -------
    RawRecord
        Of kind ``cif`` or ``json``.

    Raises
    ------
    RemediableError
        When the row holds no structure.
    """
    values = {meaning: _value(row, meaning, settings) for meaning in USUAL_NAMES}
    given = values["id"]
    provenance = _provenance(values, settings)
    material_id = safe_id(default_id if given is None else str(given))
    kind, text = _structure_text(values, row)
    return RawRecord(material_id, kind, text, source_record, provenance)


def is_structure(value: object) -> bool:
    """Tell whether a JSON value is one structure, and not a collection of them.

    Parameters
    ----------
    value : object
        As read.

    Returns
    -------
    bool
        True for a mapping with a structure's own keys.
    """
    own = {"sites", *(name for m in ("cif", "structure", "lattice") for name in USUAL_NAMES[m])}
    return isinstance(value, Mapping) and bool(own & set(value) or "attributes" in value)


def parse_mapping(text: str) -> tuple[Atoms, None]:
    """Parse a record of kind ``json``.

    Parameters
    ----------
    text : str
        JSON: a dictionary of pymatgen, or an object with ``lattice`` (Å, rows), ``numbers`` or
        ``species`` and ``fractional`` or ``cartesian`` (Å); with ``born_charges`` (e) and
        ``dielectric_tensor`` where they are known.

    Returns
    -------
    atoms : ase.Atoms
        The crystal.
    name : None
        The text carries none.

    Raises
    ------
    RemediableError
        For disorder, a crystal that is not periodic in three directions, lists of other lengths.
    """
    given = json_value(text)
    value = _from_pymatgen(given) if "sites" in given else given
    dimensions = value.get("dimension_types")
    if dimensions is not None and list(dimensions) != [1, 1, 1]:
        message = f"not periodic in three directions: dimension_types {dimensions}"
        raise RemediableError(message, "give crystals")
    numbers = _numbers(value)
    cell = np.asarray(value["lattice"], dtype=float).reshape(3, 3)
    fractional = value.get("fractional")
    positions = np.asarray(fractional or value["cartesian"], dtype=float).reshape(-1, 3)
    if len(positions) != len(numbers):
        message = f"unreadable: {len(positions)} positions of {len(numbers)} atoms"
        raise RemediableError(message, "correct the record")
    kind = "scaled_positions" if fractional else "positions"
    atoms = Atoms(numbers=numbers, cell=cell, pbc=True, **{kind: positions})
    if given.get("born_charges") is not None:
        charges = np.asarray(given["born_charges"], dtype=float)
        atoms.set_array(BORN_CHARGES, charges.reshape(len(atoms), 9))
    if given.get("dielectric_tensor") is not None:
        atoms.info[DIELECTRIC_TENSOR] = given["dielectric_tensor"]
    return atoms, None


def _column(meaning: Meaning, names: Sequence[str], settings: SourceSettings) -> str | None:
    """Column with a meaning: the user's word first."""
    if said := settings.columns.get(meaning):
        return said
    return next((name for name in USUAL_NAMES[meaning] if name in names), None)


def _value(row: Mapping[str, Any], meaning: Meaning, settings: SourceSettings) -> Any:  # noqa: ANN401
    """Value with a meaning; None where the row has none, an empty text included."""
    said = settings.columns.get(meaning)
    names = (said,) if said else USUAL_NAMES[meaning]
    found = (row[name] for name in names if row.get(name) not in (None, ""))
    return next(found, None)


def _structure_text(values: Mapping[Meaning, Any], row: Mapping[str, Any]) -> tuple[str, str]:
    """Kind and text of the structure of a row."""
    if isinstance(values["cif"], str):
        return "cif", values["cif"]
    tensors: dict[str, Any] = {m: _decoded(values[m]) for m in _TENSORS if values[m] is not None}
    if "sites" in row:
        return "json", _dumped({"sites": row["sites"], "lattice": row.get("lattice"), **tensors})
    if values["structure"] is not None:
        return "json", _dumped({**_decoded(values["structure"]), **tensors})
    if values["lattice"] is None:
        raise RemediableError("unreadable: the record holds no structure", "correct the record")
    meanings: tuple[Meaning, ...] = ("lattice", "numbers", "species", "fractional", "cartesian")
    found: dict[str, Any] = {m: _decoded(values[m]) for m in meanings if values[m] is not None}
    kinds = {
        _renamed(key): _decoded(row[key]) for key in _OPTIMADE_KEYS if row.get(key) is not None
    }
    return "json", _dumped({**found, **kinds, **tensors})


def _renamed(key: str) -> str:
    """Name in the record: ``species`` of OPTIMADE lists kinds, not atoms."""
    return "kinds" if key == "species" else key


def _decoded(value: object) -> Any:  # noqa: ANN401
    """Value of a cell: lists in the cells of a CSV file are JSON."""
    return json_value(value) if isinstance(value, str) else value


def _dumped(value: object) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as error:
        raise unreadable(error) from error


def _provenance(values: Mapping[Meaning, Any], settings: SourceSettings) -> Provenance:
    """What the row says, else what the user says of the whole source."""
    said = {m: _text(values[m]) or getattr(settings, m) for m in _SAID}
    database_id = _text(values["id"])
    url = _text(values["url"])
    if url is None and settings.url and database_id:
        url = settings.url.replace("{id}", database_id)
    return Provenance(
        **said,
        database_id=database_id,
        url=url,
        energy_above_hull=_number(values["energy_above_hull"]),
        band_gap=_number(values["band_gap"]),
        space_group_stated=space_group_of(values["space_group"]),
    )


def _number(value: Any) -> float | None:  # noqa: ANN401
    """Number of a cell; None where there is none."""
    found = None if value is None else float(value)
    return found if found is not None and np.isfinite(found) else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _from_pymatgen(value: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of a dictionary that pymatgen wrote."""
    sites = value["sites"]
    names = []
    for site in sites:
        occupied = site["species"]
        if len(occupied) != 1 or abs(occupied[0]["occu"] - 1) > _FULL:
            shares = ", ".join(f"{kind['element']}:{kind['occu']:g}" for kind in occupied)
            raise _disordered(shares)
        names.append(occupied[0]["element"])
    lattice = value["lattice"]["matrix"]
    return {"lattice": lattice, "species": names, "fractional": [site["abc"] for site in sites]}


def _numbers(value: Mapping[str, Any]) -> list[int]:
    """Atomic numbers, each 1 to 118."""
    if "numbers" in value:
        numbers = [int(number) for number in value["numbers"]]
    else:
        kinds = {kind["name"]: kind for kind in value.get("kinds", ())}
        numbers = [atomic_numbers[_symbol(name, kinds)] for name in value["species"]]
    wrong = [number for number in numbers if not 1 <= number <= 118]
    if wrong:
        raise RemediableError(f"unreadable: no element {wrong[0]}", "correct the record")
    return numbers


def _symbol(name: str, kinds: Mapping[str, Mapping[str, Any]]) -> str:
    """Element of a site, by the kinds of OPTIMADE where they are given."""
    if name not in kinds:
        return name
    symbols, shares = kinds[name]["chemical_symbols"], kinds[name].get("concentration", [1.0])
    if len(symbols) != 1 or abs(shares[0] - 1) > _FULL:
        raise _disordered(", ".join(f"{s}:{x:g}" for s, x in zip(symbols, shares, strict=True)))
    return str(symbols[0])


def _disordered(shares: str) -> RemediableError:
    message = f"disordered: a site is occupied by {shares}"
    return RemediableError(message, "give an ordered approximant of the structure")
