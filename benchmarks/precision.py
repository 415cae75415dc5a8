"""Errors of potentials by rounding and by the splines of the compiled kernel.

    python -m benchmarks.precision

Displaced copies of quartz (72 atoms) and tellurium (54 atoms) are evaluated with and without the
compiled kernel, in float32 and float64; what torch gives in float64 counts as exact. Frequencies
come from displacements of 0.01 Å, on a mesh of 3 x 3 x 3 q-points of the crystal of the file.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.io import read
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from rich.console import Console
from rich.table import Table

from flows.console import locate_source
from potentials import Evaluation, Potential, load_potential

NAMES = ("nequix-mp-1-pft", "nequix-oam-1-pft", "7net-0", "7net-l3i5")
SUPERCELLS = {"quartz-154": (2, 2, 2), "te": (3, 3, 2)}
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Errors:
    """Largest differences from exact numbers, and the root mean square of the forces'.

    Attributes
    ----------
    energy : float
        meV per atom.
    force, force_rms : float
        eV/Å.
    stress : float
        eV/Å^3.
    frequency : float
        THz.
    """

    energy: float
    force: float
    force_rms: float
    stress: float
    frequency: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--potentials", default=",".join(NAMES), help="names, by commas")
    names = parser.parse_args().potentials.split(",")
    torch.set_num_threads(1)
    table = Table(
        "potential",
        "crystal",
        "kernel",
        "dtype",
        "energy (meV/atom)",
        "force, largest (eV/Å)",
        "force, rms (eV/Å)",
        "stress (eV/Å^3)",
        "frequency (THz)",
    )
    for name, crystal in product(names, SUPERCELLS):
        for potential, dtype, errors in errors_of(name, crystal):
            numbers = (f"{value:.0e}" for value in vars(errors).values())
            table.add_row(name, crystal, potential.card.kernel, dtype, *numbers)
    Console(width=160).print(table)


def errors_of(name: str, crystal: str) -> Iterator[tuple[Potential, str, Errors]]:
    """Compare all ways to compute with a potential.

    Parameters
    ----------
    name : str
        The potential.
    crystal : str
        One of `SUPERCELLS`.

    Yields
    ------
    Potential, str, Errors
        The potential without the average over the inversion, its precision, and its errors.
    """
    phonon = displaced(crystal)
    cells = [atoms_of(cell) for cell in phonon.supercells_with_displacements]
    exact = load_potential(name, dtype="float64", parity=False, compiled=False).evaluate(cells)
    for compiled, dtype in ((False, "float32"), (True, "float32"), (True, "float64")):
        potential = load_potential(name, dtype=dtype, parity=False, compiled=compiled)
        yield potential, dtype, errors_between(phonon, potential.evaluate(cells), exact)


def errors_between(phonon: Phonopy, found: Evaluation, exact: Evaluation) -> Errors:
    """Compare evaluations of the displaced cells of a crystal."""
    forces = np.array(found.forces) - np.array(exact.forces)
    shift = frequencies(phonon, found.forces) - frequencies(phonon, exact.forces)
    return Errors(
        energy=1000 * float(np.abs(found.energies - exact.energies).max()) / len(forces[0]),
        force=float(np.abs(forces).max()),
        force_rms=float(np.sqrt((forces**2).mean())),
        stress=float(np.abs(found.stresses - exact.stresses).max()),
        frequency=float(np.abs(shift).max()),
    )


def displaced(crystal: str) -> Phonopy:
    """Supercell of a demo crystal with the displacements of a phonon calculation."""
    atoms = read(locate_source(Path("demo")) / f"{crystal}.cif")
    cell = PhonopyAtoms(
        numbers=atoms.numbers, cell=atoms.cell.array, scaled_positions=atoms.get_scaled_positions()
    )
    supercell = np.diag(SUPERCELLS[crystal])
    phonon = Phonopy(cell, supercell, primitive_matrix="P", symprec=1e-4, log_level=0)
    phonon.generate_displacements(distance=0.01)
    return phonon


def atoms_of(cell: PhonopyAtoms) -> Atoms:
    """Cell of phonopy as one of ASE."""
    return Atoms(cell.numbers, cell=cell.cell, positions=cell.positions, pbc=True)


def frequencies(phonon: Phonopy, forces: Sequence[FloatArray]) -> FloatArray:
    """Frequencies (n_q, n_modes) in THz on a mesh."""
    phonon.forces = np.array(forces)
    phonon.produce_force_constants()
    phonon.run_mesh([3, 3, 3], is_gamma_center=True)
    return np.array(phonon.mesh.frequencies)


if __name__ == "__main__":
    main()
