"""Cost of force constants by second derivatives, against finite displacements.

    python benchmarks/facet_hessian.py --repeats 3

CPU time of one process and thread, the least of the repeats, supercell and symmetrisation
included; both methods use the same supercells of at most 200 atoms. Frequencies are compared at
random q-points, for displacements of 0.01 Å. Networks other than facet-aln have random weights,
which changes no time. Prints a table in Markdown.
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.io import read

from flows.console import locate_source
from potentials import Equivariance, Potential, PotentialCard, load_potential
from potentials.facet import Facet, FacetConfig, FacetPotential
from tasks.crystals.structures import standardize
from tasks.phonons import ForceConstants, PhononSettings, compute_force_constants

CRYSTALS = ("aln", "si", "zno", "quartz-154", "te")
MOST_ATOMS = 200
HEADS = (
    "crystal", "network", "precision", "atoms", "displaced supercells", "displacements (s)",
    "second derivatives (s)", "ratio", "frequencies (THz)",
)  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="of each method")
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}")
    for row in rows(repeats):
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def rows(repeats: int) -> Iterable[tuple[object, ...]]:
    """Rows of the table."""
    for name in CRYSTALS:
        atoms = standardize(read(locate_source(Path("demo")) / f"{name}.cif"), 1e-3)
        for dtype in ("float32", "float64"):
            trained = name == "aln"
            potential = load_potential("facet-aln", dtype=dtype) if trained else untrained(dtype)
            displaced, seconds = measured(atoms, potential, "displacements", repeats)
            exact, exact_seconds = measured(atoms, potential, "hessian", repeats)
            yield (
                name,
                "facet-aln" if trained else "default, untrained",
                dtype,
                len(exact.phonon.supercell),
                displaced.n_evaluations,
                f"{seconds:.2f}",
                f"{exact_seconds:.2f}",
                f"{seconds / exact_seconds:.2f}",
                f"{difference(displaced, exact):.4f}" if trained else "",
            )


def measured(
    atoms: Atoms, potential: Potential, method: str, repeats: int
) -> tuple[ForceConstants, float]:
    """Force constants, and the least CPU time in seconds."""
    changes = {"method": method, "max_enlargements": 0, "max_atoms": MOST_ATOMS}
    settings = PhononSettings.model_validate(changes)
    times = []
    for _ in range(repeats):
        start = time.process_time()
        found = compute_force_constants(atoms, potential, settings)
        times.append(time.process_time() - start)
    return found, min(times)


def difference(one: ForceConstants, two: ForceConstants) -> float:
    """Largest difference of frequencies in THz."""
    q_points = np.random.default_rng(0).uniform(-0.5, 0.5, size=(50, 3))
    first, second = (found.phonon.run_qpoints(q_points).frequencies for found in (one, two))
    return float(np.abs(first - second).max())


def untrained(dtype: str) -> FacetPotential:
    """Default network with random weights."""
    torch.manual_seed(0)
    config = FacetConfig()
    model = Facet(config).to(getattr(torch, dtype)).eval().requires_grad_(requires_grad=False)
    elements = frozenset(config.elements)
    card = PotentialCard(
        "untrained", "", Equivariance.O3, elements, "MIT", "", 1.0, second_derivatives=True
    )
    return FacetPotential(card, model, torch.device("cpu"))


if __name__ == "__main__":
    main()
