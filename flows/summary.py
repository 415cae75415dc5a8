"""What a person reads in the terminal."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from flows.result import ScreenResult, stage_seconds
from tasks.catalogue import failures_in, ranked, read_catalog, read_overview
from tasks.failures import Failure
from tasks.intake import Plan

_MAX_ROWS = 20
_NAME_WIDTH = 16
_CANDIDATE_COLUMNS = {
    "material_id": "material",
    "formula": "formula",
    "space_group_symbol": "space\ngroup",
    "chirality_class": "class",
    "helicity_wave_found": "wave",
    "score": "score",
    "mean_optical_angular_momentum": "mean |l|\n(ħ)",
    "mean_optical_helicity": "mean |h|\n(ħ)",
    "largest_splitting": "splitting\n(THz Å)",
    "min_frequency_commensurate": "min ν\n(THz)",
    "reliable": "reliable",
}


def print_classification(console: Console, rows: pd.DataFrame, failures: Sequence[Failure]) -> None:
    """Print a classification by symmetry.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    rows : pandas.DataFrame
        One row per crystal.
    failures : sequence of Failure
        What could not be classified.
    """
    table = Table("material", "formula", "space group", "class", "wave", "tensor", "hand")
    for row in rows.to_dict("records"):
        table.add_row(
            escape(row["material_id"]),
            row["formula"],
            f"{row['space_group_symbol']} ({row['space_group_number']})",
            row["chirality_class"],
            row["helicity_wave"],
            ", ".join(row["tensor_components"]) or "none",
            row["hand"] if pd.notna(row["hand"]) else "-",
        )
    console.print(table)
    if len(rows):
        console.print(_counts("class", rows["chirality_class"]))
    _print_failures(console, failures)


def print_plan(console: Console, plan: Plan, workers: int) -> None:
    """Print what a screening would do and what it would cost.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    plan : Plan
        Decisions.
    workers : int
        Worker processes among which the cost is divided.
    """
    table = Table("material", "first open stage", "estimated time (s, one thread)")
    works = [(work, stage) for stage, works in plan.open.items() for work in works]
    for work, stage in sorted(works, key=lambda item: -item[0].cost)[:_MAX_ROWS]:
        table.add_row(escape(work.material_id), stage, f"{work.cost:.0f}")
    console.print(table)
    if len(works) > _MAX_ROWS:
        console.print(f"and {len(works) - _MAX_ROWS} more")
    _print_failures(console, plan.failures)
    console.print(_plan_line(plan))
    if plan.n_postponed:
        console.print(f"left to later runs by --hours: {plan.n_postponed}")
    console.print(
        f"to compute: {plan.n_open} structures, about {plan.cost / workers / 60:.1f} min with "
        f"{workers} workers; nothing was written"
    )


def print_screening(console: Console, folder: Path, result: ScreenResult) -> int:
    """Print candidates, classes, failures and times of a finished run.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    folder : pathlib.Path
        Folder of the dataset.
    result : ScreenResult
        What the run did.

    Returns
    -------
    int
        Failures in the catalogue.
    """
    if not result.plan.n_open:
        console.print("nothing to compute: every result is there already")
    n_failures = print_status(console, folder)
    _print_times(console, result)
    for name in result.lost:
        console.print(f"[bold red]lost:[/] chunk {name}; run the same command again to resume")
    return n_failures


def print_status(console: Console, folder: Path) -> int:
    """Print how far a dataset is, from its catalogue and receipts.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    folder : pathlib.Path
        Folder of the dataset.

    Returns
    -------
    int
        Failures in the catalogue.
    """
    chirality = read_overview(folder)
    failures = read_catalog(folder, "failures")
    print_candidates(console, ranked(chirality))
    console.print(_counts("class", chirality["chirality_class"].dropna()))
    console.print(_counts("outcome", chirality["outcome"]))
    unstable = chirality["stable"].eq(False).fillna(False)
    console.print(f"unstable: {int(unstable.sum())}")
    _print_failures(console, failures_in(failures))
    console.print(f"catalogue: {folder / 'catalog' / 'chirality.parquet'}")
    return len(failures)


def print_candidates(console: Console, rows: pd.DataFrame) -> None:
    """Print the ranked table of candidates.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    rows : pandas.DataFrame
        Ranked rows of the catalogue.
    """
    material, *others = _CANDIDATE_COLUMNS.values()
    # Names that differ in their last letters must not be cut.
    names = Column(material, min_width=_NAME_WIDTH)
    table = Table(names, *others, title="stable candidates by score")
    for row in rows.head(_MAX_ROWS).to_dict("records"):
        table.add_row(*(_cell(row[name]) for name in _CANDIDATE_COLUMNS))
    console.print(table)
    if len(rows) > _MAX_ROWS:
        console.print(f"and {len(rows) - _MAX_ROWS} more in the catalogue")


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else escape(str(value))


def _print_failures(console: Console, failures: Sequence[Failure]) -> None:
    """Print what failed and what to do about it."""
    if not failures:
        return
    table = Table("record", "stage", "reason", "what to do", title=f"{len(failures)} failures")
    for failure in failures[:_MAX_ROWS]:
        cells = (failure.material_id, failure.stage, failure.message, failure.remedy)
        table.add_row(*map(escape, cells))
    console.print(table)
    if len(failures) > _MAX_ROWS:
        console.print(f"and {len(failures) - _MAX_ROWS} more in the table failures")


def _print_times(console: Console, result: ScreenResult) -> None:
    """Print the time of each stage and the share the potential had in it."""
    wall = stage_seconds(result.reports, "wall_time")
    inside = stage_seconds(result.reports, "potential_time")
    table = Table("stage", "time (s, all workers)", "inside the potential")
    for stage, seconds in wall.items():
        table.add_row(stage, f"{seconds:.1f}", _share(inside[stage], seconds))
    total = sum(wall.values())
    table.add_row("all stages", f"{total:.1f}", _share(sum(inside.values()), total))
    console.print(table)


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"


def _plan_line(plan: Plan) -> str:
    """Counts of a plan in one line."""
    outcomes = ", ".join(f"{name} {count}" for name, count in sorted(plan.outcomes.items()))
    classes = ", ".join(f"{name} {count}" for name, count in sorted(plan.classes.items()))
    return f"records: {outcomes or 'none'}; classes: {classes or 'none'}"


def _counts(name: str, values: "pd.Series[str]") -> str:
    """Number of materials by a column, in one line."""
    counts = values.value_counts().sort_index()
    return f"{name}: " + ", ".join(f"{value} {count}" for value, count in counts.items())
