"""Relaxation and phonons as in a script for one material: ASE and phonopy with any calculator.

BFGS with FrechetCellFilter and FixSymmetry, then phonopy's own displacements, a mesh and thermal
properties.
"""

from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from worker import FMAX, Clock, Crystal, Record


def treat(crystal: Crystal, calculator: Calculator) -> Record:
    """Relax one crystal and compute its phonons."""
    clock, atoms = Clock(), crystal.atoms
    atoms.calc = calculator
    atoms.set_constraint(FixSymmetry(atoms))
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=FMAX, steps=1000)
    clock.lap()
    phonon = Phonopy(_phonopy_cell(atoms), supercell_matrix=crystal.supercell_matrix)
    phonon.generate_displacements()
    phonon.forces = [_forces(cell, calculator) for cell in phonon.supercells_with_displacements]
    phonon.produce_force_constants()
    phonon.run_mesh()
    phonon.run_thermal_properties()
    clock.lap()
    return Record(
        crystal=crystal.name,
        relaxation_seconds=clock.laps[0],
        phonon_seconds=clock.laps[1],
        volume=atoms.get_volume(),
        max_frequency=float(phonon.mesh.frequencies.max()),
        n_displacements=len(phonon.supercells_with_displacements),
    )


def _phonopy_cell(atoms: Atoms) -> PhonopyAtoms:
    """The same crystal for phonopy."""
    return PhonopyAtoms(
        numbers=atoms.numbers, cell=atoms.cell, scaled_positions=atoms.get_scaled_positions()
    )


def _forces(cell: PhonopyAtoms, calculator: Calculator) -> object:
    """Forces on the atoms of a supercell."""
    atoms = Atoms(numbers=cell.numbers, cell=cell.cell, positions=cell.positions, pbc=True)
    atoms.calc = calculator
    return atoms.get_forces()
