"""Phonon modes at many q-points.

The phase convention is phonopy's, with atomic positions in the phase,

    D_{ka,k'b}(q) = (M_k M_k')^(-1/2) sum_l' Phi_ab(0k, l'k') exp{i q . [r(l'k') - r(0k)]},

sum_k |e_k|^2 = 1 and u(lk, t) ~ Re{M_k^(-1/2) e_k exp[i (q . r(lk) - w t)]}. Everything in this
package relies on it: the other sign of the phase, or conjugated eigenvectors, reverses every
angular momentum.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from phonopy.harmonic.dynamical_matrix import diagonalize_dynamical_matrices

from tasks.phonons.fourier import HarmonicCrystal, make_dynamical_matrices


@dataclass(frozen=True)
class Modes:
    """Phonon modes at a list of q-points.

    Attributes
    ----------
    q_points : ndarray, shape (nq, 3)
        Fractional coordinates in the reciprocal basis of the primitive cell.
    frequencies : ndarray, shape (nq, nb)
        Ascending, in THz; an imaginary frequency is stored as a negative number.
    eigenvectors : ndarray, shape (nq, 3n, nb), complex
        Column nu of the q-th matrix is mode nu; rows are (atom, Cartesian component), atom-major.
    """

    q_points: NDArray[np.float64]
    frequencies: NDArray[np.float64]
    eigenvectors: NDArray[np.complex128]

    def __post_init__(self) -> None:
        """Refuse arrays whose shapes do not belong together.

        Raises
        ------
        ValueError
            Where the three shapes are not (nq, 3), (nq, nb) and (nq, nb, nb) with nb = 3n.
        """
        n_q, n_bands = self.frequencies.shape
        expected = ((n_q, 3), (n_q, n_bands, n_bands))
        if (self.q_points.shape, self.eigenvectors.shape) != expected or n_bands % 3:
            msg = (
                f"modes need q_points (nq, 3), frequencies (nq, 3n), eigenvectors (nq, 3n, 3n); "
                f"got {self.q_points.shape}, {self.frequencies.shape}, {self.eigenvectors.shape}"
            )
            raise ValueError(msg)

    @property
    def n_bands(self) -> int:
        """Number of bands, three times the number of atoms in the primitive cell."""
        return int(self.frequencies.shape[1])

    def __len__(self) -> int:
        """Number of q-points."""
        return len(self.q_points)

    def __getitem__(self, index: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Self:
        """Modes at some of the q-points (slice, index array or mask)."""
        return type(self)(self.q_points[index], self.frequencies[index], self.eigenvectors[index])


def compute_modes(
    phonon: HarmonicCrystal, q_points: ArrayLike, *, nac_direction: ArrayLike | None = None
) -> Modes:
    """Frequencies and eigenvectors at q-points, with the non-analytic term where charges are set.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants; with ``nac_params`` the dipole-dipole correction is included.
    q_points : array_like, shape (nq, 3) or (3,)
        Fractional reciprocal coordinates of the primitive cell.
    nac_direction : array_like, shape (3,), optional
        Direction (fractional reciprocal) from which Gamma is approached. Without it the
        non-analytic term is left out at exactly q = 0.

    Returns
    -------
    Modes

    Raises
    ------
    ValueError
        Where force constants are missing, or they or the charges are not finite, or there are
        charges in a left-handed cell.
    """
    _check_input(phonon)
    points = np.asarray(q_points, dtype=np.float64).reshape(-1, 3)
    matrices = make_dynamical_matrices(phonon)
    squares, states = diagonalize_dynamical_matrices(
        matrices.compute_periodic_matrices(points, nac_direction)
    )
    frequencies = phonon.unit_conversion_factor * np.sign(squares) * np.sqrt(np.abs(squares))
    states *= matrices.compute_phases(points).conj()[:, :, None]
    return Modes(points, frequencies, states)


def compute_frequencies(phonon: HarmonicCrystal, q_points: ArrayLike) -> NDArray[np.float64]:
    """Frequencies alone, at less than half the cost; at Gamma without the non-analytic term.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    q_points : array_like, shape (nq, 3)
        Fractional reciprocal coordinates of the primitive cell.

    Returns
    -------
    ndarray, shape (nq, nb)
        As `Modes.frequencies`.
    """
    _check_input(phonon)
    points = np.asarray(q_points, dtype=np.float64).reshape(-1, 3)
    squares = np.linalg.eigvalsh(make_dynamical_matrices(phonon).compute_periodic_matrices(points))
    roots = np.sign(squares) * np.sqrt(np.abs(squares))
    return np.asarray(phonon.unit_conversion_factor * roots)


def _check_input(phonon: HarmonicCrystal) -> None:
    """Refuse what phonopy's compiled kernels answer with a crash or with wrong numbers."""
    if phonon.force_constants is None:
        msg = "the phonopy object has no force constants: set or produce them first"
        raise ValueError(msg)
    charges = phonon.nac_params or {}
    arrays = [phonon.force_constants, charges.get("born", 0.0), charges.get("dielectric", 0.0)]
    if not all(np.isfinite(array).all() for array in arrays):
        msg = "force constants, Born charges or dielectric tensor hold NaN or infinite numbers"
        raise ValueError(msg)
    # With a negative volume phonopy's list of reciprocal vectors is empty: no dipole sum at all.
    if charges and np.linalg.det(phonon.primitive.cell) < 0:
        msg = "left-handed primitive cell with Born charges: exchange two lattice vectors"
        raise ValueError(msg)
