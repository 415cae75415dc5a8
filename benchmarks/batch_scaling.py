"""Structures per second against the number of structures in a forward pass, as a markdown table.

    python benchmarks/batch_scaling.py --device cuda --potential nequix-mp-1-pft

Every entry is the best of the repeats: copies of a crystal with displaced atoms, energies, forces
and stresses, without the average over the inversion. The last column is the number of structures
that the potential chooses by its memory model.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from ase import Atoms
from ase.build import bulk
from ase.io import read

from flows.console import locate_source
from potentials import load_potential
from potentials.graphs import build_graphs
from potentials.memory import is_out_of_memory
from potentials.nequix import Nequix
from potentials.sevennet import SevenNet

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Fixed:
    """A budget of so many bytes, whatever the device has."""

    size: float

    def limit(self) -> float:
        """Return the budget."""
        return self.size


def main() -> None:
    """Measure and print."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    potential = load_potential(arguments.potential, arguments.device, arguments.dtype, parity=False)
    print(f"{arguments.potential}, {arguments.dtype}, {potential.device}: structures per second\n")
    batches = [count for count in BATCHES if count <= arguments.largest]
    print(f"| crystal | atoms | {' | '.join(map(str, batches))} | chosen |")
    print(f"|---{'|---:' * (len(batches) + 2)}|")
    for name, atoms in crystals().items():
        rates = [rate(potential, atoms, count, arguments.seconds) for count in batches]
        print(f"| {name} | {len(atoms)} | {' | '.join(rates)} | {choose_count(potential, atoms)} |")


def parse_arguments() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--potential", default="nequix-mp-1-pft", help="of SevenNet or Nequix")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N or auto")
    parser.add_argument("--dtype", default="float32", help="float32 or float64")
    parser.add_argument("--largest", type=int, default=16, help="largest number of structures")
    parser.add_argument("--seconds", type=float, default=2.0, help="least time for each entry")
    return parser.parse_args()


def crystals() -> dict[str, Atoms]:
    """Cells of 2 to 72 atoms."""
    demo = locate_source(Path("demo"))
    quartz = read(demo / "quartz-154.cif")
    tellurium = read(demo / "te.cif")
    return {
        "Si": bulk("Si"),
        "Te": tellurium,
        "quartz": quartz,
        "Te 2x2x2": tellurium * (2, 2, 2),
        "quartz 2x2x2": quartz * (2, 2, 2),
    }


def copies(atoms: Atoms, count: int) -> list[Atoms]:
    """Copies with atoms displaced by about 0.01 Å."""
    result = [atoms.copy() for _ in range(count)]
    for seed, copy in enumerate(result):
        copy.rattle(0.01, seed=seed)
    return result


def choose_count(potential: SevenNet | Nequix, atoms: Atoms) -> int:
    """How many copies the potential would put into one forward pass."""
    [graph] = build_graphs([atoms], potential.cutoff)
    size = potential.memory.estimate_bytes(len(atoms), len(graph.vectors))
    return max(int(potential.budget.limit() // size), 1)


def rate(potential: SevenNet | Nequix, atoms: Atoms, count: int, seconds: float) -> str:
    """Structures per second in batches of a given number; a dash where they do not fit."""
    structures = copies(atoms, count)
    together = replace(potential, budget=Fixed(float("inf")))
    times: list[float] = []
    try:
        together.evaluate(structures)
        while sum(times) < seconds:
            start = time.perf_counter()
            together.evaluate(structures)
            times.append(time.perf_counter() - start)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return "-"
    return f"{count / min(times):.3g}"


if __name__ == "__main__":
    main()
