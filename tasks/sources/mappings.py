"""Rows of tables and entries of JSON files, turned into records by the names of their values."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tasks.crystals import Provenance
from tasks.crystals.dielectric import BORN_CHARGES, DIELECTRIC_TENSOR
from tasks.crystals.records import make_safe_id
from tasks.failures import RemediableError
from tasks.sources.evidence import (
    Observation,
    choose_observation,
    name_source,
    parse_flag,
    read_identifiers,
)
from tasks.sources.json_text import parse_json
from tasks.sources.number_lists import (
    CARTESIAN,
    FRACTIONAL,
    LENGTHS_AND_ANGLES,
    has_lengths,
    read_numbers,
)
from tasks.sources.records import RawRecord, explain_parser_error
from tasks.sources.settings import Meaning, SourceSettings
from tasks.sources.space_groups import parse_space_group

FloatArray = NDArray[np.float64]

USUAL_NAMES: Final[Mapping[Meaning, tuple[str, ...]]] = {
    "id": ("material_id", "mp_id", "entry_id", "mat_id", "id", "uid", "file"),
    "cif": ("cif", "cif_string"),
    "structure": ("structure",),
    "lattice": ("lattice_vectors", "lattice", "cell", "lattice_matrix"),
    "numbers": ("atomic_numbers", "numbers"),
    "species": ("species_at_sites",),
    "fractional": FRACTIONAL,
    "cartesian": CARTESIAN,
    "masses": ("masses",),
    "pbc": ("pbc",),
    "database": ("database",),
    "database_version": ("database_version",),
    "licence": ("licence", "license"),
    "url": ("url",),
    "functional": ("functional",),
    "energy_above_hull": ("energy_above_hull", "e_above_hull", "_mp_energy_above_hull"),
    "band_gap": ("band_gap", "_mp_band_gap"),
    "observed": ("observed",),
    "observed_source": ("observed_source",),
    "theoretical": ("theoretical",),
    "magnetic_ordering": ("magnetic_ordering",),
    "icsd_id": ("icsd_id", "icsd_ids"),
    "cod_id": ("cod_id", "cod_ids"),
    "phonondb_url": ("phonondb_url", "mdr_url"),
    "phonix_url": ("phonix_url",),
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
_OPTIMADE_KEYS = (
    "species",
    "dimension_types",
    "nperiodic_dimensions",
    "structure_features",
    "assemblies",
    "nsites",
)
_REMEDY: Final = "correct the record"
_TENSORS: Final[tuple[Meaning, ...]] = ("born_charges", "dielectric_tensor")
_PARTS: Final[tuple[Meaning, ...]] = (
    "lattice",
    "numbers",
    "species",
    "fractional",
    "cartesian",
    "masses",
    "pbc",
)
_EVIDENCE: Final[tuple[Meaning, ...]] = (
    "energy_above_hull",
    "band_gap",
    "observed",
    "observed_source",
    "theoretical",
    "magnetic_ordering",
    "icsd_id",
    "cod_id",
    "phonondb_url",
    "phonix_url",
)
_SAID: Final[tuple[Meaning, ...]] = ("database", "database_version", "licence", "functional")


def choose_columns(names: Sequence[str], settings: SourceSettings) -> list[str]:
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
    wanted = {c for meaning in USUAL_NAMES if (c := _find_column(meaning, names, settings))}
    meanings = {m for m in USUAL_NAMES if _find_column(m, names, settings)}
    has_cell = "lattice" in meanings or set(LENGTHS_AND_ANGLES) <= set(names)
    if not (meanings & {"cif", "structure"} or has_cell):
        message = f"no column holds structures; the table has {', '.join(names)[:300]}"
        raise RemediableError(message, "name the columns in source.columns")
    further = {*_OPTIMADE_KEYS, *LENGTHS_AND_ANGLES}
    return [name for name in names if name in wanted or name in further]


def make_record(
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
    values = {meaning: _read_value(row, meaning, settings) for meaning in USUAL_NAMES}
    given, notes = values["id"], list[str]()
    evidence = read_evidence(row, settings, notes)
    provenance = _add_origin(evidence, values, settings)
    material_id = make_safe_id(default_id if given is None else str(given))
    kind, text = _read_structure_text(values, row)
    return RawRecord(material_id, kind, text, source_record, provenance, tuple(notes))


def read_evidence(row: Mapping[str, Any], settings: SourceSettings, notes: list[str]) -> Provenance:
    """Read what a row says of its crystal besides its structure and where it is from.

    Parameters
    ----------
    row : mapping
        Values by column.
    settings : SourceSettings
        Which column means what.
    notes : list of str
        What cannot be used is added.

    Returns
    -------
    Provenance
        Energy above the hull, band gap, magnetic ordering, numbers in databases, and whether the
        crystal was observed: the latest of the statements of the row.
    """
    values = {meaning: _read_value(row, meaning, settings) for meaning in (*_SAID, *_EVIDENCE)}
    seen = choose_observation(_read_observations(values, settings, notes))
    return Provenance(
        energy_above_hull=_read_number("energy_above_hull", values, notes),
        band_gap=_read_number("band_gap", values, notes),
        observed=seen.observed,
        observed_source=seen.source,
        magnetic_ordering=_read_text_value(values["magnetic_ordering"]),
        icsd_id=read_identifiers(values["icsd_id"]),
        cod_id=read_identifiers(values["cod_id"]),
        phonondb_url=_read_text_value(values["phonondb_url"]),
        phonix_url=_read_text_value(values["phonix_url"]),
    )


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
    if not isinstance(value, Mapping):
        return False
    return bool(own & set(value)) or "attributes" in value or has_lengths(value)


def _find_column(meaning: Meaning, names: Sequence[str], settings: SourceSettings) -> str | None:
    """Column with a meaning: the user's word first."""
    if said := settings.columns.get(meaning):
        return said
    return next((name for name in USUAL_NAMES[meaning] if name in names), None)


def _read_value(row: Mapping[str, Any], meaning: Meaning, settings: SourceSettings) -> Any:  # noqa: ANN401
    """Value with a meaning; None where the row has none, an empty text included."""
    said = settings.columns.get(meaning)
    names = (said,) if said else USUAL_NAMES[meaning]
    found = (row[name] for name in names if row.get(name) not in (None, ""))
    return next(found, None)


def _read_structure_text(values: Mapping[Meaning, Any], row: Mapping[str, Any]) -> tuple[str, str]:
    """Kind and text of the structure of a row."""
    if isinstance(values["cif"], str):
        return "cif", values["cif"]
    tensors: dict[str, Any] = {
        m: _decode_value(values[m]) for m in _TENSORS if values[m] is not None
    }
    if "sites" in row:
        return "json", _dump_value(
            {"sites": row["sites"], "lattice": row.get("lattice"), **tensors}
        )
    if values["structure"] is not None:
        structure = _decode_value(values["structure"])
        if not isinstance(structure, Mapping):
            raise RemediableError("unreadable: the structure is no object of JSON", _REMEDY)
        return "json", _dump_value({**_rename_keys(structure), **tensors})
    if values["lattice"] is None and not has_lengths(row):
        told = ", ".join(map(str, row))[:200] or "nothing"
        raise RemediableError(f"unreadable: the record holds no structure but {told}", _REMEDY)
    found: dict[str, Any] = {m: _read_part(m, values[m]) for m in _PARTS if values[m] is not None}
    _refuse_doubtful_positions(found, row)
    keys = (*_OPTIMADE_KEYS, *(LENGTHS_AND_ANGLES if values["lattice"] is None else ()))
    kinds = {_rename_key(key): _decode_value(row[key]) for key in keys if row.get(key) is not None}
    return "json", _dump_value({**found, **kinds, **tensors})


def _read_part(meaning: Meaning, value: object) -> Any:  # noqa: ANN401
    """Value of a part of a structure; a periodicity may be written as ``T T F``."""
    if meaning == "pbc" and isinstance(value, str):
        return [word.lower() in {"t", "true", "1"} for word in re.findall(r"\w+", value)]
    return _decode_value(value)


def _rename_keys(structure: Mapping[str, Any]) -> dict[str, Any]:
    """Structure of one column with the names of a record, unless it is one of pymatgen."""
    if "sites" in structure:
        return dict(structure)
    names: dict[str, Meaning] = {n: m for m in _PARTS for n in USUAL_NAMES[m]}
    return {
        names.get(key, _rename_key(key)): _read_part(names.get(key, "id"), value)
        for key, value in structure.items()
        if value is not None
    }


def _refuse_doubtful_positions(found: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    """Refuse ``positions`` that look like fractions: the name alone means Cartesian ones."""
    if (
        "positions" not in row
        or "fractional" in found
        or row.get("positions") != found.get("cartesian")
    ):
        return
    values = np.abs(read_numbers(found["cartesian"], "positions"))
    if values.size > 3 and values.max() <= 1:
        message = "unreadable: the positions may be fractions; the name tells Cartesian ones (Å)"
        raise RemediableError(message, "name the column in source.columns: fractional or cartesian")


def _rename_key(key: str) -> str:
    """Name in the record: ``species`` of OPTIMADE lists kinds, not atoms."""
    return "kinds" if key == "species" else key


def _decode_value(value: object) -> Any:  # noqa: ANN401
    """Value of a cell: lists in the cells of a CSV file are JSON, arrays of ASE are objects."""
    found = parse_json(value) if isinstance(value, str) else value
    if isinstance(found, Mapping) and "__ndarray__" in found:
        return found["__ndarray__"][-1]
    if isinstance(found, Mapping) and "__ase_objtype__" in found:
        return _decode_value(found.get("array"))
    return found


def _dump_value(value: object) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as error:
        raise explain_parser_error(error) from error


def _add_origin(
    evidence: Provenance, values: Mapping[Meaning, Any], settings: SourceSettings
) -> Provenance:
    """Add where the row is from: what it says itself, else what the user says of the source."""
    said = _read_said(values, settings)
    database_id = _read_text_value(values["id"])
    url = _read_text_value(values["url"])
    if url is None and settings.url and database_id:
        url = settings.url.replace("{id}", database_id)
    return replace(
        evidence,
        **said,
        database_id=database_id,
        url=url,
        space_group_stated=parse_space_group(values["space_group"]),
        cell_origin=settings.cell_origin,
    )


def _read_said(values: Mapping[Meaning, Any], settings: SourceSettings) -> dict[str, Any]:
    """What the row says of its database, else the user."""
    return {m: _read_text_value(values[m]) or getattr(settings, m) for m in _SAID}


def _read_observations(
    values: Mapping[Meaning, Any], settings: SourceSettings, notes: list[str]
) -> list[Observation]:
    """What the columns ``observed`` and ``theoretical`` state, each with its source."""
    said = _read_said(values, settings)
    database = name_source(said["database"], said["database_version"])
    source = _read_text_value(values["observed_source"]) or settings.observed_source or database
    observed, theoretical = (_read_flag(m, values, notes) for m in ("observed", "theoretical"))
    return [
        Observation(observed, source),
        Observation(None if theoretical is None else not theoretical, database),
    ]


def _read_flag(meaning: Meaning, values: Mapping[Meaning, Any], notes: list[str]) -> bool | None:
    """Yes or no of a cell. What cannot be used costs no crystal."""
    try:
        return parse_flag(values[meaning])
    except ValueError as error:
        notes.append(f"{meaning} is not used: {error}")
        return None


def _read_number(meaning: Meaning, values: Mapping[Meaning, Any], notes: list[str]) -> float | None:
    """Number of a cell; None where there is none. What cannot be used costs no crystal."""
    value = values[meaning]
    if value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        notes.append(f"{meaning} is not used: {str(value)[:40]!r} is no number")
        return None
    return found if np.isfinite(found) else None


def _read_text_value(value: object) -> str | None:
    return None if value is None else str(value)
