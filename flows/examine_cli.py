"""Command that examines a potential."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.console import (
    DONE,
    DONE_WITH_FAILURES,
    Config,
    PotentialName,
    console,
    errors,
    print_errors,
    print_next,
    require_folder,
    validate_with,
)

if TYPE_CHECKING:
    from tasks.examination import Examination
    from tasks.screening.settings import PotentialSettings

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)
# Their precision is their own, whatever is asked.
_OWN_PRECISION = ("ase:", "chgnet")


@app.command()
def examine(
    potential: PotentialName = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Folder with phonondb103_pbe_frequencies.json.gz, to compare frequencies with PBE."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for examination.parquet and examination.md.",
            callback=validate_with(require_folder),
        ),
    ] = None,
    config: Config = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Find out whether a potential is fit for a screening of chirality: symmetry, phonons, cost.

    Takes minutes. Exit code 0: fit; 1: not fit, or with another average only. Later runs keep the
    verdict beside the card of the potential. Examples:

        chiralscreen examine --potential nequix-oam-1-pft

        chiralscreen examine --potential ase:mace.calculators:mace_mp --output examined
    """
    with print_errors():
        with errors.status("starting") as status:
            from potentials import require_known
            from tasks.screening.settings import read_settings

            chosen = read_settings(config, {"potential.name": potential}).potential
            require_known(chosen.name, device, chosen.dtype)
            from flows.summary_of_examination import format_page, print_examination
            from tasks.examination import make_rows, write_examination

            found = _examine(chosen, device, reference, status.update)
        rows = make_rows(found)
        print_examination(console, rows)
        write_examination(rows)
        if output:
            written = write_examination(rows, output / "examination.parquet")
            page = output / "examination.md"
            page.write_text(format_page(rows), encoding="utf-8")
            console.print(f"written: {written}\nwritten: {page}")
        if found.fits_as_it_is:
            name = shlex.quote(chosen.name)
            command = f"chiralscreen screen demo -o results/demo --potential {name}"
            print_next(console, (command, "a screening"))
    raise typer.Exit(DONE if found.fits_as_it_is else DONE_WITH_FAILURES)


def _examine(
    chosen: "PotentialSettings",
    device: str,
    reference: Path | None,
    report: Callable[[str], object],
) -> "Examination":
    """Load a potential, in single precision as well, and examine it."""
    import torch

    from potentials import load_potential
    from tasks.examination import examine as examine_potential

    torch.set_num_threads(1)
    loaded = load_potential(chosen.name, device, chosen.dtype, options=chosen.options)
    rounded = None
    if chosen.dtype == "float64" and not chosen.name.startswith(_OWN_PRECISION):
        rounded = load_potential(chosen.name, device, "float32")
    return examine_potential(
        loaded, chosen.dtype, rounded=rounded, reference=reference, report=report
    )


if __name__ == "__main__":
    app()
