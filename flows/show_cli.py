"""The command for one crystal."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from flows.console import (
    DONE,
    DONE_WITH_FAILURES,
    Config,
    PotentialName,
    Unit,
    console,
    errors,
    print_errors,
    print_next,
    require_existing,
    require_folder,
    validate_with,
)
from flows.setting_flags import FLAGS, Overrides, SettingsCommand, with_settings
from tasks.failures import RemediableError
from tasks.units import UNITS, UnitName

if TYPE_CHECKING:
    from tasks.site.crystal_report import CrystalReport

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)
# Sets of modes in the terminal; a file has them all.
_MAX_ROWS = 60


@app.command(cls=SettingsCommand)
@with_settings(*(name for name in FLAGS if name != "shortlist_score"))
def show(
    file: Annotated[
        Path,
        typer.Argument(help="CIF, POSCAR, ... with one crystal, or phonopy YAML with forces."),
    ],
    overrides: Overrides,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder to write into; by default results/NAME, NAME being that of the file.",
            callback=validate_with(require_folder),
        ),
    ] = None,
    config: Config = None,
    potential: PotentialName = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    include_centrosymmetric: Annotated[
        bool, typer.Option("--all", help="Compute a centrosymmetric crystal as well.")
    ] = False,
    unit: Unit = UnitName.THZ,
    opened: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser, on a terminal.")
    ] = True,
) -> None:
    """Compute one crystal and draw it: structure, bands, modes, a page for the browser.

    It gives the same numbers as `screen`, in one process and without a server. Example:

        chiralscreen show te.cif
    """
    with print_errors():
        if file.is_dir():
            remedy = f"give a file, or screen all it holds: chiralscreen screen {file} -o FOLDER"
            raise RemediableError(f"{file} is a folder", remedy)
        require_existing(file)
        output = output or Path("results") / file.name.split(".")[0]
        require_folder(output)
        with errors.status("starting") as status:
            from flows.isolation import READERS, start_server

            # It imports what reads a crystal while this process imports what computes one.
            start_server(READERS)
            from potentials import require_known
            from tasks.screening.settings import read_settings

            overrides |= {
                "potential.name": potential,
                "include_centrosymmetric": include_centrosymmetric or None,
            }
            settings = read_settings(config, overrides)
            require_known(settings.potential.name, device, settings.potential.dtype)
            from flows.single_crystal import compute_crystal
            from tasks.site.crystal_report import write_crystal_report
            from tasks.storage import Dataset

            material_id, failure = compute_crystal(file, output, settings, device, status.update)
            if failure is None:
                status.update("drawing")
                report = write_crystal_report(Dataset(output), material_id, UNITS[unit])
    if failure:
        message = f"{failure.stage} of {material_id}: {failure.message}"
        errors.print(Text("failed:", "bold red"), message)
        errors.print(f"what to do: {failure.remedy}")
        raise typer.Exit(DONE_WITH_FAILURES)
    _print_report(report, output)
    if opened and console.is_terminal and _has_browser():
        import webbrowser

        webbrowser.open(report.page.resolve().as_uri())
    raise typer.Exit(DONE)


def _print_report(report: "CrystalReport", output: Path) -> None:
    """Print what was found, what was written, and what can be done with it."""
    from flows.tables import Column, print_table

    facts = [Column(name, [value]) for name, value in report.facts.items()]
    print_table(console, facts, elsewhere=str(report.page))
    shown = report.modes.head(_MAX_ROWS)
    columns = [
        Column(str(name), list(shown[name]), rank) for rank, name in enumerate(shown.columns)
    ]
    print_table(console, columns, title="modes at the special points", elsewhere=str(report.page))
    if left := len(report.modes) - len(shown):
        console.print(f"and {left} more: {report.page}")
    for path in (report.page, *report.files):
        console.print(f"written: {path}")
    site, name = shlex.quote(str(output)), shlex.join([str(output), report.row["material_id"]])
    console.print(f"look at it: open {report.page} in a browser")
    print_next(
        console,
        (f"chiralscreen plot {name}", "all figures"),
        (f"chiralscreen export {name}", "force constants for phonopy"),
        (f"chiralscreen catalogue {site} -o site", "a web site, modes that move"),
    )


def _has_browser() -> bool:
    """Whether a window can be opened; a browser in the terminal would take it over."""
    return sys.platform == "darwin" or any(
        name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
