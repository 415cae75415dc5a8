"""Commands that write released tables, and that go on from them."""

from pathlib import Path
from typing import Annotated

import typer

from flows.console import Folder, console, print_errors, print_next, require_dataset, require_folder

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
Release = Annotated[Path, typer.Argument(help="Folder of released tables.")]


@app.command()
def release(
    folder: Folder,
    output: Release,
    grow: Annotated[
        bool,
        typer.Option(
            "--grow",
            help="Add the crystals that the release lacks; earlier files stay as they are.",
        ),
    ] = False,
) -> None:
    """Write the tables worth publishing: results, and force constants of the shortlist.

    All rows of a release have the same settings, which `release.yaml` tells. Examples:

        chiralscreen release results/demo released

        chiralscreen release results/demo released --grow
    """
    from tasks.results.release import write_release
    from tasks.screening.planning import STAGE_VERSIONS
    from tasks.storage import Dataset

    with print_errors():
        found = write_release(Dataset(require_dataset(folder)), output, STAGE_VERSIONS, grow=grow)
    for name, size in found.files.items():
        console.print(f"{size / 1024:10.1f} KiB  {name}", markup=False)
    console.print(f"{found.n_materials} crystals, {sum(found.files.values()) / 1024:.1f} KiB")
    if found.n_waiting:
        left_out = ", and are left out" if grow else ""
        console.print(f"{found.n_waiting} crystals wait for their second opinion{left_out}")


@app.command(name="continue")
def continue_release(
    released: Release,
    output: Annotated[Path, typer.Argument(help="Folder of the dataset that goes on.")],
) -> None:
    """Begin a dataset with what was released: a screening into it computes only the rest.

    Of released crystals, spectra and most force constants are not in it. Example:

        chiralscreen continue released results/more
    """
    from tasks.results.release import SETTINGS, begin_from_release

    with print_errors():
        require_folder(output)
        n_taken, n_waiting = begin_from_release(released, output)
    console.print(f"{n_taken} crystals taken over")
    if n_waiting:
        console.print(f"{n_waiting} wait for their second opinion, and will be computed again")
    command = f"chiralscreen screen SOURCE --output {output} --config {output / SETTINGS}"
    print_next(console, (command, "computes those of a source that are new"))
