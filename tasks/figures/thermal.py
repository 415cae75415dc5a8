"""Thermal properties of the vibrations as functions of temperature."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.constants import R

from tasks.chirality.thermal import ThermalProperties
from tasks.figures.labels import QUANTITIES
from tasks.figures.style import (
    INK,
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    SINGLE_COLUMN,
    apply_style,
    make_figure,
)


def draw_thermal_figure(thermal: ThermalProperties, n_atoms: int, *, title: str = "") -> Figure:
    """Draw heat capacity and entropy above the free energy, all per mole of primitive cells.

    Parameters
    ----------
    thermal : ThermalProperties
        From `tasks.chirality.compute_thermal_properties`.
    n_atoms : int
        Atoms in the primitive cell; the heat capacity tends to 3 n_atoms R, which is marked.
    title : str
        Above them, with what a mole is of, and the share of imaginary modes, which are left out.

    Returns
    -------
    matplotlib.figure.Figure
        Of the width of one column.
    """
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 3.4)
        above, below = figure.subplots(2, 1, sharex=True)
        _draw_capacity(above, thermal, 3 * n_atoms * R)
        below.plot(thermal.temperatures, thermal.free_energy, color=INK)
        below.set_ylabel(QUANTITIES["free_energy_300"].short)
        below.set_xlabel(QUANTITIES["temperature"].axis)
        below.set_xlim(thermal.temperatures[0], thermal.temperatures[-1])
        cells = f"per mole of primitive cells ({n_atoms} atoms)"
        above.set_title("\n".join(filter(None, (title, cells, _describe_omissions(thermal)))))
    return figure


def _draw_capacity(axes: Axes, thermal: ThermalProperties, limit: float) -> None:
    """Heat capacity with its classical limit, and entropy."""
    axes.axhline(limit, color=NEUTRAL, linewidth=0.6, linestyle="--", zorder=0)
    capacity, entropy = QUANTITIES["heat_capacity_300"], QUANTITIES["entropy_300"]
    axes.plot(
        thermal.temperatures, thermal.heat_capacity, color=POSITIVE, label=f"${capacity.symbol}$"
    )
    axes.plot(thermal.temperatures, thermal.entropy, color=NEGATIVE, label=f"${entropy.symbol}$")
    axes.set_ylabel(f"${capacity.symbol}$, {entropy.short}")
    axes.set_ylim(bottom=0)
    axes.legend()


def _describe_omissions(thermal: ThermalProperties) -> str:
    """What is not in the numbers."""
    share = thermal.imaginary_fraction
    return f"{100 * share:.2g} % of the modes are imaginary and left out" if share else ""
