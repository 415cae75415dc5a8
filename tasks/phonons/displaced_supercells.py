"""Displaced supercells of a crystal, and how many there are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy

from potentials import Equivariance, invert
from tasks.crystals.cells import make_atoms, make_phonopy_cell
from tasks.phonons.displacements import choose_directions, count_site_evaluations, find_site_groups
from tasks.phonons.phonopy_objects import make_phonopy
from tasks.phonons.settings import PhononSettings
from tasks.phonons.supercells import choose_sublattice, require_size
from tasks.symmetry import find_dataset
from tasks.tolerances import AS_MADE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class DisplacedCrystal:
    """A crystal with the displacements that give its force constants.

    Attributes
    ----------
    atoms : ase.Atoms
        Relaxed primitive cell.
    phonon : phonopy.Phonopy
        Supercell and displacements, without forces.
    paired : ndarray of bool, shape (n_displacements,)
        Whether the opposite displacement is evaluated as well.
    averaged : bool
        Whether the average over the inversion is taken, from a potential that lacks it.
    """

    atoms: Atoms
    phonon: Phonopy
    paired: NDArray[np.bool_]
    averaged: bool

    @property
    def n_evaluations(self) -> int:
        """Displaced supercells to be evaluated."""
        return len(self.paired) + int(self.paired.sum())

    def list_structures(self) -> list[Atoms]:
        """Return all structures whose forces are needed.

        Returns
        -------
        list of ase.Atoms
            The crystal at rest and, for the average, its inverted image; the displaced
            supercells; supercells with the opposite displacements, inverted for the average.
        """
        displaced = [make_atoms(cell) for cell in self.phonon.supercells_with_displacements]
        twice = 2 * self.phonon.supercell.positions
        opposite = []
        for cell in (cell for cell, paired in zip(displaced, self.paired, strict=True) if paired):
            partner = cell.copy()
            partner.positions = twice - cell.positions
            opposite.append(invert(partner) if self.averaged else partner)
        at_rest = [self.atoms, invert(self.atoms)] if self.averaged else [self.atoms]
        return [*at_rest, *displaced, *opposite]

    def take_odd_forces(self, forces: Sequence[FloatArray]) -> FloatArray:
        """Take the part of the forces that is odd in the displacements.

        Parameters
        ----------
        forces : sequence of ndarray, each of shape (n_atoms, 3)
            Forces of `list_structures` in eV/Å.

        Returns
        -------
        ndarray, shape (n_displacements, n_atoms, 3)
            Forces in eV/Å less those at rest; where an operation of the site reverses the
            displacement, the even part is left in, which that operation takes out.
        """
        sites = _find_unit_cell_sites(self.phonon)
        n_rest, n_displaced = 1 + self.averaged, len(self.paired)
        # Forces of an inverted image, carried back, have the opposite sign.
        sign = -1.0 if self.averaged else 1.0
        found: FloatArray = np.array(forces[n_rest : n_rest + n_displaced]) - forces[0][sites]
        if self.paired.any():
            mirrored = sign * (np.array(forces[n_rest + n_displaced :]) - forces[n_rest - 1][sites])
            found[self.paired] = (found[self.paired] - mirrored) / 2
        return found


def displace(
    atoms: Atoms, supercell_matrix: IntArray, distance: float, equivariance: Equivariance
) -> DisplacedCrystal:
    """Set up the displacements of a supercell that take the fewest evaluations.

    Parameters
    ----------
    atoms : ase.Atoms
        Relaxed primitive cell.
    supercell_matrix : ndarray of int, shape (3, 3)
        Supercell in phonopy's convention, invariant under the point group.
    distance : float
        Length of a displacement in Å.
    equivariance : Equivariance
        Of the potential before any average: where it is SO(3), the average over the inversion is
        taken.

    Returns
    -------
    DisplacedCrystal
        Ready to be evaluated.
    """
    phonon = make_phonopy(make_phonopy_cell(atoms), supercell_matrix)
    moves = {
        atom: choose_directions(group, equivariance)
        for atom, group in _find_site_groups(phonon).items()
    }
    phonon.dataset = {
        "natom": len(phonon.supercell),
        "first_atoms": [
            {"number": atom, "displacement": distance * vector}
            for atom, directions in moves.items()
            for vector in directions.vectors
        ],
    }
    paired = np.concatenate([directions.paired for directions in moves.values()])
    return DisplacedCrystal(atoms, phonon, paired, averaged=equivariance is Equivariance.SO3)


def count_evaluations(
    atoms: Atoms, settings: PhononSettings, symprec: float = AS_MADE
) -> tuple[dict[Equivariance, int], int]:
    """Count what the force constants of a crystal take, without setting anything up.

    Parameters
    ----------
    atoms : ase.Atoms
        Primitive cell.
    settings : PhononSettings
        Size of the supercell.
    symprec : float
        Tolerance of the symmetry search in Å.

    Returns
    -------
    n_evaluations : dict
        Displaced supercells for a potential of each kind, as for `displace`.
    n_atoms : int
        Atoms in each.

    Raises
    ------
    RemediableError
        When the primitive cell alone exceeds the largest number of atoms.
    """
    require_size(atoms, settings.max_atoms)
    found, lattice = find_dataset(atoms, symprec), np.asarray(atoms.cell)
    max_index = settings.max_atoms // len(atoms)
    matrix = choose_sublattice(lattice, found.rotations, settings.min_supercell_length, max_index)
    sites = find_site_groups(atoms, found)
    counts = {
        kind: sum(count_site_evaluations(rotations, kind) for rotations in sites)
        for kind in Equivariance
    }
    return counts, len(atoms) * round(np.linalg.det(matrix))


def _find_site_groups(phonon: Phonopy) -> dict[int, FloatArray]:
    """Cartesian rotations (n, 3, 3) that leave each inequivalent atom of the supercell in place."""
    cell = phonon.supercell
    species = cell.totuple(distinguish_symbol_index=True)
    found = spglib.get_symmetry_dataset(species, symprec=AS_MADE)
    turns = cell.cell.T @ found.rotations @ np.linalg.inv(cell.cell.T)
    groups = {}
    for atom in np.flatnonzero(found.equivalent_atoms == np.arange(len(cell))).tolist():
        position = cell.scaled_positions[atom]
        moves = found.rotations @ position + found.translations - position
        distances = np.linalg.norm((moves - np.rint(moves)) @ cell.cell, axis=1)
        groups[atom] = turns[distances < AS_MADE]
    return groups


def _find_unit_cell_sites(phonon: Phonopy) -> IntArray:
    """Index in the unit cell of each atom of the supercell, shape (n_supercell_atoms,)."""
    supercell = phonon.supercell
    order = {int(s): u for u, s in enumerate(supercell.u2s_map)}
    return np.array([order[int(s)] for s in supercell.s2u_map], dtype=np.int64)
