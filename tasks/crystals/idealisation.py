"""Crystals made to obey their space group exactly, without being turned or reordered."""

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from tasks.symmetry import find_dataset

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# The second round removes what the operations that were found still had of the distortion.
_ROUNDS = 2


def idealize(atoms: Atoms, symprec: float) -> Atoms:
    """Average cell and positions over the space group that a crystal nearly obeys.

    Unlike `tasks.crystals.structures.standardize` this keeps cell, orientation and order of the
    atoms, so that forces and tensors keep their meaning.

    Parameters
    ----------
    atoms : ase.Atoms
        Crystal; any cell.
    symprec : float
        Tolerance of the symmetry search in Å.

    Returns
    -------
    ase.Atoms
        With atoms moved by about the tolerance, and the cell strained without being turned.

    Raises
    ------
    ValueError
        When spglib finds no symmetry.
    """
    result = atoms.copy()
    for _ in range(_ROUNDS):
        found = find_dataset(result, symprec)
        fractions = _average_positions(
            result.get_scaled_positions(wrap=False), found.rotations, found.translations
        )
        cell = _average_cell(result.cell.array, found.rotations)
        result.set_cell(cell)
        result.set_scaled_positions(fractions)
    return result


def _average_cell(cell: FloatArray, rotations: IntArray) -> FloatArray:
    """Cell (rows) whose metric all rotations keep; it differs by a symmetric strain."""
    metric = np.mean(rotations.transpose(0, 2, 1) @ (cell @ cell.T) @ rotations, axis=0)
    inverse = np.linalg.inv(cell)
    values, vectors = np.linalg.eigh(inverse @ metric @ inverse.T)
    return np.asarray(cell @ (vectors * np.sqrt(values)) @ vectors.T)


def _average_positions(
    fractions: FloatArray, rotations: IntArray, translations: FloatArray
) -> FloatArray:
    """Fractional positions, each the mean of all images that fall on it."""
    total = np.zeros_like(fractions)
    for rotation, translation in zip(rotations, translations, strict=True):
        apart = (fractions @ rotation.T + translation)[:, None] - fractions
        apart -= np.rint(apart)
        target = np.square(apart).sum(axis=-1).argmin(axis=1)
        total[target] += apart[np.arange(len(fractions)), target]
    return fractions + total / len(rotations)
