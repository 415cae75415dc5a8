"""Nequix potentials: universal, exactly O(3)-invariant, and fine-tuned on phonons.

The network is that of Koker, Kotak and Smidt, arXiv:2508.16067: NequIP's convolution (Batzner et
al., Nat. Commun. 13, 2453 (2022)) of features with natural parity, a norm over all degrees, and a
gate. Checkpoints "pft" were fine-tuned on second derivatives (Koker et al., arXiv:2601.07742). The
package of its authors runs on JAX; its files are read here as numbers, without running anything.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from ase import Atoms
from torch import Tensor
from torch.nn.functional import one_hot, silu

from potentials.batching import Budget
from potentials.compiler import COMPILED, TORCH
from potentials.convolution import Connect, Connection, Convolution, Convolve, Paths
from potentials.devices import to_device, to_host
from potentials.forces import differentiate
from potentials.graphs import GraphUnion, build_graphs, evaluate_in_batches, join_graphs
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
from potentials.nequix_card import read_nequix_card
from potentials.o3 import o3

# Measured by benchmarks/memory_model.py.
MEMORY = {
    ("torch", "float32"): MemoryModel(46e3, 4.0e3),
    ("torch", "float64"): MemoryModel(92e3, 7.8e3),
    ("compiled", "float32"): MemoryModel(65e3, 130),
    ("compiled", "float64"): MemoryModel(130e3, 260),
}

# 1 / sqrt(mean of silu(z)^2) over 1,000,001 equally likely normal z, as the weights expect it.
_GATE_SCALE = 1.6765620560798837
_NORM_FLOOR = 1e-12
# Without a norm, or with a skip connection per species, a network is another one.
_EXPECTED = {"layer_norm": True, "index_weights": False}

Place = Callable[[FloatArray], Tensor]
Read = Callable[..., FloatArray]


@dataclass(frozen=True)
class _Layer:
    """Weights of a layer; tuples of tensors run over irreps unless said otherwise.

    Attributes
    ----------
    before : tuple of Tensor, each of shape (n_in, n_in)
        Mixes the channels of the features.
    convolve : Convolve
        The convolution.
    after : tuple of Tensor, each of shape (n_channels, n_out)
        Mixes the channels of all paths to an irrep.
    around : tuple of Tensor, each of shape (n_in, n_out)
        Leads around the convolution.
    norm : tuple of Tensor, each of shape (n_out,)
        Scales of the normed features.
    """

    before: tuple[Tensor, ...]
    convolve: Convolve
    after: tuple[Tensor, ...]
    around: tuple[Tensor, ...]
    norm: tuple[Tensor, ...]


@dataclass(frozen=True)
class _Network:
    """Weights, and the parameters of distances (Å), species and energies (eV)."""

    cutoff: float
    species: tuple[int, ...]
    connect: Connect
    layers: tuple[_Layer, ...]
    readout: Tensor
    offsets: FloatArray  # (n_species,)


@dataclass(frozen=True)
class Nequix:
    """A Nequix model.

    Attributes
    ----------
    card : PotentialCard
        Identity.
    network : _Network
        Weights in the precision of the model, on `device`.
    device : torch.device
        Where the model lives.
    memory : MemoryModel
        What a forward and backward pass takes.
    budget : Budget
        What a pass may take.
    """

    card: PotentialCard
    network: _Network
    device: torch.device
    memory: MemoryModel
    budget: Budget

    @property
    def cutoff(self) -> float:
        """Radius of the graph in Å."""
        return self.network.cutoff

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

    def describe(self, atoms: Atoms) -> tuple[FloatArray, ...]:
        """Features of the atoms in all layers, as they go into other models.

        Parameters
        ----------
        atoms : ase.Atoms
            Periodic structure.

        Returns
        -------
        tuple of ndarray, each of shape (n_atoms, 2 l + 1, n_features)
            By degree l from 0, of natural parity and in the components of e3nn, layer by layer.
        """
        batch = join_graphs(build_graphs([atoms], self.cutoff))
        kinds = to_device(
            np.searchsorted(self.network.species, batch.numbers), self.device, torch.float64
        )
        vectors = to_device(batch.vectors, self.device, torch.float64)
        with torch.no_grad():
            layers = _features(self.network, kinds, vectors, batch)
        # The last layer has scalars only.
        by_degree = zip_longest(*layers)
        return tuple(
            to_host(torch.cat([x for x in features if x is not None], dim=2))[batch.places[0]]
            for features in by_degree
        )

    def _evaluate_batch(self, batch: GraphUnion) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Run one forward and backward pass over a disjoint union of graphs."""
        kinds = np.searchsorted(self.network.species, batch.numbers)
        on_device = to_device(kinds, self.device, torch.float64)
        energies, forces, stresses = differentiate(
            lambda vectors: _compute_energies(self.network, on_device, vectors, batch),
            batch,
            self.device,
        )
        # In float64: the sum is large, and its small differences matter.
        whole = energies + self.network.offsets[kinds]
        return np.bincount(batch.structures, whole).astype(np.float64), forces, stresses


def load_nequix(path: Path, device: str, dtype: str, *, compiled: bool = True) -> Nequix:
    """Load a checkpoint of the package ``nequix``.

    Parameters
    ----------
    path : pathlib.Path
        A file ``.nqx``.
    device : str
        Where to put the model.
    dtype : str
        ``float32`` or ``float64``.
    compiled : bool
        Use the compiled kernel where it can be built.

    Returns
    -------
    Nequix
        Ready to evaluate.

    Raises
    ------
    ValueError
        When the file is something else, or of a network that is not known here.
    """
    place = torch.device(device)
    plain = partial(_load, path, place, dtype)
    if place.type != "cpu" or not compiled:
        return plain()
    exact = _load(path, place, "float64")
    return prefer_compiled(partial(_compile, path, exact, dtype), plain, exact, dtype)


def _load(path: Path, device: torch.device, dtype: str) -> Nequix:
    """Load a checkpoint without the compiled kernel."""
    network = _read(path, partial(to_device, device=device, dtype=getattr(torch, dtype)))
    return Nequix(
        read_nequix_card(path, TORCH), network, device, MEMORY["torch", dtype], Budget(device)
    )


def _compile(path: Path, exact: Nequix, dtype: str) -> Nequix:
    """Make a model of float64 one with the compiled kernel, in a precision."""
    network, precision = exact.network, getattr(torch, dtype)
    intervals = make_intervals(network.cutoff, INTERVALS[dtype])
    layers = tuple(_compile_layer(layer, intervals, precision) for layer in network.layers)
    compiled = replace(
        network,
        connect=CompiledConnection(intervals, precision),
        layers=layers,
        readout=network.readout.to(precision),
    )
    card = read_nequix_card(path, COMPILED)
    return replace(exact, card=card, network=compiled, memory=MEMORY[COMPILED, dtype])


def _compile_layer(layer: _Layer, intervals: Intervals, dtype: torch.dtype) -> _Layer:
    """Make a layer of float64 one with the compiled kernel, in a precision."""
    assert isinstance(layer.convolve, Convolution)
    linear = {
        name: tuple(weights.to(dtype) for weights in getattr(layer, name))
        for name in ("before", "after", "around", "norm")
    }
    return replace(layer, convolve=compile_convolution(layer.convolve, intervals, dtype), **linear)


def _compute_energies(
    network: _Network, kinds: Tensor, vectors: Tensor, batch: GraphUnion
) -> Tensor:
    """Energies (n_atoms,) of the atoms, but for the offsets of their species."""
    scalars = _features(network, kinds, vectors, batch)[-1][0]
    return (scalars @ network.readout).flatten()


def _features(
    network: _Network, kinds: Tensor, vectors: Tensor, batch: GraphUnion
) -> list[list[Tensor]]:
    """Features of all layers, each a list by irrep of (n_atoms, dimension, channels)."""
    edges = network.connect(vectors, batch)
    features = [one_hot(kinds, len(network.species)).to(network.readout.dtype).unsqueeze(1)]
    layers = []
    for layer in network.layers:
        features = _apply_layer(layer, features, edges)
        layers.append(features)
    return layers


def _evaluate_radial(
    cutoff: float, exponent: float, n_bessel: int, weights: Sequence[Tensor], distances: Tensor
) -> Tensor:
    """Radial network (n_edges, n_hidden) without its last layer.

    Its inputs are Bessel functions times the envelope of Gasteiger et al., arXiv:2003.03123.
    """
    x, p = distances[:, None] / cutoff, exponent
    frequencies = torch.pi * torch.arange(1, n_bessel + 1).to(x)
    bessel = 2 / cutoff**2 * torch.sin(frequencies * x) / x
    envelope = 1 - x**p * ((p + 1) * (p + 2) / 2 - p * (p + 2) * x + p * (p + 1) / 2 * x**2)
    hidden = bessel * envelope
    for layer in weights:
        hidden = silu(hidden @ layer)
    return hidden


def _apply_layer(layer: _Layer, features: Sequence[Tensor], edges: Any) -> list[Tensor]:  # noqa: ANN401
    """Features (n_atoms, dimension, channels) of each irrep after a layer."""
    mixed = [(x @ weights).contiguous() for x, weights in zip(features, layer.before, strict=True)]
    messages = layer.convolve(mixed, edges)
    summed = [message @ weights for message, weights in zip(messages, layer.after, strict=True)]
    # Irreps that the layer has made new have nothing to lead around it.
    for irrep, (x, weights) in enumerate(zip(features, layer.around, strict=False)):
        summed[irrep] = summed[irrep] + x @ weights
    return _apply_gate(_normalize(summed, layer.norm))


def _normalize(features: Sequence[Tensor], scales: Sequence[Tensor]) -> list[Tensor]:
    """Features divided by a norm: a mean over irreps, a sum over channels, 1/dimension inside."""
    squares = [x.square().mean(1, keepdim=True).sum(2, keepdim=True) / x.shape[1] for x in features]
    factor = (torch.stack(squares).mean(dim=0) + _NORM_FLOOR).rsqrt()
    return [x * scale * factor for x, scale in zip(features, scales, strict=True)]


def _apply_gate(features: Sequence[Tensor]) -> list[Tensor]:
    """Scalars through a perceptron's step, the other irreps times the scalars that are over."""
    others = features[1:]
    n_gates = [x.shape[2] for x in others]
    scalars = _GATE_SCALE * silu(features[0])
    kept, *gates = torch.split(scalars, [scalars.shape[2] - sum(n_gates), *n_gates], dim=2)
    return [kept, *(x * gate for x, gate in zip(others, gates, strict=True))]


def _read(path: Path, place: Place) -> _Network:
    """Read a checkpoint: a line of JSON, then arrays in the order in which the layers use them."""
    with path.open("rb") as stream:
        try:
            config = json.loads(stream.readline())
            _require_known(config)
            return _build_network(config, partial(_read_array, stream), place)
        except (KeyError, TypeError, ValueError, EOFError, MemoryError) as error:
            raise ValueError(f"{path} is no checkpoint of Nequix: {error}") from error


def _require_known(config: Mapping[str, Any]) -> None:
    """Refuse networks of another kind."""
    for name, value in _EXPECTED.items():
        if config[name] != value:
            raise ValueError(f"{name} is {config[name]}, but only {value} is implemented")


def _read_array(stream: IO[bytes], *shape: int) -> FloatArray:
    """Read the next array, which must have a shape."""
    array = np.lib.format.read_array(stream, allow_pickle=False)
    if array.shape != shape:
        raise ValueError(f"an array has the shape {array.shape} instead of {shape}")
    return np.asarray(array, dtype=np.float64)


def _build_network(config: Mapping[str, Any], read: Read, place: Place) -> _Network:
    """Build the network of a configuration from its arrays."""
    species = tuple(sorted(int(number) for number in config["atomic_numbers"]))
    hidden, count = o3.Irreps(config["hidden_irreps"]), int(config["n_layers"])
    offsets = read(len(species)) + float(config["shift"])
    # The last layer keeps the scalars only.
    stages = [o3.Irreps(f"{len(species)}x0e"), *[hidden] * (count - 1), hidden[:1]]
    layers = tuple(_read_layer(config, *pair, read, place) for pair in pairwise(stages))
    n_scalars = hidden[0].mul
    readout = place(read(n_scalars, 1) * float(config["scale"]) / np.sqrt(n_scalars))
    return _Network(
        cutoff=float(config["cutoff"]),
        species=species,
        connect=Connection(int(config["lmax"]), readout.device, readout.dtype),
        layers=layers,
        readout=readout,
        offsets=offsets,
    )


def _read_layer(
    config: Mapping[str, Any], inputs: o3.Irreps, outputs: o3.Irreps, read: Read, place: Place
) -> _Layer:
    """Read a layer between two sets of irreps; its arrays follow each other in this order."""
    steps = _list_steps(inputs, outputs, int(config["lmax"]))
    width = int(config["radial_mlp_size"])
    sizes = [int(config["radial_basis_size"]), *[width] * int(config["radial_mlp_layers"])]
    weights = tuple(place(read(*shape)).double() for shape in pairwise(sizes))
    radial = partial(
        _evaluate_radial,
        float(config["cutoff"]),
        float(config["radial_polynomial_p"]),
        int(config["radial_basis_size"]),
        weights,
    )
    last = read(width, sum(step.channels for step in steps)) / config["avg_n_neighbors"] ** 0.5
    channels = [sum(step.channels for step in steps if step.k == k) for k in range(len(outputs))]
    n_gates = sum(mul for mul, irrep in outputs if irrep.l > 0)
    n_out = [mul + n_gates * (irrep.l == 0) for mul, irrep in outputs]
    n_in = [mul for mul, _ in inputs]
    before, after, around = (
        tuple(place(read(*shape) / shape[0] ** 0.5) for shape in zip(rows, columns, strict=False))
        for rows, columns in ((n_in, n_in), (channels, n_out), (n_in, n_out))
    )
    norm = tuple(place(read(n)) for n in n_out)
    paths = tuple(
        _build_paths(i, inputs, config["lmax"], steps, last, place) for i in range(len(inputs))
    )
    convolve = Convolution(paths, tuple(step.k for step in steps), radial)
    return _Layer(before, convolve, after, around, norm)


@dataclass(frozen=True)
class _Step:
    """A path of the convolution: irrep i of the features, degree l of the harmonics, irrep k."""

    i: int
    l: int  # noqa: E741 - the name of a degree
    k: int
    channels: int
    coupling: FloatArray  # (dimension of k, 2 l + 1, dimension of i)


def _list_steps(inputs: o3.Irreps, outputs: o3.Irreps, l_max: int) -> list[_Step]:
    """All paths that parity allows, in the order of the radial weights: by output first."""
    harmonics = o3.Irreps.spherical_harmonics(l_max)
    return [
        _Step(i, y.l, k, mul, _compute_coupling(x, y, z))
        for k, (_, z) in enumerate(outputs)
        for i, (mul, x) in enumerate(inputs)
        for _, y in harmonics
        if z in x * y
    ]


def _compute_coupling(x: o3.Irrep, y: o3.Irrep, z: o3.Irrep) -> FloatArray:
    """Coupling of x and y to z (z, y, x) that keeps the mean square of a component."""
    coefficients: Tensor = o3.wigner_3j(x.l, y.l, z.l, dtype=torch.float64)
    return to_host(coefficients.permute(2, 1, 0) * z.dim**0.5)


def _build_paths(
    i: int, inputs: o3.Irreps, l_max: int, steps: Sequence[_Step], last: FloatArray, place: Place
) -> Paths:
    """Paths from irrep i, with their share of the last layer of the radial network."""
    places = [number for number, step in enumerate(steps) if step.i == i]
    ends = np.cumsum([step.channels for step in steps])
    mine = [steps[number] for number in places]
    dimensions = [len(step.coupling) for step in mine]
    rows = np.cumsum([0, *dimensions])
    coupling = np.zeros((rows[-1], (l_max + 1) ** 2, len(mine), inputs[i].ir.dim))
    for p, (step, row) in enumerate(zip(mine, rows, strict=False)):
        degree = slice(step.l**2, (step.l + 1) ** 2)
        coupling[row : row + dimensions[p], degree, p] = step.coupling
    radial = [last[:, ends[number] - steps[number].channels : ends[number]] for number in places]
    return Paths(
        multiplicity=inputs[i].mul,
        dimension=inputs[i].ir.dim,
        outputs=tuple(places),
        dimensions=tuple(dimensions),
        coupling=place(coupling),
        radial=place(np.stack(radial, axis=1)),
    )
