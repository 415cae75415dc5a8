"""Helicity over directions and over cuts through the Brillouin zone.

On a sphere of fixed |q| the helicity of a band is a function of direction, h(-q) = h(q), so the
upper hemisphere shows all of it. It is drawn in the equal-area projection along an axis (J. H.
Lambert), as crystallographers draw directions: the axis in the middle, the directions across it on
the rim. The crystal's point group permits s, d, g or i waves and shows in the nodes.

A band is a band by its place in frequency, and a degenerate set has the mean helicity of its modes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon
from numpy.typing import ArrayLike, NDArray
from phonopy import Phonopy
from scipy.ndimage import maximum_filter
from scipy.spatial import HalfspaceIntersection

from tasks.chirality.analysis import sample_modes
from tasks.chirality.axes import find_rotation_axes, select_principal_axes
from tasks.chirality.brillouin import compute_helicity, compute_inscribed_radius, find_zone_faces
from tasks.chirality.modes import compute_modes
from tasks.figures.labels import QUANTITIES
from tasks.figures.style import (
    DIVERGING,
    DOUBLE_COLUMN,
    INK,
    add_colour_bar,
    apply_style,
    find_symmetric_limit,
    make_figure,
)
from tasks.tolerances import DEGENERACY
from tasks.units import THZ, FrequencyUnit

FloatArray = NDArray[np.float64]

_N_POLAR, _N_AZIMUTH = 36, 145
_N_CUT = 91
_N_ARROWS = 15
_COLUMNS: Final = 4
# Largest helicity of a band below which its panel says that there is none.
_NOTHING = 1e-3
# The same for a place on the sphere, in units of the band's largest helicity.
_FAINT = 0.01


@dataclass(frozen=True, eq=False)
class SphereTexture:
    """Helicity of each band on the upper half of a sphere around Γ.

    Attributes
    ----------
    axis : ndarray, shape (3,)
        Cartesian unit vector of the pole.
    radius : float
        |q|, 1/Å without 2 pi.
    directions : ndarray, shape (n_polar, n_azimuth, 3)
        Cartesian unit vectors; the first polar angle is just off the pole, the last the equator.
    helicity : ndarray, shape (n_polar, n_azimuth, nb)
        In hbar, means of degenerate sets.
    frequencies : ndarray, shape (n_polar, n_azimuth, nb)
        In THz.
    """

    axis: FloatArray
    radius: float
    directions: FloatArray
    helicity: FloatArray
    frequencies: FloatArray

    @property
    def mean(self) -> FloatArray:
        """Mean helicity of each band over the sphere, shape (nb,), in hbar."""
        rings = _compute_ring_weights(self.helicity.shape[0])
        means = np.einsum("p,pab->b", rings, self.helicity[:, :-1])
        return np.asarray(means / (self.helicity.shape[1] - 1))


@dataclass(frozen=True, eq=False)
class ZoneCut:
    """Angular momenta on a plane through Γ, inside the first Brillouin zone.

    Attributes
    ----------
    normal, across, up : ndarray, shape (3,)
        Cartesian unit vectors: the plane's normal, and its two axes in the figure.
    q : ndarray, shape (n,)
        Coordinates along both axes of the plane, 1/Å without 2 pi.
    inside : ndarray of bool, shape (n, n)
        Points inside the zone; the first index runs upwards.
    angular_momentum : ndarray, shape (n, n, nb, 3)
        Angular momentum in hbar, NaN outside.
    helicity : ndarray, shape (n, n, nb)
        In hbar, NaN outside.
    frequencies : ndarray, shape (n, n, nb)
        In THz, NaN outside.
    boundary : ndarray, shape (n_corners, 2)
        Corners of the zone in the plane, in order.
    """

    normal: FloatArray
    across: FloatArray
    up: FloatArray
    q: FloatArray
    inside: NDArray[np.bool_]
    angular_momentum: FloatArray
    helicity: FloatArray
    frequencies: FloatArray
    boundary: FloatArray


def compute_sphere_texture(
    phonon: Phonopy,
    *,
    axis: ArrayLike | None = None,
    fraction: float = 0.5,
    tolerance: float = DEGENERACY,
) -> SphereTexture:
    """Compute the helicity of all bands on a sphere around Γ.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With force constants.
    axis : array_like, shape (3,), optional
        Cartesian direction of the pole; by default the crystal's axis of highest order.
    fraction : float
        Radius in units of the largest sphere inside the Brillouin zone.
    tolerance : float
        Bands closer than this (THz) form a degenerate set.

    Returns
    -------
    SphereTexture
        On a grid of directions.
    """
    frame = make_plane_frame(
        find_main_axis(phonon) if axis is None else np.asarray(axis, dtype=np.float64)
    )
    # Equal steps in the radius of the projection. The grid's lines avoid those of the mirrors,
    # on which the sign of the helicity would be noise.
    polar = 2 * np.arcsin(np.maximum(np.linspace(0, 1, _N_POLAR), 1e-3) / np.sqrt(2))
    azimuth = np.linspace(0, 2 * np.pi, _N_AZIMUTH) + np.pi / (_N_AZIMUTH - 1)
    sine = np.sin(polar)[:, None]
    local = [sine * np.cos(azimuth), sine * np.sin(azimuth), np.cos(polar)[:, None] + 0 * azimuth]
    directions = np.stack(local, axis=-1) @ frame
    radius = fraction * compute_inscribed_radius(phonon.primitive.cell)
    q_points = radius * directions.reshape(-1, 3) @ phonon.primitive.cell.T
    sample = sample_modes(phonon, compute_modes(phonon, q_points), tolerance)
    shape = (_N_POLAR, _N_AZIMUTH, -1)
    return SphereTexture(
        axis=frame[2],
        radius=radius,
        directions=directions,
        helicity=compute_helicity(sample.angular_momentum, sample.images).reshape(shape),
        frequencies=sample.modes.frequencies.reshape(shape),
    )


def compute_zone_cut(
    phonon: Phonopy,
    *,
    normal: ArrayLike | None = None,
    tolerance: float = DEGENERACY,
) -> ZoneCut:
    """Compute the angular momenta on a plane through Γ.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With force constants.
    normal : array_like, shape (3,), optional
        Cartesian normal of the plane; by default the crystal's axis of highest order.
    tolerance : float
        Bands closer than this (THz) form a degenerate set.

    Returns
    -------
    ZoneCut
        On a square grid, NaN outside the zone.
    """
    frame = make_plane_frame(
        find_main_axis(phonon) if normal is None else np.asarray(normal, dtype=np.float64)
    )
    faces = find_zone_faces(phonon.primitive.cell)
    boundary = _find_boundary(faces, frame)
    q = np.linspace(-1, 1, _N_CUT) * 1.02 * np.abs(boundary).max()
    points = np.stack(np.meshgrid(q, q), axis=-1) @ frame[:2]
    inside = (points @ faces.T <= (faces**2).sum(axis=1) * (1 + 1e-9)).all(axis=-1)
    sample = sample_modes(
        phonon, compute_modes(phonon, points[inside] @ phonon.primitive.cell.T), tolerance
    )
    return ZoneCut(
        normal=frame[2],
        across=frame[0],
        up=frame[1],
        q=q,
        inside=inside,
        angular_momentum=_place_on_grid(sample.angular_momentum, inside),
        helicity=_place_on_grid(compute_helicity(sample.angular_momentum, sample.images), inside),
        frequencies=_place_on_grid(sample.modes.frequencies, inside),
        boundary=boundary,
    )


def draw_sphere_figure(
    texture: SphereTexture,
    bands: ArrayLike | None = None,
    *,
    title: str = "",
    unit: FrequencyUnit = THZ,
) -> Figure:
    """Draw the helicity of bands over directions.

    Parameters
    ----------
    texture : SphereTexture
        From `compute_sphere_texture`.
    bands : array_like of int, optional
        Bands to draw, counted from 0; by default the acoustic ones and those of largest helicity.
    title : str
        Above the panels.
    unit : FrequencyUnit
        In which mean frequencies are told.

    Returns
    -------
    matplotlib.figure.Figure
        Of the width of two columns; black lines are nodes.
    """
    largest = np.abs(texture.helicity).max(axis=(0, 1))
    chosen = _choose_bands(largest, bands)
    norm = Normalize(-1, 1)
    with apply_style():
        rows = -(-len(chosen) // _COLUMNS)
        figure = make_figure(DOUBLE_COLUMN, 1.75 * rows + 0.3)
        panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
        for panel, band in zip(panels, chosen, strict=False):
            _draw_hemisphere(panel, texture, band, max(float(largest[band]), _NOTHING))
            size = _describe_size(float(largest[band]))
            panel.set_title(f"{_describe_band(texture.frequencies, band, unit)}\n{size}")
        for panel in panels[len(chosen) :]:
            panel.set_axis_off()
        add_colour_bar(list(panels), norm, r"Helicity $h/h_\mathrm{max}$")
        radius = QUANTITIES["radius"]
        figure.suptitle(f"{title}   ${radius.symbol}$ = {texture.radius:.3f} ${radius.unit}$")
    return figure


def draw_cut_figure(
    cut: ZoneCut,
    bands: ArrayLike | None = None,
    *,
    title: str = "",
    unit: FrequencyUnit = THZ,
) -> Figure:
    """Draw helicity and angular momentum of bands on a plane of the Brillouin zone.

    Parameters
    ----------
    cut : ZoneCut
        From `compute_zone_cut`.
    bands : array_like of int, optional
        Bands to draw, counted from 0; by default the acoustic ones and those of largest |l|.
    title : str
        Above the panels.
    unit : FrequencyUnit
        In which mean frequencies are told.

    Returns
    -------
    matplotlib.figure.Figure
        Of the width of two columns: colour is the helicity, arrows are the part of l in the plane.
    """
    largest = np.nanmax(np.linalg.norm(cut.angular_momentum, axis=-1), axis=(0, 1))
    chosen = _choose_bands(largest, bands)
    limit = find_symmetric_limit(cut.helicity[..., chosen])
    norm = Normalize(-limit, limit)
    names = ("q_x", "q_y") if cut.normal[2] > 1 - 1e-9 else ("q_1", "q_2")
    across, up = (QUANTITIES[name] for name in names)
    with apply_style():
        rows = -(-len(chosen) // _COLUMNS)
        figure = make_figure(DOUBLE_COLUMN, 1.65 * rows + 0.3)
        grid = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=True)
        panels = grid.ravel()
        for panel, band in zip(panels, chosen, strict=False):
            _draw_cut(panel, cut, band, norm)
            panel.set_title(_describe_band(cut.frequencies, band, unit))
        for panel in panels[len(chosen) :]:
            panel.set_axis_off()
        for panel in grid[:, 0]:
            panel.set_ylabel(up.axis)
        for panel in grid[-1]:
            panel.set_xlabel(across.axis)
        add_colour_bar(list(panels), norm, QUANTITIES["helicity"].axis)
        normal = " ".join(f"{component:.2g}" for component in cut.normal.round(9) + 0.0)
        figure.suptitle(f"{title}   plane through Γ normal to ({normal})")
    return figure


def find_main_axis(phonon: Phonopy) -> FloatArray:
    """Direction of the crystal's axis of highest order.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        Any.

    Returns
    -------
    ndarray, shape (3,)
        Cartesian unit vector; z where the crystal has no axis.
    """
    axes = select_principal_axes(phonon) or find_rotation_axes(phonon)
    return np.asarray(axes[0].direction if axes else (0.0, 0.0, 1.0), dtype=np.float64)


def make_plane_frame(axis: ArrayLike) -> FloatArray:
    """Right-handed frame of a plane and its normal.

    Parameters
    ----------
    axis : array_like, shape (3,)
        Cartesian normal, of any length.

    Returns
    -------
    ndarray, shape (3, 3)
        Unit vectors as rows: two in the plane, the first near x (near y for a normal along x),
        and the normal.
    """
    third = np.asarray(axis, dtype=np.float64) / np.linalg.norm(axis)
    start = np.eye(3)[1 if abs(third[0]) > 0.9 else 0]
    first = start - (start @ third) * third
    first /= np.linalg.norm(first)
    return np.array([first, np.cross(third, first), third])


def _find_boundary(faces: FloatArray, frame: FloatArray) -> FloatArray:
    """Corners of the zone in the plane of the first two vectors of the frame, in order."""
    normals = faces @ frame[:2].T
    useful = np.linalg.norm(normals, axis=1) > 1e-9
    halves = np.column_stack([normals, -(faces**2).sum(axis=1)])[useful]
    corners = HalfspaceIntersection(halves, np.zeros(2)).intersections
    corners = np.unique(corners.round(9), axis=0)
    return np.asarray(corners[np.argsort(np.arctan2(corners[:, 1], corners[:, 0]))])


def _place_on_grid(values: FloatArray, inside: NDArray[np.bool_]) -> FloatArray:
    """Values (n_inside, ...) on the grid, NaN elsewhere."""
    grid = np.full((*inside.shape, *values.shape[1:]), np.nan)
    grid[inside] = values
    return grid


def _compute_ring_weights(n_polar: int) -> FloatArray:
    """Share of the hemisphere's area around each polar angle of the grid."""
    edges = np.clip((np.arange(n_polar + 1) - 0.5) / (n_polar - 1), 0, 1)
    return np.asarray(np.diff(edges**2))


def _choose_bands(largest: FloatArray, bands: ArrayLike | None) -> list[int]:
    """Bands to draw: those asked for, or the acoustic ones and five of the others."""
    if bands is not None:
        return [int(band) for band in np.atleast_1d(np.asarray(bands))]
    strongest = 3 + np.argsort(-largest[3:], kind="stable")[: 2 * _COLUMNS - 3]
    return [0, 1, 2, *sorted(int(band) for band in strongest)]


def _draw_hemisphere(axes: Axes, texture: SphereTexture, band: int, scale: float) -> None:
    """One band over directions, in units of its scale."""
    frame = make_plane_frame(texture.axis)
    local = texture.directions @ frame.T
    stretch = np.sqrt(1 / (1 + local[..., 2]))
    x, y = local[..., 0] * stretch, local[..., 1] * stretch
    values = texture.helicity[..., band] / scale
    axes.pcolormesh(
        x, y, values, cmap=DIVERGING, norm=Normalize(-1, 1), shading="gouraud", rasterized=True
    )
    if values.min() < 0 < values.max():
        # Where a band has next to no helicity, lines of zero helicity mean nothing.
        faint = maximum_filter(np.abs(values), size=5, mode=("nearest", "wrap")) < _FAINT
        nodes = np.ma.masked_array(values, mask=faint)
        axes.contour(x, y, nodes, levels=[0.0], colors=INK, linewidths=0.5)
    axes.add_patch(Circle((0, 0), 1, fill=False, edgecolor=INK, linewidth=0.6))
    axes.set_aspect("equal")
    axes.set_axis_off()


def _draw_cut(axes: Axes, cut: ZoneCut, band: int, norm: Normalize) -> None:
    """One band on the plane."""
    edge = Polygon([tuple(corner) for corner in cut.boundary], fill=False, edgecolor=INK)
    axes.add_patch(edge)
    image = axes.pcolormesh(
        cut.q, cut.q, cut.helicity[..., band], cmap=DIVERGING, norm=norm, rasterized=True
    )
    image.set_clip_path(edge)
    step = max(1, _N_CUT // _N_ARROWS)
    chosen = (slice(step // 2, None, step), slice(step // 2, None, step))
    angular_momentum = cut.angular_momentum[..., band, :][chosen]
    x, y = np.meshgrid(cut.q[chosen[1]], cut.q[chosen[0]])
    spacing = step * (cut.q[1] - cut.q[0])
    arrows = {"angles": "xy", "scale_units": "xy", "scale": 1 / spacing, "pivot": "middle"}
    axes.quiver(
        x,
        y,
        angular_momentum @ cut.across,
        angular_momentum @ cut.up,
        color=INK,
        width=0.006,
        **arrows,
    )
    axes.set_aspect("equal")


def _describe_band(frequencies: FloatArray, band: int, unit: FrequencyUnit) -> str:
    """Number of a band, counted from 1, and its mean frequency."""
    mean = unit.per_terahertz * float(np.nanmean(frequencies[..., band]))
    return f"band {band + 1}, ${mean:.1f}$ {unit.text}"


def _describe_size(size: float) -> str:
    """End of the scale of a band."""
    size_text = f"{size:.2g}" if size > _NOTHING else "0"
    return f"$h_\\mathrm{{max}}$ = {size_text} ${QUANTITIES['helicity'].unit}$"
