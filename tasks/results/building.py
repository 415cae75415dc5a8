"""The catalogue of a dataset, with warnings and scores of each material."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tasks.chirality import ScoreSettings
from tasks.crystals.duplicates import may_have_become_one, relaxed_originals
from tasks.crystals.measured_cells import MeasuredCells
from tasks.results.ranking import SCORED, ranking_columns, recorded_settings
from tasks.results.trust import JUDGED, assess, followed_settings
from tasks.storage import Dataset, Snapshot
from tasks.storage.catalog import Judge, Row, planned_rows, write_catalog

_MEASURED_CHANGE: Final = "measured_volume_change"
_READ: Final = tuple(sorted({*JUDGED, *SCORED, "run_id"} - {_MEASURED_CHANGE}))
_OF_MEASURED: Final = ("formula", "space_group_number", "n_atoms", "cell", "cell_origin")
_OF_RELAXED: Final = (
    *("energy", "space_group_number_final", "checkpoint_digest"),
    *("numbers", "cell"),
)


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run that judge its materials; the defaults where it has recorded none.

    Attributes
    ----------
    followed : mapping
        Those that warnings follow, as `tasks.results.trust.followed_settings` gives them.
    score : ScoreSettings
        Those of the score.
    """

    followed: Row = field(default_factory=lambda: followed_settings({}))
    score: ScoreSettings = field(default_factory=ScoreSettings)


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
    return write_catalog(dataset, Judge(_READ, _begin))


def _begin(snapshot: Snapshot, plan: pa.Table) -> Callable[[Row], Row]:
    """Judge materials by the settings of their runs, by measured cells, and by one another."""
    relaxed = planned_rows(snapshot, plan, "relaxations", _OF_RELAXED)
    settings, same = _settings_of_runs(snapshot), _same_crystals(snapshot, plan, relaxed)
    measured, cells = _measured_cells(snapshot, plan), _relaxed_cells(plan, relaxed)

    def judge(row: Row) -> Row:
        name, group = row["material_id"], row["space_group_number_relaxed"]
        known = group and row["formula"] and name in cells
        change = measured.change(row["formula"], group, *cells[name]) if known else None
        told = {**row, _MEASURED_CHANGE: change}
        return {
            **judged_columns(told, settings.get(row["run_id"], RunSettings())),
            _MEASURED_CHANGE: change,
            "same_crystal_as": same.get(name),
        }

    return judge


def _measured_cells(snapshot: Snapshot, plan: pa.Table) -> MeasuredCells:
    """Cells of the planned materials that were measured, and those that are known anyhow."""
    rows = planned_rows(snapshot, plan, "materials", _OF_MEASURED)
    return MeasuredCells.of(rows.filter(pc.equal(rows["cell_origin"], "measured")).to_pylist())


def _relaxed_cells(plan: pa.Table, relaxed: pa.Table) -> dict[str, tuple[int, list[float]]]:
    """Number of atoms, and cell, of each relaxed crystal."""
    counts = pc.list_value_length(relaxed["numbers"]).to_pylist()
    columns = plan["material_id"].to_pylist(), counts, relaxed["cell"].to_pylist()
    return {name: (count, cell) for name, count, cell in zip(*columns, strict=True) if count}


def _settings_of_runs(snapshot: Snapshot) -> dict[str, RunSettings]:
    """What judges the materials of each run that has recorded its settings."""
    rows = snapshot.read("runs", columns=["run_id", "settings"]).to_pylist()
    recorded = {row["run_id"]: _recorded(row["settings"]) for row in rows}
    return {
        run: RunSettings(followed_settings(groups), recorded_settings(groups))
        for run, groups in recorded.items()
    }


def _same_crystals(snapshot: Snapshot, plan: pa.Table, relaxed: pa.Table) -> dict[str, str]:
    """Material that stands for each one that became the same crystal by its relaxation."""
    computed = pc.is_valid(planned_rows(snapshot, plan, "chirality", [])["key"])
    known = relaxed.drop_columns(["cell"])
    rows = known.filter(pc.and_(computed, pc.is_valid(known["key"]))).to_pylist()
    keys = may_have_become_one(rows)
    return relaxed_originals(snapshot.read("relaxations", keys=keys).to_pylist()) if keys else {}


def _recorded(settings: str) -> Mapping[str, Any]:
    """Settings of a run by group; none where they cannot be read, which costs no catalogue."""
    try:
        found = json.loads(settings)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def judged_columns(row: Row, settings: RunSettings) -> dict[str, Any]:
    """Tell what the numbers of one material are worth, and what rank they give it.

    Parameters
    ----------
    row : mapping
        Columns `JUDGED` and `SCORED` of the catalogue of materials.
    settings : RunSettings
        Those of its run.

    Returns
    -------
    dict
        Values by column.
    """
    trust = assess(row, settings.followed)
    return {
        "warnings": list(trust.warnings),
        "reliable": trust.reliable,
        "trust": trust.factor,
        **ranking_columns(row, trust, settings.score),
    }
