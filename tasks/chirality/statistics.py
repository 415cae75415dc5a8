"""Means and maxima of angular momentum over the Brillouin zone.

Means run over the modes of the whole mesh, each q-point of a star counted with its weight. The
three translations at Gamma and imaginary modes are left out. Optical branches are the bands from
the fourth on, by frequency at each q.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.chirality.angular_momentum import compute_atomic_angular_momentum
from tasks.chirality.degeneracy import average_over_sets
from tasks.chirality.modes import Modes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
N_TRANSLATIONS = 3
# Elements of the per-atom arrays held at a time.
_CHUNK = 2**17


@dataclass(frozen=True)
class ZoneStatistics:
    """Mean and maximum of a quantity over the Brillouin zone.

    Attributes
    ----------
    mean, maximum : float
        Over all branches.
    optical_mean, optical_maximum : float
        Over the optical branches; 0 where there are none.
    """

    mean: float
    maximum: float
    optical_mean: float
    optical_maximum: float


def compute_zone_statistics(
    values: FloatArray, weights: IntArray, counted: NDArray[np.bool_]
) -> ZoneStatistics:
    """Mean and maximum of |values| over the modes that count.

    Parameters
    ----------
    values : ndarray, shape (nq, nb)
        One value per mode.
    weights : ndarray of int, shape (nq,)
        Numbers of mesh points for which the q-points stand.
    counted : ndarray of bool, shape (nq, nb)
        Modes that count.

    Returns
    -------
    ZoneStatistics
        In the unit of the values.
    """
    size = np.abs(values)
    share = weights[:, None] * counted
    optical = share.copy()
    optical[:, :N_TRANSLATIONS] = 0
    return ZoneStatistics(
        mean=_average(size, share),
        maximum=float(size.max(where=share > 0, initial=0.0)),
        optical_mean=_average(size, optical),
        optical_maximum=float(size.max(where=optical > 0, initial=0.0)),
    )


def _average(values: FloatArray, weights: IntArray) -> float:
    total = float(weights.sum())
    return float((values * weights).sum()) / total if total else 0.0


def find_translations(modes: Modes, masses: FloatArray) -> NDArray[np.bool_]:
    """Find the three uniform translations among the modes at Gamma.

    Parameters
    ----------
    modes : Modes
        Modes at q-points, Gamma among them or not.
    masses : ndarray, shape (n,)
        Masses of the atoms of the primitive cell.

    Returns
    -------
    ndarray of bool, shape (nq, nb)
        True for the three modes at q = 0 with the largest share of the uniform translations.
    """
    found = np.zeros(modes.frequencies.shape, dtype=bool)
    for row in np.flatnonzero(~modes.q_points.any(axis=1)):
        vectors = modes.eigenvectors[row].reshape(len(masses), 3, -1)
        share = np.abs(np.einsum("k,kan->an", np.sqrt(masses / masses.sum()), vectors)) ** 2
        found[row, np.argsort(-share.sum(axis=0), kind="stable")[:N_TRANSLATIONS]] = True
    return found


def average_atomic_motion(
    modes: Modes,
    sets: IntArray,
    weights: IntArray,
    counted: NDArray[np.bool_],
    sites: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """Mean angular momentum and degree of circular polarisation of each atom's motion.

    Of each degenerate set the traces Tr(P l_k) and Tr(P 1_k) are taken before their norm and
    ratio. |l_k| can be large where the atoms' angular momenta cancel in l.

    Parameters
    ----------
    modes : Modes
        Modes at q-points.
    sets : ndarray of int, shape (nq, nb)
        Labels of the degenerate sets.
    weights : ndarray of int, shape (nq,)
        Numbers of mesh points for which the q-points stand.
    counted : ndarray of bool, shape (nq, nb)
        Modes that count.
    sites : ndarray of int, shape (n_operations, n)
        Site on which each atom lands under the operations that make the other q-points of each
        star: there it moves as the first does here.

    Returns
    -------
    momentum : ndarray, shape (n,)
        Mean over the modes of |l_k|, in hbar.
    polarization : ndarray, shape (n,)
        Sum of |l_k| over the modes divided by the sum of |e_k|^2, in [0, 1].
    """
    n_atoms = modes.n_bands // 3
    angular_momentum, weight = np.zeros(n_atoms), np.zeros(n_atoms)
    share = weights[:, None] * counted
    for rows in _make_slices(len(modes), _CHUNK // (n_atoms * modes.n_bands)):
        vectors = modes.eigenvectors[rows]
        per_mode = np.moveaxis(compute_atomic_angular_momentum(vectors), 1, 2)
        means = average_over_sets(per_mode, sets[rows])
        size = np.sqrt(np.einsum("qnka,qnka->qnk", means, means))
        squares = (vectors.real**2 + vectors.imag**2) @ share[rows, :, None]
        angular_momentum += np.einsum("qn,qnk->k", share[rows], size)
        weight += squares.reshape(-1, n_atoms, 3).sum(axis=(0, 2))
    angular_momentum, weight = angular_momentum[sites].mean(axis=0), weight[sites].mean(axis=0)
    # Where no mode counts, 0 / 0 is 0.
    return angular_momentum / max(share.sum(), 1e-300), angular_momentum / np.maximum(
        weight, 1e-300
    )


def _make_slices(length: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` (at least one) covering a range."""
    step = max(1, size)
    return (slice(start, start + step) for start in range(0, length, step))
