"""The catalogue of a dataset, with warnings and scores of each material."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tasks.chirality import ScoreSettings
from tasks.crystals.duplicates import find_relaxed_originals, select_possible_repetitions
from tasks.crystals.hazards import list_hazards
from tasks.crystals.measured_cells import MeasuredCells
from tasks.crystals.structures import compute_density
from tasks.results.ranking import SCORED, make_ranking_columns, parse_score_settings
from tasks.results.trust import JUDGED, assess_reliability, select_rule_settings
from tasks.storage import Dataset, Snapshot
from tasks.storage.catalog import DerivedColumns, Row, take_planned_rows, write_catalog
from tasks.thermodynamics.evidence import EVIDENCE, make_hull_columns

_MEASURED_CHANGE: Final = "measured_volume_change"
_HULL: Final = "energy_above_hull"
_DERIVED: Final = {_MEASURED_CHANGE, "hull_reason"}
_READ: Final = tuple(sorted({*JUDGED, *SCORED, *EVIDENCE, "run_id"} - _DERIVED))
_CELL_NUMBERS: Final = 9
_OF_MEASURED: Final = ("formula", "space_group_number", "n_atoms", "cell", "cell_origin")
_OF_RELAXED: Final = (
    *("energy", "space_group_number_final", "checkpoint_digest"),
    *("numbers", "cell", "positions", "masses"),
)


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run that judge its materials; the defaults where it has recorded none.

    Attributes
    ----------
    followed : mapping
        Those that warnings follow, as `tasks.results.trust.select_rule_settings` gives them.
    score : ScoreSettings
        Those of the score.
    """

    followed: Row = field(default_factory=lambda: select_rule_settings({}))
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
    return write_catalog(dataset, DerivedColumns(_READ, _begin_judging))


def _begin_judging(snapshot: Snapshot, plan: pa.Table) -> Callable[[Row], Row]:
    """Judge materials by the settings of their runs, by measured cells, and by one another."""
    relaxed = take_planned_rows(snapshot, plan, "relaxations", _OF_RELAXED)
    settings, same = _read_run_settings(snapshot), _find_same_crystals(snapshot, plan, relaxed)
    measured, cells = _find_measured_cells(snapshot, plan), _find_relaxed_cells(plan, relaxed)
    places = {name: i for i, name in enumerate(plan["material_id"].to_pylist())}

    def judge(row: Row) -> Row:
        name, group = row["material_id"], row["space_group_number_relaxed"]
        known = group and row["formula"] and name in cells
        change = measured.compare_volume(row["formula"], group, *cells[name]) if known else None
        relaxed_row = relaxed.slice(places[name], 1).to_pylist()[0]
        hull = {"hull_reason": None, **make_hull_columns(row[_HULL], relaxed_row)}
        found = {_MEASURED_CHANGE: change, **hull}
        return {
            **judge_material({**row, **found}, settings.get(row["run_id"], RunSettings())),
            **found,
            **make_laboratory_columns(row["formula"], relaxed_row),
            "same_crystal_as": same.get(name),
        }

    return judge


def make_laboratory_columns(formula: str | None, relaxed: Row) -> dict[str, Any]:
    """Columns of the catalogue that a laboratory asks for.

    Parameters
    ----------
    formula : str or None
        Of the crystal.
    relaxed : mapping
        Its row of ``relaxations``; empty columns where it was not relaxed.

    Returns
    -------
    dict
        Values by column.
    """
    hazards = list_hazards(formula or "")
    named = {f"{hazard}_elements": ", ".join(found) or None for hazard, found in hazards.items()}
    if len(relaxed["cell"] or ()) != _CELL_NUMBERS:
        return named
    cell = relaxed["numbers"], relaxed["cell"], relaxed["masses"]
    return named | {"density": compute_density(*cell)}


def _find_measured_cells(snapshot: Snapshot, plan: pa.Table) -> MeasuredCells:
    """Cells of the planned materials that were measured, and those that are known anyhow."""
    rows = take_planned_rows(snapshot, plan, "materials", _OF_MEASURED)
    return MeasuredCells.from_rows(
        rows.filter(pc.equal(rows["cell_origin"], "measured")).to_pylist()
    )


def _find_relaxed_cells(plan: pa.Table, relaxed: pa.Table) -> dict[str, tuple[int, list[float]]]:
    """Number of atoms, and cell, of each relaxed crystal."""
    counts = pc.list_value_length(relaxed["numbers"]).to_pylist()
    columns = plan["material_id"].to_pylist(), counts, relaxed["cell"].to_pylist()
    return {name: (count, cell) for name, count, cell in zip(*columns, strict=True) if count}


def _read_run_settings(snapshot: Snapshot) -> dict[str, RunSettings]:
    """What judges the materials of each run that has recorded its settings."""
    rows = snapshot.read("runs", columns=["run_id", "settings"]).to_pylist()
    recorded = {row["run_id"]: _parse_settings(row["settings"]) for row in rows}
    return {
        run: RunSettings(select_rule_settings(groups), parse_score_settings(groups))
        for run, groups in recorded.items()
    }


def _find_same_crystals(snapshot: Snapshot, plan: pa.Table, relaxed: pa.Table) -> dict[str, str]:
    """Material that stands for each one that became the same crystal by its relaxation."""
    computed = pc.is_valid(take_planned_rows(snapshot, plan, "chirality", [])["key"])
    known = relaxed.drop_columns(["cell", "positions", "masses"])
    rows = known.filter(pc.and_(computed, pc.is_valid(known["key"]))).to_pylist()
    keys = select_possible_repetitions(rows)
    return (
        find_relaxed_originals(snapshot.read("relaxations", keys=keys).to_pylist()) if keys else {}
    )


def _parse_settings(settings: str) -> Mapping[str, Any]:
    """Settings of a run by group; none where they cannot be read, which costs no catalogue."""
    try:
        found = json.loads(settings)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def judge_material(row: Row, settings: RunSettings) -> dict[str, Any]:
    """Tell what the numbers of one material are worth, and what rank they give it.

    Parameters
    ----------
    row : mapping
        Columns `JUDGED`, `SCORED` and `EVIDENCE` of the catalogue of materials.
    settings : RunSettings
        Those of its run.

    Returns
    -------
    dict
        Values by column.
    """
    trust = assess_reliability(row, settings.followed)
    return {
        "warnings": list(trust.warnings),
        "reliable": trust.reliable,
        "trust": trust.factor,
        **make_ranking_columns(row, trust, settings.score),
    }
