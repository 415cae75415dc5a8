"""Classification of a source by symmetry alone."""

from pathlib import Path
from typing import Any

import pandas as pd

from tasks.failures import Failure, RemediableError, failure_of
from tasks.intake import symmetry_columns
from tasks.structures import read_materials, reduced_formula
from tasks.symmetry import analyze_symmetry


def classify_source(source: Path, symprec: float) -> tuple[pd.DataFrame, list[Failure]]:
    """Classify every crystal of a source.

    Parameters
    ----------
    source : pathlib.Path
        File or folder of structures.
    symprec : float
        Distance tolerance in Å.

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
    rows: list[dict[str, Any]] = []
    failures: list[Failure] = []
    for item in read_materials(source, symprec):
        if isinstance(item, Failure):
            failures.append(item)
            continue
        names = {
            "material_id": item.material_id,
            "formula": reduced_formula(item.atoms),
            "n_atoms": len(item.atoms),
        }
        try:
            rows.append(names | symmetry_columns(analyze_symmetry(item.atoms, symprec)))
        except ValueError as error:
            failures.append(
                failure_of(
                    error,
                    material_id=item.material_id,
                    key=item.structure_hash,
                    stage="classify",
                    source_record=item.source_record,
                )
            )
    return pd.DataFrame(rows), failures


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
