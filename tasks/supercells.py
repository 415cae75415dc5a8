"""Supercells for finite displacements, judged by the distance between periodic images."""

import itertools
from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from tasks.failures import RemediableError
from tasks.symmetry import find_dataset

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_MAX_REPEATS = 12


def nearest_image_distance(lattice: FloatArray) -> float:
    """Return the shortest distance between a point and its periodic images.

    Parameters
    ----------
    lattice : ndarray, shape (3, 3)
        Basis vectors in rows (Å).

    Returns
    -------
    float
        Length of the shortest lattice vector in Å.
    """
    reduced, _ = minkowski_reduce(lattice)
    return float(np.linalg.norm(reduced, axis=1).min())


def choose_supercell(
    atoms: Atoms, min_length: float, max_atoms: int, symprec: float = 1e-5
) -> IntArray:
    """Choose the smallest supercell whose images are far enough apart.

    Candidates are the diagonal multiples of the primitive and of the conventional cell that the
    point group maps onto themselves, so that the supercell keeps the crystal's symmetry. When none
    with at most `max_atoms` atoms reaches `min_length`, the one with the largest distance is taken.

    Parameters
    ----------
    atoms : ase.Atoms
        Primitive cell.
    min_length : float
        Wanted distance between images in Å.
    max_atoms : int
        Largest number of atoms in the supercell.
    symprec : float
        Tolerance of the symmetry search in Å.

    Returns
    -------
    ndarray of int, shape (3, 3)
        Matrix M in phonopy's convention: the supercell's basis vectors are ``M.T @ lattice``,
        with the basis vectors in rows.

    Raises
    ------
    RemediableError
        When the primitive cell itself has more than `max_atoms` atoms.
    """
    if len(atoms) > max_atoms:
        message = f"the primitive cell has {len(atoms)} atoms, more than the limit of {max_atoms}"
        raise RemediableError(message, "raise --max-atoms, at a cost that grows with its square")
    lattice = np.asarray(atoms.cell)
    sized = [
        (round(abs(np.linalg.det(matrix))), nearest_image_distance(matrix.T @ lattice), matrix)
        for matrix in _candidates(atoms, max_atoms // len(atoms), symprec)
    ]
    enough = [entry for entry in sized if entry[1] >= min_length]
    if enough:
        return min(enough, key=lambda entry: (entry[0], -entry[1]))[2]
    return max(sized, key=lambda entry: (round(entry[1], 6), -entry[0]))[2]


def _candidates(atoms: Atoms, max_cells: int, symprec: float) -> Iterator[IntArray]:
    """Supercell matrices of at most `max_cells` cells that are invariant under the point group."""
    dataset = find_dataset(atoms, symprec)
    rotations = np.unique(dataset.rotations, axis=0)
    conventional = np.rint(np.linalg.inv(dataset.transformation_matrix)).astype(np.int64)
    bases = [np.eye(3, dtype=np.int64)]
    if round(abs(np.linalg.det(conventional))) > 1:
        bases.append(conventional)
    for base in bases:
        limit = max_cells // round(abs(np.linalg.det(base)))
        for repeats in _repeats(limit):
            matrix = base @ np.diag(repeats)
            if _keeps_lattice(matrix, rotations):
                yield matrix


def _repeats(limit: int) -> Iterator[tuple[int, ...]]:
    """All triples of repeats with a product of at most `limit`."""
    one_axis = range(1, min(limit, _MAX_REPEATS) + 1)
    return (n for n in itertools.product(one_axis, repeat=3) if np.prod(n) <= limit)


def _keeps_lattice(matrix: IntArray, rotations: IntArray) -> bool:
    """Whether every rotation maps the superlattice onto itself."""
    images = np.linalg.inv(matrix) @ rotations @ matrix
    return bool(np.allclose(images, np.rint(images), atol=1e-6))
