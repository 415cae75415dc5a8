"""Commands that draw figures and write the report."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.console import (
    NearHull,
    Observed,
    Results,
    Unit,
    console,
    print_errors,
    require_file,
    require_folder,
    require_results,
    validate_with,
)
from tasks.failures import RemediableError
from tasks.units import UNITS, FrequencyUnit, UnitName

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NOTHING_THERE = "zero or undefined on the whole path"
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


class Format(StrEnum):
    """File formats of figures."""

    pdf = "pdf"
    svg = "svg"
    png = "png"


@app.command()
def plot(
    folder: Results,
    material_id: Annotated[
        str | None, typer.Argument(help="Name of a material; without it overviews are drawn.")
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder to write into.", callback=validate_with(require_folder)
        ),
    ] = Path("figures"),
    file_format: Annotated[
        list[Format] | None,
        typer.Option("--format", help="pdf, svg or png; may be repeated. All by default."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="bands-helicity, bands-cycloidicity, bands-lz, bands-pam, bands-charges, density, "
            "sphere, cut, motion, tensor or thermal; may be repeated. All by default."
        ),
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Another dataset, for parity plots of the overviews.")
    ] = None,
    unit: Unit = UnitName.THZ,
) -> None:
    """Draw the figures of a material, or overviews of the dataset.

    For a paper, and for a first look at a dataset:

        chiralscreen plot results/demo quartz-154 --kind bands-helicity --format pdf

        chiralscreen plot results/demo --output overviews
    """
    from tasks.figures.collection import draw_comparison_figures, draw_dataset_figures
    from tasks.results import read_overview
    from tasks.results.counterparts import align_overviews, pair_crystals
    from tasks.storage import open_tables

    formats, shown_in = file_format or list(Format), UNITS[unit]
    with print_errors():
        require_results(folder)
        if material_id:
            _plot_material(
                folder, material_id, kind, shown_in, partial(_save_figures, output, formats)
            )
        elif compare:
            pairs, _ = pair_crystals(open_tables(folder), open_tables(require_results(compare)))
            names = (folder.name, compare.name)
            figures = draw_comparison_figures(*align_overviews(pairs), names, shown_in)
            _save_figures(output, formats, figures)
        else:
            _save_figures(
                output, formats, draw_dataset_figures(read_overview(folder), unit=shown_in)
            )


def _save_figures(
    output: Path,
    formats: Sequence[Format],
    figures: Iterable[tuple[str, "Figure"]],
    start: str = "",
) -> set[str]:
    """Write figures as they are drawn; gives back their names."""
    from tasks.figures.style import save_figure

    names = set()
    for name, figure in figures:
        names.add(name)
        for path in save_figure(figure, output / f"{start}{name}", formats):
            console.print(f"written: {path}")
    return names


def _plot_material(
    folder: Path,
    material_id: str,
    kinds: Sequence[str] | None,
    unit: FrequencyUnit,
    save: Callable[..., set[str]],
) -> None:
    """Draw what can be drawn of a material, and say what cannot and why."""
    from tasks.figures.collection import (
        CHARGE_BANDS,
        MATERIAL_KINDS,
        draw_material_figures,
        list_drawable_kinds,
    )
    from tasks.figures.material import read_material_data
    from tasks.results.stored_crystals import describe_computation, list_commands
    from tasks.sources import make_safe_id
    from tasks.storage import open_tables

    material = read_material_data(open_tables(folder), material_id)
    wanted = kinds or MATERIAL_KINDS
    drawable = list_drawable_kinds(material, wanted)
    missing = [kind for kind in wanted if kind not in drawable]
    message = f"{', '.join(missing)}: force constants or spectra of {material_id!r} are not stored"
    crystal = (folder, material_id, material.row["potential"])
    if not drawable:
        raise RemediableError(message, describe_computation(*crystal))
    drawn = save(draw_material_figures(material, drawable, unit), f"{make_safe_id(material_id)}-")
    for name in sorted(set(drawable) - drawn):
        without = "there are no Born charges" if name == CHARGE_BANDS else _NOTHING_THERE
        console.print(f"left out: {name}, {without}")
    if missing:
        console.print(f"left out: {message}", soft_wrap=False)
        console.print("what to do, to compute all of it anew:")
        for command in list_commands(*crystal):
            console.print(f"  {command}")


@app.command()
def report(
    folder: Results,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="HTML file to write; by default report.html in the dataset.",
            callback=validate_with(partial(require_file, folder_is_made=True)),
        ),
    ] = None,
    materials: Annotated[
        int, typer.Option(min=0, help="Number of the best candidates whose figures are drawn.")
    ] = 6,
    observed: Observed = False,
    near_hull: NearHull = None,
    unit: Unit = UnitName.THZ,
) -> None:
    """Write one HTML file about what was screened and what was found.

    The file contains its figures and can be sent to others. Example:

        chiralscreen report results/demo --output demo.html
    """
    from tasks.results.catalogue import Restriction
    from tasks.site.report import write_report
    from tasks.storage import open_tables

    with print_errors():
        tables = open_tables(require_results(folder))
        path = output or folder / "report.html"
        restriction = Restriction(observed, near_hull)
        path = write_report(
            tables, path, n_drawn=materials, unit=UNITS[unit], restriction=restriction
        )
    console.print(f"written: {path}")
    console.print(f"look at it: open {path} in a browser")


if __name__ == "__main__":
    app()
