"""Relaxation and phonons with matcalc: RelaxCalc, then PhononCalc, with its defaults.

Only the tolerance of the forces, the number of steps it needs and the supercell are given. The
optimiser is matcalc's default, FIRE, without a symmetry constraint.
"""

import matcalc
from torch import get_num_threads
from worker import FMAX, Clock, Crystal, Record, run

CALCULATOR = matcalc.load_fp("SevenNet-MPtrj-0")  # 7net-0


def treat(crystal: Crystal) -> Record:
    """Relax one crystal and compute its phonons."""
    clock = Clock()
    relax = matcalc.RelaxCalc(CALCULATOR, fmax=FMAX, max_steps=5000)
    relaxed = relax.calc(crystal.atoms)
    clock.lap()
    phonons = matcalc.PhononCalc(
        CALCULATOR, supercell_matrix=crystal.supercell_matrix, relax_structure=False
    )
    found = phonons.calc(relaxed["final_structure"])
    clock.lap()
    return Record(
        crystal=crystal.name,
        relaxation_seconds=clock.laps[0],
        phonon_seconds=clock.laps[1],
        volume=relaxed["volume"],
        max_frequency=float(found["frequencies"].max()),
        n_displacements=len(found["disp_supercells"]),
    )


if __name__ == "__main__":
    run(("matcalc", "sevenn", "torch"), treat, get_num_threads())
