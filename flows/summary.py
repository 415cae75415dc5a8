"""What a person reads in the terminal."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from flows.result import ScreenResult, stage_seconds
from flows.tables import Column, print_table
from tasks.catalogue import (
    by_class,
    failures_in,
    not_stored,
    ranked,
    read_catalog,
    read_overview,
)
from tasks.columns import how_to_compute
from tasks.failures import Failure
from tasks.intake import Plan
from tasks.ranking import PURPOSES
from tasks.storage import TableFolder, open_tables
from tasks.units import THZ, FrequencyUnit

_MAX_ROWS: Final = 20
_MAX_CANDIDATES: Final = 15
_MAX_NAMES: Final = 3
_BAR: Final = "frequency_bar_90"
# Names of columns of the catalogue, headers with the stored unit, and ranks: the greatest is left
# out first.
_CANDIDATES: Final = {
    "material_id": ("material", 0),
    "formula": ("formula", 3),
    "space_group_symbol": ("space\ngroup", 5),
    "chirality_class": ("class", 2),
    "helicity_wave_found": ("wave", 6),
    "score": ("score", 1),
    "mean_optical_angular_momentum": ("mean |l|\n(ħ)", 8),
    "mean_optical_helicity": ("mean |h|\n(ħ)", 7),
    "circular": ("splitting\n(meV ħ)", 10),
    "min_frequency_commensurate": ("min ν\n(THz)", 9),
    "reliable": ("reliable", 4),
}
_CLASS_COLUMNS: Final = {
    "material_id": ("material", 0),
    "formula": ("formula", 3),
    "space_group": ("space group", 1),
    "chirality_class": ("class", 2),
    "helicity_wave": ("wave", 4),
    "tensor_components": ("tensor", 6),
    "hand": ("hand", 5),
}
_TITLES: Final = {purpose.name: purpose.title for purpose in PURPOSES}
# What differs between two failures of one kind: numbers, names with numbers in them, and files.
_PARTICULAR: Final = re.compile(r"\S*[\d/.]\S*")


def print_classification(console: Console, rows: pd.DataFrame) -> None:
    """Print a classification by symmetry.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    rows : pandas.DataFrame
        One row per crystal.
    """
    if rows.empty:
        console.print("no crystal to classify")
        return
    symbols = rows["space_group_symbol"] + " (" + rows["space_group_number"].astype(str) + ")"
    components = [", ".join(names) or "none" for names in rows["tensor_components"]]
    told = rows.assign(space_group=symbols, tensor_components=components)
    columns = _columns(told, _CLASS_COLUMNS)
    print_table(console, columns, elsewhere="all columns: --output FILE.csv")
    console.print(_counts("class", rows["chirality_class"]))
    _print_notes(console, rows)


def _print_notes(console: Console, rows: pd.DataFrame) -> None:
    """Print what of some records was read otherwise than to the letter."""
    noted = rows[[isinstance(notes, list) for notes in rows["notes"]]]
    for row in noted.head(_MAX_ROWS).to_dict("records"):
        console.print(f"{row['material_id']}: note: {'; '.join(row['notes'])}")
    if len(noted) > _MAX_ROWS:
        console.print(f"and notes on {len(noted) - _MAX_ROWS} more: --output FILE.csv")


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
    works = [(work, stage) for stage, works in plan.open.items() for work in works]
    dearest = sorted(works, key=lambda item: -item[0].cost)[:_MAX_ROWS]
    columns = (
        Column("material", [work.material_id for work, _ in dearest]),
        Column("first open stage", [stage for _, stage in dearest], 2),
        Column("estimated time\n(s, one thread)", [f"{work.cost:.0f}" for work, _ in dearest], 1),
    )
    if works:
        print_table(console, columns, elsewhere="all columns: with shorter names")
    if len(works) > _MAX_ROWS:
        console.print(f"and {len(works) - _MAX_ROWS} more")
    print_failures(console, plan.failures)
    console.print(_plan_line(plan))
    if plan.n_postponed:
        console.print(f"left to later runs by --hours: {plan.n_postponed}")
    console.print(
        f"to compute: {plan.n_open} structures, about {plan.cost / workers / 60:.1f} min with "
        f"{workers} workers; nothing was written"
    )


def print_screening(
    console: Console, folder: Path, result: ScreenResult, unit: FrequencyUnit = THZ
) -> int:
    """Print candidates, classes, failures and times of a finished run.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    folder : pathlib.Path
        Folder of the dataset.
    result : ScreenResult
        What the run did.
    unit : FrequencyUnit
        Of frequencies.

    Returns
    -------
    int
        Failures in the catalogue.
    """
    if not result.plan.n_open:
        console.print("nothing to compute: every result is there already")
    n_failures = print_status(console, folder, unit)
    _print_times(console, result)
    for name in result.lost:
        console.print(f"lost: chunk {name}; run the same command again to resume", style="red")
    return n_failures


def print_status(
    console: Console, folder: Path, unit: FrequencyUnit = THZ, purpose: str | None = None
) -> int:
    """Print how far a dataset is, from its catalogue, and what a folder of tables lacks.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    folder : pathlib.Path
        Folder of the dataset, or of tables alone.
    unit : FrequencyUnit
        Of frequencies.
    purpose : str, optional
        Column of the score by purpose to rank by, in place of the score.

    Returns
    -------
    int
        Failures in the catalogue.
    """
    chirality = read_overview(folder)
    failures = read_catalog(folder, "failures")
    tables = TableFolder(folder)
    catalogue = tables.file("chirality")
    print_candidates(console, chirality, catalogue, unit, purpose)
    console.print(_counts("class", chirality["chirality_class"].dropna()))
    console.print(_counts("outcome", chirality["outcome"]))
    unstable = chirality["stable"].eq(False).fillna(False)
    console.print(f"unstable: {int(unstable.sum())}")
    _print_second_opinion(console, chirality)
    print_failures(console, failures_in(failures), tables.file("failures"))
    console.print(f"catalogue: {catalogue}")
    if isinstance(open_tables(folder), TableFolder):
        _print_missing(console, folder)
    return len(failures)


def _print_missing(console: Console, folder: Path) -> None:
    """Print what a folder of tables lacks, and how to get it."""
    console.print("tables alone, without the parts and receipts of a dataset")
    if missing := not_stored(folder):
        advice = f"to get it for one crystal: {how_to_compute(folder)}"
        console.print("not stored:")
        for line in missing:
            console.print(Padding(line, (0, 0, 0, 2)), soft_wrap=False)
        console.print(advice, soft_wrap=False)


def _print_second_opinion(console: Console, chirality: pd.DataFrame) -> None:
    """Print how another potential agrees, where one was asked."""
    # Catalogues of older programs hold no error bars.
    asked = chirality.reindex(columns=["other_potential", "potentials_disagree", _BAR])
    asked = asked[asked["other_potential"].notna()]
    for name, rows in asked.groupby("other_potential"):
        n_disagree = int(rows["potentials_disagree"].eq(True).sum())
        bar = rows[_BAR].median()
        told = "" if pd.isna(bar) else f"; frequencies to {bar:.2f} THz (90 %, median)"
        console.print(
            f"second opinion, {name}: {_counted(len(rows), 'crystal')}, {n_disagree} of them "
            f"contradicted{told}"
        )


def print_candidates(
    console: Console,
    chirality: pd.DataFrame,
    catalogue: Path,
    unit: FrequencyUnit = THZ,
    purpose: str | None = None,
) -> None:
    """Print the ranked candidates, chiral crystals and the others apart.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    chirality : pandas.DataFrame
        The catalogue of materials.
    catalogue : pathlib.Path
        File that has all rows and columns.
    unit : FrequencyUnit
        Of frequencies.
    purpose : str, optional
        Column of the score by purpose to rank by, in place of the score.
    """
    rows = ranked(chirality, purpose or "score")
    if rows.empty:
        console.print("no candidates")
        return
    kind = f"score for {_TITLES[purpose]}" if purpose else "score"
    headers = {purpose or name if name == "score" else name: h for name, h in _CANDIDATES.items()}
    if _BAR in rows and rows[_BAR].notna().any():
        headers[_BAR] = ("error bar\n(THz)", 11)
    for name, members in by_class(rows).items():
        if members.empty:
            continue
        columns = _columns(members.head(_MAX_CANDIDATES), headers, unit)
        title, elsewhere = f"stable {name} crystals by {kind}", f"all columns: {catalogue}"
        print_table(console, columns, title=title, elsewhere=elsewhere)
        if len(members) > _MAX_CANDIDATES:
            console.print(f"and {len(members) - _MAX_CANDIDATES} more in the catalogue")


def print_failures(console: Console, failures: Sequence[Failure], file: Path | None = None) -> None:
    """Print what failed, by reason, and what to do about it.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    failures : sequence of Failure
        All of them.
    file : pathlib.Path, optional
        File that has all of them; without one, all reasons are printed.
    """
    if not failures:
        return
    groups = _by_reason(failures)
    shown = groups[:_MAX_ROWS] if file else groups
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for group in shown:
        table.add_row(f"{len(group)} ×", group[0].message)
        table.add_row("", f"what to do: {group[0].remedy}")
        table.add_row("", f"{group[0].stage}: {_names(group)}")
    console.print(f"{_counted(len(failures), 'failure')}, by reason:")
    console.print(table)
    if len(groups) > len(shown):
        left = sum(map(len, groups[_MAX_ROWS:]))
        reasons = _counted(len(groups) - len(shown), "reason")
        console.print(f"and {left} more, for {reasons}")
    if file:
        console.print(f"all failures: {file}")


def _by_reason(failures: Iterable[Failure]) -> list[list[Failure]]:
    """Failures that differ in nothing but names and numbers together, the most frequent first."""
    groups = defaultdict(list)
    for failure in failures:
        kind = _PARTICULAR.sub("#", failure.message)
        groups[failure.stage, kind, _PARTICULAR.sub("#", failure.remedy)].append(failure)
    return sorted(groups.values(), key=len, reverse=True)


def _names(group: Sequence[Failure]) -> str:
    """Where some failures are, the first ones by name."""
    names = [failure.source_record or failure.material_id for failure in group[:_MAX_NAMES]]
    left = len(group) - len(names)
    return ", ".join(names) + (f" and {left} more" if left else "")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")


def _columns(
    rows: pd.DataFrame, headers: Mapping[str, tuple[str, int]], unit: FrequencyUnit = THZ
) -> list[Column]:
    """Columns of a table by the names in its rows."""
    return [
        Column(unit.told(header), [_cell(value, unit.scale(header)) for value in rows[name]], rank)
        for name, (header, rank) in headers.items()
    ]


def _cell(value: Any, scale: float) -> str:  # noqa: ANN401 - what a table holds
    """Text of a cell; a number is multiplied."""
    if pd.isna(value):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{scale * value:.3f}" if isinstance(value, float) else str(value)


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
