"""Velocity and angular-momentum operators between the states of one degenerate set.

Inside a degenerate set a state by itself means nothing, but the blocks <mu|X|nu> of an operator X
between the states of the set, taken at the same q from the same eigenvectors, transform together:
any trace of their product is independent of the eigensolver. Sets are runs of neighbouring bands,
so a block is kept by its diagonals,

    X[d, q, nu, ...] = <nu|X|nu + d>,    d = 0 ... (size of the largest set) - 1,

zero where band nu + d is no longer in the set; the lower half follows from X being Hermitian.

Velocity operator: V_j = (dD/dq_j) / (2 omega), in Å THz with q in Å^-1 without 2 pi, which is
d omega / dk too: 1 Å THz = 100 m/s. The dynamical matrix D is that of phonopy, the non-analytical
term included, in the phase convention with exp(i q.(r' - r)), where dD/dq is the whole velocity
operator.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.chirality.angular_momentum import angular_momentum, compute_atomic_angular_momentum
from tasks.chirality.axes import ComplexArray, FloatArray, IntArray
from tasks.chirality.degeneracy import average_over_sets, count_set_members
from tasks.chirality.modes import Modes
from tasks.phonons.fourier import HarmonicCrystal, make_dynamical_matrices
from tasks.tolerances import TRANSLATION

METRE_PER_SECOND = 100.0
# Bytes of dD/dq held at a time.
_CHUNK_BYTES = 2**22


def compute_dynamical_matrix_gradient(
    phonon: HarmonicCrystal, q_points: FloatArray
) -> ComplexArray:
    """Return the Cartesian derivatives of the dynamical matrix with respect to q.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants, and Born charges where the crystal is polar.
    q_points : ndarray, shape (nq, 3)
        Fractional coordinates of the primitive reciprocal lattice. At Gamma the limit without
        macroscopic field is taken.

    Returns
    -------
    ndarray, shape (nq, 3, 3 n_atoms, 3 n_atoms)
        dD/dq_j, Hermitian, in phonopy's unit of D times Å (q in Å^-1 without 2 pi).
    """
    return make_dynamical_matrices(phonon).compute_gradients(q_points)


def compute_velocity_elements(
    phonon: HarmonicCrystal, modes: Modes, sets: IntArray
) -> ComplexArray:
    """Return the blocks of the velocity operator in the degenerate sets.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        The crystal the modes belong to.
    modes : Modes
        Modes at q-points.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.

    Returns
    -------
    ndarray, shape (size, nq, nb, 3)
        Diagonals of the blocks, in Å THz. The frequency in 1 / (2 omega) is the mean of the set;
        sets of imaginary mean, and translations (below 1e-4 THz), get zero.
    """
    size = int(count_set_members(sets).max())
    n_q, n_bands = modes.frequencies.shape
    step = max(1, _CHUNK_BYTES // (48 * n_bands**2))
    elements = np.empty((size, n_q, n_bands, 3), dtype=np.complex128)
    for rows in (slice(start, start + step) for start in range(0, n_q, step)):
        states, real, imaginary = _compute_states_and_gradient(phonon, modes[rows])
        elements[:, rows] = compute_block_diagonals(states, real, imaginary, sets[rows], size)
    frequency = average_over_sets(modes.frequencies, sets)
    # The velocity of a translation, 1 / (2 omega), would blow up.
    moving = frequency > TRANSLATION
    scale = phonon.unit_conversion_factor**2 / (2 * np.where(moving, frequency, 1.0))
    return np.asarray(elements * (moving * scale)[..., None])


def _compute_states_and_gradient(
    phonon: HarmonicCrystal, modes: Modes
) -> tuple[ComplexArray, FloatArray, FloatArray]:
    """Eigenvectors and parts of the derivatives of D in the cheapest common gauge."""
    matrices = make_dynamical_matrices(phonon)
    states = matrices.compute_phases(modes.q_points)[:, :, None] * modes.eigenvectors
    return states, *matrices.compute_gradient_parts(modes.q_points)


def compute_group_velocities(elements: ComplexArray, sets: IntArray) -> FloatArray:
    """Return the group velocity of each set, Tr(P V) / Tr P.

    Parameters
    ----------
    elements : ndarray, shape (size, nq, nb, 3)
        From ``compute_velocity_elements``.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.

    Returns
    -------
    ndarray, shape (nq, nb, 3)
        Mean velocity of the set of each band, in Å THz.
    """
    return average_over_sets(elements[0].real, sets)


def compute_angular_momentum_elements(eigenvectors: ComplexArray, sets: IntArray) -> ComplexArray:
    """Return the blocks of the angular-momentum operator in the degenerate sets.

    Parameters
    ----------
    eigenvectors : ndarray, shape (nq, 3 n_atoms, nb)
        Polarisation vectors as columns.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.

    Returns
    -------
    ndarray, shape (size, nq, nb, 3)
        Diagonals of the blocks of L_a = sum_k (M_a)_k with (M_a)_bc = -i eps_abc, in hbar.
    """
    return _compute_axial_blocks(
        angular_momentum(eigenvectors), eigenvectors, sets, lambda found: found.sum(axis=1)
    )


def compute_axial_elements(
    eigenvectors: ComplexArray, sets: IntArray, site_tensors: FloatArray
) -> ComplexArray:
    """Return the blocks of sum_k A_k L_k, the atoms' angular momenta weighted by tensors.

    Parameters
    ----------
    eigenvectors : ndarray, shape (nq, 3 n_atoms, nb)
        Polarisation vectors as columns.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.
    site_tensors : ndarray, shape (n_atoms, 3, 3)
        A_k; unit tensors give the angular momentum itself.

    Returns
    -------
    ndarray, shape (size, nq, nb, 3)
        Diagonals of the blocks, in hbar times the unit of A_k.
    """
    weights = site_tensors.transpose(0, 2, 1).reshape(-1, 3)

    def sum_weighted(found: NDArray[Any]) -> NDArray[Any]:
        """Sum over the atoms of (..., n_atoms, 3)."""
        return np.asarray(found.reshape(*found.shape[:-2], -1) @ weights)

    diagonal = sum_weighted(compute_atomic_angular_momentum(eigenvectors).swapaxes(1, 2))
    return _compute_axial_blocks(diagonal, eigenvectors, sets, sum_weighted)


def _compute_axial_blocks(
    diagonal: FloatArray,
    eigenvectors: ComplexArray,
    sets: IntArray,
    summed: Callable[[ComplexArray], ComplexArray],
) -> ComplexArray:
    """Blocks of a sum over the atoms from its diagonal and from -i e* x e' of each atom."""
    elements = np.zeros((int(count_set_members(sets).max()), *diagonal.shape), dtype=np.complex128)
    elements[0] = diagonal
    for distance, rows, bands in _list_partners(sets, len(elements)):
        left, right = (eigenvectors[rows, :, b].reshape(len(rows), -1, 3) for b in bands)
        elements[distance, rows, bands[0]] = summed(-1j * np.cross(left.conj(), right))
    return elements


def compute_block_diagonals(
    states: ComplexArray, real: FloatArray, imaginary: FloatArray, sets: IntArray, size: int
) -> ComplexArray:
    """Return <nu|X|nu + d> inside the degenerate sets, for Hermitian operators X = A + iB.

    Parameters
    ----------
    states : ndarray, shape (nq, 3 n_atoms, nb)
        Polarisation vectors as columns.
    real, imaginary : ndarray, shape (nq, n_operators, 3 n_atoms, 3 n_atoms)
        A, symmetric, and B, antisymmetric.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.
    size : int
        Number of diagonals: bands in the largest set.

    Returns
    -------
    ndarray, shape (size, nq, nb, n_operators)
        Diagonals, zero outside the sets.
    """
    result = np.zeros((size, *sets.shape, real.shape[1]), dtype=np.complex128)
    result[0] = _compute_expectations(states, real, imaginary).swapaxes(1, 2)
    # Most q-points have no degenerate bands.
    chosen = np.flatnonzero((sets[:, 1:] == sets[:, :-1]).any(axis=1))
    kets = (real[chosen] + 1j * imaginary[chosen]) @ states[chosen, None]
    for distance, rows, bands in _list_partners(sets[chosen], size):
        bras = states[chosen[rows], :, bands[0]].conj()
        values = np.einsum("pk,pjk->pj", bras, kets[rows, ..., bands[1]])
        result[distance, chosen[rows], bands[0]] = values
    return result


def _compute_expectations(
    states: ComplexArray, real: FloatArray, imaginary: FloatArray
) -> FloatArray:
    """<nu|A + iB|nu> = x A x + y A y - 2 x B y of states x + iy, shape (nq, n_operators, nb)."""
    stacked = (len(states), -1, states.shape[1])
    x, y = np.ascontiguousarray(states.real), np.ascontiguousarray(states.imag)
    on_x = real.reshape(stacked) @ x - 2 * (imaginary.reshape(stacked) @ y)
    on_y = real.reshape(stacked) @ y
    return np.asarray(
        np.einsum("qkb,qjkb->qjb", x, on_x.reshape(real.shape[:3] + x.shape[2:]))
        + np.einsum("qkb,qjkb->qjb", y, on_y.reshape(real.shape[:3] + x.shape[2:]))
    )


def _list_partners(
    sets: IntArray, size: int
) -> Iterator[tuple[int, IntArray, tuple[IntArray, IntArray]]]:
    """Distance d > 0, q-points and bands nu and nu + d of all pairs inside the sets."""
    for distance in range(1, size):
        rows, band = np.nonzero(sets[:, :-distance] == sets[:, distance:])
        yield distance, rows, (band, band + distance)


def compute_block_traces(left: ComplexArray, right: ComplexArray, sets: IntArray) -> FloatArray:
    """Return Tr[P A_i P B_j P] of two Hermitian vector operators, shared out over the set.

    Parameters
    ----------
    left, right : ndarray, shape (size, nq, nb, 3)
        Diagonals of the blocks of A_i and B_j.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.

    Returns
    -------
    ndarray, shape (nq, nb, 3, 3)
        Trace over the set of each band divided by the size of the set, so that the sum over the
        bands of a set is its trace.
    """
    products = left[0].real[..., :, None] * right[0].real[..., None, :]
    for distance, rows, (band, _) in _list_partners(sets, len(left)):
        pairs = left[distance, rows, band][..., None] * right[distance, rows, band][:, None].conj()
        products[rows, band] += 2 * pairs.real
    return average_over_sets(products, sets)
