"""Command for what instruments see of screened crystals."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.console import (
    DONE,
    DONE_WITH_FAILURES,
    UNUSABLE,
    Results,
    Unit,
    console,
    errors,
    parse_q_point,
    print_errors,
    require_folder,
    require_results,
    validate_with,
)
from tasks.conditions import Conditions, Probe
from tasks.failures import RemediableError
from tasks.tables.observables import OBSERVABLES
from tasks.units import UNITS, FrequencyUnit, UnitName

if TYPE_CHECKING:
    from tasks.phonons.fourier import HarmonicCrystal

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)

_MAX_ROWS = 24
Row = Mapping[str, Any]
# Of each kind the columns of the terminal: name, header with the stored unit, rank (greatest first
# to go). Files have them all.
_SHOWN: Mapping[str, tuple[tuple[str, str, int], ...]] = {
    "infrared": (
        ("frequency", "TO\n(THz)", 0),
        ("n_modes", "modes", 9),
        *((f"strength_{axis}", f"Δε\n{axis}", 1) for axis in "xyz"),
        *((f"longitudinal_{axis}", f"LO {axis}\n(THz)", 2) for axis in "xyz"),
    ),
    "dichroism": (
        ("direction", "light\nalong", 0),
        ("frequency", "ν\n(THz)", 0),
        ("n_modes", "modes", 9),
        ("strength", "|p|²\n(e²/u)", 2),
        ("rotatory_strength", "R\n(e² Å/u)", 1),
        ("dissymmetry", "dissymmetry", 1),
    ),
    "raman": (
        ("axis", "axis", 0),
        ("frequency", "ν\n(THz)", 0),
        ("n_modes", "modes", 9),
        ("channels", "channels", 0),
        ("splitting", "ν(RL) − ν(LR)\n(THz)", 0),
    ),
    "scattering": (
        *((f"q_{axis}", f"Q_{axis}", 0) for axis in "abc"),
        ("band", "band", 3),
        ("frequency", "ν\n(THz)", 0),
        ("intensity", "intensity\n(fm² or e²)", 0),
        ("circular_proxy", "circular\nproxy (Å²)", 1),
    ),
    "moments": (
        ("q_label", "q", 0),
        ("band", "band", 0),
        ("frequency", "ν\n(THz)", 0),
        *((f"moment_{axis}", f"m_{axis}\n(μ_N)", 2) for axis in "xyz"),
        *((f"zeeman_{axis}", f"B along {axis}\n(meV/T)", 1) for axis in "z"),
    ),
    "response": (
        ("temperature", "T\n(K)", 0),
        ("relaxation_time", "τ\n(s)", 2),
        ("conductivity", "|κ|\n(W/m K)", 2),
        ("angular_momentum", "|α|\n(J s/m² K)", 1),
        ("per_heat_flux", "|α κ⁻¹|\n(s²/m)", 1),
        ("helicity", "H\n(ħ)", 0),
        ("mean_helicity", "mean h\n(ħ)", 1),
    ),
    "strain": (
        ("q_label", "q", 0),
        ("band", "band", 0),
        ("frequency", "ν\n(THz)", 0),
        ("component", "strain", 0),
        ("gruneisen", "−∂lnν/∂ε", 0),
        ("gruneisen_error", "±", 1),
        ("helicity_slope", "∂h/∂ε\n(ħ)", 0),
        ("helicity_slope_error", "±", 5),
        ("separation", "apart\n(THz)", 4),
        ("splitting_slope", "∂c₁/∂ε\n(THz Å)", 3),
    ),
    "topology": (
        ("q_label", "point", 0),
        *((f"q_{axis}", f"q_{axis}", 1) for axis in "abc"),
        ("first_band", "from\nband", 0),
        ("last_band", "to\nband", 0),
        ("frequency", "ν\n(THz)", 0),
        ("charge", "charge", 0),
    ),
}
# Of each kind with many rows the columns whose size decides which are shown.
_STRENGTHS: Mapping[str, tuple[str, ...]] = {
    "infrared": ("strength_x", "strength_y", "strength_z"),
    "dichroism": ("dissymmetry",),
    "scattering": ("intensity", "circular_proxy"),
    "moments": ("zeeman_x", "zeeman_y", "zeeman_z"),
    "topology": ("charge",),
    "strain": ("gruneisen", "helicity_slope", "splitting_slope"),
}
_SILENT = 1e-6
_KINDS = ", ".join(OBSERVABLES)
# What takes longer than the rest is computed where it is named.
_USUAL = Conditions()
_KELVIN = (
    f"{_USUAL.temperature:g}; {', '.join(f'{x:g}' for x in _USUAL.temperatures)} for responses"
)
_QUICK = tuple(kind for kind in OBSERVABLES if kind not in {"response", "topology", "strain"})


@app.command()
def observe(
    folder: Results,
    material_ids: Annotated[list[str], typer.Argument(help="Names of materials.")],
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            help=f"{_KINDS}; may be repeated. By default all but the last three, the slow ones.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for one Parquet file of each kind.",
            callback=validate_with(require_folder),
        ),
    ] = None,
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw what can be drawn, as PNG, into --output.")
    ] = False,
    temperature: Annotated[
        list[float] | None,
        typer.Option(
            min=1.0,
            help=f"In K; may be repeated for responses. {_KELVIN}.",
        ),
    ] = None,
    probe: Annotated[str, typer.Option(help="What is scattered: neutron or x-ray.")] = _USUAL.probe,
    line: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Both ends of a line of Q, as 2,1,1 2,1,2; along the main axis by default.",
            show_default=False,
        ),
    ] = None,
    resolution: Annotated[
        float | None,
        typer.Option(min=1e-6, help="Of pictures of scattering, in meV; 1 % of the highest ν."),
    ] = None,
    element: Annotated[
        str | None, typer.Option(help="Resonant element; the heaviest by default.")
    ] = None,
    laser: Annotated[
        float, typer.Option(min=1.0, help="Wavelength for Raman, in nm.")
    ] = _USUAL.wavelength,
    index: Annotated[
        float | None,
        typer.Option(min=1.0, help="Refractive index there; known for crystals with charges."),
    ] = None,
    relaxation_time: Annotated[
        float, typer.Option(min=1e-6, help="Of all modes, in ps, for responses.")
    ] = _USUAL.relaxation_time,
    conductivity: Annotated[
        float | None,
        typer.Option(min=0.0, help="In W/(m K): the relaxation time is the one that gives it."),
    ] = None,
    unit: Unit = UnitName.THZ,
) -> None:
    """Compute what instruments see: infrared, Raman, scattering, moments, responses, nodal points.

    From the stored force constants; strain takes the potential as well. Examples:

        chiralscreen observe results/demo quartz-154 --kind raman --index 1.5 --unit cm-1

        chiralscreen observe results/dft quartz -o observed --figures
    """
    with print_errors():
        from tasks.results.observing import observe_crystal
        from tasks.results.stored_crystals import read_interpolation, read_screened_material
        from tasks.storage import open_tables

        if probe not in set(Probe):
            raise RemediableError(f"there is no probe {probe!r}", "take neutron or x-ray")
        if figures and output is None:
            raise RemediableError("figures need a folder", "name one, as in --output observed")
        kelvin = tuple(temperature or ())
        conditions = Conditions(
            temperature=(*kelvin, _USUAL.temperature)[0],
            temperatures=kelvin or _USUAL.temperatures,
            probe=Probe(probe),
            line=None if line is None else (parse_q_point(line[0]), parse_q_point(line[1])),
            resolution=resolution,
            element=element,
            wavelength=laser,
            refractive_index=index,
            relaxation_time=relaxation_time,
            conductivity=conductivity,
        )
        tables = open_tables(require_results(folder))
        rows_of = {name: read_screened_material(tables, name) for name in material_ids}
        crystals = {name: read_interpolation(tables, row).crystal for name, row in rows_of.items()}
        observations = {
            name: partial(observe_crystal, tables, row, crystals[name])
            for name, row in rows_of.items()
        }
        found, left_out = _compute_rows(observations, kinds, conditions)
        for (name, kind), rows in found.items():
            _print_rows(name, kind, rows, UNITS[unit])
        if output is not None:
            _write_files(output, found)
            if figures:
                _draw(output, crystals, found, conditions, UNITS[unit])
    for name in (name for name, row in rows_of.items() if row["stable"] is False):
        errors.print(f"{name} is unstable: its imaginary modes are left out", soft_wrap=False)
        errors.print("what to do: choose another crystal, or another potential for this one")
    for (name, text, remedy), names in left_out.items():
        errors.print(f"left out: {', '.join(names)} of {name}: {text}", soft_wrap=False)
        errors.print(f"what to do: {remedy}", soft_wrap=False)
    if not found:
        raise typer.Exit(UNUSABLE)
    raise typer.Exit(DONE_WITH_FAILURES if left_out and kinds else DONE)


def _compute_rows(
    observations: Mapping[str, Callable[[str, Conditions], list[dict[str, Any]]]],
    kinds: Sequence[str] | None,
    conditions: Conditions,
) -> tuple[dict[tuple[str, str], list[dict[str, Any]]], dict[tuple[str, str, str], list[str]]]:
    """Rows by material and kind; kinds left out by material, reason and remedy."""
    from tasks.observables.rows import require_kind

    for kind in kinds or ():
        require_kind(kind)
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    left_out: dict[tuple[str, str, str], list[str]] = {}
    for name, observe_kind in observations.items():
        for kind in dict.fromkeys(kinds or _QUICK):
            with errors.status(f"{kind} of {name}"):
                try:
                    found[name, kind] = observe_kind(kind, conditions)
                except RemediableError as error:
                    left_out.setdefault((name, str(error), error.remedy), []).append(kind)
    return found, left_out


def _print_rows(name: str, kind: str, rows: list[dict[str, Any]], unit: FrequencyUnit) -> None:
    """Print the rows of one kind of one material, the strongest where there are many."""
    from flows.tables import Column, print_table

    if not rows:
        console.print(f"{kind} of {name}: none")
        return
    shown = _select_rows(kind, rows)
    columns = [
        Column(
            unit.rewrite_unit(header),
            _format_column([row[column] for row in shown], unit.get_scale(header)),
            rank,
        )
        for column, header, rank in _SHOWN[kind]
    ]
    elsewhere = f"all columns: --output FOLDER, {kind}.parquet"
    print_table(console, columns, title=f"{kind} of {name}", elsewhere=elsewhere)
    if left := len(rows) - len(shown):
        console.print(f"and {left} more rows, weaker or silent: --output FOLDER, {kind}.parquet")


def _select_rows(kind: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows for the terminal, in their order; what is silent by symmetry is left to the file."""
    names = _STRENGTHS.get(kind)
    if names is None:
        return rows[:_MAX_ROWS]
    strengths = [[abs(row[name] or 0.0) for name in names] for row in rows]
    largest = [max(column) or 1.0 for column in zip(*strengths, strict=True)]
    sizes = [max(x / y for x, y in zip(part, largest, strict=True)) for part in strengths]
    least = max(sorted(sizes, reverse=True)[:_MAX_ROWS][-1], _SILENT)
    return [row for row, size in zip(rows, sizes, strict=True) if size >= least][:_MAX_ROWS]


def _format_column(values: Sequence[Any], scale: float) -> list[str]:
    """Cells of a column; numbers to four digits, 0 where others are a million times as large."""
    import numpy as np

    # Of tensors the root of the sum of squares.
    plain = [float(np.linalg.norm(x)) if isinstance(x, np.ndarray) else x for x in values]
    numbers = [abs(value) for value in plain if isinstance(value, float)]
    noise = _SILENT * max(numbers, default=0.0)
    return [_format_cell(value, scale, noise) for value in plain]


def _format_cell(value: object, scale: float, noise: float) -> str:
    """Cell of a table."""
    if isinstance(value, float):
        return f"{scale * value:.4g}" if abs(value) > noise else "0"
    return "-" if value is None else str(value)


def _write_files(output: Path, found: Mapping[tuple[str, str], list[dict[str, Any]]]) -> None:
    """Write one Parquet file of each kind, with all materials."""
    import pyarrow.parquet as pq

    from tasks.tables.rows import make_arrow_table

    output.mkdir(parents=True, exist_ok=True)
    for kind, table in OBSERVABLES.items():
        rows = [
            {"material_id": name} | row
            for (name, other), part in found.items()
            if other == kind
            for row in part
        ]
        if rows:
            path = output / f"{kind}.parquet"
            pq.write_table(make_arrow_table(table, rows), path, compression="zstd")
            console.print(f"written: {path}")


def _draw(
    output: Path,
    crystals: Mapping[str, "HarmonicCrystal"],
    found: Mapping[tuple[str, str], object],
    conditions: Conditions,
    unit: FrequencyUnit,
) -> None:
    """Draw the kinds that have a figure."""
    from tasks.figures.observables import FIGURES
    from tasks.figures.style import save_figure
    from tasks.sources import make_safe_id

    for name, kind in found:
        if kind in FIGURES:
            figure = FIGURES[kind](crystals[name], conditions, name, unit)
            for path in save_figure(figure, output / f"{make_safe_id(name)}-{kind}", ["png"]):
                console.print(f"written: {path}")


if __name__ == "__main__":
    app()
