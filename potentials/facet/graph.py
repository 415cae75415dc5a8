"""Atoms and their neighbours as arrays of fixed width, many structures side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray
from torch import Tensor

from potentials import graphs
from potentials.facet.config import FacetConfig
from potentials.interface import FloatArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Graph:
    """A disjoint union of structures.

    Atoms with fewer neighbours than the widest row are filled up with themselves at the distance of
    the cutoff, where everything vanishes with three derivatives.

    Attributes
    ----------
    vectors : Tensor, shape (n_atoms, n_neighbours, 3)
        From each atom to its neighbours in Å.
    neighbours : Tensor of int64, shape (n_atoms, n_neighbours)
        Indices of the neighbours.
    species : Tensor of int64, shape (n_atoms,)
        Positions in the element list of the configuration.
    structure : Tensor of int64, shape (n_atoms,)
        Index of the structure of each atom.
    volumes : Tensor, shape (n_structures,)
        Cell volumes in Å^3.
    """

    vectors: Tensor
    neighbours: Tensor
    species: Tensor
    structure: Tensor
    volumes: Tensor


def build_graph(
    structures: Sequence[Atoms], config: FacetConfig, device: torch.device, dtype: torch.dtype
) -> Graph:
    """Find all neighbours within the cutoff, without a limit to their number.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        Periodic structures.
    config : FacetConfig
        Cutoff and elements.
    device : torch.device
        Where to put the graph.
    dtype : torch.dtype
        Precision of vectors and volumes; the vectors are computed in float64.

    Returns
    -------
    Graph
        Atoms in the order of the structures.

    Raises
    ------
    ValueError
        For elements that the configuration lacks.
    """
    sizes = [len(atoms) for atoms in structures]
    rows = [_find_neighbour_rows(graph) for graph in graphs.build_graphs(structures, config.cutoff)]
    width = max(neighbours.shape[1] for neighbours, _ in rows)
    starts = np.cumsum([0, *sizes[:-1]])
    padded = [_pad_rows(*row, width, config.cutoff) for row in rows]
    neighbours = [row + start for (row, _), start in zip(padded, starts, strict=True)]
    vectors = torch.from_numpy(np.concatenate([vectors for _, vectors in padded]))
    volumes = torch.tensor([atoms.get_volume() for atoms in structures])
    return Graph(
        vectors=vectors.to(device, dtype),
        neighbours=torch.from_numpy(np.concatenate(neighbours)).to(device),
        species=torch.from_numpy(translate_species(structures, config.elements)).to(device),
        structure=torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes)).to(device),
        volumes=volumes.to(device, dtype),
    )


def translate_species(structures: Sequence[Atoms], elements: tuple[int, ...]) -> IntArray:
    """Translate the atomic numbers of structures with `find_positions`.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        Structures with n_atoms atoms in total.
    elements : tuple of int
        Atomic numbers.

    Returns
    -------
    ndarray of int64, shape (n_atoms,)
        Positions in `elements`.
    """
    return find_positions(np.concatenate([atoms.numbers for atoms in structures]), elements)


def find_positions(numbers: IntArray, elements: tuple[int, ...]) -> IntArray:
    """Translate atomic numbers to positions in the element list.

    Parameters
    ----------
    numbers : ndarray of int, shape (n_atoms,)
        Atomic numbers.
    elements : tuple of int
        Atomic numbers.

    Returns
    -------
    ndarray of int64, shape (n_atoms,)
        Positions in `elements`.

    Raises
    ------
    ValueError
        For an atomic number that is not in the list.
    """
    lookup = np.full(len(chemical_symbols), -1)
    lookup[list(elements)] = np.arange(len(elements))
    if unknown := sorted({chemical_symbols[number] for number in numbers[lookup[numbers] < 0]}):
        raise ValueError(f"the potential does not know {', '.join(unknown)}; choose another one")
    positions: IntArray = lookup[numbers]
    return positions


def _find_neighbour_rows(graph: graphs.NeighbourGraph) -> tuple[IntArray, FloatArray]:
    """Neighbours (n_atoms, width) and vectors to them; -1 and zeros fill short rows."""
    centres, others = graph.pairs
    counts = np.bincount(centres, minlength=len(graph.numbers))
    columns = np.arange(len(centres)) - np.repeat(np.cumsum(counts) - counts, counts)
    neighbours = np.full((len(graph.numbers), counts.max()), -1)
    rows = np.zeros((*neighbours.shape, 3))
    neighbours[centres, columns], rows[centres, columns] = others, graph.vectors
    return neighbours, rows


def _pad_rows(
    neighbours: IntArray, vectors: FloatArray, width: int, cutoff: float
) -> tuple[IntArray, FloatArray]:
    """Fill rows with the atom itself at the distance of the cutoff."""
    missing = [(0, 0), (0, width - neighbours.shape[1])]
    neighbours = np.pad(neighbours, missing, constant_values=-1)
    vectors = np.pad(vectors, [*missing, (0, 0)])
    atom, column = np.nonzero(neighbours < 0)
    neighbours[atom, column] = atom
    vectors[atom, column] = (cutoff, 0, 0)
    return neighbours, vectors
