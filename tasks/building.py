"""The catalogue of a dataset, with what the numbers of each material are worth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tasks.storage import Dataset
from tasks.storage.catalog import Judge, write_catalog
from tasks.trust import JUDGED, assess

_LOWERED: Final = ("raw_score", "raw_shortlisted")


def build_catalog(dataset: Dataset) -> Mapping[str, Path]:
    """Write the catalogue of a dataset, one file per table, sorted by space group.

    Parameters
    ----------
    dataset : Dataset
        The dataset; programs may go on writing into it.

    Returns
    -------
    mapping from str to Path
        File of each table; see `tasks.storage.catalog.write_catalog`.

    Raises
    ------
    DatasetError
        When a part is missing or damaged, or the disk refuses the files.
    """
    return write_catalog(
        dataset, Judge((*JUDGED, *_LOWERED), lambda _snapshot, _plan: trust_columns)
    )


def trust_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the columns `TRUST_COLUMNS` of one material.

    Parameters
    ----------
    row : mapping
        Its row of the catalogue.

    Returns
    -------
    dict
        Values by column.
    """
    found, score = assess(row), row["raw_score"]
    return {
        "warnings": list(found.warnings),
        "reliable": found.reliable,
        "trust": found.factor,
        "score": None if score is None else score * found.factor,
        "shortlisted": row["raw_shortlisted"] and found.reliable,
    }
