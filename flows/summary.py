"""What a person reads in the terminal."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pandas as pd
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from flows.console import print_next
from flows.reasons import Reason, abbreviate_names, group_failures, group_skipped
from flows.result import ScreenResult, sum_stage_seconds
from flows.tables import Column, print_table
from tasks.crystals.curation import CENTROSYMMETRIC
from tasks.failures import Failure
from tasks.results import rank_materials, read_catalog, read_overview
from tasks.results.catalogue import (
    NO_RESTRICTION,
    Restriction,
    list_missing,
    read_failures,
    split_by_class,
    summarize_shortlist,
)
from tasks.results.ranking import PURPOSES
from tasks.results.stored_crystals import list_commands
from tasks.screening.plan import Plan
from tasks.screening.planning import estimate_run_seconds
from tasks.storage import TableFolder, open_tables
from tasks.units import THZ, FrequencyUnit

_MAX_ROWS: Final = 20
_MAX_CANDIDATES: Final = 15
_BAR: Final = "frequency_bar_90"
_AS_GIVEN: Final = (
    "analysed as given: what a relaxation would tell (changed volume, changed symmetry) is not "
    "known, nor heeded in score and reliability"
)
# Names of columns of the catalogue, headers with the stored unit, and ranks: the greatest is left
# out first.
_CANDIDATE_COLUMNS: Final = {
    "material_id": ("material", 0),
    "formula": ("formula", 3),
    "space_group_symbol": ("space\ngroup", 6),
    "chirality_class": ("class", 2),
    "helicity_wave_found": ("wave", 7),
    "score": ("score", 1),
    "mean_optical_angular_momentum": ("mean |l|\n(ħ)", 9),
    "mean_optical_helicity": ("mean |h|\n(ħ)", 8),
    "circular": ("splitting\n(meV ħ)", 11),
    "min_frequency_commensurate": ("min ν\n(THz)", 10),
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


def print_classification(console: Console, rows: pd.DataFrame) -> None:
    """Print a classification by symmetry."""
    if rows.empty:
        console.print("no crystal to classify")
        return
    symbols = rows["space_group_symbol"] + " (" + rows["space_group_number"].astype(str) + ")"
    components = [", ".join(names) or "none" for names in rows["tensor_components"]]
    table = rows.assign(space_group=symbols, tensor_components=components)
    columns = _make_columns(table, _CLASS_COLUMNS)
    print_table(console, columns, elsewhere="all columns: --output FILE.csv")
    console.print(_summarize_counts("class", rows["chirality_class"]))
    _print_notes(console, rows)


def _print_notes(console: Console, rows: pd.DataFrame) -> None:
    """Print what of some records was read otherwise than to the letter."""
    noted = rows[[isinstance(notes, list) for notes in rows["notes"]]]
    for row in noted.head(_MAX_ROWS).to_dict("records"):
        console.print(f"{row['material_id']}: note: {'; '.join(row['notes'])}")
    if len(noted) > _MAX_ROWS:
        console.print(f"and notes on {len(noted) - _MAX_ROWS} more: --output FILE.csv")


def print_plan(console: Console, plan: Plan, workers: int) -> None:
    """Print what a screening would do and what it would cost."""
    works = [(work, stage) for stage, works in plan.open.items() for work in works]
    dearest = sorted(works, key=lambda item: -item[0].seconds.left(item[1]))[:_MAX_ROWS]
    columns = (
        Column("material", [work.material_id for work, _ in dearest]),
        Column("first open stage", [stage for _, stage in dearest], 2),
        Column(
            "estimated time\n(s, one thread)", [f"{w.seconds.left(s):.1f}" for w, s in dearest], 1
        ),
    )
    if works:
        print_table(console, columns, elsewhere="all columns: with shorter names")
    if len(works) > _MAX_ROWS:
        console.print(f"and {len(works) - _MAX_ROWS} more")
    print_skipped(console, plan.skipped)
    print_failures(console, plan.failures)
    console.print(_summarize_plan(plan))
    if not plan.n_open:
        console.print(f"{_explain_nothing_to_do(ScreenResult('', plan))}; nothing was written")
        return
    if plan.n_postponed:
        console.print(f"left to later runs by --hours: {plan.n_postponed}")
    seconds = estimate_run_seconds(plan.open, sum(plan.outcomes.values()), workers)
    console.print(
        f"to compute: {_count_noun(plan.n_open, 'structure')}, about "
        f"{seconds / 60:.1f} min with {_count_noun(workers, 'worker')}; nothing was written"
    )
    console.print("next: the same command without --dry-run")


def print_screening(
    console: Console, folder: Path, result: ScreenResult, unit: FrequencyUnit = THZ
) -> int:
    """Print candidates, classes, failures and times of a finished run, and what can be done next.

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
    n_failures = print_status(console, folder, unit)
    if result.reports:
        _print_times(console, result)
    for name in result.lost:
        console.print(f"lost: chunk {name}; run the same command again to resume", style="red")
    console.print(
        f"this run: {result.summary}" if result.plan.n_open else _explain_nothing_to_do(result)
    )
    if result.kind == "analyze":
        console.print(_AS_GIVEN)
    _print_next(console, folder)
    return n_failures


def _explain_nothing_to_do(result: ScreenResult) -> str:
    """Say why nothing was left to compute, and which options change that."""
    plan = result.plan
    options = {
        "--retry-failures tries again what failed before": plan.n_given_up,
        "more --hours compute the rest": plan.n_postponed,
        "--all computes centrosymmetric crystals": CENTROSYMMETRIC in dict(plan.skipped).values(),
    }
    advice = [f"; {text}" for text, fits in options.items() if fits and result.kind == "screen"]
    return f"nothing to compute: {result.summary}{''.join(advice)}"


def _print_next(console: Console, folder: Path) -> None:
    """Print commands that show the best of what was found."""
    name = shlex.quote(str(folder))
    first = pd.concat(split_by_class(rank_materials(read_overview(folder))).values())
    for best in first["material_id"].head(1):
        print_next(
            console,
            (f"chiralscreen plot {name} {shlex.quote(best)}", "figures of the best"),
            (f"chiralscreen report {name}", "one page about all"),
            (f"chiralscreen catalogue {name} -o site", "a web site"),
        )


def print_status(
    console: Console,
    folder: Path,
    unit: FrequencyUnit = THZ,
    purpose: str | None = None,
    restriction: Restriction = NO_RESTRICTION,
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
    restriction : Restriction
        Which crystals are listed.

    Returns
    -------
    int
        Failures in the catalogue.
    """
    chirality = read_overview(folder)
    failures = read_catalog(folder, "failures")
    tables = TableFolder(folder)
    catalogue = tables.get_file("chirality")
    print_candidates(console, chirality, catalogue, unit, purpose, restriction)
    console.print(f"shortlist: {summarize_shortlist(chirality)}", soft_wrap=False)
    console.print(_summarize_counts("class", chirality["chirality_class"].dropna()))
    console.print(_summarize_counts("outcome", chirality["outcome"]))
    unstable = list(chirality.loc[chirality["stable"].eq(False).fillna(False), "material_id"])
    console.print(
        f"unstable: {len(unstable)}" + (f" ({abbreviate_names(unstable)})" if unstable else "")
    )
    _print_second_opinion(console, chirality)
    skipped = chirality[chirality["outcome"] == "skipped"]
    reasons = list(zip(skipped["material_id"], skipped["reason"], strict=True))
    print_skipped(console, reasons, catalogue)
    print_failures(console, read_failures(failures), tables.get_file("failures"))
    console.print(f"catalogue: {catalogue}")
    if isinstance(open_tables(folder), TableFolder):
        _print_missing(console, folder)
    return len(failures)


def _print_missing(console: Console, folder: Path) -> None:
    """Print what a folder of tables lacks, and how to get it."""
    console.print("tables alone, without the parts and receipts of a dataset")
    if missing := list_missing(folder):
        console.print("not stored:")
        for line in missing:
            console.print(Padding(line, (0, 0, 0, 2)), soft_wrap=False)
        console.print("to compute it anew for a crystal NAME:")
        for command in list_commands(folder):
            console.print(f"  {command}")


def _print_second_opinion(console: Console, chirality: pd.DataFrame) -> None:
    """Print how another potential agrees, where one was asked."""
    # Catalogues of older programs hold no error bars.
    asked = chirality.reindex(columns=["other_potential", "potentials_disagree", _BAR])
    asked = asked[asked["other_potential"].notna()]
    for name, rows in asked.groupby("other_potential"):
        n_disagree = int(rows["potentials_disagree"].eq(True).sum())
        bar = rows[_BAR].median()
        text = "" if pd.isna(bar) else f"; frequencies to {bar:.2f} THz (90 %, median)"
        console.print(
            f"second opinion, {name}: {_count_noun(len(rows), 'crystal')}, {n_disagree} of them "
            f"contradicted{text}",
            soft_wrap=False,
        )


def print_candidates(
    console: Console,
    chirality: pd.DataFrame,
    catalogue: Path,
    unit: FrequencyUnit = THZ,
    purpose: str | None = None,
    restriction: Restriction = NO_RESTRICTION,
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
    restriction : Restriction
        Which crystals are listed.
    """
    rows = restriction.select(rank_materials(chirality, purpose or "score"))
    told = f" ({restriction})" if str(restriction) else ""
    if rows.empty:
        console.print(f"no candidates{told}")
        return
    kind = f"score for {_TITLES[purpose]}" if purpose else "score"
    for name, members in split_by_class(rows).items():
        if members.empty:
            continue
        columns = make_candidate_columns(members.head(_MAX_CANDIDATES), unit, purpose)
        title, elsewhere = f"stable {name} crystals by {kind}{told}", f"all columns: {catalogue}"
        print_table(console, columns, title=title, elsewhere=elsewhere)
        if len(members) > _MAX_CANDIDATES:
            console.print(f"and {len(members) - _MAX_CANDIDATES} more in the catalogue")


def make_candidate_columns(
    rows: pd.DataFrame, unit: FrequencyUnit = THZ, purpose: str | None = None
) -> list[Column]:
    """Columns of a table of candidates.

    Parameters
    ----------
    rows : pandas.DataFrame
        Ranked rows of the catalogue.
    unit : FrequencyUnit
        Of frequencies.
    purpose : str, optional
        Column of the score by purpose to show, in place of the score.

    Returns
    -------
    list of Column
        With units in their headers.
    """
    shown = {
        purpose if purpose and name == "score" else name: header
        for name, header in _CANDIDATE_COLUMNS.items()
    }
    if rows[_BAR].notna().any():
        shown[_BAR] = ("error bar\n(THz)", 12)
    if rows["evidence"].notna().any():
        shown["evidence"] = ("evidence", 5)
    return _make_columns(rows, shown, unit)


def print_skipped(
    console: Console, skipped: Sequence[tuple[str, str]], file: Path | None = None
) -> None:
    """Print which crystals were skipped, by reason.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    skipped : sequence of tuple of str
        Name and reason of each.
    file : pathlib.Path, optional
        File that has all of them; without one, all reasons are printed.
    """
    _print_reasons(console, f"{len(skipped)} skipped", group_skipped(skipped), file)


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
    title = _count_noun(len(failures), "failure")
    _print_reasons(console, title, group_failures(failures), file)
    if failures and file:
        console.print(f"all failures: {file}")


def _print_reasons(
    console: Console, title: str, reasons: Sequence[Reason], file: Path | None
) -> None:
    """Print counts, and beside each what is told; not all where a file has the rest."""
    if not reasons:
        return
    shown = reasons[:_MAX_ROWS] if file else reasons
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for reason in shown:
        table.add_row(f"{reason.count} ×", reason.message)
        for line in reason.details:
            table.add_row("", line)
    console.print(f"{title}, by reason:")
    console.print(table)
    if left := reasons[len(shown) :]:
        n_left = sum(reason.count for reason in left)
        console.print(f"and {n_left} more, for {_count_noun(len(left), 'reason')}")


def _count_noun(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("s" if number != 1 else "")


def _make_columns(
    rows: pd.DataFrame, headers: Mapping[str, tuple[str, int]], unit: FrequencyUnit = THZ
) -> list[Column]:
    """Columns of a table by the names in its rows."""
    return [
        Column.from_values(unit.rewrite_unit(header), rows[name], rank, unit.get_scale(header))
        for name, (header, rank) in headers.items()
    ]


def _print_times(console: Console, result: ScreenResult) -> None:
    """Print the time of each stage and the share the potential had in it."""
    wall = sum_stage_seconds(result.reports, "wall_time")
    inside = sum_stage_seconds(result.reports, "potential_time")
    table = Table("stage", "time (s, all workers)", "inside the potential")
    for stage in dict.fromkeys(report.stage for report in result.reports):
        seconds = wall[stage]
        table.add_row(stage, f"{seconds:.1f}", _format_share(inside[stage], seconds))
    total = sum(wall.values())
    table.add_row("all stages", f"{total:.1f}", _format_share(sum(inside.values()), total))
    console.print(table)


def _format_share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"


def _summarize_plan(plan: Plan) -> str:
    """Counts of a plan in one line."""
    outcomes = ", ".join(f"{name} {count}" for name, count in sorted(plan.outcomes.items()))
    classes = ", ".join(f"{name} {count}" for name, count in sorted(plan.classes.items()))
    return f"records: {outcomes or 'none'}; classes: {classes or 'none'}"


def _summarize_counts(name: str, values: "pd.Series[str]") -> str:
    """Number of materials by a column, in one line."""
    counts = values.value_counts().sort_index()
    text = ", ".join(f"{value} {count}" for value, count in counts.items())
    return f"{name}: {text or 'none'}"
