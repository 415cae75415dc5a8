"""Classification of a source by symmetry alone."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from flows.spread import spread
from tasks.failures import Failure, RemediableError
from tasks.intake import classified, repetition
from tasks.settings import ScreenSettings, SymmetrySettings
from tasks.sources import raw_records

_COLUMNS = [
    "material_id",
    "formula",
    "n_atoms",
    "space_group_number",
    "space_group_symbol",
    "point_group",
    "chirality_class",
    "helicity_wave",
    "tensor_components",
    "hand",
    "allowed",
    "realised",
    "wyckoff_letters",
]


def classify_source(
    source: Path, symprec: float, workers: int = 1
) -> tuple[pd.DataFrame, list[Failure]]:
    """Classify every crystal of a source.

    Parameters
    ----------
    source : pathlib.Path
        File or folder of structures.
    symprec : float
        Distance tolerance in Å.
    workers : int
        Processes for large sources.

    Returns
    -------
    table : pandas.DataFrame
        One row per crystal: its name, formula and symmetry.
    failures : list of Failure
        Records that are no usable crystals.

    Raises
    ------
    FileNotFoundError, ValueError
        When the source is missing or empty.
    """
    settings = ScreenSettings(symmetry=SymmetrySettings(symprec=symprec))
    classify = partial(classified, source=source, settings=settings)
    rows: list[Mapping[str, Any]] = []
    failures: list[Failure] = []
    seen: dict[str, str] = {}
    for item in spread(classify, raw_records(source), workers):
        if isinstance(item, Failure):
            failures.append(item)
        elif repeated := repetition(item.material, seen):
            failures.append(repeated)
        else:
            rows.append({name: item.row[name] for name in _COLUMNS})
    return pd.DataFrame(rows, columns=_COLUMNS), failures


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table in the format its file name asks for.

    Parameters
    ----------
    table : pandas.DataFrame
        The table.
    path : pathlib.Path
        Ends in ``.csv`` or ``.parquet``.

    Raises
    ------
    RemediableError
        For another ending.
    """
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        raise RemediableError(f"cannot write {path}", "end the name in .csv or .parquet")
