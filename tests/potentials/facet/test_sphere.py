"""Harmonics, couplings and quadrature obey the algebra they claim."""

import pytest
import torch

from potentials.facet.sphere import (
    compute_couplings,
    evaluate_harmonics,
    list_degrees,
    list_natural_paths,
    make_sphere_grid,
)
from tests.potentials.facet.structures import MIRROR, ROTATION


@pytest.mark.parametrize("degree", [0, 1, 4, 6, 8, 13])
def test_grid_integrates_harmonics_of_its_degree_exactly(degree):
    """All harmonics but the constant have mean zero."""
    points, weights = make_sphere_grid(degree)
    means = weights @ evaluate_harmonics(min(degree, 11), points)
    assert means[0] == pytest.approx(1, abs=1e-14)
    assert torch.all(means[1:].abs() < 1e-13)


@pytest.mark.parametrize("degree", [4, 6, 8])
def test_grid_is_not_finer_than_needed(degree):
    """Beyond the next even degree there are errors, so that the claim is sharp."""
    points, weights = make_sphere_grid(degree)
    assert (weights @ evaluate_harmonics(degree + 2, points))[1:].abs().max() > 1e-3


def test_grid_is_its_own_image_under_the_inversion():
    points, weights = make_sphere_grid(6)
    distances = torch.cdist(points, -points)
    assert distances.min(1).values.max() < 1e-12
    assert torch.allclose(weights[distances.argmin(1)], weights)


def test_harmonics_are_orthonormal_by_component():
    points, weights = make_sphere_grid(8)
    values = evaluate_harmonics(4, points)
    assert torch.allclose(values.T @ (weights[:, None] * values), torch.eye(25).double())


def representation(operation, l_max: int) -> torch.Tensor:
    """Matrix of an operation among harmonics: ``Y(R r) = D Y(r)``."""
    points, weights = make_sphere_grid(2 * l_max)
    turned = evaluate_harmonics(l_max, points @ torch.from_numpy(operation).T)
    return turned.T @ (weights[:, None] * evaluate_harmonics(l_max, points))


@pytest.mark.parametrize("operation", [ROTATION, MIRROR, -ROTATION])
@pytest.mark.parametrize("ends", [(0, 2, 2), (1, 3, 3), (2, 2, 2), (3, 3, 2)])
def test_natural_couplings_commute_with_rotations_and_reflections(operation, ends):
    left, edge, out = (representation(operation, degree) for degree in ends)
    coupling = compute_couplings(*ends)
    before = torch.einsum("pxyz,xa,yb->pabz", coupling, left, edge)
    after = torch.einsum("pabc,zc->pabz", coupling, out)
    assert (before - after).abs().max() < 1e-12


def test_all_triangles_of_even_perimeter_are_coupled():
    assert len(list_natural_paths(2, 2, 2)) == 11
    assert list_natural_paths(0, 2, 2) == [(0, 0, 0), (0, 1, 1), (0, 2, 2)]
    assert (1, 1, 1) not in list_natural_paths(1, 1, 1)


def test_couplings_keep_the_variance():
    """Unit variance of both factors gives unit variance of each component."""
    variances = compute_couplings(2, 3, 3).square().sum((0, 1, 2))
    assert torch.allclose(variances, torch.ones(16).double())


def test_degrees_count_components():
    assert list_degrees(2).tolist() == [0, 1, 1, 1, 2, 2, 2, 2, 2]
