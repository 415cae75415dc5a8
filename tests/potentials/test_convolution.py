"""The convolution is that of sevenn, in energies and gradients; the compiled one is ours."""

from functools import cache

import numpy as np
import pytest
import sevenn._keys as key
import torch
from e3nn.o3 import Irreps
from sevenn import util
from sevenn.nn.convolution import IrrepsConvolution
from sevenn.nn.edge_embedding import BesselBasis, EdgeEmbedding, SphericalEncoding, XPLORCutoff

from potentials import convolution, load_potential
from potentials.convolution import Connection
from potentials.graphs import GraphUnion, NeighbourGraph, join_graphs
from potentials.kernels import CompiledConnection, KernelUnavailableError, make_intervals
from potentials.sevennet import EDGES, ConvolutionModule, convert_convolution

pytestmark = pytest.mark.slow

NEIGHBOURS = (0, 2, 2, 3, 5)  # of each atom
CUTOFF = 5.0


@pytest.fixture(autouse=True)
def random_numbers():
    torch.manual_seed(1)


def small_convolution() -> IrrepsConvolution:
    """A convolution with random weights, of irreps of both parities."""
    layer = IrrepsConvolution(
        irreps_x=Irreps("3x0e+2x1o"),
        irreps_filter=Irreps("0e+1o+2e"),
        irreps_out=Irreps("3x0e+2x1o+2x1e+2x2e"),
        weight_layer_input_to_hidden=[8, 5],
        weight_layer_act=torch.nn.functional.silu,
        lazy_layer_instantiate=False,
    )
    return layer.double().requires_grad_(requires_grad=False)


def small_embedding() -> EdgeEmbedding:
    """Inputs of its radial network; the cutoff has a kink."""
    parts = BesselBasis(CUTOFF), XPLORCutoff(CUTOFF, 4.5), SphericalEncoding(2)
    return EdgeEmbedding(*parts).double().requires_grad_(requires_grad=False)


@cache
def published_model(name: str) -> torch.nn.Module:
    """A model as sevenn builds it."""
    model = util.load_checkpoint(util.pretrained_name_to_path(name)).build_model()
    return model.double().requires_grad_(requires_grad=False)


def published(name: str, layer: int) -> tuple[IrrepsConvolution, EdgeEmbedding]:
    """A convolution of a published model."""
    model = published_model(name)
    return model.get_submodule(f"{layer}_convolution"), model.get_submodule("edge_embedding")


LAYERS = {
    "small": lambda: (small_convolution(), small_embedding()),
    "7net-0, first": lambda: published("7net-0", 0),
    "7net-0, third": lambda: published("7net-0", 2),
    "7net-l3i5, fourth": lambda: published("7net-l3i5", 3),
    "7net-l3i5, last": lambda: published("7net-l3i5", 4),
}


@pytest.fixture(params=LAYERS)
def layer(request) -> tuple[IrrepsConvolution, EdgeEmbedding]:
    """A convolution of sevenn and what gives its inputs."""
    return LAYERS[request.param]()


def batch() -> GraphUnion:
    """Atoms with different numbers of neighbours."""
    first = np.repeat(np.arange(len(NEIGHBOURS)), NEIGHBOURS)
    pairs = np.stack([first, (7 * np.arange(len(first)) + 3) % len(NEIGHBOURS)])
    vectors = np.random.default_rng(1).normal(size=(len(first), 3))
    lengths = np.linspace(1, 4.9, len(first))[:, None]
    vectors *= lengths / np.linalg.norm(vectors, axis=1, keepdims=True)
    return join_graphs([NeighbourGraph(np.ones(len(NEIGHBOURS), dtype=int), 1.0, pairs, vectors)])


def inputs(original: IrrepsConvolution) -> tuple[torch.Tensor, ...]:
    """Random features of the atoms, and the vectors of the edges."""
    features = torch.randn(len(NEIGHBOURS), original.convolution.irreps_in1.dim).double()
    return features.requires_grad_(), torch.from_numpy(batch().vectors).requires_grad_()


def theirs(original: IrrepsConvolution, embedding: EdgeEmbedding, x, vectors) -> torch.Tensor:
    """Convolved features by sevenn."""
    data = embedding({key.EDGE_VEC: vectors})
    data |= {key.NODE_FEATURE: x, key.EDGE_IDX: torch.from_numpy(batch().pairs)}
    return original(data)[key.NODE_FEATURE]


def ours(module: ConvolutionModule, connect, x, vectors) -> torch.Tensor:
    """Convolved features by a module of ours."""
    data = {key.NODE_FEATURE: x, EDGES: connect(vectors, batch())}
    return module(data)[key.NODE_FEATURE]


def connection(embedding: EdgeEmbedding) -> Connection:
    """What prepares the edges."""
    return Connection(embedding.spherical.lmax, torch.device("cpu"), torch.float64)


def agree(found, expected, arrays, tolerance: float) -> bool:
    """Whether values and gradients along a random direction agree, relative to the largest."""
    direction = torch.randn_like(expected)
    pairs = [(found, expected)]
    pairs += zip(
        torch.autograd.grad(found, arrays, direction.to(found)),
        torch.autograd.grad(expected, arrays, direction),
        strict=True,
    )
    return all((a - b).abs().max() <= tolerance * b.abs().max() for a, b in pairs)


def test_values_and_gradients_are_those_of_sevenn(layer):
    original, embedding = layer
    arrays = inputs(original)
    found = ours(convert_convolution(original, embedding), connection(embedding), *arrays)
    assert agree(found, theirs(original, embedding, *arrays), arrays, 1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 5e-5), ("float64", 1e-7)])
def test_compiled_convolution_is_that_of_sevenn(layer, dtype, tolerance):
    original, embedding = layer
    kink = getattr(embedding.cutoff_function, "r_on", None)
    intervals = make_intervals(CUTOFF, 768, (kink,) if kink else ())
    precision = getattr(torch, dtype)
    module = convert_convolution(original, embedding).compiled(intervals, precision)
    x, vectors = inputs(original)
    found = ours(module, CompiledConnection(intervals, precision), x.to(precision), vectors)
    assert agree(found, theirs(original, embedding, x, vectors), (x, vectors), tolerance)


def test_gradients_are_those_of_finite_differences():
    embedding = small_embedding()
    module, connect = convert_convolution(small_convolution(), embedding), connection(embedding)
    assert torch.autograd.gradcheck(
        lambda *arrays: ours(module, connect, *arrays), inputs(small_convolution())
    )


def test_gradients_of_the_compiled_convolution_are_those_of_finite_differences():
    intervals = make_intervals(CUTOFF, 768, (4.5,))
    module = convert_convolution(small_convolution(), small_embedding())
    connect = CompiledConnection(intervals, torch.float64)
    compiled = module.compiled(intervals, torch.float64)
    assert torch.autograd.gradcheck(
        lambda *arrays: ours(compiled, connect, *arrays),
        inputs(small_convolution()),
        atol=1e-8,
        rtol=1e-6,
    )


@pytest.mark.parametrize("size", [1, 2000, 10**9])
def test_results_do_not_depend_on_the_workspace(size, monkeypatch):
    embedding = small_embedding()
    module, connect = convert_convolution(small_convolution(), embedding), connection(embedding)
    arrays = inputs(small_convolution())
    expected = ours(module, connect, *arrays)
    monkeypatch.setattr(convolution, "_WORKSPACE", {"cpu": size})
    assert torch.allclose(ours(module, connect, *arrays), expected, rtol=1e-13, atol=1e-13)


def test_a_degree_beyond_the_compiled_code_is_told():
    layer = IrrepsConvolution(
        irreps_x=Irreps("2x0e"),
        irreps_filter=Irreps.spherical_harmonics(4),
        irreps_out=Irreps("2x4e"),
        weight_layer_input_to_hidden=[8, 5],
        weight_layer_act=torch.nn.functional.silu,
        lazy_layer_instantiate=False,
    ).double()
    module = convert_convolution(layer.requires_grad_(requires_grad=False), small_embedding())
    with pytest.raises(KernelUnavailableError, match="degrees up to 3"):
        module.compiled(make_intervals(CUTOFF, 64), torch.float64)


@pytest.mark.parametrize("name", ["7net-0", "7net-l3i5"])
def test_every_convolution_of_a_model_is_replaced(name):
    kinds = [type(module) for module in load_potential(name, parity=False).model.children()]
    assert kinds.count(ConvolutionModule) == 5
    assert IrrepsConvolution not in kinds
