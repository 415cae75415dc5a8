"""Dynamical matrices as a Fourier series over lattice vectors.

With R the lattice vector of the cell of atom k' as seen from that of atom k, tau the positions in
the cell, and C_R the force constants over the root of the masses,

    D_{ka,k'b}(q) = exp[i q.(tau_k' - tau_k)] sum_R exp(i q.R) C_R,{ka,k'b},

which is phonopy's dynamical matrix: force constants are divided equally among the shortest vectors
of a pair. The sum over R, and the one with a factor i (R + tau_k' - tau_k) that gives the gradient,
are products of real matrices for all q-points at once; phonopy treats them one by one. Since
``C_-R`` is the transpose of C_R, half the vectors suffice:

    sum_R exp(i q.R) C_R = C_0 + sum_half [cos(q.R) (C_R + C_R^T) + i sin(q.R) (C_R - C_R^T)].

Without Born charges only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.harmonic.dynamical_matrix import DynamicalMatrix
from phonopy.structure.cells import Primitive
from phonopy.structure.symmetry import Symmetry

from tasks.symmetry.zone import move_to_first_zone

ComplexArray = NDArray[np.complex128]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Bytes of dynamical matrices summed up at a time.
_CHUNK_BYTES = 2**22


@dataclass(frozen=True)
class FourierSeries:
    """Coefficients of the dynamical matrix.

    Attributes
    ----------
    lattice_vectors : ndarray of int, shape (n_vectors, 3)
        R in units of the primitive lattice vectors, in ascending order; -R is among them.
    coefficients : ndarray, shape (n_vectors, 3 n_atoms, 3 n_atoms)
        C_R in phonopy's unit of D; that of -R is the transpose.
    positions : ndarray, shape (3 n_atoms, 3)
        tau in units of the lattice vectors, of each row of D.
    cell : ndarray, shape (3, 3)
        Primitive lattice vectors in rows (Å).
    """

    lattice_vectors: IntArray
    coefficients: FloatArray
    positions: FloatArray
    cell: FloatArray

    def compute_matrices(self, q_points: FloatArray) -> ComplexArray:
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
        gauge = self.compute_phases(q_points)
        return gauge.conj()[:, :, None] * self.compute_periodic_matrices(q_points) * gauge[:, None]

    def compute_periodic_matrices(self, q_points: FloatArray) -> ComplexArray:
        """Return dynamical matrices between states without the phases of the positions.

        Parameters
        ----------
        q_points : ndarray, shape (nq, 3)
            Fractional coordinates of the primitive reciprocal lattice.

        Returns
        -------
        ndarray, shape (nq, 3 n_atoms, 3 n_atoms)
            As `compute_matrices`, for eigenvectors whose rows are multiplied by `compute_phases`.
        """
        found = np.empty((len(q_points), *self.coefficients.shape[1:]), dtype=np.complex128)
        even, odd = self._halves
        for rows in _make_slices(found):
            cosines, sines = self._compute_waves(q_points[rows])
            found[rows].real = self._fill_square(_sum_waves(cosines, even))
            found[rows].imag = self._fill_square(_sum_waves(sines, odd), self._sign)
        return found

    def compute_gradients(self, q_points: FloatArray) -> ComplexArray:
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
        gauge = self.compute_phases(q_points)
        real, imaginary = self.compute_gradient_parts(q_points)
        return gauge.conj()[:, None, :, None] * (real + 1j * imaginary) * gauge[:, None, None]

    def compute_gradient_parts(self, q_points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the derivatives between states without the phases of the positions.

        Parameters
        ----------
        q_points : ndarray, shape (nq, 3)
            Fractional coordinates of the primitive reciprocal lattice.

        Returns
        -------
        real, imaginary : ndarray, shape (nq, 3, 3 n_atoms, 3 n_atoms)
            Parts of the Hermitian matrices of `compute_gradients`, for eigenvectors whose rows are
            multiplied by `compute_phases`.
        """
        cosines, sines = self._compute_waves(q_points)
        even, odd = self._moment_halves
        return self._fill_square(_sum_waves(sines, even)), self._fill_square(
            _sum_waves(cosines, odd), self._sign
        )

    def compute_phases(self, q_points: FloatArray) -> ComplexArray:
        """Return the phases of the positions.

        Parameters
        ----------
        q_points : ndarray, shape (nq, 3)
            Fractional coordinates of the primitive reciprocal lattice.

        Returns
        -------
        ndarray, shape (nq, 3 n_atoms)
            exp(i q.tau).
        """
        phases = np.exp(2j * np.pi * (q_points @ self.positions[::3].T))
        return np.repeat(phases, 3, axis=1)

    @property
    def _half(self) -> IntArray:
        """Every other of the vectors R and -R, zero first."""
        return self.lattice_vectors[len(self.lattice_vectors) // 2 :]

    def _compute_waves(self, q_points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """cos(q.R) and sin(q.R), each of shape (nq, n_half)."""
        waves = np.ones((len(q_points), 1))
        for q, steps in zip(q_points.T, self._half.T, strict=True):
            turns = np.arange(steps.min(), steps.max() + 1)
            waves = waves * np.exp(2j * np.pi * q[:, None] * turns)[:, steps - turns[0]]
        return np.ascontiguousarray(waves.real), np.ascontiguousarray(waves.imag)

    @cached_property
    def _halves(self) -> tuple[FloatArray, FloatArray]:
        """C_R + C_R^T and C_R - C_R^T of half the vectors, lower triangles; C_0 once."""
        half = self.coefficients[len(self.coefficients) // 2 :]
        rows, columns = np.tril_indices(len(self.positions))
        lower, upper = half[:, rows, columns], half[:, columns, rows]
        even, odd = lower + upper, lower - upper
        even[0] /= 2
        return even, odd

    @cached_property
    def _moment_halves(self) -> tuple[FloatArray, FloatArray]:
        """Parts of the derivatives, lower triangles (n_half, 3, n_pairs)."""
        (even, odd), tau = self._halves, self.positions @ self.cell
        rows, columns = np.tril_indices(len(tau))
        R, shift = (self._half @ self.cell)[:, :, None], (tau[columns] - tau[rows]).T
        return (
            -2 * np.pi * (R * even[:, None] + shift * odd[:, None]),
            2 * np.pi * (R * odd[:, None] + shift * even[:, None]),
        )

    @cached_property
    def _places(self) -> IntArray:
        """Place in the lower triangle of each element of a symmetric matrix."""
        size = len(self.positions)
        places = np.zeros((size, size), dtype=np.int64)
        places[np.tril_indices(size)] = np.arange(size * (size + 1) // 2)
        return np.maximum(places, places.T)

    @cached_property
    def _sign(self) -> FloatArray:
        """Sign of each element of an antisymmetric matrix against its lower triangle."""
        return 2.0 * np.tri(len(self.positions)) - 1

    def _fill_square(self, triangles: FloatArray, sign: FloatArray | None = None) -> FloatArray:
        """Symmetric matrices of lower triangles, or antisymmetric ones by the signs."""
        found = np.take(triangles, self._places, axis=-1)
        if sign is not None:
            found *= sign
        return found


@dataclass(frozen=True, eq=False)
class Interpolation:
    """A crystal whose dynamical matrices are known at all q-points: what modes are made of.

    It replaces a phonopy object without Born charges, whose supercell would be large.

    Attributes
    ----------
    primitive : phonopy.structure.cells.Primitive
        Primitive cell.
    primitive_symmetry : phonopy.structure.symmetry.Symmetry
        Its symmetry.
    series : FourierSeries
        Its dynamical matrices.
    unit_conversion_factor : float
        From the root of an eigenvalue to THz.
    build : callable
        Makes a phonopy object with the same dynamical matrices.
    """

    primitive: Primitive
    primitive_symmetry: Symmetry
    series: FourierSeries
    unit_conversion_factor: float
    build: Callable[[], Phonopy]

    @cached_property
    def phonon(self) -> Phonopy:
        """Phonopy object with the same dynamical matrices, made when it is first asked for."""
        return self.build()

    @property
    def nac_params(self) -> None:
        """There are no Born charges."""
        return

    @property
    def force_constants(self) -> FloatArray:
        """What takes their place, shape (n_vectors, 3 n_atoms, 3 n_atoms)."""
        return self.series.coefficients

    @property
    def dynamical_matrix(self) -> DynamicalMatrix:
        """Phonopy's object for dynamical matrices."""
        return self.phonon.dynamical_matrix


HarmonicCrystal: TypeAlias = Phonopy | Interpolation
"""What modes can be computed of."""


def make_fourier_series(phonon: HarmonicCrystal) -> FourierSeries:
    """Series of the dynamical matrix; made once per set of force constants.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
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
    if isinstance(phonon, Interpolation):
        return phonon.series
    if phonon.nac_params is not None:
        raise ValueError("Born charges interact over all distances: there is no Fourier series")
    matrix = phonon.dynamical_matrix
    if matrix not in _SERIES:
        vectors, addresses = phonon.primitive.get_smallest_vectors()
        _SERIES[matrix] = sum_pairs(phonon.primitive, vectors, addresses, _make_compact(phonon))
    return _SERIES[matrix]


def compute_dynamical_matrices(phonon: HarmonicCrystal, q_points: FloatArray) -> ComplexArray:
    """Dynamical matrices, with the non-analytic term where charges are set.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    q_points : ndarray, shape (nq, 3)
        Fractional coordinates of the primitive reciprocal lattice.

    Returns
    -------
    ndarray, shape (nq, 3 n_atoms, 3 n_atoms)
        Hermitian, in phonopy's unit and phase convention.
    """
    if isinstance(phonon, Interpolation) or phonon.nac_params is None:
        return make_fourier_series(phonon).compute_matrices(q_points)
    inside, gauge = move_to_zone_of_charges(phonon, q_points)
    found = phonon.run_qpoints(inside, with_dynamical_matrices=True)
    return np.asarray(gauge[:, :, None] * found.dynamical_matrices * gauge.conj()[:, None])


def move_to_zone_of_charges(
    phonon: Phonopy, q_points: FloatArray
) -> tuple[FloatArray, ComplexArray]:
    """Move q-points to where phonopy's sum over dipoles is the most exact.

    The sum is cut off around Gamma, so that it is not periodic in the reciprocal lattice. Inside
    the first Brillouin zone q is as close to Gamma as it can be.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With Born charges.
    q_points : ndarray, shape (nq, 3)
        Fractional coordinates of the primitive reciprocal lattice.

    Returns
    -------
    inside : ndarray, shape (nq, 3)
        q - G in the first Brillouin zone.
    gauge : ndarray, shape (nq, 3 n_atoms)
        exp(-i G.tau): the factors of the rows of the eigenvectors at q.
    """
    primitive = phonon.primitive
    inside = move_to_first_zone(q_points, primitive.cell)
    phases = np.exp(2j * np.pi * (inside - q_points) @ primitive.scaled_positions.T)
    return inside, np.repeat(phases, 3, axis=1)


# Phonopy makes another object when force constants or charges are set.
_SERIES: WeakKeyDictionary[DynamicalMatrix, FourierSeries] = WeakKeyDictionary()


def sum_pairs(
    primitive: Primitive, vectors: FloatArray, addresses: IntArray, constants: FloatArray
) -> FourierSeries:
    """Collect the force constants of all pairs by the lattice vector between their cells.

    Parameters
    ----------
    primitive : phonopy.structure.cells.Primitive
        Primitive cell, and the atom of it that each site of the supercell is an image of.
    vectors : ndarray, shape (n, 3)
        Shortest vectors from atoms of the primitive cell to sites, in its lattice vectors.
    addresses : ndarray of int, shape (n_sites, n_atoms, 2)
        Number of vectors of each pair and index of the first. The sites are those of the supercell,
        or several images of each of them one after the other.
    constants : ndarray, shape (n_atoms, n_sites, 3, 3)
        Force constants (eV/Å^2), divided equally among the vectors of a pair.

    Returns
    -------
    FourierSeries
        Hermitian, as phonopy makes dynamical matrices.
    """
    n_atoms = len(primitive)
    counts, starts = addresses.reshape(-1, 2).T
    pair = np.repeat(np.arange(len(counts)), counts)
    image = np.repeat(starts - np.cumsum(counts) + counts, counts) + np.arange(len(pair))
    site, first = np.divmod(pair, n_atoms)
    atoms = np.searchsorted(primitive.p2s_map, primitive.s2p_map)
    second = np.repeat(atoms, len(addresses) // len(atoms))[site]
    tau = primitive.scaled_positions
    cells = np.rint(vectors[image] - tau[second] + tau[first]).astype(np.int64)
    masses = primitive.masses
    weight = 0.5 / (counts[pair] * np.sqrt(masses[first] * masses[second]))
    terms = weight[:, None, None] * constants[first, site]
    # Each pair is met twice, from either end; the mean makes all sums Hermitian, as phonopy does.
    lattice_vectors, here, there = _find_distinct_vectors(cells)
    size = (len(lattice_vectors), n_atoms, n_atoms)
    ends = ((here, first, second), (there, second, first))
    places = np.concatenate([np.ravel_multi_index(end, size) for end in ends])
    both = np.concatenate([terms, terms.swapaxes(1, 2)]).reshape(-1, 9)
    sums = [np.bincount(places, column, np.prod(size)) for column in both.T]
    coefficients = np.stack(sums, axis=-1).reshape(*size, 3, 3).swapaxes(2, 3)
    square = coefficients.reshape(-1, 3 * n_atoms, 3 * n_atoms)
    return FourierSeries(
        lattice_vectors, np.asarray(square), np.repeat(tau, 3, axis=0), primitive.cell
    )


def _find_distinct_vectors(cells: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Distinct vectors R and -R in ascending order, and the places of each R and each -R there."""
    reach = int(np.abs(cells).max())
    size = (2 * reach + 1,) * 3
    numbers = [np.ravel_multi_index(tuple(x.T + reach), size) for x in (cells, -cells)]
    found, index = np.unique(np.concatenate(numbers), return_inverse=True)
    here, there = np.split(index, 2)
    vectors = np.stack(np.unravel_index(found, size), axis=-1).astype(np.int64) - reach
    return vectors, here, there


def _sum_waves(waves: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Sum over the vectors of waves (nq, n) times coefficients (n, ...)."""
    sums = waves @ coefficients.reshape(len(coefficients), -1)
    return np.asarray(sums.reshape(len(waves), *coefficients.shape[1:]))


def _make_compact(phonon: Phonopy) -> FloatArray:
    """Force constants of the atoms of the primitive cell with all others."""
    constants: FloatArray = phonon.force_constants
    if len(constants) == len(phonon.primitive):
        return constants
    return np.asarray(constants[phonon.primitive.p2s_map])


def _make_slices(matrices: ComplexArray) -> list[slice]:
    """Slices of at most `_CHUNK_BYTES`."""
    step = max(1, _CHUNK_BYTES // (matrices[:1].nbytes or 1))
    return [slice(start, start + step) for start in range(0, len(matrices), step)]
