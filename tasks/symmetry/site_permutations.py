"""Operations of a crystal, and how they permute its atoms."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from tasks.symmetry import find_dataset
from tasks.tolerances import AS_MADE

FloatArray = NDArray[np.float64]


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


def find_space_group(atoms: Atoms, symprec: float = AS_MADE) -> SpaceGroup:
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
        find_permutation(positions, rotation, translation, lattice)
        for rotation, translation in zip(found.rotations, found.translations, strict=True)
    ]
    return SpaceGroup(rotations, np.array(permutations))


def find_permutation(
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
