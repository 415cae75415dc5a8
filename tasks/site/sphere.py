"""Helicity over the directions of q: the picture of the s, d, g or i wave."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from phonopy import Phonopy

from tasks.chirality.analysis import sample_modes
from tasks.chirality.brillouin import compute_helicity, compute_inscribed_radius
from tasks.chirality.modes import compute_modes
from tasks.tolerances import DEGENERACY

FloatArray = NDArray[np.float64]

_N_POLAR, _N_AZIMUTH = 13, 36
# Fraction of the largest sphere inside the first Brillouin zone.
_FRACTION = 0.5


@dataclass(frozen=True, eq=False)
class HelicitySphere:
    """Helicity of each band on the upper half of a sphere of q; h(-q) = h(q) gives the other half.

    Attributes
    ----------
    radius : float
        |q| in 1/Å without 2 pi.
    polar : ndarray, shape (n_polar,)
        Angles from +z, 0 to pi/2.
    azimuth : ndarray, shape (n_azimuth,)
        Angles from +x about z, 0 to 2 pi without the end.
    helicity : ndarray, shape (nb, n_polar, n_azimuth)
        l . qhat in hbar, means of degenerate sets.
    """

    radius: float
    polar: FloatArray
    azimuth: FloatArray
    helicity: FloatArray


def compute_helicity_sphere(phonon: Phonopy, tolerance: float = DEGENERACY) -> HelicitySphere:
    """Compute the helicity of all bands on a sphere half as large as fits into the zone.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With force constants.
    tolerance : float
        Bands closer than this (THz) belong to one degenerate set.

    Returns
    -------
    HelicitySphere
        On a grid of polar and azimuthal angles.
    """
    polar: FloatArray = np.linspace(0.0, np.pi / 2, _N_POLAR, dtype=np.float64)
    azimuth: FloatArray = np.arange(_N_AZIMUTH, dtype=np.float64) * (2 * np.pi / _N_AZIMUTH)
    radius = _FRACTION * compute_inscribed_radius(phonon.primitive.cell)
    q_points = radius * _make_directions(polar, azimuth) @ np.asarray(phonon.primitive.cell).T
    sample = sample_modes(phonon, compute_modes(phonon, q_points), tolerance)
    values = compute_helicity(sample.angular_momentum, sample.images)
    return HelicitySphere(radius, polar, azimuth, values.T.reshape(-1, _N_POLAR, _N_AZIMUTH))


def _make_directions(polar: FloatArray, azimuth: FloatArray) -> FloatArray:
    """Unit vectors of the grid, shape (n_polar * n_azimuth, 3); the azimuth runs fastest."""
    theta, phi = np.meshgrid(polar, azimuth, indexing="ij")
    vectors = [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]
    return np.stack(vectors, axis=-1).reshape(-1, 3)
