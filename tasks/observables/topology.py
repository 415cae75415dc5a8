"""Topological charges of nodal points: the Berry flux through small spheres around them.

On a sphere where a gap separates bands n and n + 1, the flux of bands 0 ... n over 2 pi is an
integer, the charge of the nodes between the two bands inside. The sphere is divided into
plaquettes; with U_ab = det <e_i(a)|e_j(b)> between neighbouring q-points,

    C = -(1 / 2 pi) sum_plaquettes arg(U_12 U_23 U_34 U_41)

(T. Fukui, Y. Hatsugai, H. Suzuki, J. Phys. Soc. Jpn. 74, 1674 (2005)), the plaquettes run round
counter-clockwise seen from outside. A node H = +k.sigma has the charge +1. The charge is odd in the
hand, the same at q and -q, and the charges between two bands add up to zero over the zone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from tasks.chirality.axes import (
    ComplexArray,
    FloatArray,
    IntArray,
    RotationAxis,
    select_principal_axes,
)
from tasks.chirality.brillouin import find_special_points
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.chirality.raman import find_zone_boundary, make_label_basis
from tasks.phonons.fourier import HarmonicCrystal, compute_dynamical_matrices
from tasks.tolerances import DEGENERACY

# 1/Å with 2 pi: small, so that no other node is inside.
_RADIUS = 0.0025
# Divisions of the polar angle; the finer one decides on what the coarser one leaves open.
_N_POLAR = (12, 36)
# Gaps on the sphere below this (THz) are closed: on a nodal line or surface.
_CLOSED = 1e-6
# Flux of one plaquette that tells of a nodal line through it, whose flux is pi, or of too coarse a
# division.
_LARGEST_FLUX = np.pi / 2
_N_LINE = 400
_N_BISECTIONS = 40


@dataclass(frozen=True)
class NodalPoint:
    """Bands that meet at a q-point.

    Attributes
    ----------
    label : str
        Name of the q-point; "Γ–A" where it lies between them on an axis.
    q_point : tuple of float
        Fractional reciprocal coordinates of the primitive cell.
    first, last : int
        Bands that meet, counted from 0.
    frequency : float
        Mean, in THz.
    charges : tuple of int or None
        Charge of the gap above each band from `first` to the one before `last`; None where the gap
        closes on the sphere as well, as on a nodal line.
    """

    label: str
    q_point: tuple[float, float, float]
    first: int
    last: int
    frequency: float
    charges: tuple[int | None, ...]

    @property
    def charge(self) -> int | None:
        """The charge of largest size; None where no gap is open."""
        known = [charge for charge in self.charges if charge is not None]
        return max(known, key=abs) if known else None


def compute_charges(
    phonon: HarmonicCrystal,
    q_point: ArrayLike,
    gaps: Sequence[int] | None = None,
    radius: float = _RADIUS,
) -> dict[int, int | None]:
    """Charges of gaps between neighbouring bands inside a sphere.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    q_point : array_like, shape (3,)
        Centre, fractional reciprocal coordinates of the primitive cell.
    gaps : sequence of int, optional
        Gaps by the band below, counted from 0; all if left out.
    radius : float
        In 1/Å with 2 pi.

    Returns
    -------
    dict
        Charge of each gap; None where it is closed somewhere on the sphere.
    """
    wanted = range(3 * len(phonon.primitive) - 1) if gaps is None else gaps
    found: dict[int, int | None] = dict.fromkeys(wanted)
    for n_polar in _N_POLAR:
        unknown = [gap for gap, charge in found.items() if charge is None]
        if unknown:
            found |= _compute_charges_on_sphere(phonon, q_point, unknown, radius, n_polar)
    return found


def _compute_charges_on_sphere(
    phonon: HarmonicCrystal, q_point: ArrayLike, gaps: Sequence[int], radius: float, n_polar: int
) -> dict[int, int | None]:
    """Charges of the gaps that are open on one sphere."""
    polar = np.linspace(0, np.pi, n_polar + 1)
    azimuth = np.linspace(0, 2 * np.pi, 2 * n_polar + 1)[:-1] + 0.1
    theta, phi = np.meshgrid(polar, azimuth, indexing="ij")
    normals = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])
    steps = radius / (2 * np.pi) * normals.reshape(3, -1).T @ phonon.primitive.cell.T
    modes = compute_modes(phonon, np.asarray(q_point, dtype=np.float64) + steps)
    widths = np.diff(modes.frequencies, axis=1).min(axis=0)
    open_gaps = [gap for gap in gaps if widths[gap] > _CLOSED]
    vectors = modes.eigenvectors.reshape(*theta.shape, *modes.eigenvectors.shape[1:])
    # All q-points of a pole are one, with one basis.
    vectors[0], vectors[-1] = vectors[0, 0], vectors[-1, 0]
    flux, largest = sum_flux(vectors, open_gaps)
    return {
        gap: int(np.rint(value)) if most < _LARGEST_FLUX else None
        for gap, value, most in zip(open_gaps, flux, largest, strict=True)
    }


def find_nodal_points(
    phonon: HarmonicCrystal, tolerance: float = DEGENERACY, radius: float = _RADIUS
) -> tuple[NodalPoint, ...]:
    """Find where optical bands meet at named q-points and on rotation axes, with their charges.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    tolerance : float
        Bands closer than this (THz) meet.
    radius : float
        Of the spheres, in 1/Å with 2 pi. It must be less than half the distance of two nodes of the
        same bands; axes are searched for crossings farther than it from their ends.

    Returns
    -------
    tuple of NodalPoint
        Sets of two or more at the named points, then crossings of bands of different
        pseudo-angular momentum on the axes of order 3, 4 and 6. The acoustic modes at Gamma, which
        no gap separates, are left out.
    """
    points, _ = find_special_points(phonon.primitive, phonon.primitive_symmetry.tolerance)
    found: list[NodalPoint] = []
    for label, q_point in points.items():
        found += _find_at_point(phonon, label, np.asarray(q_point), tolerance, radius)
    for axis in select_principal_axes(phonon):
        found += _find_on_axis(phonon, axis, radius)
    return tuple(found)


def _find_at_point(
    phonon: HarmonicCrystal, label: str, q_point: FloatArray, tolerance: float, radius: float
) -> Iterator[NodalPoint]:
    """Degenerate sets at one q-point."""
    frequencies = compute_modes(phonon, q_point).frequencies
    sets = find_degenerate_sets(frequencies, tolerance)[0]
    starts = np.flatnonzero(np.diff(sets, prepend=-1))
    ends = np.append(starts[1:], len(sets)) - 1
    chosen = (ends > starts) & ((starts > 0) | q_point.any())
    if not chosen.any():
        return
    pairs = list(zip(starts[chosen].tolist(), ends[chosen].tolist(), strict=True))
    gaps = [gap for first, last in pairs for gap in range(first, last)]
    charges = compute_charges(phonon, q_point, gaps, radius)
    for first, last in pairs:
        mean = float(frequencies[0, first : last + 1].mean())
        yield _make_node(label, q_point, (first, last), mean, charges)


def _find_on_axis(
    phonon: HarmonicCrystal, axis: RotationAxis, radius: float
) -> Iterator[NodalPoint]:
    """Crossings of bands of different labels between Gamma and the end of the zone."""
    boundary = find_zone_boundary(axis)
    n_rows = 3 * len(phonon.primitive)
    bases = [make_label_basis(axis, label, n_rows) for label in range(axis.order)]
    labels = np.repeat(np.arange(axis.order), [basis.shape[1] for basis in bases])

    def rank(fractions: FloatArray) -> tuple[IntArray, FloatArray]:
        """Labels of the bands in the order of their frequencies, and these squared."""
        matrices = compute_dynamical_matrices(phonon, fractions[:, None] * boundary)
        blocks = [np.linalg.eigvalsh(b.conj().T @ matrices @ b) for b in bases]
        squares = np.concatenate(blocks, axis=1)
        order = np.argsort(squares, axis=1)
        return labels[order], np.take_along_axis(squares, order, axis=1)

    length = float(np.linalg.norm(boundary @ np.linalg.inv(phonon.primitive.cell).T))
    margin = 2 * radius / (2 * np.pi * length)
    grid = np.linspace(margin, 1 - margin, _N_LINE)
    ranks, _ = rank(grid)
    for row, band in zip(*_find_swaps(ranks), strict=True):
        low, high = grid[row], grid[row + 1]
        for _ in range(_N_BISECTIONS):
            middle = (low + high) / 2
            same = rank(np.array([middle]))[0][0, band] == ranks[row, band]
            low, high = (middle, high) if same else (low, middle)
        squares = rank(np.array([low]))[1][0]
        q_point = low * boundary
        mean = float(np.sqrt(np.abs(squares[band])) * phonon.unit_conversion_factor)
        charges = compute_charges(phonon, q_point, [int(band)], radius)
        name = f"axis {axis.order}_{axis.screw}" if axis.screw else f"axis {axis.order}"
        yield _make_node(name, q_point, (int(band), int(band) + 1), mean, charges)


def _find_swaps(ranks: IntArray) -> tuple[IntArray, IntArray]:
    """Rows and bands n where the labels of bands n and n + 1 are exchanged in the next row."""
    before, after = ranks[:-1], ranks[1:]
    swapped = (before[:, :-1] == after[:, 1:]) & (before[:, 1:] == after[:, :-1])
    rows, bands = np.nonzero(swapped & (before[:, :-1] != before[:, 1:]))
    return rows, bands


def _make_node(
    label: str,
    q_point: FloatArray,
    bands: tuple[int, int],
    frequency: float,
    charges: Mapping[int, int | None],
) -> NodalPoint:
    """Node of the bands from the charges of the gaps."""
    x, y, z = (float(part) for part in q_point)
    mine = tuple(charges[gap] for gap in range(*bands))
    return NodalPoint(label, (x, y, z), *bands, frequency, mine)


def sum_flux(vectors: ComplexArray, gaps: Sequence[int]) -> tuple[FloatArray, FloatArray]:
    """Sum the Berry flux over the plaquettes of a sphere.

    Parameters
    ----------
    vectors : ndarray, shape (n_polar + 1, n_azimuth, n_rows, nb), complex
        Eigenvectors in columns; at each pole one basis for all azimuths.
    gaps : sequence of int
        Band below each gap.

    Returns
    -------
    flux : ndarray, shape (n_gaps,)
        Flux of the bands up to each gap over 2 pi.
    largest : ndarray, shape (n_gaps,)
        Largest flux of one plaquette.
    """
    down = vectors[:-1].conj().swapaxes(-1, -2) @ vectors[1:]
    across = vectors.conj().swapaxes(-1, -2) @ np.roll(vectors, -1, axis=1)
    flux, largest = [], []
    for size in (gap + 1 for gap in gaps):
        u, v = (np.linalg.det(part[..., :size, :size]) for part in (down, across))
        loop = u * v[1:] * np.roll(u, -1, axis=1).conj() * v[:-1].conj()
        angles = np.angle(loop)
        flux.append(-angles.sum() / (2 * np.pi))
        largest.append(np.abs(angles).max())
    return np.array(flux), np.array(largest)
