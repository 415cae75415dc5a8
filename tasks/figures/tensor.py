"""The velocity-angular-momentum tensor as a glyph.

The surface has the radius |n . α n| in the direction n of the temperature gradient: the angular
momentum along the gradient, orange where it is parallel and blue where it is opposite. A
pseudoscalar response is a sphere, the symmetric part makes lobes. The antisymmetric part,
J = (gradient) x g with its polar vector g, has no component along the gradient; it is the arrow.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from tasks.chirality.thermal import ROOM_TEMPERATURE
from tasks.crystals.rows import Row
from tasks.figures.labels import QUANTITIES
from tasks.figures.style import DIVERGING, INK, SINGLE_COLUMN, apply_style, make_figure

FloatArray = NDArray[np.float64]
_N_POLAR, _N_AZIMUTH = 61, 121
# Components below this share of the largest are written as zero.
_ZERO: Final = 1e-6
_LIGHT: Final = np.array([-0.2, -0.7, 0.69])


@dataclass(frozen=True, eq=False)
class Glyph:
    """Shape of a tensor.

    Attributes
    ----------
    directions : ndarray, shape (n_polar, n_azimuth, 3)
        Unit vectors n.
    values : ndarray, shape (n_polar, n_azimuth)
        n . α n, in the tensor's unit.
    polar_vector : ndarray, shape (3,)
        g of the antisymmetric part, α_ij - α_ji = 2 ε_ijk g_k.
    """

    directions: FloatArray
    values: FloatArray
    polar_vector: FloatArray


def compute_glyph(tensor: ArrayLike) -> Glyph:
    """Compute the glyph of a tensor.

    Parameters
    ----------
    tensor : array_like, shape (3, 3)
        First index: angular momentum; second: gradient.

    Returns
    -------
    Glyph
        On a grid of directions.
    """
    matrix = np.asarray(tensor, dtype=np.float64)
    polar = np.linspace(0, np.pi, _N_POLAR)[:, None]
    azimuth = np.linspace(0, 2 * np.pi, _N_AZIMUTH)
    sine = np.sin(polar)
    parts = [sine * np.cos(azimuth), sine * np.sin(azimuth), np.cos(polar) + 0 * azimuth]
    directions = np.stack(parts, axis=-1)
    odd = (matrix - matrix.T) / 2
    return Glyph(
        directions=directions,
        values=np.einsum("pai,ij,paj->pa", directions, matrix, directions),
        polar_vector=np.array([odd[1, 2], odd[2, 0], odd[0, 1]]),
    )


def read_tensor(row: Row, temperature: float = ROOM_TEMPERATURE) -> tuple[FloatArray, float]:
    """Tensor of a material at the stored temperature nearest to the one asked for.

    Parameters
    ----------
    row : mapping
        Row of the table ``chirality``.
    temperature : float
        In K.

    Returns
    -------
    tensor : ndarray, shape (3, 3)
        J s m^-2 K^-1 per s.
    temperature : float
        The stored one, K.
    """
    temperatures = np.asarray(row["temperatures"], dtype=np.float64)
    nearest = int(np.abs(temperatures - temperature).argmin())
    tensor = np.reshape(row["tensor"], (len(temperatures), 3, 3))[nearest]
    return np.asarray(tensor, dtype=np.float64), float(temperatures[nearest])


def draw_tensor_figure(
    tensor: ArrayLike, *, title: str = "", axes_of_crystal: ArrayLike | None = None
) -> Figure:
    """Draw a tensor as a glyph, and its components.

    Parameters
    ----------
    tensor : array_like, shape (3, 3)
        J s m^-2 K^-1 per s; first index: angular momentum.
    title : str
        Above it.
    axes_of_crystal : array_like, shape (3, 3), optional
        Cell vectors as rows, drawn as a, b, c; x, y, z without.

    Returns
    -------
    matplotlib.figure.Figure
        Of the width of one column.
    """
    quantity = QUANTITIES["tensor"]
    matrix = np.asarray(tensor, dtype=np.float64) * quantity.scale
    frame = np.eye(3) if axes_of_crystal is None else np.asarray(axes_of_crystal, dtype=np.float64)
    names = "xyz" if axes_of_crystal is None else "abc"
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 2.1)
        grid = figure.add_gridspec(1, 2, width_ratios=(1.3, 1), wspace=0.25)
        solid = figure.add_subplot(grid[0], projection="3d")
        glyph = compute_glyph(matrix)
        draw_glyph(solid, glyph)
        units = frame / np.linalg.norm(frame, axis=1, keepdims=True)
        radii = np.abs(np.einsum("ai,ij,aj->a", units, matrix, units)) / _measure_extent(glyph)
        _draw_frame(solid, units, radii, names)
        table = figure.add_subplot(grid[1])
        _draw_components(table, matrix)
        table.set_title(f"${quantity.symbol}$\n(${quantity.unit}$)")
        figure.suptitle(title)
    return figure


def draw_glyph(axes: Any, glyph: Glyph) -> None:  # noqa: ANN401 - 3D axes are not typed
    """Draw a glyph into three-dimensional axes, its largest extent being 1."""
    largest, length = float(np.abs(glyph.values).max()), float(np.linalg.norm(glyph.polar_vector))
    extent = _measure_extent(glyph)
    if largest > _ZERO * extent:
        points = np.abs(glyph.values / extent)[..., None] * glyph.directions
        axes.plot_surface(
            *np.moveaxis(points, -1, 0),
            facecolors=_shade(glyph, largest),
            rstride=1,
            cstride=1,
            linewidth=0,
            antialiased=False,
            shade=False,
            rasterized=True,
        )
    if length > _ZERO * extent:
        arrow = glyph.polar_vector / extent
        axes.quiver(0, 0, 0, *arrow, color=INK, linewidth=1.6, arrow_length_ratio=0.2, zorder=5)
        axes.text(*(0.6 * arrow + [0.12, 0.0, 0.0]), "$g$", ha="left", va="center")
    axes.set(xlim=(-1, 1), ylim=(-1, 1), zlim=(-1, 1))
    axes.set_box_aspect((1, 1, 1), zoom=1.2)
    axes.view_init(elev=18, azim=-60)
    axes.set_axis_off()


def _shade(glyph: Glyph, largest: float) -> FloatArray:
    """Colours of the surface, light from the upper left."""
    colours = DIVERGING(Normalize(-largest, largest)(0.8 * glyph.values))
    light = np.clip(glyph.directions @ _LIGHT, 0, 1)[..., None]
    colours[..., :3] = colours[..., :3] * (0.72 + 0.28 * light) + 0.22 * light**2
    return np.asarray(np.clip(colours, 0, 1))


def _measure_extent(glyph: Glyph) -> float:
    """Largest radius of the surface, or length of the arrow; 1 for a tensor of zeros."""
    length = float(np.linalg.norm(glyph.polar_vector))
    return max(float(np.abs(glyph.values).max()), length) or 1.0


def _draw_frame(
    axes: Any,  # noqa: ANN401 - as above
    units: FloatArray,
    radii: FloatArray,
    names: str,
) -> None:
    """Thin arrows along the axes, each from where it leaves the surface, with their names."""
    for vector, radius, name in zip(units, radii, names, strict=True):
        head = {"arrow_length_ratio": 0.1 / (1.25 - radius)}
        axes.quiver(*(radius * vector), *((1.25 - radius) * vector), color="0.4", lw=0.7, **head)
        axes.text(*(1.4 * vector), f"${name}$", ha="center", va="center")


def _draw_components(axes: Axes, matrix: FloatArray) -> None:
    """The nine components as a coloured table."""
    limit = float(np.abs(matrix).max()) or 1.0
    axes.imshow(matrix, cmap=DIVERGING, norm=Normalize(-limit, limit), alpha=0.6)
    for (row, column), value in np.ndenumerate(matrix):
        text = f"${value:.3g}$" if abs(value) > _ZERO * limit else "$0$"
        axes.text(column, row, text, ha="center", va="center", fontsize=6)
    axes.set_xticks(range(3), ["$x$", "$y$", "$z$"])
    axes.set_yticks(range(3), ["$x$", "$y$", "$z$"])
    axes.tick_params(length=0)
    axes.set_xlabel("Gradient")
    axes.set_ylabel("Angular momentum")
