"""What a network learns from: structures with labels, and their batches."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from potentials.facet.attention import turn_graph
from potentials.facet.graph import Graph, IntArray, build_graph
from potentials.facet.model import Model
from potentials.graphs import build_graphs
from potentials.interface import FloatArray


@dataclass(frozen=True)
class Frame:
    """A structure with its labels; a label that is not known is NaN.

    Attributes
    ----------
    atoms : ase.Atoms
        Periodic structure.
    group : str
        What must not be divided between training and validation, such as the parent crystal.
    energy : float
        In eV.
    forces : ndarray, shape (n_atoms, 3)
        In eV/Å.
    stress : ndarray, shape (3, 3)
        In eV/Å^3, positive under tension.
    column_indices : ndarray of int64, shape (n_columns,)
        Degrees of freedom ``3 atom + axis`` whose columns of the Hessian are known.
    columns : ndarray, shape (n_columns, n_atoms, 3)
        These columns in eV/Å^2.
    """

    atoms: Atoms
    group: str
    energy: float
    forces: FloatArray
    stress: FloatArray
    column_indices: IntArray
    columns: FloatArray

    @property
    def known(self) -> set[str]:
        """The labels that are known, by their names in the loss."""
        known = {
            "energy": np.isfinite(self.energy),
            "force": np.isfinite(self.forces).any(),
            "stress": np.isfinite(self.stress).all(),
            "hessian": len(self.column_indices) > 0,
        }
        return {label for label, is_known in known.items() if is_known}


@dataclass(frozen=True)
class FrameBatch:
    """Several frames as tensors, with at most one Hessian column of each.

    Attributes
    ----------
    graph : Graph
        The structures.
    sizes : Tensor, shape (n_structures,)
        Numbers of atoms.
    energies : Tensor of float64, shape (n_structures,)
        In eV.
    forces : Tensor, shape (n_atoms, 3)
        In eV/Å.
    stresses : Tensor, shape (n_structures, 3, 3)
        In eV/Å^3.
    directions : Tensor, shape (n_atoms, 3)
        Unit displacement of the degree of freedom of each structure's column; zero without one.
    columns : Tensor, shape (n_atoms, 3)
        The columns in eV/Å^2.
    """

    graph: Graph
    sizes: Tensor
    energies: Tensor
    forces: Tensor
    stresses: Tensor
    directions: Tensor
    columns: Tensor


def make_batch(frames: Sequence[Frame], model: Model, generator: np.random.Generator) -> FrameBatch:
    """Put frames side by side.

    Parameters
    ----------
    frames : sequence of Frame
        At least one.
    model : Facet or AttentionNetwork
        Whose graph, device and precision are wanted; energies stay in float64.
    generator : numpy.random.Generator
        Chooses the Hessian column of frames that have several.

    Returns
    -------
    FrameBatch
        In the order of the frames.
    """
    like = model.reference_energies
    device, dtype = like.device, like.dtype
    chosen = [_choose_column(frame, generator) for frame in frames]

    def tensor(parts: Sequence[FloatArray]) -> Tensor:
        return torch.from_numpy(np.concatenate(parts)).to(device, dtype)

    sizes = [len(frame.atoms) for frame in frames]
    return FrameBatch(
        graph=build_graph([frame.atoms for frame in frames], model.config, device, dtype),
        sizes=torch.tensor(sizes, device=device, dtype=dtype),
        energies=torch.tensor([f.energy for f in frames], device=device, dtype=torch.float64),
        forces=tensor([frame.forces for frame in frames]),
        stresses=tensor([frame.stress[None] for frame in frames]),
        directions=tensor([direction for direction, _ in chosen]),
        columns=tensor([column for _, column in chosen]),
    )


def turn_batch(batch: FrameBatch, isometries: Tensor) -> FrameBatch:
    """Turn each structure with its labels.

    Parameters
    ----------
    batch : FrameBatch
        Structures and labels.
    isometries : Tensor, shape (n_structures, 3, 3)
        Orthogonal matrices that act on columns.

    Returns
    -------
    FrameBatch
        Images of vectors, forces, stresses, and Hessian columns with their directions.
    """
    of_atoms = isometries[batch.graph.structure].mT
    forces, directions, columns = (
        (rows[:, None] @ of_atoms)[:, 0] for rows in (batch.forces, batch.directions, batch.columns)
    )
    return replace(
        batch,
        graph=turn_graph(batch.graph, isometries),
        forces=forces,
        stresses=isometries @ batch.stresses @ isometries.mT,
        directions=directions,
        columns=columns,
    )


def count_mean_neighbours(frames: Sequence[Frame], cutoff: float) -> float:
    """Count neighbours.

    Parameters
    ----------
    frames : sequence of Frame
        At least one.
    cutoff : float
        Radius in Å.

    Returns
    -------
    float
        Mean number of neighbours of an atom.
    """
    n_pairs = sum(len(graph.vectors) for graph in build_graphs([f.atoms for f in frames], cutoff))
    return n_pairs / sum(len(frame.atoms) for frame in frames)


def _choose_column(frame: Frame, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Direction and column of one degree of freedom, zeros and NaN where none is known."""
    direction = np.zeros((len(frame.atoms), 3))
    if not len(frame.column_indices):
        return direction, np.full_like(direction, np.nan)
    chosen = generator.integers(len(frame.column_indices))
    direction.flat[frame.column_indices[chosen]] = 1.0
    return direction, frame.columns[chosen]
