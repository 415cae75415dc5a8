"""SevenNet potentials whose weights travel inside the ``sevenn`` wheel."""

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sevenn._keys as key
import torch
from ase import Atoms
from sevenn import util
from sevenn.nn.convolution import IrrepsConvolution
from sevenn.nn.cue_helper import is_cue_available
from sevenn.nn.flash_helper import is_flash_available
from sevenn.nn.oeq_helper import is_oeq_available

from potentials.batching import Budget
from potentials.checkpoint import sha256_of_file
from potentials.convolution import GROUPS, Convolution
from potentials.devices import to_device, to_host
from potentials.graphs import Union, evaluate_in_batches
from potentials.interface import Equivariance, Evaluation, FloatArray, PotentialCard
from potentials.memory import MemoryModel

CITATION = "Park et al., J. Chem. Theory Comput. 20, 4857 (2024), doi:10.1021/acs.jctc.4c00190"
LICENCE = "MIT (code and weights, SevenNet)"
MILLISECONDS_PER_ATOM = {"7net-0": 5.1, "7net-l3i5": 10.2}

# Measured by benchmarks/memory_model.py.
MEMORY = {
    ("7net-0", "float32"): MemoryModel(33e3, 4.6e3),
    ("7net-0", "float64"): MemoryModel(96e3, 7.9e3),
    ("7net-l3i5", "float32"): MemoryModel(136e3, 3.9e3),
    ("7net-l3i5", "float64"): MemoryModel(301e3, 6.7e3),
}

_KERNELS = {
    "enable_flash": is_flash_available,
    "enable_cueq": is_cue_available,
    "enable_oeq": is_oeq_available,
}

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
    memory : MemoryModel
        What a forward pass takes.
    budget : Budget
        What a forward pass may take.
    """

    card: PotentialCard
    model: Any
    cutoff: float
    device: torch.device
    dtype: torch.dtype
    memory: MemoryModel
    budget: Budget

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        """Evaluate all structures, as many at a time as the budget allows.

        Parameters
        ----------
        structures : sequence of ase.Atoms
            Periodic structures.

        Returns
        -------
        Evaluation
            In the order of `structures`.

        Raises
        ------
        torch.OutOfMemoryError, RuntimeError
            When a single structure is too large for the memory.
        """
        return evaluate_in_batches(
            structures, self.cutoff, self.memory, self.budget, self._evaluate_batch
        )

    def _evaluate_batch(self, batch: Union) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Run one forward and backward pass over a disjoint union of graphs."""
        arrays = {
            key.ATOMIC_NUMBERS: batch.numbers,
            key.NUM_ATOMS: np.array([len(atoms) for atoms in batch.places]),
            key.BATCH: batch.structures,
            key.CELL_VOLUME: batch.volumes,
            key.EDGE_IDX: batch.pairs,
            key.EDGE_VEC: batch.vectors,
        }
        tensors = {name: to_device(a, self.device, self.dtype) for name, a in arrays.items()}
        output = self.model({**tensors, GROUPS: batch.groups})
        # sevenn's sign makes its stress negative under tension.
        stresses = -to_host(output[key.PRED_STRESS])[:, _VOIGT_ROWS]
        return to_host(output[key.PRED_TOTAL_ENERGY]), to_host(output[key.PRED_FORCE]), stresses


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
    place, precision = torch.device(device), getattr(torch, dtype)
    model = checkpoint.build_model(**_kernels(place, precision))
    model.set_is_batch_data(True)
    model.to(device=place, dtype=precision).eval().requires_grad_(requires_grad=False)
    _one_hot_in(model, precision)
    for layer, module in list(model.named_children()):
        if isinstance(module, IrrepsConvolution):
            model.replace_module(layer, Convolution(module))
    card = PotentialCard(
        name=name,
        digest=sha256_of_file(path),
        equivariance=Equivariance.SO3,
        elements=frozenset(int(number) for number in model.type_map),
        licence=LICENCE,
        citation=CITATION,
        milliseconds_per_atom=MILLISECONDS_PER_ATOM[name],
    )
    return SevenNet(
        card=card,
        model=model,
        cutoff=float(checkpoint.config[key.CUTOFF]),
        device=place,
        dtype=precision,
        memory=MEMORY[name, dtype],
        budget=Budget(place),
    )


def _kernels(device: torch.device, dtype: torch.dtype) -> dict[str, bool]:
    """Option of sevenn for the first package of fused GPU kernels that is installed, if any.

    The kernels replace `Convolution` in float32; float64 is for numbers that agree everywhere.
    """
    if device.type == "cuda" and dtype == torch.float32:
        for option, is_available in _KERNELS.items():
            if is_available():
                return {option: True}
    return {}


def _one_hot_in(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Cast the one-hot species embedding, which sevenn always makes in float32."""

    def cast(_module: object, _inputs: object, data: MutableMapping[str, torch.Tensor]) -> object:
        for name in (key.NODE_FEATURE, key.NODE_ATTR):
            data[name] = data[name].to(dtype)
        return data

    model.get_submodule("onehot_idx_to_onehot").register_forward_hook(cast)
