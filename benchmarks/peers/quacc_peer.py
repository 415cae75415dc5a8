"""Relaxation and phonons with quacc: relax_job, then phonon_flow, on its local engine.

The recipes for machine-learned potentials take the potential from matcalc. Only the tolerance of
the forces, the relaxation of the cell and the supercell are given. The optimiser is quacc's
default, BFGS, without a symmetry constraint.
"""

import tempfile
from typing import Any

import numpy as np
from ase import Atoms
from quacc import change_settings
from quacc.atoms.phonons import get_phonopy
from quacc.recipes.mlip.core import relax_job
from quacc.recipes.mlip.phonons import phonon_flow
from torch import get_num_threads
from worker import FMAX, Clock, Crystal, Record, run

POTENTIAL: dict[str, Any] = {"library": "matcalc", "name": "SevenNet-MPtrj-0"}  # 7net-0


def treat(crystal: Crystal) -> Record:
    """Relax one crystal and compute its phonons."""
    clock = Clock()
    relaxed = relax_job(crystal.atoms, relax_cell=True, opt_params={"fmax": FMAX}, **POTENTIAL)
    clock.lap()
    found = phonon_flow(
        relaxed["atoms"],
        supercell_matrix=crystal.supercell_matrix,
        job_params={"static_job": POTENTIAL},
    )
    clock.lap()
    return Record(
        crystal=crystal.name,
        relaxation_seconds=clock.laps[0],
        phonon_seconds=clock.laps[1],
        volume=relaxed["atoms"].get_volume(),
        max_frequency=float(np.max(found["results"]["mesh_properties"]["frequencies"])),
        n_displacements=_number_of_displacements(relaxed["atoms"], crystal),
    )


def _number_of_displacements(atoms: Atoms, crystal: Crystal) -> int:
    """As phonon_flow chooses them; its result does not tell."""
    phonon = get_phonopy(atoms, supercell_matrix=crystal.supercell_matrix, symprec=1e-4)
    return len(phonon.displacements)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, change_settings({"RESULTS_DIR": folder}):
        run(("quacc", "matcalc", "sevenn", "torch"), treat, get_num_threads())
