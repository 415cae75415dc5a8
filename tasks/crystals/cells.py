"""Crystals as phonopy has them, and back."""

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from phonopy.structure.atoms import PhonopyAtoms

from tasks.crystals.masses import find_special_masses, set_special_masses
from tasks.symmetry import MASS_DECIMALS

_POSITION_DECIMALS = 12


def label_isotopes(cell: PhonopyAtoms) -> PhonopyAtoms:
    """Name atoms of one element that differ in mass differently, as in Te and Te1.

    Parameters
    ----------
    cell : phonopy.structure.atoms.PhonopyAtoms
        Any cell.

    Returns
    -------
    phonopy.structure.atoms.PhonopyAtoms
        The cell itself where each element has one mass. phonopy's search for symmetry can tell
        species apart by these names.
    """
    masses = np.round(cell.masses, MASS_DECIMALS)
    ranks = [
        int(np.searchsorted(np.unique(masses[cell.numbers == number]), mass))
        for number, mass in zip(cell.numbers, masses, strict=True)
    ]
    if not any(ranks):
        return cell
    elements = [chemical_symbols[number] for number in cell.numbers]
    return PhonopyAtoms(
        symbols=[name + str(rank or "") for name, rank in zip(elements, ranks, strict=True)],
        cell=cell.cell,
        scaled_positions=cell.scaled_positions,
        masses=cell.masses,
    )


def make_phonopy_cell(atoms: Atoms) -> PhonopyAtoms:
    """Turn atoms of ASE into a cell of phonopy."""
    # Rounded, so that writing and reading the cell as text cannot move an atom across a face.
    positions = np.round(atoms.get_scaled_positions(wrap=False), _POSITION_DECIMALS) % 1.0
    return PhonopyAtoms(
        numbers=atoms.numbers,
        cell=np.asarray(atoms.cell),
        scaled_positions=positions,
        masses=find_special_masses(atoms),
    )


def make_atoms(cell: PhonopyAtoms) -> Atoms:
    """Turn a cell of phonopy into atoms of ASE.

    Parameters
    ----------
    cell : phonopy.structure.atoms.PhonopyAtoms
        Any cell.

    Returns
    -------
    ase.Atoms
        The same crystal; it carries masses where they are special.
    """
    atoms = Atoms(numbers=cell.numbers, cell=cell.cell, positions=cell.positions, pbc=True)
    set_special_masses(atoms, cell.masses)
    return atoms
