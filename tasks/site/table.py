"""The table of materials: which columns the site shows, and what is derived for it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ase.data import atomic_numbers
from numpy.typing import NDArray

from tasks.chirality.thermal import ROOM_TEMPERATURE
from tasks.sources import make_safe_id
from tasks.storage import CATALOG_TABLES, Column

Row = Mapping[str, Any]
FloatArray = NDArray[np.float64]

_TENSOR_UNIT: Final = "J s m^-2 K^-1 per s"


@dataclass(frozen=True)
class ShownColumn:
    """A column of the site's table.

    Attributes
    ----------
    name : str
        Column of the catalogue, or a derived one.
    title : str
        Short heading.
    group : str
        Heading under which the choice of columns lists it.
    initial : bool
        Whether it is shown before the reader chooses.
    """

    name: str
    title: str
    group: str
    initial: bool = False


SHOWN_COLUMNS: Final = (
    ShownColumn("material_id", "Material", "material", initial=True),
    ShownColumn("formula", "Formula", "material", initial=True),
    ShownColumn("potential", "Potential", "computation", initial=True),
    ShownColumn("score", "Score", "verdict", initial=True),
    ShownColumn("stable", "Stable", "verdict", initial=True),
    ShownColumn("reliable", "Reliable", "verdict", initial=True),
    ShownColumn("evidence", "Evidence", "verdict", initial=True),
    ShownColumn("space_group_symbol", "Space group", "symmetry", initial=True),
    ShownColumn("chirality_class", "Class", "symmetry", initial=True),
    ShownColumn("helicity_wave", "Wave", "symmetry", initial=True),
    ShownColumn("mean_optical_angular_momentum", "mean |l|", "angular momentum", initial=True),
    ShownColumn("mean_optical_helicity", "mean |h|", "angular momentum", initial=True),
    ShownColumn("largest_circular_splitting", "Splitting", "response", initial=True),
    ShownColumn("tensor_norm", "|α| 300 K", "response", initial=True),
    ShownColumn("tensor_components", "Tensor", "symmetry", initial=True),
    ShownColumn("min_frequency_commensurate", "min ν", "frequencies", initial=True),
    ShownColumn("nac", "NAC", "computation", initial=True),
    ShownColumn("elements", "Elements", "material"),
    ShownColumn("n_atoms", "Atoms", "material"),
    ShownColumn("prototype", "Prototype", "material"),
    ShownColumn("database", "Database", "material"),
    ShownColumn("licence", "Licence", "material"),
    ShownColumn("energy_above_hull", "Above hull", "material"),
    ShownColumn("hull_source", "Source of hull", "material"),
    ShownColumn("observed", "Observed", "material"),
    ShownColumn("observed_source", "Source of observed", "material"),
    ShownColumn("band_gap", "Band gap", "material"),
    ShownColumn("magnetic_ordering", "Magnetic ordering", "material"),
    ShownColumn("density", "Density", "material"),
    ShownColumn("toxic_elements", "Toxic elements", "material"),
    ShownColumn("radioactive_elements", "Radioactive elements", "material"),
    ShownColumn("outcome", "Outcome", "verdict"),
    ShownColumn("significant", "Significant", "verdict"),
    ShownColumn("shortlisted", "Shortlist", "verdict"),
    ShownColumn("shortlist_reason", "Why on it, or not", "verdict"),
    ShownColumn("warnings", "Warnings", "verdict"),
    ShownColumn("raw_score", "Score before warnings", "verdict"),
    ShownColumn("score_raman", "Score: Raman", "verdict"),
    ShownColumn("score_scattering", "Score: scattering", "verdict"),
    ShownColumn("score_resonant", "Score: resonant", "verdict"),
    ShownColumn("score_thermal", "Score: thermal", "verdict"),
    ShownColumn("same_crystal_as", "Same crystal as", "verdict"),
    ShownColumn("space_group_number", "No.", "symmetry"),
    ShownColumn("point_group", "Point group", "symmetry"),
    ShownColumn("helicity_wave_found", "Wave found", "symmetry"),
    ShownColumn("hand", "Hand", "symmetry"),
    ShownColumn("mean_angular_momentum", "mean |l| all", "angular momentum"),
    ShownColumn("max_optical_angular_momentum", "max |l|", "angular momentum"),
    ShownColumn("mean_cycloidicity", "mean |P|", "angular momentum"),
    ShownColumn("resolved_angular_momentum", "resolved |l|", "angular momentum"),
    ShownColumn("resolved_helicity", "resolved |h|", "angular momentum"),
    ShownColumn("long_wave_helicity", "long-wave |h|", "angular momentum"),
    ShownColumn("largest_splitting", "Linear splitting", "response"),
    ShownColumn("largest_splitting_max", "Splitting max", "response"),
    ShownColumn("pseudoscalar", "tr α/3 300 K", "response"),
    ShownColumn("tensor_share", "Largest share", "response"),
    ShownColumn("heat_capacity_300", "C_v 300 K", "thermal"),
    ShownColumn("entropy_300", "S 300 K", "thermal"),
    ShownColumn("free_energy_300", "F 300 K", "thermal"),
    ShownColumn("zero_point_energy", "E_0", "thermal"),
    ShownColumn("min_frequency", "min ν mesh", "frequencies"),
    ShownColumn("max_frequency", "max ν", "frequencies"),
    ShownColumn("n_imaginary_commensurate", "Imaginary", "frequencies"),
    ShownColumn("n_supercell_atoms", "Supercell", "computation"),
    ShownColumn("boundary_shift", "Boundary shift", "computation"),
    ShownColumn("volume_change", "ΔV/V", "computation"),
    ShownColumn("measured_volume_change", "ΔV/V measured", "computation"),
    ShownColumn("symmetry_changed", "Symmetry changed", "computation"),
    ShownColumn("nac_source", "Born charges", "computation"),
    ShownColumn("frequency_disagreement", "Disagreement", "computation"),
    ShownColumn("frequency_bar_90", "Error bar", "frequencies"),
    ShownColumn("helicity_spread", "Spread of |h|", "angular momentum"),
    ShownColumn("reason", "Reason", "verdict"),
)
"""Columns of the table in their order."""


def _declare_derived(name: str, unit: str, description: str) -> Column:
    return Column(name, pa.float64(), unit, description, nullable=True)


_TEXTS: Final = (
    Column("elements", pa.string(), "", "Elements, by atomic number.", nullable=True),
    Column(
        "potential",
        pa.string(),
        "",
        'Potential of the forces; "external" for force constants read from files.',
    ),
)
_NUMBERS: Final = (
    _declare_derived(
        "largest_circular_splitting",
        "meV ħ",
        "Splitting of opposite hands times their resolved angular momentum, largest of any axis.",
    ),
    _declare_derived(
        "largest_splitting",
        "THz Å",
        "Linear splitting of opposite hands of largest size, any axis: difference of frequency per "
        "k, k in 1/Å with 2π; on a screw axis mostly folded sound.",
    ),
    _declare_derived(
        "largest_splitting_max", "THz", "Largest splitting of opposite hands, any axis."
    ),
    _declare_derived(
        "tensor_norm", _TENSOR_UNIT, "Frobenius norm of the response tensor nearest 300 K."
    ),
    _declare_derived(
        "pseudoscalar", _TENSOR_UNIT, "One third of the tensor's trace nearest 300 K."
    ),
    _declare_derived(
        "tensor_share",
        "",
        "Largest contribution of one star of q-points to the tensor nearest 300 K; above 0.2 the "
        "tensor is not to be trusted.",
    ),
)
_DERIVED: Final = {column.name: column for column in (*_TEXTS, *_NUMBERS)}
# Names of elements with a following number, as in formulas.
_ELEMENT: Final = re.compile(r"[A-Z][a-z]?")


_LISTS: Final = (
    "temperatures",
    "tensor",
    "tensor_pseudoscalar",
    "tensor_largest_share",
    "circular_splitting",
    "splitting_linear",
    "splitting_max",
)
_IN_CATALOGUE: Final = frozenset(CATALOG_TABLES["chirality"].names)
NEEDED: Final = tuple(
    dict.fromkeys(
        [
            *(shown.name for shown in SHOWN_COLUMNS if shown.name in _IN_CATALOGUE),
            *_LISTS,
            "structure_hash",
            "chirality_key",
        ]
    )
)
"""Columns of the catalogue from which the site's table and the links between pages follow."""


def find_declaration(name: str) -> Column:
    """Declaration of a column of the site's table.

    Parameters
    ----------
    name : str
        One of those in `SHOWN_COLUMNS`.

    Returns
    -------
    Column
        From the schema of the dataset, where it is a column of the catalogue as it stands.
    """
    return _DERIVED.get(name) or CATALOG_TABLES["chirality"].column(name)


def describe_columns() -> list[dict[str, Any]]:
    """Columns of the site's table with heading, unit and meaning, for the browser.

    Returns
    -------
    list of dict
        In the order of the table.
    """
    return [
        {
            "name": shown.name,
            "title": shown.title,
            "group": shown.group,
            "initial": shown.initial,
            "unit": find_declaration(shown.name).unit,
            "description": find_declaration(shown.name).description,
            "kind": _describe_type(find_declaration(shown.name).type),
        }
        for shown in SHOWN_COLUMNS
    ]


def make_site_table(rows: pa.Table, variants: Sequence[str]) -> pa.Table:
    """Table of the site from rows of the catalogue.

    Parameters
    ----------
    rows : pyarrow.Table
        Rows of the catalogue of materials, with the columns `NEEDED`.
    variants : sequence of str
        Potential of each row.

    Returns
    -------
    pyarrow.Table
        One row per material and potential, columns as in `SHOWN_COLUMNS`; lists are joined to
        texts.
    """
    columns: dict[str, Any] = {"potential": list(variants)}
    columns["material_id"] = [make_safe_id(name) for name in rows["material_id"].to_pylist()]
    columns["elements"] = [list_elements(formula) for formula in rows["formula"].to_pylist()]
    for name in ("tensor_components", "warnings"):
        columns[name] = [
            None if parts is None else ", ".join(parts) for parts in rows[name].to_pylist()
        ]
    columns |= _derive_numbers(rows)
    plain = {
        s.name: columns.get(s.name, rows[s.name] if s.name in rows.column_names else None)
        for s in SHOWN_COLUMNS
    }
    return pa.table(
        {name: _make_array(values, find_declaration(name)) for name, values in plain.items()}
    )


def write_table(table: pa.Table, path: Path) -> Path:
    """Write the table as a Parquet file that browsers read fast, the best score first.

    Parameters
    ----------
    table : pyarrow.Table
        From `make_site_table`.
    path : pathlib.Path
        File to write.

    Returns
    -------
    pathlib.Path
        The same path.
    """
    texts = [field.name for field in table.schema if pa.types.is_string(field.type)]
    options = {"compression": "snappy", "use_dictionary": texts, "write_statistics": False}
    order = [("score", "descending"), ("material_id", "ascending"), ("potential", "ascending")]
    pq.write_table(table.sort_by(order), path, row_group_size=1_000_000, **options)
    return path


def list_elements(formula: str | None) -> str | None:
    """Elements of a formula.

    Parameters
    ----------
    formula : str or None
        Such as ``SiO2``.

    Returns
    -------
    str or None
        Symbols by atomic number, separated by spaces.
    """
    if formula is None:
        return None
    symbols = {symbol for symbol in _ELEMENT.findall(formula) if symbol in atomic_numbers}
    return " ".join(sorted(symbols, key=lambda symbol: int(atomic_numbers[symbol])))


def select_room_temperature(row: Row, name: str) -> FloatArray | None:
    """Part of a flattened column that belongs to the temperature nearest 300 K.

    Parameters
    ----------
    row : mapping
        Row of the catalogue.
    name : str
        A column with values per temperature.

    Returns
    -------
    ndarray or None
        Flat; None where there are none.
    """
    if not row["temperatures"] or row[name] is None:
        return None
    kelvin = np.asarray(row["temperatures"])
    values = np.asarray(row[name], dtype=np.float64).reshape(len(kelvin), -1)
    return np.asarray(values[np.abs(kelvin - ROOM_TEMPERATURE).argmin()])


def _derive_numbers(rows: pa.Table) -> dict[str, list[float | None]]:
    """Derived numbers of all rows."""
    lists = rows.select([*_LISTS, "tensor_components"]).to_pylist()
    return {
        "largest_circular_splitting": [_find_largest(row["circular_splitting"]) for row in lists],
        "largest_splitting": [_find_largest(row["splitting_linear"]) for row in lists],
        "largest_splitting_max": [_find_largest(row["splitting_max"]) for row in lists],
        "tensor_norm": [_compute_tensor_norm(row) for row in lists],
        "pseudoscalar": [
            _take_first(select_room_temperature(row, "tensor_pseudoscalar")) for row in lists
        ],
        "tensor_share": [
            _take_first(select_room_temperature(row, "tensor_largest_share")) for row in lists
        ],
    }


def _find_largest(values: Sequence[float] | None) -> float | None:
    """Largest size in a list; None where there is no number."""
    sizes = [abs(value) for value in values or () if value is not None and np.isfinite(value)]
    return max(sizes, default=None)


def _compute_tensor_norm(row: Row) -> float | None:
    """Norm of the tensor; 0 instead of rounding noise where symmetry allows none."""
    values = select_room_temperature(row, "tensor")
    if values is None:
        return None
    return float(np.linalg.norm(values)) if row["tensor_components"] else 0.0


def _take_first(values: FloatArray | None) -> float | None:
    return None if values is None else float(values[0])


def _make_array(values: Any, column: Column) -> pa.Array:  # noqa: ANN401 - list or Arrow array
    """Column as the browser gets it: single precision, no lists."""
    kind = pa.float32() if pa.types.is_floating(column.type) else column.type
    if _describe_type(column.type) == "text":
        kind = pa.string()
    array = values if isinstance(values, pa.ChunkedArray) else pa.array(values)
    return array.cast(kind)


def _describe_type(kind: pa.DataType) -> str:
    """How the browser treats a type."""
    if pa.types.is_boolean(kind):
        return "flag"
    return "number" if pa.types.is_integer(kind) or pa.types.is_floating(kind) else "text"
