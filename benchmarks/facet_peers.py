# ruff: noqa: PLC0415 - each environment has packages of its own
"""Time and memory of Facet beside MACE and SevenNet, on one CPU thread in float32.

    python -m benchmarks.facet_peers --mace-python MACE_ENV/bin/python --repeats 5

Energy, forces and stress of silicon, neighbour search included. Each model and cell has
a process of its own: the median CPU time of the repeats after one that does not count, and the
growth of resident memory at its peak (Linux) over that before the first evaluation. MACE needs an
environment of its own (`python -m venv`, `pip install mace-torch`), in which this repository can
be imported; without `--mace-python` it is left out. Nothing is downloaded: MACE and Facet have
random weights, which changes no time. Prints versions and a table in Markdown.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes

# Numbers are channels; Facet of 32 is shaped like facet-aln, MACE of 128 like MACE-MP-0 (medium).
FACET = {"Facet 64 channels, l 2": "facet-64", "Facet 32 channels, l 2 and 1": "facet-32"}
PEERS = {
    "7net-0": "7net-0",
    "7net-l3i5": "7net-l3i5",
    "7net-0, package as it is": "sevenn-7net-0",
    "7net-l3i5, package as it is": "sevenn-7net-l3i5",
}
MACE = {"MACE 64 channels, l 2": "mace-64", "MACE-MP-0-medium shape": "mace-128"}
# Primitive cells of silicon along each axis, by the number of atoms.
CELLS = {"64": (4, 4, 2), "128": (4, 4, 4), "216": (6, 6, 3)}
FORGET_PEAK = "5"
MEBIBYTE = 1024


def main() -> None:
    """Measure in processes of their own, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mace-python", type=Path, help="interpreter of MACE's environment")
    parser.add_argument("--only", default="", help="models whose name holds this text")
    parser.add_argument("--repeats", type=int, default=5, help="evaluations that count")
    parser.add_argument("--measure", nargs=2, metavar=("MODEL", "CELL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(*options.measure, options.repeats)))
        return
    models = {name: (key, Path(sys.executable)) for name, key in (FACET | PEERS).items()}
    if options.mace_python:
        models |= {name: (key, options.mace_python) for name, key in MACE.items()}
    report({k: v for k, v in models.items() if options.only in k}, options.repeats)


def report(models: dict[str, tuple[str, Path]], repeats: int) -> None:
    """Print a table of all models and cells."""
    print(
        "| model | versions | atoms | ms/atom | ratio | memory (MiB) |\n|---|---|---|---|---|---|"
    )
    for cell in CELLS:
        first = None
        for name, (key, python) in models.items():
            found = in_process(python, key, cell, repeats)
            cost = found["milliseconds_per_atom"]
            first = first or cost
            memory = f"{found['memory']:.0f}"
            row = (name, found["versions"], cell, f"{cost:.2f}", f"{cost / first:.1f}", memory)
            print(f"| {' | '.join(row)} |", flush=True)


def in_process(python: Path, model: str, cell: str, repeats: int) -> dict[str, float | str]:
    """Run a measurement in a fresh process."""
    command = [str(python), "-W", "ignore", "-m", "benchmarks.facet_peers"]
    # MACE's e3nn reads its constants in a way that newer versions of torch refuse by default.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    result = subprocess.run(
        [*command, "--repeats", str(repeats), "--measure", model, cell],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[1],
    )
    found: dict[str, float | str] = json.loads(result.stdout.splitlines()[-1])
    return found


def measured(model: str, cell: str, repeats: int) -> dict[str, float | str]:
    """CPU milliseconds per atom, peak memory in MiB, and versions."""
    import torch

    torch.set_num_threads(1)
    atoms = bulk("Si", "diamond", a=5.43) * CELLS[cell]
    evaluate, packages = evaluator_of(model)
    Path("/proc/self/clear_refs").write_text(FORGET_PEAK, encoding="ascii")
    loaded, times = memory("VmRSS"), []
    for _ in range(repeats + 1):
        start = time.process_time()
        evaluate(atoms)
        times.append(time.process_time() - start)
    return {
        "milliseconds_per_atom": 1000 * statistics.median(times[1:]) / len(atoms),
        "memory": memory("VmHWM") - loaded,
        "versions": ", ".join(f"{name} {version(name)}" for name in packages),
    }


def evaluator_of(model: str) -> tuple[Callable[[Atoms], object], tuple[str, ...]]:
    """What evaluates energy, forces and stress, and the packages whose versions matter."""
    if model.startswith("mace"):
        calculator = mace_calculator(int(model.removeprefix("mace-")))
        return calculator_evaluator(calculator), ("mace-torch", "e3nn", "torch")
    if model.startswith("facet"):
        return facet_evaluator(int(model.removeprefix("facet-"))), ("torch",)
    packages = ("sevenn", "e3nn", "torch")
    if model.startswith("sevenn"):
        return calculator_evaluator(sevennet(model.removeprefix("sevenn-"))), packages
    from potentials import load_potential

    potential = load_potential(model, dtype="float32", parity=False)
    return lambda atoms: potential.evaluate([atoms]), packages


def facet_evaluator(channels: int) -> Callable[[Atoms], object]:
    """Default network of 64 channels, or that of facet-aln, which has 32 and sends l up to 1."""
    import torch

    from potentials.facet import Facet, FacetConfig, build_graph, compute_derivatives

    config = FacetConfig(channels=channels, l_hidden=2 if channels == 64 else 1)
    model = Facet(config).float().requires_grad_(requires_grad=False)
    place = torch.device("cpu")
    return lambda atoms: compute_derivatives(
        model, build_graph([atoms], config, place, torch.float32)
    )


def calculator_evaluator(calculator: Calculator) -> Callable[[Atoms], object]:
    """Evaluation by a calculator of ASE."""

    def evaluate(atoms: Atoms) -> object:
        calculator.calculate(atoms, ["energy", "forces", "stress"], all_changes)
        return calculator.results["stress"]

    return evaluate


def sevennet(name: str) -> Calculator:
    """SevenNet as its package offers it."""
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator(name, device="cpu")


def mace_calculator(channels: int) -> Calculator:
    """Two-layer MACE of correlation 3: l up to 2, or as wide as MACE-MP-0 (medium)."""
    import torch
    from mace.calculators import MACECalculator

    torch.set_default_dtype(torch.float32)
    model = mace_model(channels, [8, 14])
    return MACECalculator(models=[model], device="cpu", default_dtype="float32")


def mace_model(channels: int, numbers: list[int]) -> object:
    """Untrained MACE with messages of l up to 2 (64 channels) or 1 (128 channels)."""
    import numpy as np
    from e3nn import o3
    from mace import modules
    from torch.nn.functional import silu

    medium = channels == 128
    interaction = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    hidden = f"{channels}x0e+{channels}x1o" + ("" if medium else f"+{channels}x2e")
    return modules.ScaleShiftMACE(
        r_max=6.0 if medium else 5.0,
        num_bessel=10 if medium else 8,
        num_polynomial_cutoff=5,
        max_ell=3 if medium else 2,
        interaction_cls=interaction,
        interaction_cls_first=interaction,
        num_interactions=2,
        num_elements=len(numbers),
        hidden_irreps=o3.Irreps(hidden),
        MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.zeros(len(numbers)),
        avg_num_neighbors=35.0,
        atomic_numbers=numbers,
        correlation=3,
        gate=silu,
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )


def memory(kind: str) -> float:
    """Resident memory of this process in MiB: now (VmRSS), or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    [line] = [line for line in lines if line.startswith(kind)]
    return int(line.split()[1]) / MEBIBYTE


if __name__ == "__main__":
    main()
