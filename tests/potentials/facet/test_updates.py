"""Updates commute with rotations exactly if they say so, and with reflections always."""

import pytest
import torch

from potentials.facet.updates import GridUpdate, make_update, normalize_softly
from tests.potentials.facet.structures import MIRROR, ROTATION, variant
from tests.potentials.facet.test_products import compute_gaunt_factors, rank_one_tensor
from tests.potentials.facet.test_sphere import representation


def features(l_max: int = 2, channels: int = 8) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = 6, (l_max + 1) ** 2, channels
    return 2 * torch.randn(*shape, dtype=torch.float64, generator=generator)


def equivariance_error(update, operation, l_out: int = 2) -> float:
    """Difference between turning before and after an update."""
    turn = representation(operation, 2)
    after = update(torch.einsum("xy,nyc->nxc", turn, features()))
    turn_out = turn[: (l_out + 1) ** 2, : (l_out + 1) ** 2]
    before = torch.einsum("xy,nyc->nxc", turn_out, update(features()))
    return ((after - before).norm() / before.norm()).item()


@pytest.mark.parametrize("operation", [ROTATION, MIRROR, -ROTATION])
@pytest.mark.parametrize("l_out", [0, 1, 2])
@pytest.mark.parametrize("name", ["grid_product", "gate"])
def test_exact_updates_commute_with_rotations_and_reflections(operation, l_out, name):
    update = make_update(variant(update=name), l_out)
    assert equivariance_error(update, operation, l_out) < 1e-13


@pytest.mark.parametrize("correlation", [1, 2, 4])
def test_grid_is_fine_enough_for_any_number_of_factors(correlation):
    update = make_update(variant(correlation=correlation), 2)
    assert equivariance_error(update, ROTATION) < 1e-13


def test_coarser_grid_is_not_exact():
    """The default is as coarse as it can be."""
    update = make_update(variant(grid_degree=6), 2)
    assert equivariance_error(update, ROTATION) > 1e-4


def test_perceptron_on_the_grid_commutes_with_rotations_the_better_the_finer():
    errors = []
    for degree in (6, 12, 24):
        torch.manual_seed(0)
        update = make_update(variant(update="grid_mlp", grid_degree=degree), 2)
        errors.append(equivariance_error(update, ROTATION))
    assert errors[0] > 3 * errors[1] > 9 * errors[2] > 1e-10


def test_perceptron_on_the_grid_commutes_with_the_inversion_exactly():
    update = make_update(variant(update="grid_mlp"), 2)
    assert equivariance_error(update, -torch.eye(3).double().numpy()) < 1e-13


def test_product_of_two_factors_is_gaunt_coupling():
    """What the grid does to two mixtures is the product of functions on the sphere."""
    update = make_update(variant(correlation=2), 2)
    assert isinstance(update, GridUpdate)
    left, right = update.expand(features()).chunk(2, dim=2)
    values = torch.einsum("gm,nmc->ngc", update.to_grid, update.expand(features()))
    combined = update.pointwise(values.chunk(2, dim=2))
    found = torch.einsum("mg,ngc->nmc", update.from_grid, combined)
    expected = torch.einsum(
        "xyz,nxc,nyc->nzc", rank_one_tensor(compute_gaunt_factors(2, 2, 2)), left, right
    )
    ratio = found / expected
    for rows in (slice(0, 1), slice(1, 4), slice(4, 9)):
        assert torch.allclose(ratio[:, rows], ratio[:1, rows.start, :1])


def test_update_couples_degrees_that_a_gate_does_not():
    """Scalars of the grid update depend on vectors; those of the gate do not."""
    changed = features()
    changed[:, 1:] *= 1.5
    for name, depends in (("grid_product", True), ("gate", False)):
        update = make_update(variant(update=name), 0)
        assert torch.allclose(update(changed), update(features())) is not depends


def test_soft_unit_keeps_small_features_and_bounds_large_ones():
    small, large = 1e-4 * features(), 1e4 * features()
    assert torch.allclose(normalize_softly(small), small, rtol=1e-6)
    squares = normalize_softly(large)[:, 4:9].square().mean((1, 2))
    assert torch.allclose(squares, torch.ones(6).double(), rtol=1e-6)


@pytest.mark.parametrize("name", ["grid_product", "grid_mlp", "gate"])
def test_updates_about_keep_the_variance(name):
    torch.manual_seed(0)
    update = make_update(variant(update=name, channels=64), 2)
    assert 0.2 < update(features(channels=64) / 2).square().mean() < 5
