"""Helicity density of states and its spherical harmonics."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from tasks.chirality.harmonics import ORDERS
from tasks.crystals.rows import Row
from tasks.figures.labels import QUANTITIES, WAVES
from tasks.figures.style import (
    INK,
    NEGATIVE,
    POSITIVE,
    SINGLE_COLUMN,
    WAVE_COLOURS,
    apply_style,
    make_figure,
)
from tasks.units import THZ, FrequencyUnit

FloatArray = NDArray[np.float64]
_WAVE_OF_ORDER = dict(zip(ORDERS, "sdgi", strict=True))
# Harmonics below this share of the sum of |h| are noise of the arithmetic or of the mesh; no scale
# ends below as many ħ/THz.
_FLOOR = 1e-3
_LONG = 4  # characters


@dataclass(frozen=True, eq=False)
class HelicityDos:
    """Helicity density of states of a material.

    Attributes
    ----------
    edges : ndarray, shape (n_bins + 1,)
        Limits of the frequency bins, in `unit`.
    chi, absolute : ndarray, shape (n_bins,)
        With h and with |h|, hbar per `unit` and primitive cell.
    harmonics : ndarray, shape (4, n_bins)
        S_L for L = 0, 2, 4, 6, in the same unit.
    unit : FrequencyUnit
        Of the frequencies.
    """

    edges: FloatArray
    chi: FloatArray
    absolute: FloatArray
    harmonics: FloatArray
    unit: FrequencyUnit = THZ

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read it from a row of the table ``chirality``.

        Parameters
        ----------
        row : mapping
            With the columns ``helicity_*``.

        Returns
        -------
        HelicityDos
            The same numbers as arrays.
        """
        chi = np.asarray(row["helicity_dos"], dtype=np.float64)
        return cls(
            edges=np.asarray(np.arange(len(chi) + 1) * float(row["helicity_bin_width"])),
            chi=chi,
            absolute=np.asarray(row["helicity_dos_absolute"], dtype=np.float64),
            harmonics=np.reshape(row["helicity_harmonics"], (len(ORDERS), -1)).astype(np.float64),
        )

    def convert_unit(self, unit: FrequencyUnit) -> Self:
        """Return the same density with frequencies in another unit."""
        factor = unit.per_terahertz / self.unit.per_terahertz
        return replace(
            self,
            edges=self.edges * factor,
            chi=self.chi / factor,
            absolute=self.absolute / factor,
            harmonics=self.harmonics / factor,
            unit=unit,
        )


def draw_helicity_dos_figure(density: HelicityDos, *, title: str = "") -> Figure:
    """Draw the helicity density of states above its spherical harmonics.

    Parameters
    ----------
    density : HelicityDos
        The density.
    title : str
        Above it.

    Returns
    -------
    matplotlib.figure.Figure
        Of the width of one column. A_L is the sum of S_L in units of that of |h|.
    """
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 3.6)
        above, *below = figure.subplots(5, 1, sharex=True, height_ratios=(3, 1, 1, 1, 1))
        draw_helicity_dos(above, density)
        above.set_title(title)
        above.set_xlabel("")
        draw_harmonics(below, density)
    return figure


def draw_helicity_dos(axes: Axes, density: HelicityDos, *, vertical: bool = False) -> None:
    """Draw the helicity density of states into axes, the outline of |h| around it.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    density : HelicityDos
        The density.
    vertical : bool
        Frequency upwards, as beside a band structure.
    """
    orientation: Literal["horizontal", "vertical"] = "horizontal" if vertical else "vertical"
    for sign in (1, -1):
        axes.stairs(
            sign * density.absolute,
            density.edges,
            orientation=orientation,
            color="0.7",
            linewidth=0.5,
        )
    for part, colour in ((np.maximum, POSITIVE), (np.minimum, NEGATIVE)):
        axes.stairs(
            part(density.chi, 0), density.edges, orientation=orientation, fill=True, color=colour
        )
    density_label = QUANTITIES["helicity_dos"].convert_unit(density.unit)
    if vertical:
        axes.axvline(0, color=INK, linewidth=0.5)
        axes.set_xlabel(density_label.short)
        tick = float(f"{0.7 * max(density.absolute.max(), _choose_floor(density)):.0e}")
        # Beside long numbers there is no room for the zero, where a line stands.
        zero = "0" if len(f"{tick:g}") < _LONG else ""
        axes.set_xticks([-tick, 0.0, tick], [f"${-tick:g}$", zero, f"{tick:g}"])
    else:
        axes.axhline(0, color=INK, linewidth=0.5)
        axes.set_ylabel(density_label.short)
        _label_frequency(axes, density)


def draw_harmonics(axes: Sequence[Axes], density: HelicityDos) -> None:
    """Draw the spherical harmonics of the helicity, one below the other."""
    total = float(density.absolute.sum()) or 1.0
    highest = 1.1 * max(float(density.harmonics.max()), _choose_floor(density))
    for place, order, values in zip(axes, ORDERS, density.harmonics, strict=True):
        wave = _WAVE_OF_ORDER[order]
        share = float(values.sum()) / total
        place.stairs(values, density.edges, color=WAVE_COLOURS[wave], fill=True)
        place.set_ylim(0, highest)
        amount = f"{share:.2f}" if share > _FLOOR else "0"
        text = f"{WAVES[wave]}: $A_{order}$ = {amount}"
        place.annotate(
            text,
            (0.99, 0.93),
            xycoords="axes fraction",
            ha="right",
            va="top",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8},
        )
    axes[1].set_ylabel(QUANTITIES["helicity_harmonics"].convert_unit(density.unit).short, y=0)
    _label_frequency(axes[-1], density)


def _choose_floor(density: HelicityDos) -> float:
    """Least height of a scale, in the unit of the density."""
    return _FLOOR / density.unit.per_terahertz


def _label_frequency(axes: Axes, density: HelicityDos) -> None:
    axes.set_xlim(density.edges[0], density.edges[-1])
    axes.set_xlabel(QUANTITIES["frequency"].convert_unit(density.unit).axis)
