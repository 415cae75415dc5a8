"""Command that compares the results of two potentials, or of a potential and DFT."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.console import (
    DONE,
    DONE_WITH_FAILURES,
    Folder,
    Unit,
    console,
    errors,
    print_errors,
    print_next,
    require_dataset,
)
from tasks.units import UNITS, FrequencyUnit, UnitName

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
_MAX_ROWS = 20
# Columns of the table, their headers and ranks: the greatest is left out first.
_COLUMNS = {
    "material_id": ("material", 0),
    "other_material_id": ("compared with", 1),
    "other_found_by": ("matched by", 9),
    "frequency_difference": ("mean |Δν|\n(THz)", 3),
    "frequency_disagreement": ("of the\nhighest", 5),
    "sign_agreement": ("l to the\nsame side", 4),
    "leading_sign_agrees": ("same sign of\nlargest h", 6),
    "wave_agrees": ("same\nwave", 7),
    "stability_agrees": ("same\nstability", 8),
    "potentials_disagree": ("contradict", 2),
}


@app.command()
def compare(
    folder: Folder,
    other: Annotated[
        Path, typer.Argument(help="Dataset of the same crystals: another potential, or DFT.")
    ],
    unit: Unit = UnitName.THZ,
) -> None:
    """Compare two potentials, or a potential with DFT, and warn where they disagree.

    Crystals are matched by structure, by name, or by formula, space group and arrangement. The
    first dataset gets the table `agreement`, and its catalogue is built again. Examples:

        chiralscreen compare results/7net-0 results/7net-l3i5

        chiralscreen compare results/te results/dft
    """
    from rich.progress import track

    from tasks.results.agreement import compare_pairs, keep_agreement
    from tasks.results.building import build_catalog
    from tasks.results.counterparts import pair_crystals
    from tasks.storage import Dataset

    with print_errors():
        first, second = (Dataset(require_dataset(path)) for path in (folder, other))
        pairs, unmatched = pair_crystals(first, second)
        bar = track(pairs, "comparing", console=errors, transient=True)
        compared = compare_pairs(first, second, bar if errors.is_terminal else pairs)
        found = list(keep_agreement(first, compared))
        rows = [item for item in found if isinstance(item, dict)]
        problems = [item for item in found if isinstance(item, str)]
        if rows:
            build_catalog(first)
    _print_rows(rows, UNITS[unit])
    problems += [f"{item.material_id}: {item.reason}" for item in unmatched if item.ambiguous]
    for problem in problems:
        console.print(f"not compared: {problem}")
    _print_unmatched([item.material_id for item in unmatched if not item.ambiguous], other)
    n_disagree = sum(row["potentials_disagree"] for row in rows)
    noun = "crystal" if len(rows) == 1 else "crystals"
    console.print(f"{len(rows)} {noun} compared, {n_disagree or 'none'} contradicted")
    if rows:
        console.print(f"written: {folder / 'catalog' / 'agreement.parquet'}")
        both = shlex.join([str(folder), "--compare", str(other)])
        print_next(console, (f"chiralscreen plot {both}", "parity plots"))
    raise typer.Exit(DONE_WITH_FAILURES if problems else DONE)


def _print_rows(rows: Sequence[Mapping[str, Any]], unit: FrequencyUnit) -> None:
    """Print what was compared with what, those that contradict first."""
    from flows.reasons import abbreviate_names
    from flows.tables import Column, print_table

    shown = sorted(rows, key=lambda row: not row["potentials_disagree"])[:_MAX_ROWS]
    if shown:
        columns = [
            Column.from_values(
                unit.rewrite_unit(header),
                [row.get(name) for row in shown],
                rank,
                unit.get_scale(header),
            )
            for name, (header, rank) in _COLUMNS.items()
        ]
        print_table(console, columns, elsewhere="all columns: catalog/agreement.parquet")
    if left := len(rows) - len(shown):
        console.print(f"and {left} more")
    if mirrored := [row["material_id"] for row in rows if row["other_mirrored"]]:
        console.print(
            f"of the other hand there, its mirror image compared: {abbreviate_names(mirrored)}"
        )


def _print_unmatched(names: Sequence[str], other: Path) -> None:
    """Print which crystals have no counterpart."""
    from flows.reasons import abbreviate_names

    if names:
        console.print(f"without a counterpart in {other}: {abbreviate_names(names)}")


if __name__ == "__main__":
    app()
