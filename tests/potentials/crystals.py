"""Crystals away from equilibrium."""

from ase import Atoms
from ase.spacegroup import crystal


def trigonal_tellurium() -> Atoms:
    """P3_121, from data/demo/te.cif."""
    cell = [4.4572, 4.4572, 5.929, 90, 90, 120]
    return crystal(["Te"], [(0.2633, 0, 1 / 3)], spacegroup=152, cellpar=cell)


def rattled(atoms: Atoms, amplitude: float = 0.1) -> Atoms:
    """Copy without any symmetry."""
    result = atoms.copy()
    result.rattle(amplitude, seed=3)
    result.set_cell(result.cell.array * [[1.01], [0.99], [1.0]], scale_atoms=True)
    return result
