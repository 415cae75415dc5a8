"""Phonon angular momentum, in units of hbar.

For an eigenvector e(q, nu) with sum_k |e_k|^2 = 1,

    l_a(q, nu) = sum_k e_k^dagger M_a e_k,   (M_a)_bc = -i eps_abc,

(L. Zhang and Q. Niu, Phys. Rev. Lett. 112, 085503 (2014), per mode and without the factor of the
occupation). l_z = +1 is a counter-clockwise circular motion seen from +z; |l| <= 1.

Numbers of single modes depend on the eigensolver wherever modes are degenerate. Those that do not:
the trace over a degenerate set (`average_over_sets` of the diagonal), and the spectrum of L . n
projected on the set (`project_spectrum`).
"""

import numpy as np
from numpy.typing import NDArray

from tasks.chirality.degeneracy import average_over_sets

# Offset between the spectra of successive sets; must exceed the spread of one, 2 hbar.
_SET_OFFSET = 4.0
# Smaller than any difference of angular momenta that means something.
_TIE = 1e-5


def compute_atomic_angular_momentum(eigenvectors: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Angular momentum l_k = -i e_k* x e_k of each atom in each mode.

    Parameters
    ----------
    eigenvectors : ndarray, shape (..., 3n, nb), complex
        Normalised eigenvectors in columns, atom-major rows.

    Returns
    -------
    ndarray, shape (..., n, nb, 3)
        Cartesian, in hbar; the sum over atoms is `angular_momentum`.

    Raises
    ------
    ValueError
        Where the number of rows is not a multiple of three.
    """
    x, y, z = ((part.real, part.imag) for part in _split_components(eigenvectors))
    pairs = ((y, z), (z, x), (x, y))
    # 2 Im(e_b* e_c), cyclic.
    parts = [2.0 * (b[0] * c[1] - b[1] * c[0]) for b, c in pairs]
    return np.moveaxis(np.stack(parts), 0, -1)


def angular_momentum(eigenvectors: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Angular momentum of each mode, l_a = sum_k e_k^dagger M_a e_k with (M_a)_bc = -i eps_abc.

    Zhang and Niu, Phys. Rev. Lett. 112, 085503 (2014). Diagonal elements only: inside a degenerate
    set they depend on the eigensolver; use `average_over_sets` or `project_spectrum` there.

    Parameters
    ----------
    eigenvectors : ndarray, shape (nq, 3n, nb), complex
        Normalised eigenvectors in columns, phonopy's phase convention.

    Returns
    -------
    ndarray, shape (nq, nb, 3)
        Cartesian components, in hbar.

    Raises
    ------
    ValueError
        Where the number of rows is not a multiple of three.
    """
    x, y, z = _split_components(eigenvectors)
    parts = [_compute_overlap(y, z), _compute_overlap(z, x), _compute_overlap(x, y)]
    return np.stack(parts, axis=-1)


def _split_components(eigenvectors: NDArray[np.complex128]) -> tuple[NDArray[np.complex128], ...]:
    """Rows of the x, y and z components, each (..., n, nb)."""
    n_rows = eigenvectors.shape[-2]
    if n_rows % 3:
        msg = f"eigenvectors need 3 rows per atom, got {n_rows} rows"
        raise ValueError(msg)
    return tuple(eigenvectors[..., a::3, :] for a in range(3))


def _compute_overlap(b: NDArray[np.complex128], c: NDArray[np.complex128]) -> NDArray[np.float64]:
    """2 Im sum_k e_kb* e_kc of each mode."""
    real = np.einsum("...kn,...kn->...n", b.real, c.imag)
    imaginary = np.einsum("...kn,...kn->...n", b.imag, c.real)
    return np.asarray(2.0 * (real - imaginary))


def compute_circular_polarization(eigenvectors: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Degree of circular polarisation s_k = |l_k| / |e_k|^2 of each atom's motion.

    0 for a linear motion, 1 for a circular one; 0 for an atom at rest (|e_k|^2 < 1e-12).

    Parameters
    ----------
    eigenvectors : ndarray, shape (..., 3n, nb), complex
        Normalised eigenvectors in columns.

    Returns
    -------
    ndarray, shape (..., n, nb)

    Raises
    ------
    ValueError
        Where the number of rows is not a multiple of three.
    """
    angular_momentum = np.linalg.norm(compute_atomic_angular_momentum(eigenvectors), axis=-1)
    *leading, n_rows, n_bands = eigenvectors.shape
    per_atom = np.abs(eigenvectors.reshape(*leading, n_rows // 3, 3, n_bands)) ** 2
    weight = per_atom.sum(axis=-2)
    return np.where(weight > 1e-12, angular_momentum / np.maximum(weight, 1e-12), 0.0)


def compute_angular_momentum_matrices(
    eigenvectors: NDArray[np.complex128],
) -> NDArray[np.complex128]:
    """Matrix elements <mu| L_a |nu> between all modes of each q-point.

    Parameters
    ----------
    eigenvectors : ndarray, shape (nq, 3n, nb), complex
        Normalised eigenvectors in columns.

    Returns
    -------
    ndarray, shape (nq, 3, nb, nb), complex
        Hermitian matrices for a = x, y, z, in hbar. The blocks with mu and nu in one degenerate
        set are P L_a P.

    Raises
    ------
    ValueError
        Where the number of rows is not a multiple of three.
    """
    x, y, z = _split_components(eigenvectors)
    pairs = ((y, z), (z, x), (x, y))
    half = [-1j * (np.conj(np.swapaxes(b, -1, -2)) @ c) for b, c in pairs]
    return np.stack([m + np.conj(np.swapaxes(m, -1, -2)) for m in half], axis=-3)


def compute_mean_angular_momentum(
    eigenvectors: NDArray[np.complex128], sets: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Angular momentum Tr(P L) / Tr(P) of each mode's degenerate set.

    Parameters
    ----------
    eigenvectors : ndarray, shape (nq, 3n, nb), complex
        Normalised eigenvectors in columns.
    sets : ndarray of int, shape (nq, nb)
        Labels of the degenerate sets.

    Returns
    -------
    ndarray, shape (nq, nb, 3)
        In hbar, the same for all modes of a set; unchanged by unitary mixing inside it.
    """
    return average_over_sets(angular_momentum(eigenvectors), sets)


def project_spectrum(
    eigenvectors: NDArray[np.complex128],
    sets: NDArray[np.int64],
    axes: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Eigenvalues of P (L . n) P inside each degenerate set.

    They are the angular momenta along n of the modes into which an infinitesimal field along n
    would split the set; for a single mode this is l . n.

    Parameters
    ----------
    eigenvectors : ndarray, shape (nq, 3n, nb), complex
        Normalised eigenvectors in columns.
    sets : ndarray of int, shape (nq, nb)
        Labels of the degenerate sets.
    axes : ndarray, shape (nq, 3) or (3,)
        Cartesian unit vector n for each q-point (q itself, or the axis of the little group).

    Returns
    -------
    ndarray, shape (nq, nb)
        In hbar, ascending within each set; unchanged by unitary mixing inside it.
    """
    normal = np.broadcast_to(axes, (len(sets), 3))
    matrices = compute_angular_momentum_matrices(eigenvectors)
    along = np.einsum("qa,qamn->qmn", normal, matrices)
    along *= sets[:, :, None] == sets[:, None, :]
    # One diagonalisation for all sets: the offset keeps their spectra apart and in order.
    offset = _SET_OFFSET * sets
    along[:, np.arange(sets.shape[1]), np.arange(sets.shape[1])] += offset
    return np.asarray(np.linalg.eigvalsh(along) - offset)


def find_circular_basis(
    eigenvectors: NDArray[np.complex128],
    sets: NDArray[np.int64],
    axis: NDArray[np.float64],
    rotation: NDArray[np.complex128] | None = None,
) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """Turn the basis of each degenerate set to eigenvectors of P (L . n) P.

    Parameters
    ----------
    eigenvectors : ndarray, shape (3n, nb), complex
        Modes of one q-point in columns.
    sets : ndarray of int, shape (nb,)
        Label of each mode's degenerate set, ascending.
    axis : ndarray, shape (3,)
        Unit vector n.
    rotation : ndarray, shape (nb, nb), complex, optional
        Matrix of the rotation about the axis between these modes. It commutes with P (L . n) P
        and decides between states of equal l . n, which then have a pseudo-angular momentum.

    Returns
    -------
    eigenvectors : ndarray, shape (3n, nb), complex
        Of the same sets, l . n descending inside each.
    circulation : ndarray, shape (nb,)
        l . n of each, in hbar.
    """
    along = np.einsum("a,amn->mn", axis, compute_angular_momentum_matrices(eigenvectors[None])[0])
    deciding = along if rotation is None else along + _TIE * _make_hermitian(rotation)
    order = _SET_OFFSET * np.diag(sets.astype(np.float64))
    _, change = np.linalg.eigh(order - deciding * (sets[:, None] == sets))
    return eigenvectors @ change, np.einsum("mb,mn,nb->b", change.conj(), along, change).real


def _make_hermitian(rotation: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Hermitian matrix that tells the eigenvalues of a rotation apart."""
    real, imaginary = rotation + rotation.conj().T, (rotation - rotation.conj().T) / 1j
    return np.asarray(real + np.sqrt(2) * imaginary)
