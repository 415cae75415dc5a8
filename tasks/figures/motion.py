"""Circular motion of the atoms in one mode, and the share of each atom in it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from ase.data import chemical_symbols
from ase.data.colors import jmol_colors
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from phonopy import Phonopy

from tasks.chirality.angular_momentum import (
    compute_atomic_angular_momentum,
    compute_mean_angular_momentum,
    find_circular_basis,
)
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.figures.labels import QUANTITIES
from tasks.figures.style import (
    DIVERGING,
    DOUBLE_COLUMN,
    INK,
    NEUTRAL,
    apply_style,
    find_symmetric_limit,
    make_figure,
)
from tasks.figures.texture import find_main_axis, make_plane_frame
from tasks.tolerances import DEGENERACY
from tasks.units import THZ, FrequencyUnit

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

_N_TIMES: Final = 73
# Largest amplitude, in units of the width of the drawing.
_AMPLITUDE: Final = 0.07
_MAX_NAMED: Final = 40
# Degree of circular polarisation from which a path has a sense.
_TURNING: Final = 0.5
# Squared amplitude of an atom at rest.
_AT_REST: Final = 1e-4


@dataclass(frozen=True, eq=False)
class ModeMotion:
    """Motion of the atoms of the primitive cell in one mode.

    Attributes
    ----------
    q_point : ndarray, shape (3,)
        Fractional reciprocal coordinates.
    band : int
        Counted from 0.
    set_size : int
        Modes in its degenerate set. Of a set the mode with the largest angular momentum along
        `axis` is shown, into which a field along `axis` would split it.
    frequency : float
        THz.
    axis : ndarray, shape (3,)
        Direction of view, Cartesian unit vector.
    numbers : ndarray of int, shape (n,)
        Atomic numbers.
    positions : ndarray, shape (n, 3)
        In Å; in the plane across the axis, then along it.
    displacements : ndarray, shape (n, 3), complex
        Amplitudes in the same frame, u(t) ~ Re(u exp(-i w t)), the largest of size 1.
    angular_momentum : ndarray, shape (n,)
        Angular momentum of each atom along the axis, in hbar.
    cell : ndarray, shape (3, 3)
        Cell vectors as rows in the same frame, in Å.
    """

    q_point: FloatArray
    band: int
    set_size: int
    frequency: float
    axis: FloatArray
    numbers: NDArray[np.int64]
    positions: FloatArray
    displacements: ComplexArray
    angular_momentum: FloatArray
    cell: FloatArray


def compute_mode_motion(
    phonon: Phonopy,
    q_point: ArrayLike,
    band: int,
    *,
    axis: ArrayLike | None = None,
    tolerance: float = DEGENERACY,
) -> ModeMotion:
    """Compute the motion of the atoms in one mode.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With force constants.
    q_point : array_like, shape (3,)
        Fractional reciprocal coordinates of the primitive cell.
    band : int
        Counted from 0.
    axis : array_like, shape (3,), optional
        Cartesian direction of view; by default that of the mode's angular momentum, or the
        crystal's main axis where there is none.
    tolerance : float
        Bands closer than this (THz) form a degenerate set.

    Returns
    -------
    ModeMotion
        Of this mode.

    Raises
    ------
    ValueError
        When there is no such band.
    """
    modes = compute_modes(phonon, q_point)
    if not 0 <= band < modes.n_bands:
        msg = f"band {band} does not exist: give one from 0 to {modes.n_bands - 1}"
        raise ValueError(msg)
    sets = find_degenerate_sets(modes.frequencies, tolerance)
    mean = compute_mean_angular_momentum(modes.eigenvectors, sets)[0, band]
    view = _choose_view(phonon, mean) if axis is None else np.asarray(axis, dtype=np.float64)
    frame = make_plane_frame(view)
    members = np.flatnonzero(sets[0] == sets[0, band])
    vectors, circulation = find_circular_basis(modes.eigenvectors[0], sets[0], frame[2])
    vector = vectors[:, members[np.abs(circulation[members]).argmax()]]
    amplitudes = vector.reshape(-1, 3) / np.sqrt(phonon.primitive.masses)[:, None] @ frame.T
    inside = phonon.primitive.scaled_positions % 1
    return ModeMotion(
        q_point=modes.q_points[0],
        band=band,
        set_size=len(members),
        frequency=float(modes.frequencies[0, band]),
        axis=frame[2],
        numbers=np.asarray(phonon.primitive.numbers, dtype=np.int64),
        positions=inside @ phonon.primitive.cell @ frame.T,
        displacements=amplitudes / np.abs(amplitudes).max(),
        angular_momentum=compute_atomic_angular_momentum(vector[:, None])[:, 0] @ frame[2],
        cell=phonon.primitive.cell @ frame.T,
    )


def draw_motion_figure(
    motion: ModeMotion,
    polarization: ArrayLike | None = None,
    *,
    title: str = "",
    unit: FrequencyUnit = THZ,
) -> Figure:
    """Draw the paths of the atoms, the angular momentum of each, and its share in all modes.

    Parameters
    ----------
    motion : ModeMotion
        From `compute_mode_motion`.
    polarization : array_like, shape (n,), optional
        Degree of circular polarisation of each atom over all modes, as stored.
    title : str
        Above the paths.
    unit : FrequencyUnit
        In which the frequency is told.

    Returns
    -------
    matplotlib.figure.Figure
        Of the width of two columns. Paths turn in the sense of their arrows, seen against the
        axis; their colour is the atom's angular momentum.
    """
    limit = find_symmetric_limit(motion.angular_momentum)
    norm = Normalize(-limit, limit)
    columns = 2 if polarization is None else 3
    with apply_style():
        figure = make_figure(DOUBLE_COLUMN, 2.9)
        axes = figure.subplots(1, columns, width_ratios=(1.7, 1, 1)[:columns])
        draw_motion(axes[0], motion, norm)
        axes[0].set_title(_format_caption(motion, title, unit))
        _draw_shares(axes[1], motion.numbers, motion.angular_momentum, norm)
        axes[1].set_xlim(-1.05 * limit, 1.05 * limit)
        axes[1].set_xlabel(QUANTITIES["atomic_angular_momentum"].short)
        axes[1].set_title(f"this mode, sum {motion.angular_momentum.sum():+.2f} ħ")
        if polarization is not None:
            shares = np.asarray(polarization, dtype=np.float64)
            _draw_shares(axes[2], motion.numbers, shares, None)
            axes[2].set_xlim(0, 1)
            axes[2].set_xlabel("Degree of circular polarisation")
            axes[2].set_title("all modes")
    return figure


def draw_motion(axes: Axes, motion: ModeMotion, norm: Normalize) -> None:
    """Draw the paths of the atoms across the axis of view."""
    edges = _list_cell_edges(motion.cell)
    axes.add_collection(LineCollection(list(edges[..., :2]), colors="0.75", linewidths=0.5))
    corners = edges.reshape(-1, 3)
    width = float(np.ptp(corners[:, :2], axis=0).max())
    phases = np.exp(-1j * np.linspace(0, 2 * np.pi, _N_TIMES))
    swing = (motion.displacements[:, None, :2] * phases[:, None]).real
    paths = motion.positions[:, None, :2] + _AMPLITUDE * width * swing
    # What is nearer to the eye covers what is farther.
    for atom in np.argsort(motion.positions[:, 2], kind="stable"):
        _draw_atom(axes, motion, int(atom), paths[atom], norm)
    axes.set_aspect("equal")
    axes.margins(0.08)
    axes.autoscale_view()
    axes.set_xlabel(QUANTITIES["position"].axis)
    axes.set_ylabel(QUANTITIES["position"].axis)


def _draw_atom(
    axes: Axes, motion: ModeMotion, atom: int, path: FloatArray, norm: Normalize
) -> None:
    """One atom: its mean place, its path, and the sense in which it goes round."""
    colour = DIVERGING(norm(motion.angular_momentum[atom]))
    x, y = motion.positions[atom, :2]
    axes.plot(
        x,
        y,
        "o",
        color=jmol_colors[motion.numbers[atom]],
        markeredgecolor=INK,
        markeredgewidth=0.3,
        markersize=4,
    )
    axes.plot(path[:, 0], path[:, 1], color=colour, linewidth=1.0)
    start, end = path[0], path[2]
    if float(np.ptp(path, axis=0).max()) > 0.1 * float(np.ptp(motion.cell[:, :2])) * _AMPLITUDE:
        style = {"arrowstyle": "-|>", "color": colour, "linewidth": 0.8, "mutation_scale": 6}
        axes.annotate(
            "", tuple(end), tuple(start), arrowprops={**style, "shrinkA": 0, "shrinkB": 0}
        )


def _draw_shares(
    axes: Axes, numbers: NDArray[np.int64], values: FloatArray, norm: Normalize | None
) -> None:
    """One bar for each atom."""
    places = np.arange(len(values))
    colours = DIVERGING(norm(values)) if norm else NEUTRAL
    axes.barh(places, values, color=colours, edgecolor=INK, linewidth=0.3)
    axes.axvline(0, color=INK, linewidth=0.5)
    axes.set_ylim(len(values) - 0.4, -0.6)
    names = [chemical_symbols[number] for number in numbers]
    shown = places if len(values) <= _MAX_NAMED else places[:0]
    axes.set_yticks(shown, [names[place] for place in shown])
    axes.tick_params(axis="y", length=0, pad=8)
    # Dots in the colours of the drawing stand between the names and the bars.
    axes.scatter(
        np.full(len(values), -0.035),
        places,
        s=9,
        c=jmol_colors[numbers],
        edgecolors=INK,
        linewidths=0.3,
        transform=axes.get_yaxis_transform(),
        clip_on=False,
    )


def _format_caption(motion: ModeMotion, title: str, unit: FrequencyUnit) -> str:
    """What is shown: crystal, mode, wave vector, axis."""
    q_text = ", ".join(f"{component:.3g}" for component in motion.q_point + 0.0)
    axis_text = " ".join(f"{component:.2g}" for component in motion.axis.round(3) + 0.0)
    frequency = f"{motion.frequency * unit.per_terahertz:.2f} {unit.text}"
    mode = f"band {motion.band + 1}, {frequency}, q = ({q_text})"
    split = f", one of {motion.set_size} degenerate modes" if motion.set_size > 1 else ""
    return "\n".join(filter(None, (title, mode, f"seen against ({axis_text}){split}")))


def _choose_view(phonon: Phonopy, angular_momentum: FloatArray) -> FloatArray:
    """Direction of the angular momentum; the main axis where it vanishes."""
    if np.linalg.norm(angular_momentum) > 1e-3:
        along = angular_momentum / np.linalg.norm(angular_momentum)
        # Of the two directions the one that lets z, y, x point upwards; the sign of l stays.
        leading = along[np.flatnonzero(np.abs(along) > 0.1)[-1]]
        return np.asarray(along * np.sign(leading))
    return find_main_axis(phonon)


def _list_cell_edges(cell: FloatArray) -> FloatArray:
    """The twelve edges of the cell, shape (12, 2, 3)."""
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    pairs = [
        (corner, corner + step) for step in np.eye(3) for corner in corners if not corner @ step
    ]
    return np.asarray(np.array(pairs) @ cell)
