"""Materials by class, crystal system and space group, as rings around each other."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Wedge

from tasks.figures.labels import WAVES, format_space_group_tex
from tasks.figures.style import (
    CLASS_COLOURS,
    INK,
    SINGLE_COLUMN,
    WAVE_COLOURS,
    apply_style,
    make_figure,
)
from tasks.symmetry import classify_space_group


@dataclass(frozen=True)
class _Ring:
    """One ring: what its sectors stand for, its radii, and the least angle with a name (°)."""

    name: str
    keys: tuple[str, ...]
    inner: float
    outer: float
    least: float


_RINGS: Final = (
    _Ring("class", ("class",), 0.27, 0.50, 10.0),
    _Ring("system", ("class", "system"), 0.51, 0.75, 9.0),
    _Ring("group", ("number",), 0.76, 1.00, 4.0),
)


def draw_sunburst(chirality: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw the shares of classes, crystal systems and space groups.

    Parameters
    ----------
    chirality : pandas.DataFrame
        The catalogue of materials.
    title : str
        Above it.

    Returns
    -------
    matplotlib.figure.Figure
        From the centre: class, crystal system, and space group, coloured by the helicity wave that
        it allows. Sectors too narrow for their name have none.
    """
    groups = _group_materials(chirality)
    with apply_style():
        figure = make_figure(SINGLE_COLUMN * 1.3, SINGLE_COLUMN * 1.4)
        axes = figure.subplots()
        for ring in _RINGS:
            _draw_ring(axes, ring, groups)
        axes.set(xlim=(-1.02, 1.02), ylim=(-1.02, 1.02), aspect="equal", title=title)
        axes.set_axis_off()
        axes.text(0, 0, f"{groups['count'].sum()}\nmaterials", ha="center", va="center")
        waves = [wave for wave in WAVES if (groups["wave"] == wave).any()]
        handles = [Patch(color=WAVE_COLOURS[wave], label=WAVES[wave]) for wave in waves]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _group_materials(chirality: pd.DataFrame) -> pd.DataFrame:
    """One row per space group with materials: number of them, names and colours."""
    numbers = Counter(chirality["space_group_number"].dropna().astype(int).tolist())
    found = [(classify_space_group(number), n) for number, n in numbers.items()]
    rows = [
        {
            "number": group.number,
            "class": f"class {group.chirality_class}",
            "system": group.crystal_system,
            "group": format_space_group_tex(group.symbol),
            "wave": group.helicity_wave,
            "class colour": CLASS_COLOURS[group.chirality_class],
            "system colour": _lighten(CLASS_COLOURS[group.chirality_class]),
            "group colour": WAVE_COLOURS[group.helicity_wave],
            "count": n,
        }
        for group, n in found
    ]
    return pd.DataFrame(rows).sort_values(["class", "number"])


def _draw_ring(axes: Axes, ring: _Ring, groups: pd.DataFrame) -> None:
    """Add one ring, clockwise from the top."""
    angle, total = 90.0, groups["count"].sum()
    for _, rows in groups.groupby(list(ring.keys), sort=False):
        extent, first = 360.0 * rows["count"].sum() / total, rows.iloc[0]
        sector = Wedge(
            (0.0, 0.0),
            ring.outer,
            angle - extent,
            angle,
            width=ring.outer - ring.inner,
            facecolor=first[f"{ring.name} colour"],
            edgecolor="white",
            linewidth=0.4,
        )
        axes.add_patch(sector)
        if extent >= ring.least:
            _write_name(axes, sector, (ring.inner + ring.outer) / 2, first[ring.name])
        angle -= extent


def _write_name(axes: Axes, sector: Wedge, radius: float, text: str) -> None:
    """Write along the radius, never upside down, in what is read well on the colour."""
    angle = (sector.theta1 + sector.theta2) / 2
    red, green, blue, _ = to_rgba(sector.get_facecolor())
    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
    axes.text(
        radius * np.cos(np.radians(angle)),
        radius * np.sin(np.radians(angle)),
        text,
        rotation=(angle + 90.0) % 180.0 - 90.0,
        color="white" if dark else INK,
        ha="center",
        va="center",
        fontsize=5.5,
    )


def _lighten(colour: str) -> str:
    red, green, blue = (0.45 * part + 0.55 for part in to_rgb(colour))
    return to_hex((red, green, blue))
