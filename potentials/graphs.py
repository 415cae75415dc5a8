"""Structures as graphs of neighbours, and many graphs as one."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list
from numpy.typing import NDArray

from potentials.batching import Budget, run_in_batches
from potentials.interface import Batch, Evaluation, FloatArray
from potentials.memory import MemoryModel

IntArray = NDArray[np.int64]

# Pairs of a crystal are searched once for all copies whose atoms are no farther away than this (Å);
# the displacements of phonon calculations are 0.01 to 0.03 Å.
_SKIN = 0.05


@dataclass(frozen=True)
class NeighbourGraph:
    """A structure and all its pairs within the cutoff.

    Attributes
    ----------
    numbers : ndarray of int, shape (n_atoms,)
        Atomic numbers.
    volume : float
        Volume of the cell in Å^3.
    pairs : ndarray of int, shape (2, n_edges)
        An atom and one of its neighbours, sorted by the first; each pair of atoms appears in both
        directions.
    vectors : ndarray, shape (n_edges, 3)
        From the atom to its neighbour in Å.
    """

    numbers: IntArray
    volume: float
    pairs: IntArray
    vectors: FloatArray


@dataclass(frozen=True)
class GraphUnion:
    """Several graphs side by side, atoms with equally many neighbours in a row.

    Attributes
    ----------
    numbers, structures : ndarray of int, shape (n_atoms,)
        Atomic number and index of the structure of each atom, sorted by the number of neighbours.
    pairs : ndarray of int, shape (2, n_edges)
        Sorted by the first atom.
    vectors : ndarray, shape (n_edges, 3)
        From the first atom to the second in Å.
    volumes : ndarray, shape (n_structures,)
        Volumes of the cells in Å^3.
    groups : tuple of (int, int)
        Number of neighbours, and how many atoms have it.
    places : tuple of ndarray of int
        Where the atoms of each structure are, in their original order.
    """

    numbers: IntArray
    structures: IntArray
    pairs: IntArray
    vectors: FloatArray
    volumes: FloatArray
    groups: tuple[tuple[int, int], ...]
    places: tuple[IntArray, ...]


def build_graphs(structures: Sequence[Atoms], cutoff: float) -> list[NeighbourGraph]:
    """Find all pairs within the cutoff.

    Pairs are searched once for consecutive copies of a crystal with slightly displaced atoms.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        Periodic structures.
    cutoff : float
        Largest distance of a pair in Å.

    Returns
    -------
    list of NeighbourGraph
        One per structure, the same as if each had been searched.
    """
    graphs = []
    candidates: _Candidates | None = None
    for atoms in structures:
        if candidates is None or not candidates.hold_for(atoms):
            candidates = _find_candidates(atoms, cutoff)
        graphs.append(candidates.build_graph(atoms, cutoff))
    return graphs


def join_graphs(graphs: Sequence[NeighbourGraph]) -> GraphUnion:
    """Put graphs side by side."""
    sizes = [len(graph.numbers) for graph in graphs]
    starts = np.cumsum([0, *sizes])
    pairs = np.hstack([graph.pairs + start for graph, start in zip(graphs, starts, strict=False)])
    n_neighbours = np.bincount(pairs[0], minlength=starts[-1])
    atoms = np.argsort(n_neighbours, kind="stable")
    places = np.argsort(atoms)
    edges = np.argsort(places[pairs[0]], kind="stable")
    groups = zip(*np.unique(n_neighbours, return_counts=True), strict=True)
    return GraphUnion(
        numbers=np.concatenate([graph.numbers for graph in graphs])[atoms],
        structures=np.repeat(np.arange(len(sizes)), sizes)[atoms],
        pairs=places[pairs[:, edges]],
        vectors=np.concatenate([graph.vectors for graph in graphs])[edges],
        volumes=np.array([graph.volume for graph in graphs]),
        groups=tuple((int(neighbours), int(count)) for neighbours, count in groups),
        places=tuple(np.split(places, starts[1:-1])),
    )


def evaluate_in_batches(
    structures: Sequence[Atoms],
    cutoff: float,
    memory: MemoryModel,
    budget: Budget,
    run: Callable[[GraphUnion], tuple[FloatArray, FloatArray, FloatArray]],
) -> Evaluation:
    """Evaluate structures, as many at a time as the budget allows.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        Periodic structures.
    cutoff : float
        Largest distance of a pair in Å.
    memory : MemoryModel
        What a pass takes.
    budget : Budget
        What a pass may take.
    run : callable
        One pass: energies (n_structures,), forces (n_atoms, 3) in the order of the union, stresses
        (n_structures, 3, 3), in the units of `Evaluation`.

    Returns
    -------
    Evaluation
        In the order of `structures`.

    Raises
    ------
    torch.OutOfMemoryError, RuntimeError
        When a single structure is too large for the memory.
    """

    def of_batch(graphs: Sequence[NeighbourGraph]) -> Batch:
        batch = join_graphs(graphs)
        energies, forces, stresses = run(batch)
        return energies, [forces[places] for places in batch.places], stresses

    start = time.perf_counter()
    graphs = build_graphs(structures, cutoff)
    sizes = [memory.estimate_bytes(len(graph.numbers), len(graph.vectors)) for graph in graphs]
    results = run_in_batches(graphs, sizes, budget, of_batch)
    return Evaluation.join(results, time.perf_counter() - start)


@dataclass(frozen=True)
class _Candidates:
    """Pairs of a crystal that small displacements may bring within the cutoff."""

    atoms: Atoms
    pairs: IntArray
    shifts: FloatArray  # (n_pairs, 3), lattice vectors between the cells of the two atoms

    def hold_for(self, atoms: Atoms) -> bool:
        """Whether a structure is this crystal, its atoms displaced by less than the skin."""
        mine = self.atoms
        if not (
            np.array_equal(mine.numbers, atoms.numbers)
            and np.array_equal(mine.cell.array, atoms.cell.array)
            and np.array_equal(mine.pbc, atoms.pbc)
        ):
            return False
        return bool((np.linalg.norm(mine.positions - atoms.positions, axis=1) <= _SKIN).all())

    def build_graph(self, atoms: Atoms, cutoff: float) -> NeighbourGraph:
        """Graph of a structure for which the pairs hold."""
        # take is several times faster than indexing.
        first, second = (atoms.positions.take(indices, axis=0) for indices in self.pairs)
        vectors = second - first + self.shifts
        near = np.flatnonzero(np.einsum("ex,ex->e", vectors, vectors) < cutoff**2)
        pairs = self.pairs.take(near, axis=1)
        return NeighbourGraph(atoms.numbers, atoms.get_volume(), pairs, vectors.take(near, axis=0))


def _find_candidates(atoms: Atoms, cutoff: float) -> _Candidates:
    """Pairs within the cutoff and twice the skin."""
    first, second, cells = neighbour_list("ijS", atoms, cutoff + 2 * _SKIN)
    pairs = np.array([first, second], dtype=np.int64)
    return _Candidates(atoms.copy(), pairs, cells @ atoms.cell.array)
