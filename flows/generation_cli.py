"""The command that generates crystals."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from flows.console import (
    DONE,
    DONE_WITH_FAILURES,
    PotentialName,
    console,
    print_errors,
    print_next,
    require_file,
    require_results,
    validate_with,
)
from flows.interruption import RESUME_ADVICE, SHUTDOWN_STATE
from flows.prerequisites import require_prefect
from tasks.failures import RemediableError

if TYPE_CHECKING:
    from tasks.generation.settings import GenerationSettings

K = TypeVar("K")
_TOLD: Final = 5  # factors
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
    learn_from: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a screening, or of its tables: draw more of what has scored per hour."
        ),
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
        if learn_from:
            settings = _learn(settings, require_results(learn_from))
        chosen = PotentialSettings(name=potential) if potential else PotentialSettings()
        with use_prefect_api():
            found = flow(output, settings, chosen)
        print_outcomes(console, found.outcomes)
        console.print(f"written: {output}, {found.n_crystals} crystals")
        print_failures(console, found.failures, found.failures_file)
        print_next(console, (f"chiralscreen screen {output} -o results/new", "phonons, chirality"))
    raise typer.Exit(DONE_WITH_FAILURES if found.failures else DONE)


def _learn(settings: "GenerationSettings", folder: Path) -> "GenerationSettings":
    """Prefer the space groups and elements that have scored, and say which."""
    from tasks.generation.preferences import learn_preferences
    from tasks.results.earnings import read_earnings

    earnings = read_earnings(folder)
    preferences = learn_preferences(earnings, settings.conditions.space_groups)
    for name, factors in (("space groups", preferences.groups), ("elements", preferences.elements)):
        ranked = sorted(factors.items(), key=lambda item: -item[1])
        most, least = (", ".join(f"{k} ({x:.1f})" for k, x in part) for part in _split(ranked))
        console.print(f"{name} drawn more often: {most or 'none'}; less: {least or 'none'}")
    conditions = settings.conditions.model_copy(update={"preferences": preferences})
    return settings.model_copy(update={"conditions": conditions})


def _split(ranked: Sequence[tuple[K, float]]) -> tuple[Sequence[tuple[K, float]], ...]:
    """The largest factors above one, and the smallest below, the smallest first."""
    more, less = ([r for r in ranked if r[1] > 1], [r for r in ranked if r[1] < 1])
    return more[:_TOLD], less[: -_TOLD - 1 : -1]


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
