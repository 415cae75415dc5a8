"""Strains and displacements that a crystal's space group leaves unchanged."""

import numpy as np
from numpy.typing import NDArray

from tasks.symmetry.site_permutations import SpaceGroup

FloatArray = NDArray[np.float64]

# Invariant subspaces are the eigenspaces of a projector: its eigenvalues are 0 or 1 to rounding.
_HALF = 0.5


def find_invariant_strains(group: SpaceGroup) -> FloatArray:
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
    return _span_range(projector @ (np.eye(9) + transposition) / 2).reshape(-1, 3, 3)


def find_invariant_displacements(group: SpaceGroup) -> FloatArray:
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
    return _span_range(square - uniform @ square).reshape(-1, n_atoms, 3)


def _span_range(projector: FloatArray) -> FloatArray:
    """Orthonormal rows that span the range of an orthogonal projector."""
    eigenvalues, vectors = np.linalg.eigh((projector + projector.T) / 2)
    basis: FloatArray = vectors[:, eigenvalues > _HALF].T
    return basis
