"""Functions of the distance are smooth, scaled and cut off."""

import pytest
import torch

from potentials.facet.radial import RADIALS, Bessel, Spline, evaluate_envelope

CUTOFF = 5.0


def nth_derivative(function, order: int, at: torch.Tensor) -> torch.Tensor:
    """Derivative by repeated differentiation of a sum."""
    x = at.clone().requires_grad_()
    value = function(x)
    for _ in range(order):
        (value,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    return value.detach()


def test_envelope_vanishes_with_three_derivatives():
    edge = torch.tensor([CUTOFF - 1e-6], dtype=torch.float64)
    sizes = [
        nth_derivative(lambda r: evaluate_envelope(r, CUTOFF), order, edge).abs().item()
        for order in range(5)
    ]
    assert max(sizes[:4]) < 1e-3
    assert sizes[4] > 1
    assert evaluate_envelope(edge + 1, CUTOFF).item() == 0


def test_envelope_is_one_at_the_origin():
    assert evaluate_envelope(torch.zeros(1), CUTOFF).item() == 1


def test_splines_are_a_partition_of_unity():
    """Away from the ends the plain B-splines sum to one."""
    spline = Spline(CUTOFF, 12)
    r = torch.linspace(1.5, 3.5, 40, dtype=torch.float64)
    assert torch.allclose((spline(r) / spline.scale).sum(-1), torch.ones_like(r))


def test_splines_have_four_continuous_derivatives():
    """The fifth jumps at each knot."""
    spline = Spline(CUTOFF, 8)
    knot = 4 * spline.step + torch.tensor([[-1e-7], [1e-7]], dtype=torch.float64)
    derivatives = [nth_derivative(lambda r: spline(r)[..., 4], n, knot) for n in range(6)]
    jumps = [(after - before).abs().item() for before, after in derivatives]
    assert max(jumps[:5]) < 1e-3
    assert jumps[5] > 1


def test_bessel_functions_vanish_at_the_cutoff():
    waves = Bessel(CUTOFF, 6)(torch.tensor([CUTOFF], dtype=torch.float64))
    assert waves.abs().max() < 1e-14


@pytest.mark.parametrize("kind", ["spline", "bessel"])
def test_functions_have_unit_variance_in_the_ball(kind):
    generator = torch.Generator().manual_seed(0)
    r = CUTOFF * torch.rand(100_000, dtype=torch.float64, generator=generator) ** (1 / 3)
    values = RADIALS[kind](CUTOFF, 8)(r) * evaluate_envelope(r, CUTOFF)[:, None]
    assert torch.allclose(values.square().mean(0), torch.ones(8).double(), rtol=0.1)


def test_learned_functions_have_about_unit_variance():
    torch.manual_seed(0)
    r = torch.linspace(1.5, 4, 200, dtype=torch.float64)
    assert 0.1 < RADIALS["mlp"](CUTOFF, 8)(r).square().mean() < 10
