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

from collections.abc import Iterator

import numpy as np
from phonopy import Phonopy
from phonopy.harmonic.derivative_dynmat import DerivativeOfDynamicalMatrix

from tasks.chirality.axes import ComplexArray, FloatArray, IntArray
from tasks.chirality.degeneracy import set_mean, set_size
from tasks.chirality.fourier import fourier_series
from tasks.chirality.modes import Modes

METRE_PER_SECOND = 100.0
# A mode slower than this (THz) is a translation, whose velocity 1 / (2 omega) would blow up.
_LEAST_FREQUENCY = 1e-4
# Bytes of dD/dq held at a time.
_CHUNK_BYTES = 2**26

# (M_a)_bc = -i eps_abc, eps_abc being component a of e_b x e_c.
_ANGULAR_MOMENTUM = -1j * np.moveaxis(np.cross(np.eye(3)[:, None], np.eye(3)), -1, 0)


def dynamical_matrix_gradient(phonon: Phonopy, q_points: FloatArray) -> ComplexArray:
    """Return the Cartesian derivatives of the dynamical matrix with respect to q.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With force constants, and Born charges where the crystal is polar.
    q_points : ndarray, shape (nq, 3)
        Fractional coordinates of the primitive reciprocal lattice. At Gamma the limit without
        macroscopic field is taken.

    Returns
    -------
    ndarray, shape (nq, 3, 3 n_atoms, 3 n_atoms)
        dD/dq_j, Hermitian, in phonopy's unit of D times Å (q in Å^-1 without 2 pi).
    """
    if phonon.nac_params is None:
        return fourier_series(phonon).gradients(q_points)
    derivative = DerivativeOfDynamicalMatrix(phonon.dynamical_matrix)
    gradient = np.stack(list(_gradients(derivative, q_points)))
    return (gradient + gradient.conj().swapaxes(-1, -2)) / 2


def velocity_elements(phonon: Phonopy, modes: Modes, sets: IntArray) -> ComplexArray:
    """Return the blocks of the velocity operator in the degenerate sets.

    Parameters
    ----------
    phonon : phonopy.Phonopy
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
    size = int(set_size(sets).max())
    n_q, n_bands = modes.frequencies.shape
    step = max(1, _CHUNK_BYTES // (48 * n_bands**2))
    elements = np.empty((size, n_q, n_bands, 3), dtype=np.complex128)
    for rows in (slice(start, start + step) for start in range(0, n_q, step)):
        vectors = modes.eigenvectors[rows]
        gradient = dynamical_matrix_gradient(phonon, modes.q_points[rows])
        for j in range(3):
            kets = gradient[:, j] @ vectors
            elements[:, rows, :, j] = block_diagonals(vectors, kets, sets[rows], size)
    frequency = set_mean(modes.frequencies, sets)
    moving = frequency > _LEAST_FREQUENCY
    scale = phonon.unit_conversion_factor**2 / (2 * np.where(moving, frequency, 1.0))
    return np.asarray(elements * (moving * scale)[..., None])


def group_velocities(elements: ComplexArray, sets: IntArray) -> FloatArray:
    """Return the group velocity of each set, Tr(P V) / Tr P.

    Parameters
    ----------
    elements : ndarray, shape (size, nq, nb, 3)
        From ``velocity_elements``.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.

    Returns
    -------
    ndarray, shape (nq, nb, 3)
        Mean velocity of the set of each band, in Å THz.
    """
    return set_mean(elements[0].real, sets)


def angular_momentum_elements(eigenvectors: ComplexArray, sets: IntArray) -> ComplexArray:
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
    n_atoms = eigenvectors.shape[1] // 3
    return axial_elements(eigenvectors, sets, np.broadcast_to(np.eye(3), (n_atoms, 3, 3)))


def axial_elements(
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
    n_q, n_rows, n_bands = eigenvectors.shape
    atoms = eigenvectors.reshape(n_q, -1, 3, n_bands)
    size = int(set_size(sets).max())
    elements = np.empty((size, n_q, n_bands, 3), dtype=np.complex128)
    for a in range(3):
        matrices = np.einsum("kf,fbc->kbc", site_tensors[:, a], _ANGULAR_MOMENTUM)
        kets = (matrices @ atoms).reshape(n_q, n_rows, n_bands)
        elements[..., a] = block_diagonals(eigenvectors, kets, sets, size)
    return elements


def block_diagonals(
    eigenvectors: ComplexArray, kets: ComplexArray, sets: IntArray, size: int
) -> ComplexArray:
    """Return <nu|X|nu + d> inside the degenerate sets from X|nu>.

    Parameters
    ----------
    eigenvectors : ndarray, shape (nq, 3 n_atoms, nb)
        Polarisation vectors as columns.
    kets : ndarray, shape (nq, 3 n_atoms, nb)
        X applied to them.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.
    size : int
        Number of diagonals: bands in the largest set.

    Returns
    -------
    ndarray, shape (size, nq, nb)
        Diagonals, zero outside the sets.
    """
    n_bands = sets.shape[1]
    bras = eigenvectors.conj()
    result = np.zeros((size, len(sets), n_bands), dtype=np.complex128)
    for d in range(size):
        stop = n_bands - d
        inside = sets[:, :stop] == sets[:, d:]
        values = np.einsum("qkb,qkb->qb", bras[..., :stop], kets[..., d:])
        result[d, :, :stop] = values * inside
    return result


def block_traces(left: ComplexArray, right: ComplexArray, sets: IntArray) -> FloatArray:
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
    weight = np.where(np.arange(len(left)) > 0, 2.0, 1.0)
    products = np.einsum("d,dqbi,dqbj->qbij", weight, left, right.conj()).real
    return set_mean(products, sets)


def _gradients(
    derivative: DerivativeOfDynamicalMatrix, q_points: FloatArray
) -> Iterator[ComplexArray]:
    """dD/dq at each q-point: phonopy's compiled kernel takes one at a time."""
    for q in q_points:
        derivative.run(q)
        yield derivative.d_dynamical_matrix
