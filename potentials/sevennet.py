"""SevenNet potentials whose weights travel inside the ``sevenn`` wheel."""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import e3nn
import numpy as np
import sevenn._keys as key
import torch
from ase import Atoms
from e3nn.o3 import TensorProduct
from sevenn import util
from sevenn.nn.convolution import IrrepsConvolution
from sevenn.nn.cue_helper import is_cue_available
from sevenn.nn.edge_embedding import EdgeEmbedding, XPLORCutoff
from sevenn.nn.flash_helper import is_flash_available
from sevenn.nn.oeq_helper import is_oeq_available
from torch import Tensor

from potentials.batching import Budget
from potentials.compiler import COMPILED, TORCH
from potentials.convolution import Connect, Connection, Convolution, Convolve, Paths
from potentials.devices import to_device, to_host
from potentials.graphs import GraphUnion, evaluate_in_batches
from potentials.interface import Evaluation, FloatArray, PotentialCard
from potentials.kernels import (
    INTERVALS,
    CompiledConnection,
    Intervals,
    compile_convolution,
    make_intervals,
    prefer_compiled,
)
from potentials.memory import MemoryModel
from potentials.sevennet_card import find_sevennet_checkpoint, read_sevennet_card

# Measured by benchmarks/memory_model.py.
MEMORY = {
    ("7net-0", "torch", "float32"): MemoryModel(33e3, 4.6e3),
    ("7net-0", "torch", "float64"): MemoryModel(96e3, 7.9e3),
    ("7net-0", "compiled", "float32"): MemoryModel(68e3, 110),
    ("7net-0", "compiled", "float64"): MemoryModel(136e3, 220),
    ("7net-l3i5", "torch", "float32"): MemoryModel(136e3, 3.9e3),
    ("7net-l3i5", "torch", "float64"): MemoryModel(301e3, 6.7e3),
    ("7net-l3i5", "compiled", "float32"): MemoryModel(150e3, 110),
    ("7net-l3i5", "compiled", "float64"): MemoryModel(301e3, 220),
}

_KERNELS = {
    "enable_flash": is_flash_available,
    "enable_cueq": is_cue_available,
    "enable_oeq": is_oeq_available,
}

# Key under which the input of a model has the edges of our convolutions.
EDGES = "edges"

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
        The network in evaluation mode, on `device`.
    connect : Connect or None
        What prepares the edges of our convolutions; None with a package of GPU kernels.
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
    connect: Connect | None
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

    def _evaluate_batch(self, batch: GraphUnion) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Run one forward and backward pass over a disjoint union of graphs."""
        arrays = {
            key.ATOMIC_NUMBERS: batch.numbers,
            key.NUM_ATOMS: np.array([len(atoms) for atoms in batch.places]),
            key.BATCH: batch.structures,
            key.CELL_VOLUME: batch.volumes,
            key.EDGE_IDX: batch.pairs,
            key.EDGE_VEC: batch.vectors,
        }
        precision = torch.float64 if self.connect else self.dtype
        tensors: dict[str, Any] = {
            name: to_device(array, self.device, precision) for name, array in arrays.items()
        }
        if self.connect:
            tensors[EDGES] = self.connect(tensors[key.EDGE_VEC].requires_grad_(), batch)
        output = self.model(tensors)
        # sevenn's sign makes its stress negative under tension.
        stresses = -to_host(output[key.PRED_STRESS])[:, _VOIGT_ROWS]
        return to_host(output[key.PRED_TOTAL_ENERGY]), to_host(output[key.PRED_FORCE]), stresses


class ConvolutionModule(torch.nn.Module):
    """Stand-in for an `IrrepsConvolution` of sevenn.

    Parameters
    ----------
    convolve : Convolve
        The convolution.
    widths : sequence of (int, int)
        Multiplicity and dimension of each irrep of the features.
    denominator : float
        By which the sum over the neighbours is divided.
    """

    def __init__(
        self, convolve: Convolve, widths: Sequence[tuple[int, int]], denominator: float
    ) -> None:
        super().__init__()
        self.convolve, self.widths, self.denominator = convolve, tuple(widths), denominator

    def compiled(self, intervals: Intervals, dtype: torch.dtype) -> "ConvolutionModule":
        """Return the same convolution with the compiled kernel."""
        assert isinstance(self.convolve, Convolution)
        convolve = compile_convolution(self.convolve, intervals, dtype)
        return ConvolutionModule(convolve, self.widths, self.denominator)

    def forward(self, data: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Replace the features of the atoms by their convolution.

        Parameters
        ----------
        data : mapping
            Input of the model, its edges under `EDGES`.

        Returns
        -------
        mapping
            `data`.
        """
        columns = torch.split(data[key.NODE_FEATURE], [u * d for u, d in self.widths], dim=1)
        features = [
            part.reshape(-1, *width).mT.contiguous()
            for part, width in zip(columns, self.widths, strict=True)
        ]
        messages = self.convolve(features, data[EDGES])
        flat = [message.mT.flatten(1) for message in messages]
        data[key.NODE_FEATURE] = torch.cat(flat, dim=1) / self.denominator
        return data


def load_sevennet(name: str, device: str, dtype: str, *, compiled: bool = True) -> SevenNet:
    """Load a SevenNet model from the installed wheel.

    Parameters
    ----------
    name : str
        ``7net-0`` or ``7net-l3i5``.
    device : str
        Where to put the model.
    dtype : str
        ``float32`` or ``float64``.
    compiled : bool
        Use the compiled kernel where it can be built.

    Returns
    -------
    SevenNet
        Ready to evaluate.
    """
    place, precision = torch.device(device), getattr(torch, dtype)
    if kernels := _find_gpu_kernels(place, precision):
        return _load(name, place, dtype, kernels)
    plain = partial(_load_uncompiled, name, place, dtype)
    if place.type != "cpu" or not compiled:
        return plain()
    exact = _load_uncompiled(name, place, "float64")
    return prefer_compiled(partial(_compile, name, exact, dtype), plain, exact, dtype)


def _load(
    name: str, device: torch.device, dtype: str, kernels: Mapping[str, bool] | None = None
) -> SevenNet:
    """Load a model with the convolutions of sevenn."""
    checkpoint = util.load_checkpoint(find_sevennet_checkpoint(name))
    precision = getattr(torch, dtype)
    with _skip_optimization():
        model = checkpoint.build_model(**(kernels or {}))
    model.set_is_batch_data(True)
    model.to(device=device, dtype=precision).eval().requires_grad_(requires_grad=False)
    _cast_one_hot(model, precision)
    return SevenNet(
        card=read_sevennet_card(name, TORCH),
        model=model,
        connect=None,
        cutoff=float(checkpoint.config[key.CUTOFF]),
        device=device,
        dtype=precision,
        memory=MEMORY[name, "torch", dtype],
        budget=Budget(device),
    )


@contextmanager
def _skip_optimization() -> Iterator[None]:
    """Let e3nn write products as they are: to optimise them takes a second, and gains nothing here.

    Those that cost time are replaced by our own, or by kernels for GPUs.
    """
    before = e3nn.get_optimization_defaults()
    e3nn.set_optimization_defaults(optimize_einsums=False)
    try:
        yield
    finally:
        e3nn.set_optimization_defaults(**before)


def _load_uncompiled(name: str, device: torch.device, dtype: str) -> SevenNet:
    """Load a model with our convolutions."""
    bare = _load(name, device, dtype)
    embedding = bare.model.get_submodule("edge_embedding").double()
    convolutions = {
        layer: convert_convolution(module, embedding)
        for layer, module in bare.model.named_children()
        if isinstance(module, IrrepsConvolution)
    }
    connect = Connection(embedding.spherical.irreps_out.lmax, device, bare.dtype)
    return _replace_convolutions(bare, convolutions, connect)


def _compile(name: str, exact: SevenNet, dtype: str) -> SevenNet:
    """Load a model with the compiled kernel, its tables made of the one in float64."""
    bare = _load(name, exact.device, dtype)
    cutoff = bare.model.get_submodule("edge_embedding").cutoff_function
    breaks = (float(cutoff.r_on),) if isinstance(cutoff, XPLORCutoff) else ()
    intervals = make_intervals(exact.cutoff, INTERVALS[dtype], breaks)
    convolutions = {
        layer: module.compiled(intervals, bare.dtype)
        for layer, module in exact.model.named_children()
        if isinstance(module, ConvolutionModule)
    }
    compiled = _replace_convolutions(bare, convolutions, CompiledConnection(intervals, bare.dtype))
    card = read_sevennet_card(name, COMPILED)
    return replace(compiled, card=card, memory=MEMORY[name, COMPILED, dtype])


def _replace_convolutions(
    bare: SevenNet, convolutions: Mapping[str, ConvolutionModule], connect: Connect
) -> SevenNet:
    """Put other convolutions into a model, and take out what prepares the edges for its own."""
    bare.model.delete_module_by_key("edge_embedding")
    for layer, module in convolutions.items():
        bare.model.replace_module(layer, module)
    return replace(bare, connect=connect)


def convert_convolution(original: IrrepsConvolution, embedding: EdgeEmbedding) -> ConvolutionModule:
    """Make a convolution of ours from one of sevenn.

    Parameters
    ----------
    original : IrrepsConvolution
        On its device and in its precision; its parameters are read, not trained.
    embedding : EdgeEmbedding
        What gives the inputs of the radial network, in float64.

    Returns
    -------
    ConvolutionModule
        With the same output.
    """
    *hidden, last = original.weight_nn
    product = original.convolution
    unit = torch.eye(*last.weight.shape[:1]).to(last.weight)
    convolve = Convolution(
        paths=_build_paths(product, last(unit).detach()),
        outputs=tuple(range(len(product.instructions))),
        radial=partial(_evaluate_radial, embedding, torch.nn.Sequential(*hidden).double()),
    )
    widths = [(multiplicity, irrep.dim) for multiplicity, irrep in product.irreps_in1]
    return ConvolutionModule(convolve, widths, float(original.denominator))


def _evaluate_radial(
    embedding: EdgeEmbedding, hidden: torch.nn.Module, distances: Tensor
) -> Tensor:
    """Radial network (n_edges, n_hidden) without its last layer."""
    basis = embedding.basis_function(distances)
    result: Tensor = hidden(basis * embedding.cutoff_function(distances)[:, None])
    return result


def _build_paths(product: TensorProduct, radial: Tensor) -> tuple[Paths, ...]:
    """Paths of a tensor product by irrep of its first input.

    Its connections are "uvu", its weights given from outside; `radial` (n_hidden, n_weights) is the
    last layer of the radial network, its columns in the order of the paths.
    """
    by_path = torch.split(radial, [step.path_shape[0] for step in product.instructions], dim=1)
    return tuple(
        _build_paths_from(product, irrep, by_path) for irrep in range(len(product.irreps_in1))
    )


def _build_paths_from(product: TensorProduct, irrep: int, radial: Sequence[Tensor]) -> Paths:
    """Paths of a tensor product that begin at one irrep."""
    multiplicity, (l_in, _) = product.irreps_in1[irrep]
    places = [i for i, step in enumerate(product.instructions) if step.i_in1 == irrep]
    slots = [product.irreps_out.slices()[product.instructions[i].i_out] for i in places]
    dimensions = tuple((slot.stop - slot.start) // multiplicity for slot in slots)
    response = _measure_response(product, irrep, like=radial[0])
    coupling = response.new_zeros(
        sum(dimensions), response.shape[1], len(places), response.shape[0]
    )
    row = 0
    for p, (slot, dimension) in enumerate(zip(slots, dimensions, strict=True)):
        found = response[:, :, slot.start : slot.start + dimension]
        coupling[row : row + dimension, :, p] = found.permute(2, 1, 0)
        row += dimension
    return Paths(
        multiplicity=multiplicity,
        dimension=2 * l_in + 1,
        outputs=tuple(places),
        dimensions=dimensions,
        coupling=coupling,
        radial=torch.stack([radial[i] for i in places], dim=1),
    )


def _measure_response(product: TensorProduct, irrep: int, like: Tensor) -> Tensor:
    """Output (dimension, n_harmonics, n_out) for unit vectors in the first copy of an irrep."""
    start, dimension = product.irreps_in1.slices()[irrep].start, product.irreps_in1[irrep].ir.dim
    n_harmonics = product.irreps_in2.dim
    x = like.new_zeros(dimension, n_harmonics, product.irreps_in1.dim)
    x[range(dimension), :, range(start, start + dimension)] = 1
    y = torch.eye(n_harmonics, dtype=like.dtype, device=like.device).expand(dimension, -1, -1)
    weights = like.new_ones(dimension, n_harmonics, product.weight_numel)
    with torch.no_grad():
        response: Tensor = product(x, y, weights)
    return response


def _find_gpu_kernels(device: torch.device, dtype: torch.dtype) -> dict[str, bool]:
    """Option of sevenn for the first package of fused GPU kernels that is installed, if any.

    The kernels replace our convolutions in float32; float64 is for numbers that agree everywhere.
    """
    if device.type == "cuda" and dtype == torch.float32:
        for option, is_available in _KERNELS.items():
            if is_available():
                return {option: True}
    return {}


def _cast_one_hot(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Cast the one-hot species embedding, which sevenn always makes in float32."""

    def cast(_module: object, _inputs: object, data: MutableMapping[str, torch.Tensor]) -> object:
        for name in (key.NODE_FEATURE, key.NODE_ATTR):
            data[name] = data[name].to(dtype)
        return data

    model.get_submodule("onehot_idx_to_onehot").register_forward_hook(cast)
