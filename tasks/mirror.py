"""Forces of an inversion-averaged potential, without evaluating what symmetry already gives.

The average takes the forces F of a crystal X and of its inverted image. Let g = {R|t} be an
improper operation of the undisplaced crystal. The image is a proper rotation of g X, so that

    averaged F(X) = [F(X) + R^T F(g X)] / 2,

the second term taken at the sites to which g moves the atoms. Where g X is one of the displaced
crystals that are evaluated anyway, X itself included, the average costs nothing. This is exact,
because the potential is invariant under proper rotations.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy

from potentials import Potential, inverted, unaveraged
from tasks.invariants import permutation_of

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SAME = 1e-5  # Å, and fractions of the supercell


@dataclass(frozen=True)
class Image:
    """A displaced crystal g X, up to a proper rotation the inverted image of another one, X.

    Attributes
    ----------
    index : int
        Which displaced crystal.
    rotation : ndarray, shape (3, 3)
        Cartesian rotation R of g.
    permutation : ndarray of int, shape (n_atoms,)
        Site to which g moves each atom.
    """

    index: int
    rotation: FloatArray
    permutation: IntArray


def averaged_forces(
    phonon: Phonopy, cells: list[Atoms], potential: Potential
) -> tuple[FloatArray, float]:
    """Evaluate displaced supercells, inverted images only where symmetry does not give them.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With displacements.
    cells : list of ase.Atoms
        Its displaced supercells.
    potential : Potential
        An O(3)-invariant potential.

    Returns
    -------
    forces : ndarray, shape (n_displacements, n_atoms, 3)
        Forces in eV/Å.
    potential_time : float
        Seconds spent inside the potential.
    """
    bare = unaveraged(potential)
    if bare is potential:
        found = potential.evaluate(cells)
        return np.array(found.forces), found.wall_time
    images = [_image(phonon, i) for i in range(len(cells))]
    lonely = [i for i, image in enumerate(images) if image is None]
    found = bare.evaluate([*cells, *(inverted(cells[i]) for i in lonely)])
    here = np.array(found.forces[: len(cells)])
    elsewhere = dict(zip(lonely, found.forces[len(cells) :], strict=True))
    forces = [
        (here[i] + here[image.index][image.permutation] @ image.rotation) / 2
        if image
        else (here[i] - elsewhere[i]) / 2
        for i, image in enumerate(images)
    ]
    return np.array(forces), found.wall_time


def _image(phonon: Phonopy, i: int) -> Image | None:
    """Find a displaced crystal to which an improper operation carries crystal i."""
    displacements = phonon.displacements
    atom, moved = int(displacements[i][0]), np.array(displacements[i][1:])
    for rotation, permutation in _improper_operations_at(phonon, atom):
        for j, (other, *target) in enumerate(displacements):
            if int(other) == atom and np.allclose(rotation @ moved, target, atol=_SAME):
                return Image(j, rotation, permutation)
    return None


def _improper_operations_at(phonon: Phonopy, atom: int) -> Iterator[tuple[FloatArray, IntArray]]:
    """Cartesian rotation and permutation of the improper operations that leave an atom in place."""
    supercell, operations = phonon.supercell, phonon.symmetry.symmetry_operations
    positions, lattice = supercell.scaled_positions, supercell.cell
    to_cartesian = lattice.T
    for rotation, translation in zip(
        operations["rotations"], operations["translations"], strict=True
    ):
        shift = rotation @ positions[atom] + translation - positions[atom]
        if np.linalg.det(rotation) < 0 and np.allclose(shift, np.rint(shift), atol=_SAME):
            cartesian = to_cartesian @ rotation @ np.linalg.inv(to_cartesian)
            yield cartesian, permutation_of(positions, rotation, translation, lattice)
