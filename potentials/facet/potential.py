"""The network as a potential of this project."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from ase import Atoms

from potentials.batching import pack_batches
from potentials.checkpoint import compute_file_digest
from potentials.devices import to_host
from potentials.facet.checkpoint import read_facet
from potentials.facet.compiled import CompiledFacet, compile_facet
from potentials.facet.graph import build_graph, find_positions
from potentials.facet.model import Model, compute_derivatives, compute_hessian_products
from potentials.forces import differentiate
from potentials.graphs import NeighbourGraph, build_graphs, join_graphs
from potentials.interface import Batch, Equivariance, Evaluation, FloatArray, PotentialCard
from potentials.kernels import COMPILED, prefer_compiled

LICENCE = "MIT"
CITATION = "chiralscreen; after arXiv:2509.08418, arXiv:2401.10216 and arXiv:2507.01131"
LIMITS = (
    "A model of few elements and of the kinds of crystals it was trained on, for those alone.",
)
_LEARNED = (
    "It learned what rotations and mirrors do from examples, and obeys them nearly, not exactly.",
)
# On a CPU the cost per atom falls up to here, eightfold from a two-atom cell, and rises beyond.
_ATOMS_PER_BATCH = {"cpu": 128, "cuda": 4096}


@dataclass(frozen=True)
class FacetPotential:
    """A Facet model.

    Its features have natural parity and its default kernels are exact, so that energies are O(3)-
    invariant without any averaging.

    Attributes
    ----------
    card : PotentialCard
        Identity.
    model : Facet or AttentionNetwork
        The network in evaluation mode on `device`; its functions of the distance in float64.
    device : torch.device
        Where the model lives.
    compiled : CompiledFacet or None
        The model with the compiled kernel, for all but second derivatives.
    """

    card: PotentialCard
    model: Model
    device: torch.device
    compiled: CompiledFacet | None = None

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        """Evaluate all structures, small ones packed into common graphs.

        Parameters
        ----------
        structures : sequence of ase.Atoms
            Periodic structures.

        Returns
        -------
        Evaluation
            In the order of `structures`.
        """
        start = time.perf_counter()
        limit = _ATOMS_PER_BATCH.get(self.device.type, _ATOMS_PER_BATCH["cpu"])
        batches = pack_batches([len(atoms) for atoms in structures], limit)
        if self.compiled:
            # Of all structures together: consecutive copies of a crystal share the search.
            graphs = build_graphs(structures, self.model.config.cutoff)
            results = [self._run_compiled([graphs[i] for i in batch]) for batch in batches]
        else:
            results = [self._evaluate_batch([structures[i] for i in batch]) for batch in batches]
        return Evaluation.join(results, time.perf_counter() - start)

    def hessian_products(self, atoms: Atoms, directions: FloatArray) -> FloatArray:
        """Multiply the matrix of second derivatives with displacements of all atoms.

        Parameters
        ----------
        atoms : ase.Atoms
            A periodic structure.
        directions : ndarray, shape (n_directions, n_atoms, 3)
            Displacements, of any unit.

        Returns
        -------
        ndarray, shape (n_directions, n_atoms, 3)
            In eV/Å^2 times that unit.
        """
        graph = build_graph([atoms], self.model.config, self.device, torch.float64)
        motions = torch.as_tensor(directions, dtype=torch.float64, device=self.device)
        return to_host(compute_hessian_products(self.model, graph, motions))

    def _evaluate_batch(self, structures: list[Atoms]) -> Batch:
        """Run one forward and backward pass over a disjoint union of graphs."""
        graph = build_graph(structures, self.model.config, self.device, torch.float64)
        energies, forces, stresses = (
            to_host(part) for part in compute_derivatives(self.model, graph)
        )
        ends = np.cumsum([len(atoms) for atoms in structures])
        return energies, np.split(forces, ends[:-1]), stresses

    def _run_compiled(self, graphs: list[NeighbourGraph]) -> Batch:
        """Run one pass with the compiled kernel."""
        assert self.compiled is not None
        batch, compiled = join_graphs(graphs), self.compiled
        species = torch.from_numpy(find_positions(batch.numbers, self.model.config.elements))
        energies, forces, stresses = differentiate(
            lambda vectors: compiled.energies(vectors, batch, species), batch, self.device
        )
        totals = np.bincount(batch.structures, energies).astype(np.float64)
        return totals, [forces[places] for places in batch.places], stresses


def load_facet(path: Path, device: str, dtype: str, *, compiled: bool = True) -> FacetPotential:
    """Load a model from a file.

    Parameters
    ----------
    path : pathlib.Path
        Written by `potentials.facet.save_facet`.
    device : str
        Where to put the model.
    dtype : str
        ``float32`` or ``float64``.
    compiled : bool
        Use the compiled kernel where it can be built.

    Returns
    -------
    FacetPotential
        Ready to evaluate.

    Raises
    ------
    ValueError
        When the file is something else.
    """
    place = torch.device(device)
    plain = partial(_load, path, place, dtype)
    if place.type != "cpu" or not compiled:
        return plain()
    exact = _load(path, place, "float64")
    return prefer_compiled(partial(_compile, plain, exact), plain, exact, dtype)


def _compile(plain: Callable[[], FacetPotential], exact: FacetPotential) -> FacetPotential:
    """Load a model with the compiled kernel, its tables made of the one in float64."""
    bare = plain()
    card = replace(bare.card, kernel=COMPILED)
    return replace(bare, card=card, compiled=compile_facet(bare.model, exact.model))


def _load(path: Path, device: torch.device, dtype: str) -> FacetPotential:
    """Load a model without the compiled kernel."""
    model, metadata = read_facet(path)
    model.to(device=device, dtype=getattr(torch, dtype)).eval().requires_grad_(requires_grad=False)
    # The rounding of vectors and distances to float32 would be the largest error of the forces.
    model.radial.double()
    learned = _LEARNED if model.config.network == "attention" else ()
    card = PotentialCard(
        name=str(metadata.get("name", path.stem)),
        digest=compute_file_digest(path),
        equivariance=Equivariance.O3 if model.config.is_exact else Equivariance.SO3,
        elements=frozenset(model.config.elements),
        licence=str(metadata.get("licence", LICENCE)),
        citation=str(metadata.get("citation", CITATION)),
        limits=(*metadata.get("limits", LIMITS), *learned),
        milliseconds_per_atom=float(metadata.get("milliseconds_per_atom", 1.0)),
        second_derivatives=True,
    )
    return FacetPotential(card, model, device)
