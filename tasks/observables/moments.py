"""Magnetic moments of modes as experiments state them: nuclear magnetons and Zeeman splittings.

The moment of a set in a field along n is the spectrum of P (m.n) P, m = sum_k gamma_k l_k with the
tensor gamma_k of `tasks.chirality.magnetic`; the energies of modes at q and -q in a field B are
those without it, minus and plus B times this spectrum. So the Zeeman splitting of time-reversed
partners is twice its largest size, at Gamma as elsewhere. m is parallel to l only where all charges
are isotropic and proportional to the masses.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.constants import e, milli, physical_constants

from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.axes import ComplexArray, FloatArray, IntArray
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.magnetic import compute_gyromagnetic_tensors, compute_magnetic_moments
from tasks.chirality.modes import Modes, compute_modes
from tasks.phonons.fourier import HarmonicCrystal
from tasks.tolerances import DEGENERACY

_NUCLEAR_MAGNETON = physical_constants["nuclear magneton"][0]
PER_BOHR_MAGNETON = physical_constants["Bohr magneton"][0] / _NUCLEAR_MAGNETON
ENERGY_PER_FIELD = _NUCLEAR_MAGNETON / e / milli
"""One nuclear magneton in meV/T."""

# L_f = sum_bc (-i eps_fbc) of one atom.
_LEVI_CIVITA = np.zeros((3, 3, 3))
_LEVI_CIVITA[(0, 1, 2), (1, 2, 0), (2, 0, 1)] = 1.0
_LEVI_CIVITA[(0, 2, 1), (2, 1, 0), (1, 0, 2)] = -1.0


@dataclass(frozen=True, eq=False)
class MagneticMoments:
    """Moments of modes at some q-points.

    Attributes
    ----------
    modes : Modes
        The modes.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.
    angular_momentum : ndarray, shape (nq, nb, 3)
        Mean l of the set, in hbar.
    moment : ndarray, shape (nq, nb, 3)
        Mean m of the set, in nuclear magnetons.
    zeeman : ndarray, shape (nq, nb, 3)
        Splitting of time-reversed partners in a field along x, y and z, in meV/T.
    """

    modes: Modes
    sets: IntArray
    angular_momentum: FloatArray
    moment: FloatArray
    zeeman: FloatArray


def measure_magnetic_moments(
    phonon: HarmonicCrystal, q_points: ArrayLike, tolerance: float = DEGENERACY
) -> MagneticMoments:
    """Measure the moments of all modes at some q-points.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants and Born charges.
    q_points : array_like, shape (nq, 3)
        Fractional reciprocal coordinates of the primitive cell.
    tolerance : float
        Bands closer than this (THz) belong to one degenerate set.

    Returns
    -------
    MagneticMoments

    Raises
    ------
    ValueError
        Without Born charges.
    """
    modes = compute_modes(phonon, q_points)
    sets = find_degenerate_sets(modes.frequencies, tolerance)
    moments = compute_magnetic_moments(phonon, modes, sets)
    spectrum = _compute_spectra(_compute_moment_matrices(phonon, modes), sets)
    largest = _take_largest_of_sets(np.abs(spectrum), sets)
    return MagneticMoments(
        modes=modes,
        sets=sets,
        angular_momentum=compute_mean_angular_momentum(modes.eigenvectors, sets),
        moment=PER_BOHR_MAGNETON * moments,
        zeeman=2 * PER_BOHR_MAGNETON * ENERGY_PER_FIELD * largest,
    )


def _compute_moment_matrices(phonon: HarmonicCrystal, modes: Modes) -> ComplexArray:
    """<mu|m_a|nu> in Bohr magnetons, shape (nq, 3, nb, nb)."""
    blocks = -1j * np.einsum("kaf,fbc->kabc", compute_gyromagnetic_tensors(phonon), _LEVI_CIVITA)
    n_q, n_rows, n_bands = modes.eigenvectors.shape
    vectors = modes.eigenvectors.reshape(n_q, n_rows // 3, 3, n_bands)
    return np.asarray(
        np.einsum("qkbm,kabc,qkcn->qamn", vectors.conj(), blocks, vectors, optimize=True)
    )


def _compute_spectra(matrices: ComplexArray, sets: IntArray) -> FloatArray:
    """Eigenvalues of P (m.n) P of each set for n = x, y, z, shape (nq, nb, 3)."""
    inside = matrices * (sets[:, :, None] == sets[:, None, :])[:, None]
    # Sets are kept apart and in order by offsets larger than any moment.
    offset = 4 * np.abs(matrices).sum(axis=-1).max(initial=0.0) * sets
    diagonal = np.arange(sets.shape[1])
    inside[:, :, diagonal, diagonal] += offset[:, None]
    return np.asarray(np.moveaxis(np.linalg.eigvalsh(inside) - offset[:, None], 1, 2))


def _take_largest_of_sets(values: FloatArray, sets: IntArray) -> FloatArray:
    """Largest value of each set for each of its bands."""
    same = sets[:, :, None] == sets[:, None, :]
    return np.asarray(np.where(same[..., None], values[:, None], -np.inf).max(axis=2))
