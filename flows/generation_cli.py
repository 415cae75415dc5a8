"""The command that generates crystals."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from flows.console import (
    DONE,
    DONE_WITH_FAILURES,
    PotentialName,
    console,
    print_errors,
    print_next,
    require_file,
    validate_with,
)
from flows.interruption import RESUME_ADVICE, SHUTDOWN_STATE
from flows.prerequisites import require_prefect
from tasks.failures import RemediableError

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)


@app.command()
def generate(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Parquet file to write; sequences without a crystal go into a file beside it.",
            callback=validate_with(partial(require_file, endings=(".parquet",))),
        ),
    ],
    number: Annotated[int | None, typer.Option("--number", "-n", min=1, help="Sequences.")] = None,
    space_groups: Annotated[
        str | None,
        typer.Option(help="Numbers such as `152,154` or `195-214`; the 65 chiral ones by default."),
    ] = None,
    elements: Annotated[
        str | None, typer.Option(help="Elements that may occur, such as `Si,O`.")
    ] = None,
    atoms: Annotated[
        str | None, typer.Option(help="Atoms in the primitive cell, such as `9` or `4-12`.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of all that is drawn.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Below 1: what is likely; above: what is less so.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="`default`, or sequences:model.pt of a training.")
    ] = None,
    independent: Annotated[
        bool | None,
        typer.Option("--independent", help="Draw each site alone by its frequency: the baseline."),
    ] = None,
    potential: PotentialName = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML file of settings; the options above override it.")
    ] = None,
) -> None:
    """Make new crystals of wanted space groups: composition, sites and cell.

    A model of Wyckoff sequences proposes, the potential relaxes inside the space group. The file is
    a source for `classify`, `screen` and `assess`. Running the command again continues one that was
    stopped. Example:

        chiralscreen generate -n 20 --space-groups 152,154 --elements Si,Ge,O -o new.parquet
    """
    with print_errors():
        SHUTDOWN_STATE.advice = RESUME_ADVICE
        require_prefect()
        from flows.generation import generate as flow
        from flows.server import use_prefect_api
        from flows.summary import print_failures
        from flows.summary_of_assessment import print_outcomes
        from tasks.generation.settings import GenerationSettings
        from tasks.screening.settings import PotentialSettings, read_settings_of

        settings = read_settings_of(
            GenerationSettings,
            config,
            {
                "number": number,
                "seed": seed,
                "model": model,
                "conditions.space_groups": space_groups and parse_numbers(space_groups),
                "conditions.elements": elements and elements.replace(",", " ").split(),
                **parse_atoms(atoms),
                "conditions.temperature": temperature,
                "conditions.independent": independent,
            },
        )
        chosen = PotentialSettings(name=potential) if potential else PotentialSettings()
        with use_prefect_api():
            found = flow(output, settings, chosen)
        print_outcomes(console, found.outcomes)
        console.print(f"written: {output}, {found.n_crystals} crystals")
        print_failures(console, found.failures, found.failures_file)
        print_next(console, (f"chiralscreen screen {output} -o results/new", "phonons, chirality"))
    raise typer.Exit(DONE_WITH_FAILURES if found.failures else DONE)


def parse_numbers(text: str) -> tuple[int, ...]:
    """Read numbers and ranges of numbers.

    Parameters
    ----------
    text : str
        Such as ``152,154`` or ``1-5, 18``.

    Returns
    -------
    tuple of int
        In the order given.

    Raises
    ------
    RemediableError
        When it is none.
    """
    found: list[int] = []
    for part in text.replace(",", " ").split():
        first, dash, last = part.partition("-")
        try:
            found += range(int(first), int(last if dash else first) + 1)
        except ValueError as error:
            message = f"{part!r} is no number and no range"
            raise RemediableError(message, "write 152,154 or 195-214") from error
    return tuple(found)


def parse_atoms(text: str | None) -> dict[str, int]:
    """Read a number of atoms, or its least and its greatest, as settings."""
    numbers = parse_numbers(text or "")
    if not numbers:
        return {}
    return {"conditions.min_atoms": min(numbers), "conditions.max_atoms": max(numbers)}


if __name__ == "__main__":
    app()
