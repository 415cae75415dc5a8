"""Degenerate sets of modes, and averages over them.

Inside a degenerate set the eigenvectors are an arbitrary basis chosen by the eigensolver, so only
traces over the set (and spectra of projected operators) have a meaning. Sets are labelled by
integers: bands of one q-point with the same label belong together, labels run from 0 upwards with
frequency.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from phonopy.harmonic.dynamical_matrix import diagonalize_dynamical_matrices
from phonopy.phonon.symmetry_adapted_modes import SymmetryAdaptedModes

from tasks.phonons.fourier import HarmonicCrystal, compute_dynamical_matrices
from tasks.tolerances import DEGENERACY

# Sets nearer than so many tolerances might be joined by a small change of the force constants.
NEAR_FACTOR: Final = 10.0
_GENERAL_POINT = np.array([0.1234, 0.2871, 0.3719])


class _MatrixAtPoint:
    """What phonopy's search asks of a dynamical matrix, without a supercell."""

    def __init__(self, crystal: HarmonicCrystal) -> None:
        self._crystal = crystal
        self.primitive = crystal.primitive

    def run(self, q_point: NDArray[np.float64]) -> None:
        """Compute the matrix at a q-point."""
        self.dynamical_matrix = compute_dynamical_matrices(self._crystal, q_point[None])[0]


def find_degenerate_sets(
    frequencies: NDArray[np.float64],
    tolerance: float = DEGENERACY,
    joined: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Label the degenerate sets by closeness of neighbouring frequencies.

    Parameters
    ----------
    frequencies : ndarray, shape (nq, nb)
        Ascending along the bands, THz.
    tolerance : float
        Neighbouring bands closer than this (THz) belong to one set.
    joined : ndarray of bool, shape (nq, nb - 1), optional
        True where bands i and i + 1 belong together whatever their distance
        (see `find_symmetry_partners`).

    Returns
    -------
    ndarray of int, shape (nq, nb)
        Set labels, 0, 1, 2, ... along the bands of each q-point.
    """
    separate = np.diff(frequencies, axis=-1) > tolerance
    if joined is not None:
        separate &= ~joined
    labels = np.zeros(frequencies.shape, dtype=np.int64)
    np.cumsum(separate, axis=-1, out=labels[..., 1:])
    return labels


def find_symmetry_partners(phonon: HarmonicCrystal, q_points: ArrayLike) -> NDArray[np.bool_]:
    """Find neighbouring bands that belong to one irreducible co-representation.

    The little group of q includes time reversal, so that pairs stuck together by it count as well.
    Costs milliseconds per q-point: meant for the special points of force constants that do not
    obey their space group (see `has_space_group_symmetry`), whose degeneracies may exceed any
    tolerance.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    q_points : array_like, shape (nq, 3)
        Fractional reciprocal coordinates of the primitive cell.

    Returns
    -------
    ndarray of bool, shape (nq, nb - 1)
        True where bands i and i + 1 are partners.
    """
    points = np.asarray(q_points, dtype=np.float64).reshape(-1, 3)
    n_bands = 3 * len(phonon.primitive)
    joined = np.zeros((len(points), n_bands - 1), dtype=bool)
    for row, q_point in zip(joined, points, strict=True):
        matrix = _MatrixAtPoint(phonon)
        modes = SymmetryAdaptedModes(matrix, q_point, phonon.primitive_symmetry)
        sizes = [len(bands) for bands in modes.degenerate_sets]
        row[:] = np.diff(np.repeat(np.arange(len(sizes)), sizes)) == 0
    return joined


def has_space_group_symmetry(phonon: HarmonicCrystal, tolerance: float = DEGENERACY) -> bool:
    """Tell whether frequencies are the same at all q-points of a general star.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    tolerance : float
        Allowed difference (THz).

    Returns
    -------
    bool
        True where bands that symmetry joins are degenerate within the tolerance.
    """
    rotations = np.asarray(phonon.primitive_symmetry.symmetry_operations["rotations"])
    matrices = compute_dynamical_matrices(phonon, _GENERAL_POINT @ rotations)
    squares, _ = diagonalize_dynamical_matrices(matrices, with_eigenvectors=False)
    frequencies = phonon.unit_conversion_factor * np.sign(squares) * np.sqrt(np.abs(squares))
    return float(np.ptp(frequencies, axis=0).max()) < tolerance


def flag_near_degenerate(
    frequencies: NDArray[np.float64],
    sets: NDArray[np.int64],
    tolerance: float = DEGENERACY,
) -> NDArray[np.bool_]:
    """Flag the sets that another set approaches within ten tolerances.

    Such sets mix under a small change of the force constants, so numbers of the single sets are
    less certain than their sum.

    Parameters
    ----------
    frequencies : ndarray, shape (nq, nb)
        Ascending along the bands, THz.
    sets : ndarray of int, shape (nq, nb)
        Labels of the degenerate sets.
    tolerance : float
        Tolerance (THz) with which the sets were made.

    Returns
    -------
    ndarray of bool, shape (nq, nb)
        The same value for all bands of a set.
    """
    close = (np.diff(frequencies, axis=-1) <= NEAR_FACTOR * tolerance) & (np.diff(sets) > 0)
    flags = np.zeros(frequencies.shape)
    flags[..., :-1] += close
    flags[..., 1:] += close
    return average_over_sets(flags, sets) > 0


def average_over_sets(values: NDArray[np.float64], sets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Replace the value of each band by the mean over its degenerate set.

    For the diagonal elements of an operator A this is Tr(P A) / Tr(P) with P the projector on the
    set, which no unitary mixing inside the set can change.

    Parameters
    ----------
    values : ndarray, shape (nq, nb, ...)
        One value (or vector) per band.
    sets : ndarray of int, shape (nq, nb)
        Labels of the degenerate sets, each a run of neighbouring bands.

    Returns
    -------
    ndarray
        Same shape as `values`.
    """
    found = np.array(values)
    # Most q-points have no degenerate bands, and nothing to average.
    rows = np.flatnonzero((np.diff(sets, axis=-1) == 0).any(axis=-1))
    if len(rows):
        first, counts = _find_runs(sets[rows])
        flat = found[rows].reshape(counts.sum(), -1)
        means = np.add.reduceat(flat, first, axis=0) / counts[:, None]
        found[rows] = np.repeat(means, counts, axis=0).reshape(len(rows), *values.shape[1:])
    return found


def count_set_members(sets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the bands in the degenerate set of each band.

    Parameters
    ----------
    sets : ndarray of int, shape (nq, nb)
        Labels of the degenerate sets.

    Returns
    -------
    ndarray of int, shape (nq, nb)
        1 for a mode without partner.
    """
    _, counts = _find_runs(sets)
    return np.repeat(counts, counts).reshape(sets.shape)


def _find_runs(sets: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First band and number of bands of each set, the bands numbered in C order."""
    starts = np.ones(sets.shape, dtype=bool)
    starts[..., 1:] = np.diff(sets, axis=-1) != 0
    first = np.flatnonzero(starts)
    return first, np.diff(np.append(first, sets.size))
