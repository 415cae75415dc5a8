"""Dynamical matrices as a Fourier series over lattice vectors.

With R the lattice vector of the cell of atom k' as seen from that of atom k, tau the positions in
the cell, and C_R the force constants over the root of the masses,

    D_{ka,k'b}(q) = exp[i q.(tau_k' - tau_k)] sum_R exp(i q.R) C_R,{ka,k'b},

which is phonopy's dynamical matrix: force constants are divided equally among the shortest vectors
of a pair. The sum over R, and the one with a factor i R that gives the gradient, are products of
matrices for all q-points at once; phonopy treats them one by one. Without Born charges only.
"""

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from phonopy import Phonopy
from phonopy.harmonic.dynamical_matrix import DynamicalMatrix

from tasks.chirality.axes import ComplexArray, FloatArray, IntArray

# Bytes of dynamical matrices summed up at a time.
_CHUNK_BYTES = 2**24


@dataclass(frozen=True)
class FourierSeries:
    """Coefficients of the dynamical matrix.

    Attributes
    ----------
    lattice_vectors : ndarray of int, shape (n_vectors, 3)
        R in units of the primitive lattice vectors.
    coefficients : ndarray, shape (n_vectors, 3 n_atoms, 3 n_atoms)
        C_R in phonopy's unit of D.
    positions : ndarray, shape (3 n_atoms, 3)
        tau in units of the lattice vectors, of each row of D.
    cell : ndarray, shape (3, 3)
        Primitive lattice vectors in rows (Å).
    """

    lattice_vectors: IntArray
    coefficients: FloatArray
    positions: FloatArray
    cell: FloatArray

    def matrices(self, q_points: FloatArray) -> ComplexArray:
        """Return dynamical matrices.

        Parameters
        ----------
        q_points : ndarray, shape (nq, 3)
            Fractional coordinates of the primitive reciprocal lattice.

        Returns
        -------
        ndarray, shape (nq, 3 n_atoms, 3 n_atoms)
            Hermitian, in phonopy's unit and phase convention.
        """
        found = np.empty((len(q_points), *self.coefficients.shape[1:]), dtype=np.complex128)
        for rows in _chunks(found):
            gauge = self._gauge(q_points[rows])
            periodic = self._sums(self._phases(q_points[rows]))
            found[rows] = gauge.conj()[:, :, None] * periodic * gauge[:, None]
        return found

    def gradients(self, q_points: FloatArray) -> ComplexArray:
        """Return the Cartesian derivatives of dynamical matrices with respect to q.

        Parameters
        ----------
        q_points : ndarray, shape (nq, 3)
            Fractional coordinates of the primitive reciprocal lattice.

        Returns
        -------
        ndarray, shape (nq, 3, 3 n_atoms, 3 n_atoms)
            Hermitian, in phonopy's unit of D times Å (q in Å^-1 without 2 pi).
        """
        vectors, tau = self.lattice_vectors @ self.cell, self.positions @ self.cell
        phases, gauge = self._phases(q_points), self._gauge(q_points)
        periodic = self._sums(phases)
        found = np.empty((len(q_points), 3, *periodic.shape[1:]), dtype=np.complex128)
        for j in range(3):
            inner = self._sums(phases * vectors[:, j]) + (tau[:, j] - tau[:, j, None]) * periodic
            found[:, j] = (2j * np.pi * gauge.conj())[:, :, None] * inner * gauge[:, None]
        return found

    def _phases(self, q_points: FloatArray) -> ComplexArray:
        """exp(i q.R), shape (nq, n_vectors)."""
        return np.asarray(np.exp(2j * np.pi * (q_points @ self.lattice_vectors.T)))

    def _gauge(self, q_points: FloatArray) -> ComplexArray:
        """exp(i q.tau), shape (nq, 3 n_atoms)."""
        return np.asarray(np.exp(2j * np.pi * (q_points @ self.positions.T)))

    def _sums(self, phases: ComplexArray) -> ComplexArray:
        """Sum of the coefficients times phases, shape (nq, 3 n_atoms, 3 n_atoms)."""
        flat = self.coefficients.reshape(len(self.coefficients), -1)
        sums = np.empty((len(phases), flat.shape[1]), dtype=np.complex128)
        # Real coefficients: two real products cost half of a complex one.
        sums.real, sums.imag = phases.real @ flat, phases.imag @ flat
        return sums.reshape(len(phases), *self.coefficients.shape[1:])


def fourier_series(phonon: Phonopy) -> FourierSeries:
    """Series of the dynamical matrix; made once per set of force constants.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With force constants, without Born charges.

    Returns
    -------
    FourierSeries
        The same dynamical matrices as phonopy's.

    Raises
    ------
    ValueError
        With Born charges, whose interaction has no such series.
    """
    if phonon.nac_params is not None:
        raise ValueError("Born charges interact over all distances: there is no Fourier series")
    matrix = phonon.dynamical_matrix
    if matrix not in _SERIES:
        _SERIES[matrix] = _series(phonon)
    return _SERIES[matrix]


# Phonopy makes another object when force constants or charges are set.
_SERIES: WeakKeyDictionary[DynamicalMatrix, FourierSeries] = WeakKeyDictionary()


def _series(phonon: Phonopy) -> FourierSeries:
    """Collect the force constants of all pairs by the lattice vector between their cells."""
    primitive = phonon.primitive
    n_atoms = len(primitive)
    vectors, addresses = primitive.get_smallest_vectors()
    counts, starts = addresses.reshape(-1, 2).T
    pair = np.repeat(np.arange(len(counts)), counts)
    image = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(len(pair))
    site, first = np.divmod(pair, n_atoms)
    second = np.searchsorted(primitive.p2s_map, primitive.s2p_map)[site]
    tau = primitive.scaled_positions
    cells = np.rint(vectors[image] - tau[second] + tau[first]).astype(np.int64)
    both = np.concatenate([cells, -cells])
    lattice_vectors, index = np.unique(both, axis=0, return_inverse=True)
    constants = _compact(phonon.force_constants, phonon)
    masses = primitive.masses
    weight = 0.5 / (counts[pair] * np.sqrt(masses[first] * masses[second]))
    terms = weight[:, None, None] * constants[first, site]
    coefficients = np.zeros((len(lattice_vectors), n_atoms, n_atoms, 3, 3))
    here, there = np.split(index.ravel(), 2)
    # Each pair is met twice, from either end; the mean makes all sums Hermitian, as phonopy does.
    np.add.at(coefficients, (here, first, second), terms)
    np.add.at(coefficients, (there, second, first), terms.swapaxes(1, 2))
    square = coefficients.swapaxes(2, 3).reshape(-1, 3 * n_atoms, 3 * n_atoms)
    return FourierSeries(lattice_vectors, square, np.repeat(tau, 3, axis=0), primitive.cell)


def _compact(constants: FloatArray, phonon: Phonopy) -> FloatArray:
    """Force constants of the atoms of the primitive cell with all others."""
    if len(constants) == len(phonon.primitive):
        return constants
    return np.asarray(constants[phonon.primitive.p2s_map])


def _chunks(matrices: ComplexArray) -> list[slice]:
    """Slices of at most `_CHUNK_BYTES`."""
    step = max(1, _CHUNK_BYTES // (matrices[:1].nbytes or 1))
    return [slice(start, start + step) for start in range(0, len(matrices), step)]
