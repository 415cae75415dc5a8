"""Energies, forces, stresses and cost by the package of Nequix's authors (JAX).

    python -m venv nequix-env && nequix-env/bin/pip install nequix
    JAX_PLATFORMS=cpu nequix-env/bin/python benchmarks/nequix_package.py \
        --checkpoint nequix-mp-1-pft --output tests/potentials/fixtures/nequix-mp-1-pft.json

Runs in an environment of its own and imports nothing of this project. The file holds rattled and
strained crystals of the demo with which `tests/potentials/test_nequix.py` compares; printed is the
cost for 72 atoms of quartz, to be set beside `benchmarks/potential_cost.py`.
"""

import argparse
import json
import statistics
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read
from nequix.calculator import NequixCalculator

REPOSITORY = Path(__file__).parents[1]
CHECKPOINTS = REPOSITORY / "potentials" / "checkpoints"
CRYSTALS = ("te", "linbo3", "cu3vs4")
UNITS = {"energy": "eV", "forces": "eV/Å", "stress": "eV/Å^3"}


def main() -> None:
    """Evaluate, measure, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", default="nequix-mp-1-pft", help="name of a shipped one")
    parser.add_argument("--output", type=Path, help="JSON file for the tests")
    parser.add_argument("--repeats", type=int, default=5, help="evaluations that are timed")
    options = parser.parse_args()
    path = CHECKPOINTS / f"{options.checkpoint}.nqx"
    calculator = NequixCalculator(model_path=path, backend="jax", use_kernel=False)
    print(f"{milliseconds(calculator, options.repeats):.1f} ms per atom")
    if options.output:
        packages = f"nequix {version('nequix')}, jax {version('jax')}, float32"
        crystals = [evaluated(displaced(name), calculator) for name in CRYSTALS]
        content = {"source": packages, "units": UNITS, "crystals": crystals}
        options.output.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def displaced(name: str) -> Atoms:
    """Crystal of the demo without symmetry."""
    atoms = read(REPOSITORY / "data" / "demo" / f"{name}.cif")
    atoms.rattle(0.05, seed=3)
    atoms.set_cell(atoms.cell.array * [[1.01], [0.99], [1.0]], scale_atoms=True)
    return atoms


def evaluated(atoms: Atoms, calculator: NequixCalculator) -> dict[str, Any]:
    """Structure and results, as JSON takes them."""
    atoms.calc = calculator
    return {
        "numbers": atoms.numbers.tolist(),
        "cell": atoms.cell.array.tolist(),
        "positions": atoms.positions.tolist(),
        "energy": float(atoms.get_potential_energy()),
        "forces": np.asarray(atoms.get_forces(), dtype=float).tolist(),
        "stress": np.asarray(atoms.get_stress(voigt=False), dtype=float).tolist(),
    }


def milliseconds(calculator: NequixCalculator, repeats: int) -> float:
    """Median cost per atom of quartz, compiled before."""
    atoms = read(REPOSITORY / "data" / "demo" / "quartz-154.cif") * (2, 2, 2)
    times = []
    for seed in range(repeats + 1):
        copy = atoms.copy()
        copy.rattle(0.01, seed=seed)
        copy.calc = calculator
        start = time.perf_counter()
        copy.get_forces()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[1:]) / len(atoms)


if __name__ == "__main__":
    main()
