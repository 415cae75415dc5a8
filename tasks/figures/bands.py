"""Phonon bands, coloured by what their modes carry.

A single mode is a thin line. Modes of a degenerate set have no numbers of their own: the set is
one line with dark rims, coloured by its mean Tr(P A) / Tr(P), which every basis shares. The labels
of pseudo-angular momentum are the spectrum of the set, drawn as strands side by side; modes without
a label are thin and grey.
"""

from collections.abc import Iterator
from typing import Any, Final, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation, Transform
from numpy.typing import NDArray

from tasks.chirality.bands import BandStructure
from tasks.figures.density_of_states import HelicityDos, draw_helicity_dos
from tasks.figures.labels import QUANTITIES, format_q_point_tex, format_screw_tex
from tasks.figures.style import (
    INK,
    NEUTRAL,
    PAM_COLOURS,
    SINGLE_COLUMN,
    add_colour_bar,
    apply_style,
    choose_colour_map,
    find_symmetric_limit,
    make_figure,
)

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Colour = Literal["helicity", "cycloidicity", "l_x", "l_y", "l_z", "pam"]

COLOURS: Final[tuple[Colour, ...]] = ("helicity", "cycloidicity", "l_x", "l_y", "l_z", "pam")
_WIDTH, _RIM = 0.9, 1.7  # points
_STRAND = 1.2  # points between the strands of a set
_WITH_CHARGES: Final[dict[str, Any]] = {"color": INK, "linewidth": _WIDTH}
_WITHOUT_CHARGES: Final[dict[str, Any]] = {
    "color": PAM_COLOURS[1],
    "linewidth": _WIDTH,
    "linestyle": (0, (3, 2)),
}


def draw_band_structure(
    bands: BandStructure,
    colour: Colour = "helicity",
    *,
    title: str = "",
    density: HelicityDos | None = None,
    limit: float | None = None,
) -> Figure:
    """Draw the band structure along the standard path.

    Parameters
    ----------
    bands : BandStructure
        From `tasks.chirality.bands.compute_band_structure`.
    colour : {"helicity", "cycloidicity", "l_x", "l_y", "l_z", "pam"}
        What colours the bands: helicity, cycloidicity or a Cartesian component of the angular
        momentum (hbar), or the integer pseudo-angular momentum.
    title : str
        Above the bands.
    density : HelicityDos, optional
        Drawn beside the bands on the same scale of frequency, in the same unit.
    limit : float, optional
        End of the colour scale (hbar); by default the largest value shown.

    Returns
    -------
    matplotlib.figure.Figure
        Of the width of one column.
    """
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 2.6)
        columns = 2 if density else 1
        axes = figure.subplots(
            1, columns, sharey=True, squeeze=False, width_ratios=(3, 1)[:columns]
        )[0]
        if colour == "pam":
            draw_pam_bands(axes[0], bands)
        else:
            norm = draw_bands(axes[0], bands, colour, limit)
            add_colour_bar(list(axes), norm, QUANTITIES[colour].axis)
        axes[0].set_title(title, pad=11 if colour == "pam" else None)
        if density:
            draw_helicity_dos(axes[1], density, vertical=True)
    return figure


def draw_bands(
    axes: Axes, bands: BandStructure, colour: Colour = "helicity", limit: float | None = None
) -> Normalize:
    """Draw bands coloured by helicity or angular momentum into axes.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    bands : BandStructure
        The bands.
    colour : {"helicity", "cycloidicity", "l_x", "l_y", "l_z"}
        What colours them.
    limit : float, optional
        End of the colour scale (hbar); by default the largest value shown.

    Returns
    -------
    matplotlib.colors.Normalize
        Scale of the colours, symmetric about zero; of the cycloidicity from zero.
    """
    values = select_band_values(bands, colour)
    limit = limit or find_symmetric_limit(values)
    norm = Normalize(0.0 if colour == "cycloidicity" else -limit, limit)
    together = bands.set_sizes > 1
    for piece, rows in _split_polylines(bands):
        rims = piece[together[rows].ravel()]
        axes.add_collection(LineCollection(list(rims), colors=INK, linewidths=_RIM, zorder=2))
        order = np.argsort(np.abs(values[rows].ravel()), kind="stable")
        lines = LineCollection(
            list(piece[order]), cmap=choose_colour_map(norm), norm=norm, linewidths=_WIDTH, zorder=3
        )
        lines.set_array(values[rows].ravel()[order])
        axes.add_collection(lines)
    _finish(axes, bands)
    return norm


def draw_plain_bands(axes: Axes, bands: BandStructure) -> None:
    """Draw bands as thin grey lines, to put something else on them.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw.
    bands : BandStructure
        The bands.
    """
    for rows in bands.segment_slices:
        axes.plot(bands.distances[rows], bands.frequencies[rows], color=NEUTRAL, linewidth=0.6)
    _finish(axes, bands)


def draw_charge_bands(bands: BandStructure, without: FloatArray, *, title: str = "") -> Figure:
    """Draw the band structure with Born charges over that without.

    Parameters
    ----------
    bands : BandStructure
        With charges.
    without : ndarray, shape (nq, nb)
        Frequencies without them at the same q-points, in the same unit.
    title : str
        Above the bands.

    Returns
    -------
    matplotlib.figure.Figure
        Of the width of one column.
    """
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 2.6)
        axes = figure.subplots()
        for rows in bands.segment_slices:
            x = bands.distances[rows]
            axes.plot(x, without[rows], **_WITHOUT_CHARGES)
            axes.plot(x, bands.frequencies[rows], **_WITH_CHARGES)
        _finish(axes, bands)
        handles = [
            Line2D([], [], label="with Born charges", **_WITH_CHARGES),
            Line2D([], [], label="without", **_WITHOUT_CHARGES),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
        axes.set_title(title)
    return figure


def select_band_values(bands: BandStructure, colour: Colour) -> FloatArray:
    """Numbers that colour the bands.

    Parameters
    ----------
    bands : BandStructure
        The bands.
    colour : {"helicity", "cycloidicity", "l_x", "l_y", "l_z", "pam"}
        Which numbers.

    Returns
    -------
    ndarray, shape (nq, nb)
        In hbar; integers for "pam", NaN where there is no label.
    """
    if colour in {"l_x", "l_y", "l_z"}:
        return np.asarray(bands.angular_momentum[..., "xyz".index(colour[-1])])
    names = {"helicity": "helicity", "cycloidicity": "cycloidicity", "pam": "pam_integer"}
    return np.asarray(getattr(bands, names[colour]))


def draw_pam_bands(axes: Axes, bands: BandStructure) -> None:
    """Draw bands coloured by their integer pseudo-angular momentum into axes.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Where to draw; a legend tells the labels, the axis n_m stands above its segments.
    bands : BandStructure
        The bands.
    """
    shown: set[int] = set()
    ranks = np.where(_flag_lasting(bands), _rank_in_sets(bands.sets), 0.0)
    for piece, rows in _split_polylines(bands):
        labels = _find_segment_labels(bands, rows)
        grey = list(piece[np.isnan(labels).ravel()])
        axes.add_collection(LineCollection(grey, colors=NEUTRAL, linewidths=0.4, zorder=1))
        labelled = ~np.isnan(labels)
        for label, rank in set(zip(labels[labelled], ranks[rows][labelled], strict=True)):
            chosen = ((labels == label) & (ranks[rows] == rank)).ravel()
            _draw_strand(axes, piece[chosen], int(label), float(rank))
            shown.add(int(label))
    _finish(axes, bands)
    _name_axes(axes, bands)
    _draw_pam_legend(axes, sorted(shown))


def _draw_strand(axes: Axes, piece: FloatArray, label: int, rank: float) -> None:
    """Modes of one label, moved to their place in the set."""
    lines = LineCollection(
        list(piece),
        colors=PAM_COLOURS[label],
        linewidths=_WIDTH,
        transform=_shift_points(axes, rank * _STRAND),
        zorder=3,
    )
    axes.add_collection(lines, autolim=False)


def _split_polylines(bands: BandStructure) -> Iterator[tuple[FloatArray, slice]]:
    """Polyline (mode, 3, 2) of each mode of a segment: half-way to the neighbours on both sides."""
    for rows in bands.segment_slices:
        x = np.broadcast_to(bands.distances[rows, None], bands.frequencies[rows].shape)
        points = np.stack([x, bands.frequencies[rows]], axis=-1)
        middles = (points[1:] + points[:-1]) / 2
        before = np.concatenate([points[:1], middles])
        after = np.concatenate([middles, points[-1:]])
        yield np.stack([before, points, after], axis=2).reshape(-1, 3, 2), rows


def _rank_in_sets(sets: IntArray) -> FloatArray:
    """Place of each band in its set, counted from the middle; shape (nq, nb)."""
    together = sets[:, :, None] == sets[:, None, :]
    rank = np.tril(together, -1).sum(axis=-1)
    return np.asarray(rank - (together.sum(axis=-1) - 1) / 2)


def _flag_lasting(bands: BandStructure) -> NDArray[np.bool_]:
    """Sets that go on at a neighbouring q-point of the segment, not mere crossings."""
    together = bands.set_sizes > 1
    same = (np.diff(bands.segments) == 0)[:, None]
    both = together[1:] & together[:-1] & same
    lasting = np.zeros(together.shape, dtype=bool)
    lasting[1:] |= both
    lasting[:-1] |= both
    return lasting


def _find_segment_labels(bands: BandStructure, rows: slice) -> FloatArray:
    """Labels of the axis that holds the whole segment; NaN where only an end is on an axis."""
    order = bands.pam_order[rows]
    inner = order[1:-1] if len(order) > 2 else order
    n = int(inner.min())
    labels = np.where((order == n)[:, None] & (n > 0), bands.pam_integer[rows], np.nan)
    return np.asarray(labels)


def _shift_points(axes: Axes, points: float) -> Transform:
    """Coordinates of the data, moved up by some points."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return axes.transData + ScaledTranslation(0, points / 72, figure.dpi_scale_trans)


def _finish(axes: Axes, bands: BandStructure) -> None:
    """Limits, names of the points, labels."""
    lowest, highest = float(bands.frequencies.min()), float(bands.frequencies.max())
    margin = 0.03 * (highest - min(lowest, 0.0))
    axes.set_xlim(bands.distances[0], bands.distances[-1])
    axes.set_ylim(min(lowest - margin, 0.0) if lowest < -margin / 3 else 0.0, highest + margin)
    distances, names = zip(*bands.ticks, strict=True)
    axes.set_xticks(distances, [format_q_point_tex(name) for name in names])
    axes.tick_params(axis="x", length=0)
    for distance in distances[1:-1]:
        axes.axvline(distance, color="0.8", linewidth=0.5, zorder=0)
    axes.axhline(0, color="0.6", linewidth=0.5, zorder=0)
    axes.set_xlabel(QUANTITIES["wave_vector"].axis)
    axes.set_ylabel(QUANTITIES["frequency"].convert_unit(bands.unit).axis)


def _name_axes(axes: Axes, bands: BandStructure) -> None:
    """Write the rotation axis above each segment that lies on one."""
    for rows in bands.segment_slices:
        order, screw = bands.pam_order[rows][1:-1], bands.pam_screw[rows][1:-1]
        if len(order) and order.min() > 0:
            middle = (bands.distances[rows][0] + bands.distances[rows][-1]) / 2
            axes.annotate(
                format_screw_tex(int(order[0]), int(screw[0])),
                (middle, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(0, 1.5),
                textcoords="offset points",
                ha="center",
                fontsize="small",
            )


def _draw_pam_legend(axes: Axes, labels: list[int]) -> None:
    """Legend of the labels to the right of the bands."""
    handles = [
        Line2D([], [], color=PAM_COLOURS[label], label=f"${label:+d}$" if label else "$0$")
        for label in labels
    ]
    handles.append(Line2D([], [], color=NEUTRAL, linewidth=0.4, label="none"))
    title = f"${QUANTITIES['pam'].symbol}$"
    axes.legend(handles=handles, title=title, loc="upper left", bbox_to_anchor=(1.0, 1.0))
