"""The catalogue of a dataset, with what the numbers of each material are worth."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tasks.storage import Dataset, Snapshot
from tasks.storage.catalog import Judge, Row, write_catalog
from tasks.trust import JUDGED, assess, followed_settings

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
    return write_catalog(dataset, Judge((*JUDGED, *_LOWERED, "run_id"), _begin))


def _begin(snapshot: Snapshot, _: pa.Table) -> Callable[[Row], Row]:
    """What judges a material by the settings of its run."""
    settings = _followed_settings(snapshot)
    return lambda row: trust_columns(row, settings.get(row["run_id"]))


def _followed_settings(snapshot: Snapshot) -> dict[str, Row]:
    """Settings that warnings follow, of each run that has recorded its own."""
    rows = snapshot.read("runs", columns=["run_id", "settings"]).to_pylist()
    return {row["run_id"]: followed_settings(_recorded(row["settings"])) for row in rows}


def _recorded(settings: str) -> Mapping[str, Any]:
    """Settings of a run by group; none where they cannot be read, which costs no catalogue."""
    try:
        found = json.loads(settings)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def trust_columns(row: Row, settings: Row | None = None) -> dict[str, Any]:
    """Values of the columns `TRUST_COLUMNS` of one material.

    Parameters
    ----------
    row : mapping
        Its row of the catalogue.
    settings : mapping, optional
        Settings of its run, as `tasks.trust.followed_settings` gives them; else the defaults.

    Returns
    -------
    dict
        Values by column.
    """
    found, score = assess(row, settings), row["raw_score"]
    return {
        "warnings": list(found.warnings),
        "reliable": found.reliable,
        "trust": found.factor,
        "score": None if score is None else score * found.factor,
        "shortlisted": row["raw_shortlisted"] and found.reliable,
    }
