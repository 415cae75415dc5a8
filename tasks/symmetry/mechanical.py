"""Mechanical representation of a crystal at a wave vector, and the angular momentum of its parts.

The displacements of the atoms of the primitive cell form a representation of the little group of q,
a co-representation where time reversal is joined. In the phase convention of phonopy,
u_lk = e_k exp[2 pi i q . (x_l + x_k)], an operation {R|t} with Rq = q + G acts as

    T_{k'k} = R exp[2 pi i (G . x_k' - (q + G) . t)],    k' the site to which it carries atom k,

and one with R(-q) = q + G acts by the same formula on the complex conjugate of e. Modes of one
frequency belong to one isotypic component (all copies of one irreducible co-representation), whose
copies the force constants mix. What all copies share is fixed by symmetry and by the occupied
positions: here the bounds between which the force constants can move the angular momentum.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.symmetry.operations import CrystalSymmetry, FloatArray
from tasks.symmetry.selection import find_allowed_angular_momentum, find_little_group

ComplexArray = NDArray[np.complex128]

# Eigenvalues of a random invariant matrix (of order 1) closer than this are one degenerate set.
_DEGENERACY = 1e-7
# Bounds of l are eigenvalues of order 1.
_ZERO = 1e-7
_SEED = 20130223
# (M_a)_bc = -i eps_abc
_LEVI_CIVITA = np.zeros((3, 3, 3))
for _a, _b, _c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    _LEVI_CIVITA[_a, _b, _c] = 1.0
    _LEVI_CIVITA[_a, _c, _b] = -1.0


@dataclass(frozen=True, eq=False)
class MechanicalRepresentation:
    """Matrices of the little group on the displacements of the primitive cell.

    Attributes
    ----------
    unitary : ndarray of complex, shape (n, 3 n_atoms, 3 n_atoms)
        T of the operations with Rq = q + G.
    antiunitary : ndarray of complex, shape (m, 3 n_atoms, 3 n_atoms)
        T of the operations with Rq = -q + G; they act as e -> T e*.
    """

    unitary: ComplexArray
    antiunitary: ComplexArray

    def project(self, matrix: ComplexArray) -> ComplexArray:
        """Project a matrix on those that commute with the representation.

        Parameters
        ----------
        matrix : ndarray of complex, shape (3 n_atoms, 3 n_atoms)
            Any matrix H.

        Returns
        -------
        ndarray of complex, shape (3 n_atoms, 3 n_atoms)
            Mean of T H T^+ and T H* T^+; Hermitian for Hermitian H.
        """
        total = _conjugate_by_group(self.unitary, matrix) + _conjugate_by_group(
            self.antiunitary, matrix.conj()
        )
        return np.asarray(total / (len(self.unitary) + len(self.antiunitary)))


@dataclass(frozen=True)
class IsotypicComponent:
    """All copies of one irreducible co-representation among the modes at a wave vector.

    Attributes
    ----------
    dimension : int
        Degeneracy that symmetry (with time reversal) enforces on each copy.
    multiplicity : int
        Number of copies, that is of frequencies.
    angular_momentum_bounds : tuple of (float, float)
        For each allowed direction (see ``find_allowed_angular_momentum``), the least and the
        largest
        Tr(P M_n) in units of hbar that any symmetric force constants can give to one copy. Equal
        bounds: the value is fixed by symmetry. Both zero: these modes never carry l along n.
    """

    dimension: int
    multiplicity: int
    angular_momentum_bounds: tuple[tuple[float, float], ...]

    @property
    def carries_angular_momentum(self) -> bool:
        """Whether some force constants give these modes a non-zero l."""
        return bool(np.any(np.abs(self.angular_momentum_bounds) > _ZERO))


def build_mechanical_representation(
    crystal: CrystalSymmetry, q_point: ArrayLike
) -> MechanicalRepresentation:
    """Build the mechanical representation of a crystal at a wave vector.

    Parameters
    ----------
    crystal : CrystalSymmetry
        Primitive cell with its operations.
    q_point : array_like, shape (3,)
        Wave vector in fractions of the primitive reciprocal lattice.

    Returns
    -------
    MechanicalRepresentation
        Every dynamical matrix D(q) with the symmetry of the crystal commutes with it.
    """
    q = np.asarray(q_point, dtype=float)
    group = find_little_group(crystal.operations, q)
    return MechanicalRepresentation(
        _make_operation_matrices(crystal, q, q, group.unitary),
        _make_operation_matrices(crystal, -q, q, group.antiunitary),
    )


def find_isotypic_components(
    crystal: CrystalSymmetry, q_point: ArrayLike
) -> tuple[IsotypicComponent, ...]:
    """Decompose the modes of a crystal at a wave vector, with bounds of their angular momentum.

    The components are the eigenspaces of a random Hermitian matrix in the centre of the group
    algebra, the degeneracies those of a random matrix that commutes with the representation (the
    random numbers are the same at every call). On each component the allowed M_n commutes with
    the group; its eigenvalues bound l because a copy can be any line of the multiplicity space.

    Parameters
    ----------
    crystal : CrystalSymmetry
        Primitive cell with its operations.
    q_point : array_like, shape (3,)
        Wave vector in fractions of the primitive reciprocal lattice.

    Returns
    -------
    tuple of IsotypicComponent
        Dimensions times multiplicities add up to 3 n_atoms.
    """
    representation = build_mechanical_representation(crystal, q_point)
    rng = np.random.default_rng(_SEED)
    generic = representation.project(_draw_hermitian(rng, 3 * len(crystal.positions)))
    operators = make_angular_momentum_operators(
        find_allowed_angular_momentum(crystal.operations, q_point), len(crystal.positions)
    )
    return tuple(
        _make_component(basis, generic, operators)
        for basis in _find_eigenspaces(_draw_central_element(representation, rng))
    )


def make_angular_momentum_operators(directions: ArrayLike, n_atoms: int) -> ComplexArray:
    """Return the matrices of the angular momentum along given directions.

    Parameters
    ----------
    directions : array_like, shape (k, 3)
        Cartesian unit vectors n.
    n_atoms : int
        Number of atoms in the primitive cell.

    Returns
    -------
    ndarray of complex, shape (k, 3 n_atoms, 3 n_atoms)
        M_n = sum_a n_a M_a on every atom, (M_a)_bc = -i eps_abc, in units of hbar.
    """
    blocks = -1j * np.einsum("ka,abc->kbc", np.asarray(directions, dtype=float), _LEVI_CIVITA)
    operators = np.einsum("ij,kbc->kibjc", np.eye(n_atoms), blocks)
    return np.asarray(operators.reshape(-1, 3 * n_atoms, 3 * n_atoms))


def _make_operation_matrices(
    crystal: CrystalSymmetry, q_in: FloatArray, q_out: FloatArray, indices: NDArray[np.intp]
) -> ComplexArray:
    """T of the operations that carry q_in to q_out + G, shape (n, 3 n_atoms, 3 n_atoms)."""
    operations, positions = crystal.operations, crystal.positions
    rotations, translations = operations.rotations[indices], operations.translations[indices]
    image_q = q_in @ np.linalg.inv(rotations)
    sites = _find_image_sites(crystal, indices)
    turns = np.einsum("gc,gkc->gk", image_q - q_out, positions[sites])
    turns -= np.einsum("gc,gc->g", image_q, translations)[:, None]
    n, n_atoms = sites.shape
    blocks = np.zeros((n, n_atoms, 3, n_atoms, 3), dtype=complex)
    g, k = np.indices(sites.shape)
    cartesian = operations.cartesian_rotations[indices]
    blocks[g, sites, :, k, :] = np.exp(2j * np.pi * turns)[..., None, None] * cartesian[:, None]
    return np.asarray(blocks.reshape(n, 3 * n_atoms, 3 * n_atoms))


def _find_image_sites(crystal: CrystalSymmetry, indices: NDArray[np.intp]) -> NDArray[np.intp]:
    """Site to which each operation carries each atom, shape (n, n_atoms)."""
    operations, positions = crystal.operations, crystal.positions
    images = np.einsum("gab,kb->gka", operations.rotations[indices], positions)
    offsets = (images + operations.translations[indices][:, None])[:, :, None] - positions
    distances = np.linalg.norm((offsets - np.rint(offsets)) @ operations.lattice, axis=-1)
    return np.asarray(distances.argmin(axis=-1))


def _conjugate_by_group(matrices: ComplexArray, matrix: ComplexArray) -> ComplexArray:
    """Sum over g of T_g H T_g^+."""
    transformed = matrices @ matrix @ matrices.conj().transpose(0, 2, 1)
    return np.asarray(transformed.sum(axis=0))


def _draw_hermitian(rng: np.random.Generator, size: int) -> ComplexArray:
    """Random Hermitian matrix with eigenvalues of order 1."""
    matrix = rng.normal(size=(size, size)) + 1j * rng.normal(size=(size, size))
    return np.asarray((matrix + matrix.conj().T) / np.sqrt(8 * size))


def _draw_central_element(
    representation: MechanicalRepresentation, rng: np.random.Generator
) -> ComplexArray:
    """Random Hermitian element of the group algebra that commutes with every operation."""
    n = len(representation.unitary)
    coefficients = rng.normal(size=n) + 1j * rng.normal(size=n)
    element = np.einsum("g,gab->ab", coefficients, representation.unitary)
    return representation.project(element + element.conj().T)


def _find_eigenspaces(matrix: ComplexArray) -> list[ComplexArray]:
    """Orthonormal bases (columns) of the eigenspaces of a Hermitian matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.split(vectors, _find_gaps(values), axis=1)


def _find_gaps(values: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
    """Indices at which ascending values start a new degenerate set."""
    return np.flatnonzero(np.diff(values) > _DEGENERACY) + 1


def _make_component(
    basis: ComplexArray, generic: ComplexArray, operators: ComplexArray
) -> IsotypicComponent:
    """Dimension, multiplicity and bounds of l of the component spanned by a basis."""
    frequencies = np.linalg.eigvalsh(basis.conj().T @ generic @ basis)
    multiplicity = len(_find_gaps(frequencies)) + 1
    dimension = basis.shape[1] // multiplicity
    bounds = np.linalg.eigvalsh(basis.conj().T @ operators @ basis)[:, [0, -1]] * dimension
    return IsotypicComponent(
        dimension, multiplicity, tuple((float(low), float(high)) for low, high in bounds)
    )
