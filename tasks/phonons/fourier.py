"""Dynamical matrices as a Fourier series over lattice vectors.

With R the lattice vector of the cell of atom k' as seen from that of atom k, tau the positions in
the cell, and C_R the force constants over the root of the masses,

    D_{ka,k'b}(q) = exp[i q.(tau_k' - tau_k)] sum_R exp(i q.R) C_R,{ka,k'b},

which is phonopy's dynamical matrix: force constants are divided equally among the shortest vectors
of a pair. The sum over R, and the one with a factor i (R + tau_k' - tau_k) that gives the gradient,
are products of real matrices for all q-points at once; phonopy treats them one by one. Since
``C_-R`` is the transpose of C_R, half the vectors suffice:

    sum_R exp(i q.R) C_R = C_0 + sum_half [cos(q.R) (C_R + C_R^T) + i sin(q.R) (C_R - C_R^T)].

Born charges, which interact over all distances, add what `tasks.phonons.dipoles` sums up; the
series then holds the short-range force constants.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray
from phonopy import Phonopy
from phonopy.harmonic.derivative_dynmat import DerivativeOfDynamicalMatrix
from phonopy.harmonic.dynamical_matrix import (
    DynamicalMatrix,
    DynamicalMatrixWang,
    get_dynamical_matrices_at_qpoints,
)
from phonopy.structure.cells import Primitive
from phonopy.structure.symmetry import Symmetry

from tasks.phonons.dipoles import DipoleSum, separate_dipoles
from tasks.symmetry.zone import move_to_first_zone

ComplexArray = NDArray[np.complex128]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Bytes of dynamical matrices summed up at a time.
_CHUNK_BYTES = 2**22


@dataclass(frozen=True)
class DynamicalMatrices(ABC):
    """Dynamical matrices and their derivatives at any wave vectors.

    Attributes
    ----------
    positions : ndarray, shape (3 n_atoms, 3)
        tau in units of the lattice vectors, of each row of D.
    cell : ndarray, shape (3, 3)
        Primitive lattice vectors in rows (Å).
    """

    positions: FloatArray
    cell: FloatArray

    @abstractmethod
    def compute_periodic_matrices(
        self, q_points: FloatArray, direction: ArrayLike | None = None
    ) -> ComplexArray:
        """Return dynamical matrices between states without the phases of the positions.

        Parameters
        ----------
        q_points : ndarray, shape (nq, 3)
            Fractional coordinates of the primitive reciprocal lattice.
        direction : array_like, shape (3,), optional
            Direction (fractional reciprocal) from which the zone centre is approached, where there
            are Born charges. Without it the macroscopic field is left out there.

        Returns
        -------
        ndarray, shape (nq, 3 n_atoms, 3 n_atoms)
            As `compute_matrices`, for eigenvectors whose rows are multiplied by `compute_phases`.
        """

    @abstractmethod
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

    def compute_gradients(self, q_points: FloatArray) -> ComplexArray:
        """Return the Cartesian derivatives of dynamical matrices with respect to q.

        Parameters
        ----------
        q_points : ndarray, shape (nq, 3)
            Fractional coordinates of the primitive reciprocal lattice. At the zone centre the limit
            without macroscopic field is taken.

        Returns
        -------
        ndarray, shape (nq, 3, 3 n_atoms, 3 n_atoms)
            Hermitian, in phonopy's unit of D times Å (q in Å^-1 without 2 pi).
        """
        gauge = self.compute_phases(q_points)
        real, imaginary = self.compute_gradient_parts(q_points)
        return gauge.conj()[:, None, :, None] * (real + 1j * imaginary) * gauge[:, None, None]

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


@dataclass(frozen=True)
class FourierSeries(DynamicalMatrices):
    """Coefficients of the dynamical matrix.

    Attributes
    ----------
    lattice_vectors : ndarray of int, shape (n_vectors, 3)
        R in units of the primitive lattice vectors, in ascending order; -R is among them.
    coefficients : ndarray, shape (n_vectors, 3 n_atoms, 3 n_atoms)
        C_R in phonopy's unit of D; that of -R is the transpose.
    dipoles : DipoleSum or None
        What Born charges add.
    """

    lattice_vectors: IntArray
    coefficients: FloatArray
    dipoles: DipoleSum | None = None

    @classmethod
    def from_dipoles(cls, dipoles: DipoleSum) -> "FourierSeries":
        """Dynamical matrices of nothing but dipoles."""
        positions = np.repeat(dipoles.positions, 3, axis=0)
        nothing = np.zeros((1, len(positions), len(positions)))
        return cls(positions, dipoles.cell, np.zeros((1, 3), dtype=np.int64), nothing, dipoles)

    def compute_periodic_matrices(
        self, q_points: FloatArray, direction: ArrayLike | None = None
    ) -> ComplexArray:
        """Sum up the series, a few q-points at a time."""
        found = np.empty((len(q_points), *self.coefficients.shape[1:]), dtype=np.complex128)
        even, odd = self._halves
        for rows in _make_slices(found):
            cosines, sines = self._compute_waves(q_points[rows])
            real, imaginary = _sum_waves(cosines, even), _sum_waves(sines, odd)
            if self.dipoles:
                added = self.dipoles.compute_triangles(q_points[rows], direction)
                real, imaginary = real + added.real, imaginary + added.imag
            found[rows].real = self._fill_square(real)
            found[rows].imag = self._fill_square(imaginary, self._sign)
        return found

    def compute_gradient_parts(self, q_points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sum up the derivatives of the series."""
        cosines, sines = self._compute_waves(q_points)
        even, odd = self._moment_halves
        real, imaginary = _sum_waves(sines, even), _sum_waves(cosines, odd)
        if self.dipoles:
            added = self.dipoles.compute_gradient_triangles(q_points)
            real, imaginary = real + added.real, imaginary + added.imag
        return self._fill_square(real), self._fill_square(imaginary, self._sign)

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


@dataclass(frozen=True)
class WangMatrices(DynamicalMatrices):
    """Dynamical matrices with Born charges by the method of Wang, which phonopy sums up.

    Attributes
    ----------
    matrix : phonopy.harmonic.dynamical_matrix.DynamicalMatrixWang
        Phonopy's object.
    """

    matrix: DynamicalMatrixWang

    def compute_periodic_matrices(
        self, q_points: FloatArray, direction: ArrayLike | None = None
    ) -> ComplexArray:
        """Take them from phonopy, at the images of the q-points in the first zone."""
        inside = move_to_first_zone(q_points, self.cell)
        phases = self.compute_phases(inside)
        found = get_dynamical_matrices_at_qpoints(self.matrix, inside, direction)
        return np.asarray(phases[:, :, None] * found * phases.conj()[:, None])

    def compute_gradient_parts(self, q_points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Take them from phonopy, one by one."""
        inside = move_to_first_zone(q_points, self.cell)
        phases, derivative = self.compute_phases(inside), DerivativeOfDynamicalMatrix(self.matrix)
        found = np.empty((len(inside), 3, *2 * phases.shape[1:]), dtype=np.complex128)
        for row, q in enumerate(inside):
            derivative.run(q)
            found[row] = derivative.d_dynamical_matrix
        hermitian = (found + found.conj().swapaxes(-1, -2)) / 2
        turned = phases[:, None, :, None] * hermitian * phases.conj()[:, None, None]
        return turned.real, turned.imag


@dataclass(frozen=True, eq=False)
class Interpolation:
    """A crystal whose dynamical matrices are known at all q-points: what modes are made of.

    It replaces a phonopy object whose supercell would be large.

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
    nac_params : mapping or None
        Born charges and dielectric tensor as phonopy takes them.
    """

    primitive: Primitive
    primitive_symmetry: Symmetry
    series: FourierSeries
    unit_conversion_factor: float
    build: Callable[[], Phonopy]
    nac_params: Mapping[str, Any] | None = None

    @cached_property
    def phonon(self) -> Phonopy:
        """Phonopy object with the same dynamical matrices, made when it is first asked for."""
        return self.build()

    @property
    def force_constants(self) -> FloatArray:
        """What takes their place, shape (n_vectors, 3 n_atoms, 3 n_atoms)."""
        return self.series.coefficients


HarmonicCrystal: TypeAlias = Phonopy | Interpolation
"""What modes can be computed of."""


def make_dynamical_matrices(phonon: HarmonicCrystal) -> DynamicalMatrices:
    """Prepare the dynamical matrices of a crystal; a series once per set of force constants.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.

    Returns
    -------
    DynamicalMatrices
        Those of phonopy; with Born charges those at the image of q in the first Brillouin zone.
        Phonopy's sum over dipoles is cut off around Gamma, so that it is not periodic in the
        reciprocal lattice; in the zone it is the most exact.
    """
    if isinstance(phonon, Interpolation):
        return phonon.series
    matrix, primitive = phonon.dynamical_matrix, phonon.primitive
    if isinstance(matrix, DynamicalMatrixWang):
        positions = np.repeat(primitive.scaled_positions, 3, axis=0)
        return WangMatrices(positions, primitive.cell, matrix)
    if matrix not in _SERIES:
        constants, dipoles = separate_dipoles(matrix)
        vectors, addresses = primitive.get_smallest_vectors()
        constants = _make_compact(constants, primitive)
        _SERIES[matrix] = sum_pairs(primitive, vectors, addresses, constants, dipoles)
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
    return make_dynamical_matrices(phonon).compute_matrices(q_points)


# Phonopy makes another object when force constants or charges are set.
_SERIES: WeakKeyDictionary[DynamicalMatrix, FourierSeries] = WeakKeyDictionary()


def sum_pairs(
    primitive: Primitive,
    vectors: FloatArray,
    addresses: IntArray,
    constants: FloatArray,
    dipoles: DipoleSum | None = None,
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
    dipoles : DipoleSum, optional
        What Born charges add to them.

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
    positions = np.repeat(tau, 3, axis=0)
    return FourierSeries(positions, primitive.cell, lattice_vectors, np.asarray(square), dipoles)


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


def _make_compact(constants: FloatArray, primitive: Primitive) -> FloatArray:
    """Force constants of the atoms of the primitive cell with all others."""
    if len(constants) == len(primitive):
        return constants
    return np.asarray(constants[primitive.p2s_map])


def _make_slices(matrices: ComplexArray) -> list[slice]:
    """Slices of at most `_CHUNK_BYTES`."""
    step = max(1, _CHUNK_BYTES // (matrices[:1].nbytes or 1))
    return [slice(start, start + step) for start in range(0, len(matrices), step)]


def require_charges(phonon: HarmonicCrystal, what: str) -> Mapping[str, Any]:
    """Born charges and dielectric tensor of a crystal.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        Any.
    what : str
        What needs them, for the message.

    Returns
    -------
    mapping
        As phonopy has them.

    Raises
    ------
    ValueError
        Without Born charges.
    """
    if phonon.nac_params is None:
        raise ValueError(f"{what} needs Born charges: set nac_params of the phonopy object")
    charges: Mapping[str, Any] = phonon.nac_params
    return charges
