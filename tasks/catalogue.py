"""Reading what a screening found."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa

from tasks.failures import Failure
from tasks.storage import CATALOG_TABLES, TableFolder

# Written beside the catalogue at the end of each run.
REPORT: Final = "report.html"

_TOLD_LISTS: Final = frozenset({"splitting_linear", "tensor_components", "warnings"})
UNNAMED: Final = ("mesh", "path")
"""Labels of q-points that have no name."""


def read_catalog(folder: Path, table: str, material_id: str | None = None) -> pd.DataFrame:
    """Read a table of the catalogue.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the dataset.
    table : str
        Name of the table.
    material_id : str, optional
        The material whose rows are wanted; all without it.

    Returns
    -------
    pandas.DataFrame
        Its rows, with all columns of the schema. Columns that are not stored are empty, and so are
        tables but that of the materials.
    """
    wanted = None if material_id is None else [material_id]
    found: pd.DataFrame = TableFolder(folder).read(table, material_ids=wanted).to_pandas()
    return found


def read_material(folder: Path, material_id: str) -> dict[str, Any] | None:
    """Read the row of a material in the catalogue.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the dataset.
    material_id : str
        The material.

    Returns
    -------
    dict or None
        All columns of ``chirality``; None where there is no such material.
    """
    rows = read_catalog(folder, "chirality", material_id).to_dict("records")
    return {str(name): value for name, value in rows[0].items()} if rows else None


def read_overview(folder: Path) -> pd.DataFrame:
    """Read the catalogue of materials without its spectra and tensors, most of its memory.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the dataset.

    Returns
    -------
    pandas.DataFrame
        One row per material; of the columns that hold lists those alone that tables tell.
    """
    told = [
        column.name
        for column in CATALOG_TABLES["chirality"].columns
        if column.name in _TOLD_LISTS or not pa.types.is_list(column.type)
    ]
    found: pd.DataFrame = TableFolder(folder).read("chirality", columns=told).to_pandas()
    return found


def not_stored(folder: Path) -> tuple[str, ...]:
    """Tell what a folder of tables lacks of what a screening computes.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of tables, as released or copied.

    Returns
    -------
    tuple of str
        One line each: tables, columns of each table, and modes.
    """
    return tuple(_missing(TableFolder(folder)))


def _missing(tables: TableFolder) -> Iterator[str]:
    """Tables that are not there, and what is not in those that are."""
    for name, table in CATALOG_TABLES.items():
        if not tables.holds(name):
            yield f"table {name}: {table.description}"
        elif missing := tables.missing_columns(name):
            yield f"in table {name}: {', '.join(missing)}"
    if tables.holds("modes"):
        yield from _missing_modes(tables)


def _missing_modes(tables: TableFolder) -> Iterator[str]:
    """Crystals and q-points whose modes are not there."""
    modes = tables.read("modes", columns=["material_id", "q_label"]).to_pandas()
    outcomes = tables.read("chirality", columns=["outcome"]).to_pandas()["outcome"]
    stored, screened = modes["material_id"].nunique(), int(outcomes.eq("screened").sum())
    if stored < screened:
        yield f"modes of {screened - stored} of the {screened} screened crystals"
    # A coarse path may have named points alone, which then tell how far apart they are.
    complete = "path_distance" not in tables.missing_columns("modes")
    if not complete and not modes["q_label"].isin(UNNAMED).any():
        yield "modes between the named q-points"


def settings_of_run(folder: Path, run_id: str | None) -> dict[str, Any]:
    """Settings recorded with a run.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the dataset or of tables.
    run_id : str or None
        Name of the run.

    Returns
    -------
    dict
        Groups and fields of `tasks.settings.ScreenSettings`; empty where there are none.
    """
    runs = read_catalog(folder, "runs").set_index("run_id")["settings"]
    found: dict[str, Any] = json.loads(runs.get(run_id) or "{}")
    return found


def ranked(chirality: pd.DataFrame) -> pd.DataFrame:
    """Materials with a score, the best first; warnings lower the rank.

    Parameters
    ----------
    chirality : pandas.DataFrame
        The catalogue of materials.

    Returns
    -------
    pandas.DataFrame
        With the columns ``largest_splitting`` (THz Å) and ``reasons`` (why it stands there, and
        what to be warned of) added.
    """
    found = chirality[chirality["score"].notna()].sort_values(
        ["score", "material_id"], ascending=[False, True]
    )
    # Tables of older programs, or made from tables, may lack either.
    splittings = found["splitting_linear"].map(_items)
    largest = [max(map(abs, values), default=0.0) for values in splittings]
    codes = found["warnings"].map(_items) if "warnings" in found else [()] * len(found)
    reasons = [_reasons(text, c) for text, c in zip(found["explanation"], codes, strict=True)]
    return found.assign(largest_splitting=largest, reasons=reasons)


def _items(values: Any) -> Sequence[Any]:  # noqa: ANN401 - a cell of a column of lists
    """List in a cell; an empty one where there is none."""
    return () if values is None else values


def _reasons(explanation: str, warnings: Sequence[str]) -> str:
    """The verdict in words, with the names of the warnings."""
    return f"{explanation}; warnings: {', '.join(warnings)}" if len(warnings) else explanation


def failures_in(failures: pd.DataFrame) -> list[Failure]:
    """Failures of a catalogue as objects.

    Parameters
    ----------
    failures : pandas.DataFrame
        The table ``failures``.

    Returns
    -------
    list of Failure
        In the order of the table.
    """
    return [
        Failure(**{str(name): value for name, value in row.items()})
        for row in failures.to_dict("records")
    ]
