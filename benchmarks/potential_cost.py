"""Cost of the potentials on one CPU thread: milliseconds per atom, and ratios to the cheapest.

    python benchmarks/potential_cost.py --repeats 5

Each potential evaluates the same 72-atom supercell of quartz, without the average over the
inversion; the median of the repeats counts.
"""

import argparse
import statistics
from pathlib import Path

import torch
from ase.io import read
from rich.console import Console
from rich.table import Table

from flows.console import located
from potentials import load_potential

NAMES = ("nequix-mp-1-pft", "7net-0", "7net-l3i5")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="evaluations of each potential")
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    cell = read(located(Path("demo")) / "quartz-154.cif") * (2, 2, 2)
    table = Table("potential", "dtype", "ms per atom", "ratio")
    costs = {}
    for name in NAMES:
        for dtype in ("float32", "float64"):
            potential = load_potential(name, dtype=dtype, parity=False)
            times = [potential.evaluate([cell]).wall_time for _ in range(repeats + 1)][1:]
            costs[name, dtype] = 1000 * statistics.median(times) / len(cell)
    for (name, dtype), cost in costs.items():
        table.add_row(name, dtype, f"{cost:.1f}", f"{cost / min(costs.values()):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
