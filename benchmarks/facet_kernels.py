"""What the kernels of Facet cost, and how well they keep the symmetry.

    python benchmarks/facet_kernels.py --repeats 3

Energy, forces and stress on one thread in float32, the smallest CPU time of the repeats; weights
are random, which changes no time. Errors are differences between the energies of a crystal and its
rotated image in float64, per atom. Prints tables in Markdown.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.io import read
from scipy.spatial.transform import Rotation

from flows.console import locate_source
from potentials import load_potential
from potentials.facet import Facet, FacetConfig, build_graph, compute_derivatives
from potentials.facet.products import fit_cp_factors
from potentials.facet.sphere import compute_couplings, make_sphere_grid

CPU = torch.device("cpu")
DEFAULT = FacetConfig()
RANKS = {1: 6, 2: 22, 3: 50, 4: 98}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="evaluations of each kind")
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print_table(
        ("crystal", "atoms", "facet (ms/atom)", "7net-0 (ms/atom)", "ratio"), sizes(repeats)
    )
    print_table(("layers", "l_max", "cg", "gaunt", "cp (rank)"), products(repeats))
    print_table(("configuration", "ms/atom", "weights (thousand)"), variants(repeats))
    heads = ("grid degree", "points", "product (meV)", "SiLU (meV)", "product ms/atom")
    print_table(heads, resolutions(repeats))
    print_table(("rank of cp", "error of the coupling", "error of energy (meV)"), ranks())


def sizes(repeats: int) -> Iterable[tuple[object, ...]]:
    """Compare the default with 7net-0."""
    sevennet = load_potential("7net-0", dtype="float32", parity=False)
    for name, atoms in crystals():
        ours = facet_cost(DEFAULT, atoms, repeats)
        theirs = cost(lambda atoms=atoms: sevennet.evaluate([atoms]), atoms, repeats)
        yield name, len(atoms), f"{ours:.2f}", f"{theirs:.1f}", f"{theirs / ours:.1f}"


def products(repeats: int) -> Iterable[tuple[object, ...]]:
    """Cost by product, degree and number of layers."""
    for layers in (2, 3):
        for l_max, rank in RANKS.items():
            base = replace(DEFAULT, layers=layers, l_max=l_max, l_hidden=l_max, rank=rank)
            costs = [
                f"{facet_cost(replace(base, product=kernel), quartz(), repeats):.2f}"
                for kernel in ("cg", "gaunt", "cp")
            ]
            yield layers, l_max, *costs[:2], f"{costs[2]} ({rank})"


def variants(repeats: int) -> Iterable[tuple[object, ...]]:
    """Cost of one change at a time."""
    for changes in (
        {},
        {"update": "gate"},
        {"update": "grid_mlp"},
        {"correlation": 2},
        {"radial": "bessel"},
        {"radial": "mlp"},
        {"n_radial": 12},
        {"l_max": 3},
        {"l_max": 3, "l_hidden": 1},
        {"channels": 32},
        {"channels": 128},
        {"cutoff": 6.0},
    ):
        config = replace(DEFAULT, **changes)
        weights = sum(parameter.numel() for parameter in Facet(config).parameters())
        name = ", ".join(f"{key} {value}" for key, value in changes.items()) or "default"
        yield name, f"{facet_cost(config, quartz(), repeats):.2f}", f"{weights / 1000:.0f}"


def resolutions(repeats: int) -> Iterable[tuple[object, ...]]:
    """Error by resolution of the grid, for the exact and the approximate update."""
    for degree in (4, 6, 8, 12, 16, 24, 32):
        config = replace(DEFAULT, grid_degree=degree)
        errors = [rotation_error(config), rotation_error(replace(config, update="grid_mlp"))]
        points = len(make_sphere_grid(degree)[1])
        costs = f"{facet_cost(config, quartz(), repeats):.2f}"
        yield degree, points, *(f"{error:.1e}" for error in errors), costs


def ranks() -> Iterable[tuple[object, ...]]:
    """Error by rank of the decomposition at l_max 2."""
    target = compute_couplings(2, 2, 2).sum(0)
    for rank in (8, 12, 16, 20, 22, 24, 32):
        fit = torch.einsum("rx,ry,zr->xyz", *fit_cp_factors(2, 2, 2, rank))
        error = (fit - target).norm() / target.norm()
        energy = rotation_error(replace(DEFAULT, product="cp", rank=rank))
        yield rank, f"{error:.1e}", f"{energy:.1e}"


def facet_cost(config: FacetConfig, atoms: Atoms, repeats: int) -> float:
    """Milliseconds per atom of a model with random weights, neighbour search included."""
    model = Facet(config).float().requires_grad_(requires_grad=False)
    return cost(
        lambda: compute_derivatives(model, build_graph([atoms], config, CPU, torch.float32)),
        atoms,
        repeats,
    )


def cost(evaluate: Callable[[], object], atoms: Atoms, repeats: int) -> float:
    """Smallest CPU time in milliseconds per atom, after one evaluation that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        evaluate()
        times.append(time.process_time() - start)
    return 1000 * min(times[1:]) / len(atoms)


def rotation_error(config: FacetConfig) -> float:
    """Root mean square change of the energy by rotations, in meV per atom."""
    torch.manual_seed(0)
    model = Facet(config).requires_grad_(requires_grad=False)
    atoms = read(locate_source(Path("demo")) / "quartz-154.cif")
    atoms.rattle(0.1, seed=0)
    turns = [np.eye(3), *Rotation.random(6, random_state=0).as_matrix()]
    images = [
        Atoms(atoms.numbers, atoms.positions @ turn.T, cell=atoms.cell.array @ turn.T, pbc=True)
        for turn in turns
    ]
    energies = compute_derivatives(model, build_graph(images, config, CPU, torch.float64))[0]
    return 1000 * (energies[1:] - energies[0]).square().mean().sqrt().item() / len(atoms)


def crystals() -> Iterable[tuple[str, Atoms]]:
    """Supercells of silicon and quartz."""
    silicon = bulk("Si", "diamond", a=5.43)
    for sizes_ in ((4, 4, 2), (4, 4, 4), (6, 6, 3)):
        yield "silicon", silicon * sizes_
    for sizes_ in ((2, 2, 2), (4, 2, 2), (4, 3, 2)):
        yield "quartz", quartz(sizes_)


def quartz(multiples: tuple[int, int, int] = (2, 2, 2)) -> Atoms:
    """Supercell of quartz."""
    return read(locate_source(Path("demo")) / "quartz-154.cif") * multiples


def print_table(heads: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    """Print as Markdown, row by row."""
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
