"""Command that compares the results of two potentials."""

from pathlib import Path
from typing import Annotated

import typer

from flows.console import DONE, DONE_WITH_FAILURES, Folder, console, errors_told, existing_dataset

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


@app.command()
def compare(
    folder: Folder,
    other: Annotated[Path, typer.Argument(help="Dataset of the same crystals, another potential.")],
) -> None:
    """Compare two potentials, material by material, and warn where they contradict.

    Adds the table `agreement` to the first dataset and renews its catalogue. Example:

        chiralscreen compare results/7net-0 results/7net-l3i5
    """
    from rich.progress import track

    from tasks.agreement import commit_agreement, compare_datasets
    from tasks.building import build_catalog
    from tasks.storage import Dataset

    with errors_told():
        first, second = (Dataset(existing_dataset(path)) for path in (folder, other))
        found = compare_datasets(first, second)
        outcomes = list(track(found, "crystals", console=console, transient=True))
        rows = [outcome for outcome in outcomes if isinstance(outcome, dict)]
        problems = [outcome for outcome in outcomes if isinstance(outcome, str)]
        if rows:
            commit_agreement(first, rows)
            build_catalog(first)
    for problem in problems:
        console.print(problem)
    n_disagree = sum(row["potentials_disagree"] for row in rows)
    console.print(f"{len(rows)} crystals compared, {n_disagree} of them contradicted")
    raise typer.Exit(DONE_WITH_FAILURES if problems else DONE)


if __name__ == "__main__":
    app()
