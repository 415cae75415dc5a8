"""The convolution is that of sevenn, in energies and gradients."""

from functools import cache

import numpy as np
import pytest
import sevenn._keys as key
import torch
from e3nn.o3 import Irreps
from sevenn import util
from sevenn.nn.convolution import IrrepsConvolution

from potentials import convolution, load_potential
from potentials.convolution import GROUPS, Convolution

NEIGHBOURS = (0, 2, 2, 3, 5)  # of each atom


@pytest.fixture(autouse=True)
def random_numbers():
    torch.manual_seed(1)


def small_convolution() -> IrrepsConvolution:
    """A convolution with random weights, of irreps of both parities."""
    layer = IrrepsConvolution(
        irreps_x=Irreps("3x0e+2x1o"),
        irreps_filter=Irreps("0e+1o+2e"),
        irreps_out=Irreps("3x0e+2x1o+2x1e+2x2e"),
        weight_layer_input_to_hidden=[4, 5],
        lazy_layer_instantiate=False,
    )
    return layer.double().requires_grad_(requires_grad=False)


@cache
def published_model(name: str) -> torch.nn.Module:
    """A model as sevenn builds it."""
    model = util.load_checkpoint(util.pretrained_name_to_path(name)).build_model()
    return model.double().requires_grad_(requires_grad=False)


def published_convolution(name: str, layer: int) -> IrrepsConvolution:
    """A convolution of a published model."""
    return published_model(name).get_submodule(f"{layer}_convolution")


def inputs(layer: IrrepsConvolution) -> tuple[torch.Tensor, ...]:
    """Random features of the atoms, radial functions and harmonics of the edges."""
    product, network = layer.convolution, layer.weight_nn
    widths = (product.irreps_in1.dim, network.hs[0], product.irreps_in2.dim)
    lengths = (len(NEIGHBOURS), sum(NEIGHBOURS), sum(NEIGHBOURS))
    return tuple(
        torch.randn(length, width, dtype=torch.float64, requires_grad=True)
        for length, width in zip(lengths, widths, strict=True)
    )


def output(layer: torch.nn.Module, *arrays: torch.Tensor) -> torch.Tensor:
    """Convolved features."""
    first = torch.repeat_interleave(torch.arange(len(NEIGHBOURS)), torch.tensor(NEIGHBOURS))
    second = (7 * torch.arange(len(first)) + 3) % len(NEIGHBOURS)
    names = (key.NODE_FEATURE, key.EDGE_EMBEDDING, key.EDGE_ATTR)
    groups = zip(*np.unique(NEIGHBOURS, return_counts=True), strict=True)
    data = dict(zip(names, arrays, strict=True))
    data |= {key.EDGE_IDX: torch.stack([first, second]), GROUPS: tuple(groups)}
    return layer(data)[key.NODE_FEATURE]


@pytest.mark.parametrize(
    "layer",
    [
        small_convolution,
        lambda: published_convolution("7net-0", 0),
        lambda: published_convolution("7net-0", 2),
        lambda: published_convolution("7net-l3i5", 3),
        lambda: published_convolution("7net-l3i5", 4),
    ],
)
def test_values_and_gradients_are_those_of_sevenn(layer):
    original = layer()
    arrays = inputs(original)
    expected, found = output(original, *arrays), output(Convolution(original), *arrays)
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    direction = torch.randn_like(expected)
    theirs, mine = (torch.autograd.grad(out, arrays, direction) for out in (expected, found))
    for gradient, other in zip(mine, theirs, strict=True):
        assert torch.allclose(gradient, other, rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_finite_differences():
    layer = Convolution(small_convolution())
    assert torch.autograd.gradcheck(
        lambda *arrays: output(layer, *arrays), inputs(small_convolution())
    )


@pytest.mark.parametrize("size", [1, 2000, 10**9])
def test_results_do_not_depend_on_the_workspace(size, monkeypatch):
    layer = Convolution(small_convolution())
    arrays = inputs(small_convolution())
    expected = output(layer, *arrays)
    monkeypatch.setattr(convolution, "_WORKSPACE", {"cpu": size})
    assert torch.allclose(output(layer, *arrays), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", ["7net-0", "7net-l3i5"])
def test_every_convolution_of_a_model_is_replaced(name):
    kinds = [type(module) for module in load_potential(name, parity=False).model.children()]
    assert kinds.count(Convolution) == 5
    assert IrrepsConvolution not in kinds
