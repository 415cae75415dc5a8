"""Commands that draw figures and write the report."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from flows.console import (
    Folder,
    console,
    errors_told,
    existing_dataset,
    judged,
    require_file,
    require_folder,
)

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


class Format(StrEnum):
    """File formats of figures."""

    pdf = "pdf"
    svg = "svg"
    png = "png"


@app.command()
def plot(
    folder: Folder,
    material_id: Annotated[
        str | None, typer.Argument(help="Name of a material; without it overviews are drawn.")
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder to write into.", callback=judged(require_folder)
        ),
    ] = Path("figures"),
    file_format: Annotated[
        list[Format] | None,
        typer.Option("--format", help="pdf, svg or png; may be repeated. All by default."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="bands-helicity, bands-cycloidicity, bands-lz, bands-pam, density, sphere, cut, "
            "motion or tensor; may be repeated. All by default."
        ),
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Another dataset, for parity plots of the overviews.")
    ] = None,
) -> None:
    """Draw the figures of a material, or overviews of the dataset.

    For a paper, and for a first look at a dataset:

        chiralscreen plot results/demo quartz-154 --kind bands-helicity --format pdf

        chiralscreen plot results/demo --output overviews
    """
    from tasks.catalogue import read_overview
    from tasks.figures.collection import (
        MATERIAL_KINDS,
        comparison_figures,
        dataset_figures,
        material_figures,
    )
    from tasks.figures.material import material_data
    from tasks.figures.style import FORMATS, save_figure
    from tasks.sources import safe_id
    from tasks.storage import Dataset

    with errors_told():
        existing_dataset(folder)
        prefix = f"{safe_id(material_id)}-" if material_id else ""
        if material_id:
            material = material_data(Dataset(folder), material_id)
            figures = material_figures(material, kind or MATERIAL_KINDS)
        elif compare:
            first, second = (read_overview(place) for place in (folder, compare))
            figures = comparison_figures(first, second, (folder.name, compare.name))
        else:
            figures = dataset_figures(read_overview(folder))
        left_out = set(kind or MATERIAL_KINDS) if material_id else set()
        for name, figure in figures:
            left_out.discard(name)
            for path in save_figure(figure, output / f"{prefix}{name}", file_format or FORMATS):
                console.print(f"written: {path}")
        for name in sorted(left_out):
            console.print(f"left out: {name}, zero or undefined on the whole path")


@app.command()
def report(
    folder: Folder,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="HTML file to write; report.html in the dataset.",
            callback=judged(partial(require_file, folder_is_made=True)),
        ),
    ] = None,
    materials: Annotated[
        int, typer.Option(min=0, help="Draw figures of so many of the best candidates.")
    ] = 6,
) -> None:
    """Write one HTML file that tells what was screened and what was found.

    Figures are inside the file: it can be sent as it is. Example:

        chiralscreen report results/demo --output demo.html
    """
    from tasks.report import write_report
    from tasks.storage import Dataset

    with errors_told():
        dataset = Dataset(existing_dataset(folder))
        path = write_report(dataset, output or folder / "report.html", n_drawn=materials)
    console.print(f"written: {path}")


if __name__ == "__main__":
    app()
