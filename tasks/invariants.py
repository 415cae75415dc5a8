"""Strains and displacements that a crystal's space group leaves unchanged."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from tasks.symmetry import find_dataset
from tasks.tolerances import AS_MADE

FloatArray = NDArray[np.float64]

# Invariant subspaces are the eigenspaces of a projector: its eigenvalues are 0 or 1 to rounding.
_HALF = 0.5


@dataclass(frozen=True)
class SpaceGroup:
    """Space-group operations of one crystal, in Cartesian form.

    Attributes
    ----------
    rotations : ndarray, shape (n_operations, 3, 3)
        Cartesian rotations R acting on column vectors.
    permutations : ndarray of int, shape (n_operations, n_atoms)
        Operation g carries atom k to the site of atom ``permutations[g, k]``.
    """

    rotations: FloatArray
    permutations: NDArray[np.int64]

    @property
    def has_improper(self) -> bool:
        """Whether some operation is a reflection, inversion or rotoinversion."""
        return bool(np.any(np.linalg.det(self.rotations) < 0))


def space_group_of(atoms: Atoms, symprec: float = AS_MADE) -> SpaceGroup:
    """Find the space-group operations of a crystal and how they permute its atoms.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.
    symprec : float
        Distance tolerance in Å.

    Returns
    -------
    SpaceGroup
        All operations of the given cell.

    Raises
    ------
    ValueError
        When spglib finds no symmetry at all, not even the identity.
    """
    positions = atoms.get_scaled_positions(wrap=False)
    lattice = np.asarray(atoms.cell)
    found = find_dataset(atoms, symprec)
    to_cartesian = lattice.T
    rotations = to_cartesian @ found.rotations @ np.linalg.inv(to_cartesian)
    permutations = [
        permutation_of(positions, rotation, translation, lattice)
        for rotation, translation in zip(found.rotations, found.translations, strict=True)
    ]
    return SpaceGroup(rotations, np.array(permutations))


def invariant_strains(group: SpaceGroup) -> FloatArray:
    """Return an orthonormal basis of the symmetric strains the point group leaves unchanged.

    Parameters
    ----------
    group : SpaceGroup
        The crystal's operations.

    Returns
    -------
    ndarray, shape (n_strains, 3, 3)
        Symmetric matrices, orthonormal under the trace product.
    """
    rotations = group.rotations
    projector = np.einsum("gab,gcd->acbd", rotations, rotations).reshape(9, 9) / len(rotations)
    transposition = np.eye(9).reshape(3, 3, 9).transpose(1, 0, 2).reshape(9, 9)
    return _range(projector @ (np.eye(9) + transposition) / 2).reshape(-1, 3, 3)


def invariant_displacements(group: SpaceGroup) -> FloatArray:
    """Return an orthonormal basis of the displacements the space group leaves unchanged.

    Uniform translations are left out: they cost no energy.

    Parameters
    ----------
    group : SpaceGroup
        The crystal's operations.

    Returns
    -------
    ndarray, shape (n_displacements, n_atoms, 3)
        Cartesian displacement fields, orthonormal under the sum over atoms and components.
    """
    n_operations, n_atoms = group.permutations.shape
    projector = np.zeros((n_atoms, 3, n_atoms, 3))
    for rotation, permutation in zip(group.rotations, group.permutations, strict=True):
        projector[permutation, :, np.arange(n_atoms), :] += rotation / n_operations
    uniform = np.kron(np.ones((n_atoms, n_atoms)) / n_atoms, np.eye(3))
    square = projector.reshape(3 * n_atoms, 3 * n_atoms)
    return _range(square - uniform @ square).reshape(-1, n_atoms, 3)


def _range(projector: FloatArray) -> FloatArray:
    """Orthonormal rows that span the range of an orthogonal projector."""
    eigenvalues, vectors = np.linalg.eigh((projector + projector.T) / 2)
    basis: FloatArray = vectors[:, eigenvalues > _HALF].T
    return basis


def permutation_of(
    positions: FloatArray,
    rotation: NDArray[np.int64],
    translation: FloatArray,
    lattice: FloatArray,
) -> NDArray[np.int64]:
    """Find the site to which an operation carries each atom.

    Parameters
    ----------
    positions : ndarray, shape (n_atoms, 3)
        Fractional coordinates.
    rotation : ndarray of int, shape (3, 3)
        Rotation in fractional coordinates.
    translation : ndarray, shape (3,)
        Translation in fractional coordinates.
    lattice : ndarray, shape (3, 3)
        Basis vectors in rows (Å).

    Returns
    -------
    ndarray of int, shape (n_atoms,)
        Index of the nearest site.
    """
    images = positions @ rotation.T + translation
    offsets = images[:, None] - positions[None]
    distances = np.linalg.norm((offsets - np.rint(offsets)) @ lattice, axis=-1)
    nearest: NDArray[np.int64] = distances.argmin(axis=1)
    return nearest
