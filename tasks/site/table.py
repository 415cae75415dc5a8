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
from tasks.sources import safe_id
from tasks.storage import CATALOG_TABLES, Column

Row = Mapping[str, Any]
FloatArray = NDArray[np.float64]

_TENSOR_UNIT: Final = "J s m^-2 K^-1 per s"


@dataclass(frozen=True)
class Shown:
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


SHOWN: Final = (
    Shown("material_id", "Material", "material", initial=True),
    Shown("formula", "Formula", "material", initial=True),
    Shown("potential", "Potential", "computation", initial=True),
    Shown("score", "Score", "verdict", initial=True),
    Shown("stable", "Stable", "verdict", initial=True),
    Shown("reliable", "Reliable", "verdict", initial=True),
    Shown("space_group_symbol", "Space group", "symmetry", initial=True),
    Shown("chirality_class", "Class", "symmetry", initial=True),
    Shown("helicity_wave", "Wave", "symmetry", initial=True),
    Shown("mean_optical_angular_momentum", "mean |l|", "angular momentum", initial=True),
    Shown("mean_optical_helicity", "mean |h|", "angular momentum", initial=True),
    Shown("largest_circular_splitting", "Splitting", "response", initial=True),
    Shown("tensor_norm", "|α| 300 K", "response", initial=True),
    Shown("tensor_components", "Tensor", "symmetry", initial=True),
    Shown("min_frequency_commensurate", "min ν", "frequencies", initial=True),
    Shown("nac", "NAC", "computation", initial=True),
    Shown("elements", "Elements", "material"),
    Shown("n_atoms", "Atoms", "material"),
    Shown("database", "Database", "material"),
    Shown("licence", "Licence", "material"),
    Shown("outcome", "Outcome", "verdict"),
    Shown("significant", "Significant", "verdict"),
    Shown("shortlisted", "Shortlist", "verdict"),
    Shown("warnings", "Warnings", "verdict"),
    Shown("raw_score", "Score before warnings", "verdict"),
    Shown("score_raman", "Score: Raman", "verdict"),
    Shown("score_scattering", "Score: scattering", "verdict"),
    Shown("score_resonant", "Score: resonant", "verdict"),
    Shown("score_thermal", "Score: thermal", "verdict"),
    Shown("same_crystal_as", "Same crystal as", "verdict"),
    Shown("space_group_number", "No.", "symmetry"),
    Shown("point_group", "Point group", "symmetry"),
    Shown("helicity_wave_found", "Wave found", "symmetry"),
    Shown("hand", "Hand", "symmetry"),
    Shown("mean_angular_momentum", "mean |l| all", "angular momentum"),
    Shown("max_optical_angular_momentum", "max |l|", "angular momentum"),
    Shown("mean_cycloidicity", "mean |P|", "angular momentum"),
    Shown("resolved_angular_momentum", "resolved |l|", "angular momentum"),
    Shown("resolved_helicity", "resolved |h|", "angular momentum"),
    Shown("long_wave_helicity", "long-wave |h|", "angular momentum"),
    Shown("largest_splitting", "Linear splitting", "response"),
    Shown("largest_splitting_max", "Splitting max", "response"),
    Shown("pseudoscalar", "tr α/3 300 K", "response"),
    Shown("tensor_share", "Largest share", "response"),
    Shown("heat_capacity_300", "C_v 300 K", "thermal"),
    Shown("entropy_300", "S 300 K", "thermal"),
    Shown("free_energy_300", "F 300 K", "thermal"),
    Shown("zero_point_energy", "E_0", "thermal"),
    Shown("min_frequency", "min ν mesh", "frequencies"),
    Shown("max_frequency", "max ν", "frequencies"),
    Shown("n_imaginary_commensurate", "Imaginary", "frequencies"),
    Shown("n_supercell_atoms", "Supercell", "computation"),
    Shown("boundary_shift", "Boundary shift", "computation"),
    Shown("volume_change", "ΔV/V", "computation"),
    Shown("measured_volume_change", "ΔV/V measured", "computation"),
    Shown("symmetry_changed", "Symmetry changed", "computation"),
    Shown("nac_source", "Born charges", "computation"),
    Shown("frequency_disagreement", "Disagreement", "computation"),
    Shown("frequency_bar_90", "Error bar", "frequencies"),
    Shown("helicity_spread", "Spread of |h|", "angular momentum"),
    Shown("reason", "Reason", "verdict"),
)
"""Columns of the table in their order."""


def _derived(name: str, unit: str, description: str) -> Column:
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
    _derived(
        "largest_circular_splitting",
        "meV ħ",
        "Splitting of opposite hands times their resolved angular momentum, largest of any axis.",
    ),
    _derived(
        "largest_splitting",
        "THz Å",
        "Linear splitting of opposite hands of largest size, any axis: difference of frequency per "
        "k, k in 1/Å with 2π; on a screw axis mostly folded sound.",
    ),
    _derived("largest_splitting_max", "THz", "Largest splitting of opposite hands, any axis."),
    _derived("tensor_norm", _TENSOR_UNIT, "Frobenius norm of the response tensor nearest 300 K."),
    _derived("pseudoscalar", _TENSOR_UNIT, "One third of the tensor's trace nearest 300 K."),
    _derived(
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
            *(shown.name for shown in SHOWN if shown.name in _IN_CATALOGUE),
            *_LISTS,
            "structure_hash",
            "chirality_key",
        ]
    )
)
"""Columns of the catalogue from which the site's table and the links between pages follow."""


def declared(name: str) -> Column:
    """Declaration of a column of the site's table.

    Parameters
    ----------
    name : str
        One of those in `SHOWN`.

    Returns
    -------
    Column
        From the schema of the dataset, where it is a column of the catalogue as it stands.
    """
    return _DERIVED.get(name) or CATALOG_TABLES["chirality"].column(name)


def described_columns() -> list[dict[str, Any]]:
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
            "unit": declared(shown.name).unit,
            "description": declared(shown.name).description,
            "kind": _kind(declared(shown.name).type),
        }
        for shown in SHOWN
    ]


def site_table(rows: pa.Table, variants: Sequence[str]) -> pa.Table:
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
        One row per material and potential, columns as in `SHOWN`; lists are joined to texts.
    """
    columns: dict[str, Any] = {"potential": list(variants)}
    columns["material_id"] = [safe_id(name) for name in rows["material_id"].to_pylist()]
    columns["elements"] = [elements_of(formula) for formula in rows["formula"].to_pylist()]
    for name in ("tensor_components", "warnings"):
        columns[name] = [
            None if parts is None else ", ".join(parts) for parts in rows[name].to_pylist()
        ]
    columns |= _numbers(rows)
    plain = {
        s.name: columns.get(s.name, rows[s.name] if s.name in rows.column_names else None)
        for s in SHOWN
    }
    return pa.table({name: _array(values, declared(name)) for name, values in plain.items()})


def write_table(table: pa.Table, path: Path) -> Path:
    """Write the table as a Parquet file that browsers read fast, the best score first.

    Parameters
    ----------
    table : pyarrow.Table
        From `site_table`.
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


def elements_of(formula: str | None) -> str | None:
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


def at_room_temperature(row: Row, name: str) -> FloatArray | None:
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


def _numbers(rows: pa.Table) -> dict[str, list[float | None]]:
    """Derived numbers of all rows."""
    lists = rows.select([*_LISTS, "tensor_components"]).to_pylist()
    return {
        "largest_circular_splitting": [_largest(row["circular_splitting"]) for row in lists],
        "largest_splitting": [_largest(row["splitting_linear"]) for row in lists],
        "largest_splitting_max": [_largest(row["splitting_max"]) for row in lists],
        "tensor_norm": [_tensor_norm(row) for row in lists],
        "pseudoscalar": [_first(at_room_temperature(row, "tensor_pseudoscalar")) for row in lists],
        "tensor_share": [_first(at_room_temperature(row, "tensor_largest_share")) for row in lists],
    }


def _largest(values: Sequence[float] | None) -> float | None:
    """Largest size in a list; None where there is no number."""
    sizes = [abs(value) for value in values or () if value is not None and np.isfinite(value)]
    return max(sizes, default=None)


def _tensor_norm(row: Row) -> float | None:
    """Norm of the tensor; 0 instead of rounding noise where symmetry allows none."""
    values = at_room_temperature(row, "tensor")
    if values is None:
        return None
    return float(np.linalg.norm(values)) if row["tensor_components"] else 0.0


def _first(values: FloatArray | None) -> float | None:
    return None if values is None else float(values[0])


def _array(values: Any, column: Column) -> pa.Array:  # noqa: ANN401 - list or Arrow array
    """Column as the browser gets it: single precision, no lists."""
    kind = pa.float32() if pa.types.is_floating(column.type) else column.type
    if _kind(column.type) == "text":
        kind = pa.string()
    array = values if isinstance(values, pa.ChunkedArray) else pa.array(values)
    return array.cast(kind)


def _kind(kind: pa.DataType) -> str:
    """How the browser treats a type."""
    if pa.types.is_boolean(kind):
        return "flag"
    return "number" if pa.types.is_integer(kind) or pa.types.is_floating(kind) else "text"
