"""Reading what a screening found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.failures import Failure

# Written beside the catalogue at the end of each run.
REPORT: Final = "report.html"

_TOLD_LISTS: Final = frozenset({"splitting_linear", "tensor_components", "warnings"})


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
        Its rows.
    """
    wanted = None if material_id is None else [("material_id", "==", material_id)]
    return pd.read_parquet(folder / "catalog" / f"{table}.parquet", filters=wanted)


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
    path = folder / "catalog" / "chirality.parquet"
    schema = pq.read_schema(path)
    told = [f.name for f in schema if f.name in _TOLD_LISTS or not pa.types.is_list(f.type)]
    return pd.read_parquet(path, columns=told)


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
    largest = [max(map(abs, values), default=0.0) for values in found["splitting_linear"]]
    # Catalogues of older programs hold no warnings.
    codes = found["warnings"] if "warnings" in found else [()] * len(found)
    reasons = [_reasons(text, c) for text, c in zip(found["explanation"], codes, strict=True)]
    return found.assign(largest_splitting=largest, reasons=reasons)


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
