"""What the crystals of a dataset brought, and what they took."""

from pathlib import Path
from typing import Final

import pandas as pd

from tasks.storage import TableFolder

_GENERATION: Final = 2.0
"""Seconds of one thread that a crystal costs before its screening (docs/generation.md)."""
_TIMED: Final = ("relaxations", "phonons")
_COLUMNS: Final = ("material_id", "outcome", "formula", "space_group_number", "score", "evidence")


def read_earnings(folder: Path) -> pd.DataFrame:
    """Read score and cost of each crystal.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of a dataset or of its tables.

    Returns
    -------
    pandas.DataFrame
        One row per crystal that no longer waits: ``material_id``, ``formula``,
        ``space_group_number``, ``score`` (zero without evidence that the crystal exists) and
        ``hours`` of generation, relaxation and phonons.
    """
    tables = TableFolder(folder)
    rows = tables.read("chirality", columns=list(_COLUMNS)).to_pandas().set_index("material_id")
    rows = rows[rows["outcome"].ne("pending") & rows["formula"].notna()]
    seconds = sum(
        (_read_times(tables, name).reindex(rows.index, fill_value=0.0) for name in _TIMED),
        start=pd.Series(_GENERATION, index=rows.index),
    )
    believed = rows["evidence"].isin(["observed", "hull"])
    return pd.DataFrame(
        {
            "formula": rows["formula"],
            "space_group_number": rows["space_group_number"],
            "score": rows["score"].where(believed).fillna(0.0).astype(float),
            "hours": seconds / 3600,
        }
    ).reset_index()


def _read_times(tables: TableFolder, name: str) -> "pd.Series[float]":
    """Seconds by material; those of all attempts."""
    found = tables.read(name, columns=["material_id", "wall_time"]).to_pandas()
    times: pd.Series[float] = found.groupby("material_id")["wall_time"].sum()
    return times
