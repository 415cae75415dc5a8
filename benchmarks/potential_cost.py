"""Cost of the potentials on one CPU thread, with and without the compiled kernel.

    python benchmarks/potential_cost.py --repeats 5

Each potential evaluates the same supercells, three displaced copies of each in one call, without
the average over the inversion. CPU time counts, the least of the repeats, so that other work on the
machine disturbs it less; the ways to compute take turns.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.io import read
from rich.console import Console
from rich.table import Table

from flows.console import locate_source
from potentials import Potential, load_potential

NAMES = ("nequix-mp-1-pft", "nequix-oam-1-pft", "7net-0", "7net-l3i5")
CELLS = {"quartz-154": (2, 2, 2), "si": (2, 2, 2), "zno": (3, 3, 2), "te": (3, 3, 2)}
# Kernel and precision; the last was the default before there was a compiled kernel.
WAYS = ((True, "float64"), (True, "float32"), (False, "float64"), (False, "float32"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="evaluations of each potential")
    parser.add_argument("--potentials", default=",".join(NAMES), help="names, by commas")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    headers = (f"{'compiled' if way else 'torch'} {dtype}" for way, dtype in WAYS)
    table = Table("potential", "crystal", "atoms", *headers, "gain 32", "gain 64")
    for name in arguments.potentials.split(","):
        for crystal, repeats in CELLS.items():
            copies = displaced_copies(crystal, repeats)
            fast64, fast32, slow64, slow32 = costs(name, copies, arguments.repeats)
            numbers = (f"{cost:.2f}" for cost in (fast64, fast32, slow64, slow32))
            gains = (f"{slow32 / fast32:.1f}", f"{slow64 / fast64:.1f}")
            table.add_row(name, crystal, str(len(copies[0])), *numbers, *gains)
    Console(width=130).print("Milliseconds per atom", table)


def displaced_copies(crystal: str, repeats: tuple[int, int, int]) -> list[Atoms]:
    """Three copies of a supercell of a demo crystal, their atoms a little displaced."""
    cell = read(locate_source(Path("demo")) / f"{crystal}.cif") * repeats
    rng = np.random.default_rng(1)
    copies = [cell.copy() for _ in range(3)]
    for copy in copies:
        copy.positions += rng.normal(size=copy.positions.shape) * 0.005
    return copies


def costs(name: str, copies: list[Atoms], repeats: int) -> list[float]:
    """Milliseconds per atom of each way to compute, which take turns."""
    ways = [
        load_potential(name, dtype=dtype, parity=False, compiled=compiled)
        for compiled, dtype in WAYS
    ]
    rounds = [[seconds(potential, copies) for potential in ways] for _ in range(repeats + 1)]
    atoms = sum(len(copy) for copy in copies)
    return [1000 * min(times) / atoms for times in zip(*rounds[1:], strict=True)]


def seconds(potential: Potential, structures: list[Atoms]) -> float:
    """CPU time of an evaluation."""
    start = time.process_time()
    potential.evaluate(structures)
    return time.process_time() - start


if __name__ == "__main__":
    main()
