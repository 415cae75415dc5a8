"""Peak memory of a forward and backward pass against the size of the graph.

    python benchmarks/memory_model.py --device cuda

Crystals of several sizes and densities are evaluated; bytes = constant + a atoms + b edges is
fitted to the peaks of what torch allocated: by its profiler's account on a CPU, by its statistics
on a GPU. The fits are the constants `MEMORY` of `potentials.sevennet` and `potentials.nequix`.
"""

import argparse
from dataclasses import dataclass
from itertools import accumulate, product

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from torch.profiler import ProfilerActivity, profile

from potentials import load_potential
from potentials.graphs import build_graphs
from potentials.nequix import Nequix
from potentials.sevennet import SevenNet

NAMES = ("nequix-mp-1-pft", "7net-0", "7net-l3i5")
LATTICE_CONSTANTS = (7.0, 5.43, 4.6)  # of silicon in Å: 4, 28 and 46 neighbours


@dataclass(frozen=True)
class Peak:
    """Size of a graph and the bytes it took."""

    atoms: int
    edges: int
    size: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N or auto")
    parser.add_argument("--repeats", default="2,3,4", help="supercells of silicon")
    arguments = parser.parse_args()
    repeats = [int(number) for number in arguments.repeats.split(",")]
    print("| potential | dtype | kB per atom | kB per edge | constant MB | worst error |")
    print("|---|---|---:|---:|---:|---:|")
    for name, dtype in product(NAMES, ("float32", "float64")):
        potential = load_potential(name, arguments.device, dtype, parity=False)
        cells = [
            bulk("Si", a=a, cubic=True) * (n, n, n) for n in repeats for a in LATTICE_CONSTANTS
        ]
        atoms, edges, constant, error = fitted([peak(potential, cell) for cell in cells])
        numbers = f"{atoms / 1e3:.1f} | {edges / 1e3:.2f} | {constant / 1e6:.0f} | {error:.0%}"
        print(f"| {name} | {dtype} | {numbers} |", flush=True)


def peak(potential: SevenNet | Nequix, cell: Atoms) -> Peak:
    """Evaluate a crystal and look at the memory."""
    [graph] = build_graphs([cell], potential.cutoff)
    measure = peak_on_gpu if potential.device.type == "cuda" else peak_on_cpu
    return Peak(len(cell), len(graph.vectors), measure(potential, cell))


def peak_on_cpu(potential: SevenNet | Nequix, cell: Atoms) -> float:
    """Largest sum of what was allocated and not yet freed."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        potential.evaluate([cell])
    events = record.profiler.kineto_results.events()
    changes = [event.nbytes() for event in events if event.name() == "[memory]"]
    return max(accumulate(changes))


def peak_on_gpu(potential: SevenNet | Nequix, cell: Atoms) -> float:
    """Peak of what was allocated, less what the model itself takes."""
    torch.cuda.reset_peak_memory_stats(potential.device)
    before = torch.cuda.memory_allocated(potential.device)
    potential.evaluate([cell])
    return torch.cuda.max_memory_allocated(potential.device) - before


def fitted(peaks: list[Peak]) -> tuple[float, float, float, float]:
    """Bytes per atom, per edge, constant, and largest relative error of the fit."""
    matrix = np.array([(peak.atoms, peak.edges, 1) for peak in peaks])
    sizes = np.array([peak.size for peak in peaks])
    # Relative errors are fitted, so that small crystals count as much as large ones.
    solution, *_ = np.linalg.lstsq(matrix / sizes[:, None], np.ones(len(sizes)), rcond=None)
    return (*map(float, solution), float(np.abs(matrix @ solution / sizes - 1).max()))


if __name__ == "__main__":
    main()
