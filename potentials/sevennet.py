"""SevenNet potentials whose weights travel inside the ``sevenn`` wheel."""

import time
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sevenn._keys as key
import torch
from ase import Atoms
from sevenn import util
from sevenn.atom_graph_data import AtomGraphData
from sevenn.train.dataload import unlabeled_atoms_to_graph
from torch_geometric.data import Batch

from potentials.batching import atoms_per_batch, pack
from potentials.checkpoint import sha256_of_file
from potentials.interface import Equivariance, Evaluation, FloatArray, PotentialCard

CITATION = "Park et al., J. Chem. Theory Comput. 20, 4857 (2024), doi:10.1021/acs.jctc.4c00190"
LICENCE = "MIT (code and weights, SevenNet)"
MILLISECONDS_PER_ATOM = {"7net-0": 16.0, "7net-l3i5": 41.0}

# sevenn lists a symmetric tensor as xx, yy, zz, xy, yz, zx.
_VOIGT_ROWS = [[0, 3, 5], [3, 1, 4], [5, 4, 2]]


@dataclass(frozen=True)
class SevenNet:
    """A SevenNet model.

    Its features have even parity only, so that energies are SO(3)- but not O(3)-invariant.

    Attributes
    ----------
    card : PotentialCard
        Identity.
    model : torch.nn.Module
        The network in evaluation mode, in `dtype` on `device`.
    cutoff : float
        Radius of the graph in Å.
    device : torch.device
        Where the model lives.
    dtype : torch.dtype
        Precision of the model.
    """

    card: PotentialCard
    model: Any
    cutoff: float
    device: torch.device
    dtype: torch.dtype

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
        batches = pack([len(atoms) for atoms in structures], atoms_per_batch(self.device))
        results = [self._evaluate_batch([structures[i] for i in batch]) for batch in batches]
        return Evaluation(
            energies=np.concatenate([energies for energies, _, _ in results]),
            forces=tuple(forces for _, batch, _ in results for forces in batch),
            stresses=np.concatenate([stresses for _, _, stresses in results]),
            wall_time=time.perf_counter() - start,
        )

    def _evaluate_batch(
        self, structures: list[Atoms]
    ) -> tuple[FloatArray, list[FloatArray], FloatArray]:
        """Run one forward and backward pass over a disjoint union of graphs."""
        batch = Batch.from_data_list([self._graph(atoms) for atoms in structures])
        output = self.model(batch.to(self.device))
        forces = _array(output[key.PRED_FORCE])
        ends = np.cumsum([len(atoms) for atoms in structures])
        # sevenn's sign makes its stress negative under tension.
        stresses = -_array(output[key.PRED_STRESS]).reshape(-1, 6)[:, _VOIGT_ROWS]
        energies = _array(output[key.PRED_TOTAL_ENERGY]).reshape(-1)
        return energies, np.split(forces, ends[:-1]), stresses

    def _graph(self, atoms: Atoms) -> AtomGraphData:
        """Graph of all pairs within the cutoff, in the precision of the model."""
        arrays = unlabeled_atoms_to_graph(atoms, self.cutoff)
        tensors = {
            name: torch.as_tensor(np.ascontiguousarray(value))
            for name, value in arrays.items()
            if name != key.INFO
        }
        return AtomGraphData(
            **{
                name: tensor.to(self.dtype) if tensor.is_floating_point() else tensor.long()
                for name, tensor in tensors.items()
            }
        )


def load_sevennet(name: str, device: str, dtype: str) -> SevenNet:
    """Load a SevenNet model from the installed wheel.

    Parameters
    ----------
    name : str
        ``7net-0`` or ``7net-l3i5``.
    device : str
        Where to put the model.
    dtype : str
        ``float32`` or ``float64``.

    Returns
    -------
    SevenNet
        Ready to evaluate.
    """
    path = Path(util.pretrained_name_to_path(name))
    checkpoint = util.load_checkpoint(path)
    model = checkpoint.build_model()
    model.set_is_batch_data(True)
    place, precision = torch.device(device), getattr(torch, dtype)
    model.to(device=place, dtype=precision).eval()
    _one_hot_in(model, precision)
    card = PotentialCard(
        name=name,
        digest=sha256_of_file(path),
        equivariance=Equivariance.SO3,
        elements=frozenset(int(number) for number in model.type_map),
        licence=LICENCE,
        citation=CITATION,
        milliseconds_per_atom=MILLISECONDS_PER_ATOM[name],
    )
    return SevenNet(card, model, float(checkpoint.config[key.CUTOFF]), place, precision)


def _one_hot_in(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Cast the one-hot species embedding, which sevenn always makes in float32."""

    def cast(_module: object, _inputs: object, data: MutableMapping[str, torch.Tensor]) -> object:
        for name in (key.NODE_FEATURE, key.NODE_ATTR):
            data[name] = data[name].to(dtype)
        return data

    model.get_submodule("onehot_idx_to_onehot").register_forward_hook(cast)


def _array(tensor: torch.Tensor) -> FloatArray:
    """Detached float64 copy on the host."""
    return tensor.detach().cpu().numpy().astype(np.float64)
