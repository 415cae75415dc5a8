"""Pictures of what instruments see."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tasks.chirality.bands import BandStructure, compute_band_structure
from tasks.chirality.settings import ChiralitySettings
from tasks.conditions import Conditions, Probe
from tasks.figures.bands import draw_plain_bands
from tasks.figures.style import (
    DIVERGING,
    DOUBLE_COLUMN,
    INK,
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    SEQUENTIAL,
    SINGLE_COLUMN,
    apply_style,
    make_figure,
)
from tasks.observables.infrared import compute_infrared_response, compute_reflectivity
from tasks.observables.moments import measure_magnetic_moments
from tasks.observables.raman import compute_raman_lines, estimate_refractive_index
from tasks.observables.response import compute_heat_response
from tasks.observables.rows import choose_line, choose_points, find_resonant_element
from tasks.observables.scattering import (
    compute_circular_proxy,
    compute_displacement_tensors,
    compute_one_phonon,
)
from tasks.observables.topology import NodalPoint, find_nodal_points
from tasks.phonons.fourier import HarmonicCrystal
from tasks.units import UNITS, FrequencyUnit, UnitName

# Widths of lines in pictures, as fractions of the frequency or of the highest one.
_LINEWIDTH: Final = 0.01
_RESOLUTION: Final = 0.01
_N_FREQUENCIES: Final = 600
_N_POINTS: Final = 201
_PATH_SPACING: Final = 0.004  # 1/Å without 2 pi
# Below 50 K meshes are too coarse for the few modes that are left.
_TEMPERATURES: Final = np.arange(50.0, 601.0, 25.0)


def draw_infrared_figure(
    phonon: HarmonicCrystal, _: Conditions, title: str, unit: FrequencyUnit
) -> Figure:
    """Draw the reflectivity at normal incidence for fields along x, y and z.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With Born charges.
    title : str
        Above it.
    unit : FrequencyUnit
        Of the axis.

    Returns
    -------
    matplotlib.figure.Figure
        Lines of 1 % of the frequency in width.
    """
    found = compute_infrared_response(phonon)
    grid = np.linspace(0.02, 1.3 * found.frequencies.max(), 4 * _N_FREQUENCIES)
    dielectric = found.compute_dielectric_function(grid, _LINEWIDTH)
    styles = zip("xyz", (NEGATIVE, NEUTRAL, POSITIVE), ("-", "--", "-"), strict=True)
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 2.4)
        axes = figure.subplots()
        for i, (name, colour, line) in enumerate(styles):
            reflected = compute_reflectivity(dielectric[:, i, i])
            shown = unit.per_terahertz * grid
            axes.plot(shown, reflected, color=colour, linestyle=line, label=f"E along {name}")
        axes.set_xlabel(f"Frequency ({unit.text})")
        axes.set_ylabel("Reflectivity")
        axes.set_ylim(0, 1.02)
        axes.set_title(title)
        axes.legend()
    return figure


def draw_raman_figure(
    phonon: HarmonicCrystal, conditions: Conditions, title: str, unit: FrequencyUnit
) -> Figure:
    """Draw the positions of circular Raman lines, and their splittings.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    conditions : Conditions
        With the laser.
    title : str
        Above it.
    unit : FrequencyUnit
        Of the axes.

    Returns
    -------
    matplotlib.figure.Figure
        Along the axis of highest order; empty without one.
    """
    # Positions need no index; splittings are drawn where there is one.
    index = conditions.refractive_index or estimate_refractive_index(phonon) or np.nan
    lines = compute_raman_lines(phonon, conditions.wavelength, index)
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 2.8)
        above, below = figure.subplots(2, 1, sharex=True)
        for axis in lines[:1]:
            crossed = np.array(["RL" in channel for channel in axis.channels])
            shown = unit.per_terahertz * axis.frequencies
            for chosen, colour, label in (
                (~crossed, INK, "RR, LL"),
                (crossed, POSITIVE, "RL, LR"),
            ):
                above.vlines(shown[chosen], 0, 1, color=colour, linewidth=1.2, label=label)
            below.stem(
                shown[crossed],
                unit.per_terahertz * axis.splittings[crossed],
                linefmt=POSITIVE,
                markerfmt=" ",
                basefmt=" ",
            )
        above.set_yticks([])
        above.legend(loc="upper left", bbox_to_anchor=(1, 1))
        below.axhline(0, color=NEUTRAL, linewidth=0.6)
        below.set_ylabel(f"ν(RL) − ν(LR) ({unit.text})")
        below.set_xlabel(f"Raman shift ({unit.text})")
        above.set_title(title)
    return figure


def draw_scattering_figure(
    phonon: HarmonicCrystal, conditions: Conditions, title: str, unit: FrequencyUnit
) -> Figure:
    """Draw S(Q, nu) along a line of Q beside the circular proxy of resonant X-rays.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    conditions : Conditions
        With line, temperature, probe and element.
    title : str
        Above it.
    unit : FrequencyUnit
        Of the axis.

    Returns
    -------
    matplotlib.figure.Figure
        The mirror image has the same left picture, and
        the right one with its colours exchanged.
    """
    points, kelvin = choose_line(phonon, conditions, _N_POINTS), conditions.temperature
    tensors = compute_displacement_tensors(phonon, kelvin)
    element = conditions.element or find_resonant_element(phonon)
    along = points[-1] - points[0]
    plain = compute_one_phonon(phonon, points, kelvin, conditions.probe, tensors, along)
    circular = compute_circular_proxy(phonon, points, element, kelvin, tensors, along)
    top = 1.05 * plain.modes.frequencies.max()
    grid = np.linspace(0, top, _N_FREQUENCIES)
    width = _RESOLUTION * top
    if conditions.resolution is not None:
        width = conditions.resolution / UNITS[UnitName.MILLIELECTRONVOLT].per_terahertz
    maps = [part.compute_map(grid, width) for part in (plain, circular)]
    name = "neutrons" if conditions.probe is Probe.NEUTRON else "X-rays"
    with apply_style():
        figure = make_figure(DOUBLE_COLUMN, 3.0)
        left, right = figure.subplots(1, 2, sharey=True)
        high = unit.per_terahertz * top
        _draw_map(left, np.sqrt(maps[0]), high, SEQUENTIAL, symmetric=False)
        _draw_map(
            right, np.sign(maps[1]) * np.sqrt(np.abs(maps[1])), high, DIVERGING, symmetric=True
        )
        left.set_title(f"{title}, {name}, {kelvin:g} K")
        right.set_title(f"circular proxy at the resonance of {element}")
        left.set_ylabel(f"Frequency ({unit.text})")
        ends = [", ".join(f"{x:.3g}" for x in points[row]) for row in (0, -1)]
        for axes in (left, right):
            axes.set_xlabel(f"Q from ({ends[0]}) to ({ends[1]})")
            axes.set_xticks([0, 1], ["", ""])
    return figure


def draw_moments_figure(
    phonon: HarmonicCrystal, _: Conditions, title: str, unit: FrequencyUnit
) -> Figure:
    """Draw Zeeman splittings at Gamma, and moments at the q-point of the most chiral optical mode.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With Born charges.
    title : str
        Above it.
    unit : FrequencyUnit
        Of the axis.

    Returns
    -------
    matplotlib.figure.Figure
        The mirror image has the same splittings, and moments of the opposite sign along an axis.
    """
    points = choose_points(phonon)
    found = measure_magnetic_moments(phonon, np.stack(list(points.values())))
    chiral = ", ".join(f"{x:.3g}" for x in points["most chiral"] + 0.0)
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 3.2)
        above, below = figure.subplots(2, 1, sharex=True)
        rows = ((above, found.zeeman[0], "B"), (below, found.moment[1], "m"))
        for row, (axes, values, symbol) in enumerate(rows):
            shown = unit.per_terahertz * found.modes.frequencies[row]
            _draw_components(axes, shown, values, symbol)
        above.set_ylabel("Zeeman splitting\nat Γ (meV/T)")
        below.set_ylabel(f"Moment at\n({chiral}) (μ_N)".replace("μ_N", r"$\mu_\mathrm{N}$"))
        below.set_xlabel(f"Frequency ({unit.text})")
        above.set_title(title)
    return figure


def draw_topology_figure(
    phonon: HarmonicCrystal, _: Conditions, title: str, unit: FrequencyUnit
) -> Figure:
    """Draw nodal points with their charges on the bands.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    title : str
        Above it.
    unit : FrequencyUnit
        Of the axis.

    Returns
    -------
    matplotlib.figure.Figure
        Nodal points on the path; open circles for sets whose charge is left open, as on nodal
        lines. Charges of the mirror image are the opposite ones.
    """
    bands = compute_band_structure(phonon, ChiralitySettings(path_spacing=_PATH_SPACING))
    nodes = find_nodal_points(phonon)
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 3.0)
        axes = figure.subplots()
        draw_plain_bands(axes, bands.convert_unit(unit))
        for charge in sorted({node.charge for node in nodes}, key=_rank_charge):
            own = [node for node in nodes if node.charge == charge]
            places = [_find_on_path(bands, node, phonon.primitive.cell) for node in own]
            heights = np.repeat([node.frequency for node in own], [len(x) for x in places])
            _draw_nodes(axes, np.concatenate(places), unit.per_terahertz * heights, charge)
        axes.legend(title="charge", loc="upper left", bbox_to_anchor=(1, 1))
        axes.set_title(title)
    return figure


def draw_response_figure(
    phonon: HarmonicCrystal, conditions: Conditions, title: str, _: FrequencyUnit
) -> Figure:
    """Draw thermal helicity and angular momentum per heat flux against temperature.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    conditions : Conditions
        With the relaxation time, which neither curve depends on.
    title : str
        Above it.

    Returns
    -------
    matplotlib.figure.Figure
    """
    found = compute_heat_response(
        phonon, _TEMPERATURES, relaxation_time=conditions.relaxation_seconds
    )
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 3.2)
        above, below = figure.subplots(2, 1, sharex=True)
        above.plot(_TEMPERATURES, found.mean_helicity, color=INK)
        above.axhline(0, color=NEUTRAL, linewidth=0.6)
        above.set_ylabel("Mean helicity (ħ)")
        for i, (name, colour) in enumerate(zip("xyz", (NEGATIVE, NEUTRAL, POSITIVE), strict=True)):
            style = "--" if name == "y" else "-"
            values = found.per_heat_flux[:, i, i]
            below.plot(_TEMPERATURES, values, style, color=colour, label=f"{name}{name}")
        below.axhline(0, color=NEUTRAL, linewidth=0.6)
        below.set_ylabel("−α κ⁻¹ (s² m⁻¹)")
        below.set_xlabel("Temperature (K)")
        below.legend()
        above.set_title(title)
    return figure


def _draw_components(
    axes: Axes, frequencies: NDArray[np.float64], values: NDArray[np.float64], symbol: str
) -> None:
    """Draw components along x, y and z over the frequencies, side by side where they coincide."""
    width = 0.008 * np.ptp(frequencies)
    for i, (name, colour) in enumerate(zip("xyz", (NEGATIVE, NEUTRAL, POSITIVE), strict=True)):
        places = frequencies + (i - 1) * width
        axes.vlines(places, 0, values[:, i], color=colour, linewidth=1.2, label=f"{symbol} {name}")
    axes.axhline(0, color=NEUTRAL, linewidth=0.6)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def _rank_charge(charge: int | None) -> int:
    """Place in the legend: from positive to negative, and last what is open."""
    return 99 if charge is None else -charge


def _draw_nodes(
    axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], charge: int | None
) -> None:
    """Draw the nodal points of one charge; what has none is an open circle."""
    colour = INK if not charge else POSITIVE if charge > 0 else NEGATIVE
    axes.scatter(
        x,
        y,
        s=14 * max(abs(charge or 0), 1),
        facecolors=colour if charge else "none",
        edgecolors=colour,
        linewidths=0.5,
        label="open" if charge is None else f"{charge:+d}".replace("-", "−"),
        clip_on=False,
        zorder=3,
    )


def _find_on_path(
    bands: BandStructure, node: NodalPoint, cell: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distances along the path where it comes to a nodal point."""
    apart = np.linalg.norm((bands.q_points - node.q_point) @ np.linalg.inv(cell).T, axis=1)
    # Of neighbouring points the nearest one.
    nearest = [rows.start + int(apart[rows].argmin()) for rows in bands.segment_slices]
    found = bands.distances[[row for row in nearest if apart[row] < _PATH_SPACING]]
    return np.unique(found.round(9))


def _draw_map(
    axes: Axes, values: NDArray[np.float64], top: float, colours: str | Colormap, *, symmetric: bool
) -> None:
    """Draw a map over the line of Q and the frequency."""
    # The acoustic modes at lattice vectors are brighter than all else.
    limit = float(np.quantile(np.abs(values), 0.995)) or 1.0
    axes.imshow(
        values.T,
        origin="lower",
        aspect="auto",
        extent=(0, 1, 0, top),
        cmap=colours,
        vmin=-limit if symmetric else 0.0,
        vmax=limit,
        interpolation="bilinear",
    )


FIGURES: Final[
    Mapping[str, Callable[[HarmonicCrystal, Conditions, str, FrequencyUnit], Figure]]
] = MappingProxyType(
    {
        "infrared": draw_infrared_figure,
        "raman": draw_raman_figure,
        "scattering": draw_scattering_figure,
        "moments": draw_moments_figure,
        "response": draw_response_figure,
        "topology": draw_topology_figure,
    }
)
"""Figure of each kind that has one."""
