"""Does torch.compile pay for the convolution? One piece of it, eager and compiled.

    python benchmarks/compiled_pieces.py

The arithmetic of `potentials.convolution` for the atoms that the cache of a core holds, with the
sizes of Nequix in quartz: 57 neighbours and paths from scalars, vectors and tensors. Compiled for
fixed sizes, which is the best case: in a screening the number of neighbours changes with every
crystal. Prints milliseconds (least of many) and what compiling takes once.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

NEIGHBOURS, HIDDEN, HARMONICS = 57, 64, 16
# Atoms, paths, dimension and multiplicity of the irrep, rows of the coupling.
SIZES = {"scalars": (6, 4, 1, 128, 16), "vectors": (2, 8, 3, 64, 30), "tensors": (2, 11, 5, 32, 42)}
Piece = Callable[..., object]


def forward(
    hidden: Tensor, radial: Tensor, x: Tensor, y: Tensor, coupling: Tensor, by_sum: Tensor
) -> Tensor:
    """Sum over the neighbours of a few atoms."""
    product = torch.tensordot(hidden, radial, dims=1).unsqueeze(2) * x
    by_harmonic = y.mT @ product.view(*y.shape[:2], -1)
    return coupling @ by_harmonic.view(len(y), -1, by_sum.shape[2])


def backward(
    hidden: Tensor, radial: Tensor, x: Tensor, y: Tensor, coupling: Tensor, by_sum: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by harmonics, radial network and features."""
    weights = torch.tensordot(hidden, radial, dims=1).unsqueeze(2)
    product = (weights * x).view(*y.shape[:2], -1)
    by_harmonic = (coupling.T @ by_sum).view(len(y), y.shape[2], -1)
    by_product = (y @ by_harmonic).view(*weights.shape[:2], x.shape[2], -1)
    by_weights = (by_product * x).sum(2).flatten(1) @ radial.flatten(1).T
    return product @ by_harmonic.mT, by_weights, (by_product * weights).sum(1)


def inputs(atoms: int, paths: int, dimension: int, multiplicity: int, rows: int) -> list[Tensor]:
    """Random arrays of the sizes of a piece."""
    edges = atoms * NEIGHBOURS
    return [
        torch.randn(edges, HIDDEN),
        torch.randn(HIDDEN, paths, multiplicity),
        torch.randn(edges, 1, dimension, multiplicity),
        torch.randn(atoms, NEIGHBOURS, HARMONICS),
        torch.randn(rows, HARMONICS * paths * dimension),
        torch.randn(atoms, rows, multiplicity),
    ]


def milliseconds(piece: Piece, arrays: list[Tensor], repeats: int) -> float:
    """Least time of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        piece(*arrays)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=300, help="calls of each piece")
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print("| piece | eager (ms) | compiled (ms) | ratio | compiling (s) |\n|---|---|---|---|---|")
    for name, sizes in SIZES.items():
        arrays = inputs(*sizes)
        for piece in (forward, backward):
            eager = milliseconds(piece, arrays, repeats)
            compiled = torch.compile(piece, dynamic=False)
            start = time.perf_counter()
            compiled(*arrays)
            once = time.perf_counter() - start
            fast = milliseconds(compiled, arrays, repeats)
            print(
                f"| {name}, {piece.__name__} | {eager:.2f} | {fast:.2f} "
                f"| {eager / fast:.1f} | {once:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
