"""What force constants cost: evaluations, convergence, and fits to random displacements.

    python benchmarks/force_evaluations.py                          # counts, seconds
    python benchmarks/force_evaluations.py --convergence te,zno     # minutes
    python benchmarks/force_evaluations.py --fits te,quartz-152     # minutes

Counts need no potential. The others use 7net-0 on one CPU thread.
"""

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.io import read
from phonopy import Phonopy
from phonopy.interface.symfc import SymfcFCSolver
from rich.console import Console
from rich.table import Table

from flows.console import locate_source
from potentials import Equivariance, Potential, load_potential, remove_average
from tasks.crystals.cells import make_phonopy_cell
from tasks.crystals.structures import standardize
from tasks.phonons import PhononSettings, compute_force_constants, make_phonopy
from tasks.phonons.displaced_supercells import DisplacedCrystal, count_evaluations
from tasks.phonons.supercells import choose_supercell, find_nearest_image_distance
from tasks.relaxation import RelaxationSettings, relax

SETTINGS = PhononSettings(max_enlargements=0)
# Of the snapshots of random displacements that symfc takes for the least number.
FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--convergence", metavar="NAMES", help="crystals of the demo, by comma")
    parser.add_argument("--fits", metavar="NAMES", help="crystals of the demo, by comma")
    options = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    if options.convergence:
        console.print(convergence(options.convergence.split(",")))
    if options.fits:
        console.print(fits(options.fits.split(",")))
    if not (options.convergence or options.fits):
        console.print(counts())


def demo(name: str) -> Atoms:
    """Primitive cell of a crystal of the demo."""
    return standardize(read(locate_source(Path("demo")) / f"{name}.cif"), 1e-3)


def counts() -> Table:
    """Evaluations of each crystal of the demo, and CPU time of counting them."""
    table = Table("crystal", "atoms", "SO(3)", "O(3)", "phonopy, SO(3)", "phonopy, O(3)", "ms")
    totals = np.zeros(4, dtype=int)
    for path in sorted(locate_source(Path("demo")).glob("*.cif")):
        atoms = demo(path.stem)
        start = time.process_time()
        counted, n_atoms = count_evaluations(atoms, SETTINGS)
        milliseconds = 1000 * (time.process_time() - start)
        usual = len(phonopy_default(atoms).displacements)
        numbers = np.array([counted[Equivariance.SO3], counted[Equivariance.O3], 2 * usual, usual])
        totals += numbers
        table.add_row(path.stem, str(n_atoms), *map(str, numbers), f"{milliseconds:.1f}")
    table.add_row("all", "", *map(str, totals), "")
    return table


def phonopy_default(atoms: Atoms) -> Phonopy:
    """Phonopy's own displacements in the same supercell."""
    length, limit = SETTINGS.min_supercell_length, SETTINGS.max_atoms
    phonon = make_phonopy(make_phonopy_cell(atoms), choose_supercell(atoms, length, limit))
    phonon.generate_displacements(distance=SETTINGS.displacement)
    return phonon


def convergence(names: list[str]) -> Table:
    """Estimated and true change of frequencies from a supercell of 10 Å to one of 14 Å."""
    table = Table("crystal", "atoms", "distance", "boundary shift", "change to 14 Å")
    larger = SETTINGS.model_copy(update={"min_supercell_length": 14.0, "max_atoms": 500})
    for name, atoms, potential in relaxed(names):
        found = compute_force_constants(atoms, potential, SETTINGS)
        best = compute_force_constants(atoms, potential, larger).phonon
        difference = mesh_frequencies(found.phonon) - mesh_frequencies(best)
        change = np.sqrt((difference**2).mean()) / mesh_frequencies(best).max()
        cell = found.phonon.supercell
        distance = f"{find_nearest_image_distance(cell.cell):.2f}"
        shifts = f"{found.boundary_shift:.4f}", f"{change:.4f}"
        table.add_row(name, str(len(cell)), distance, *shifts)
    return table


def fits(names: list[str]) -> Table:
    """Fits to random displacements of all atoms against displacements of one atom."""
    table = Table("crystal", "factor", "evaluations", "displacements'", "MAE (THz)", "max (THz)")
    for name, atoms, potential in relaxed(names):
        wanted = compute_force_constants(atoms, potential, SETTINGS)
        right = mesh_frequencies(wanted.phonon)
        for factor in FACTORS:
            phonon, count = random_fit(
                wanted.phonon, atoms, remove_average(potential).evaluate, factor
            )
            error = np.abs(mesh_frequencies(phonon) - right)
            numbers = f"{factor:.1f}", str(count), str(wanted.n_evaluations)
            table.add_row(name, *numbers, f"{error.mean():.4f}", f"{error.max():.4f}")
    return table


def random_fit(
    like: Phonopy, atoms: Atoms, evaluate: Callable[..., object], factor: float
) -> tuple[Phonopy, int]:
    """Force constants fitted by symfc, and the evaluations they took."""
    basis = SymfcFCSolver(like.supercell, symmetry=like.symmetry).estimate_basis_size(orders=[2])[2]
    n_snapshots = math.ceil(factor * basis / (3 * len(like.supercell)))
    phonon = make_phonopy(like.unitcell, like.supercell_matrix)
    phonon.generate_displacements(
        distance=SETTINGS.displacement, number_of_snapshots=n_snapshots, random_seed=0
    )
    crystal = DisplacedCrystal(atoms, phonon, np.ones(n_snapshots, dtype=bool), averaged=True)
    phonon.forces = crystal.take_odd_forces(evaluate(crystal.list_structures()).forces)
    phonon.produce_force_constants(
        calculate_full_force_constants=False, fc_calculator="symfc", show_drift=False
    )
    return phonon, crystal.n_evaluations


def relaxed(names: list[str]) -> list[tuple[str, Atoms, Potential]]:
    """Relaxed crystals, and the potential."""
    potential = load_potential("7net-0")
    results = relax([demo(name) for name in names], potential, RelaxationSettings())
    return [(name, one.atoms, potential) for name, one in zip(names, results, strict=True)]


def mesh_frequencies(phonon: Phonopy) -> np.ndarray:
    """Frequencies (THz) on a mesh of 6 x 6 x 6 q-points around Γ."""
    mesh = np.stack(np.meshgrid(*[np.arange(6) / 6] * 3), axis=-1).reshape(-1, 3)
    return phonon.run_qpoints(mesh).frequencies


if __name__ == "__main__":
    main()
