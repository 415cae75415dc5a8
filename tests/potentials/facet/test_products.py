"""The kernels compute one product; decomposed ones break the symmetry by what they leave out."""

import pytest
import torch
from sympy.physics.wigner import wigner_3j

from potentials.facet.products import (
    ClebschGordan,
    RankOne,
    compute_gaunt_factors,
    fit_cp_factors,
    make_product,
)
from potentials.facet.sphere import compute_couplings, evaluate_harmonics, list_natural_paths
from tests.potentials.facet.structures import MIRROR, ROTATION
from tests.potentials.facet.test_sphere import representation

N_ATOMS, N_NEIGHBOURS, N_RADIAL, CHANNELS = 5, 7, 4, 3


def inputs(l_in: int, l_edge: int) -> tuple[torch.Tensor, ...]:
    """Random features, radial functions, directions and neighbours."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    directions = evaluate_harmonics(l_edge, normal(N_ATOMS, N_NEIGHBOURS, 3))
    neighbours = torch.randint(N_ATOMS, (N_ATOMS, N_NEIGHBOURS), generator=generator)
    radial = normal(N_ATOMS, N_NEIGHBOURS, N_RADIAL)
    return normal(N_ATOMS, (l_in + 1) ** 2, CHANNELS), radial, directions, neighbours


def rank_one_tensor(factors) -> torch.Tensor:
    return torch.einsum("rx,ry,zr->xyz", *factors)


@pytest.mark.parametrize("ends", [(0, 2, 2), (1, 3, 3), (2, 2, 2)])
def test_clebsch_gordan_is_the_sum_over_neighbours_paths_and_components(ends):
    """The formula of the module's docstring, term by term."""
    product = ClebschGordan(*ends, CHANNELS, N_RADIAL)
    features, radial, directions, neighbours = inputs(*ends[:2])
    expected = torch.einsum(
        "pxyz,pbc,nkb,nkxc,nky->nzc",
        *(product.coupling, product.weight, radial, features[neighbours], directions),
    )
    found = product(features, radial, directions, neighbours)
    assert torch.allclose(found, expected, atol=1e-12)


def gaunt_per_path(ends) -> torch.Tensor:
    """Gaunt's integral over the Clebsch-Gordan path, from the literature's 3j symbols."""
    return torch.tensor(
        [
            float(((2 * l1 + 1) * (2 * l2 + 1)) ** 0.5 * abs(wigner_3j(l1, l2, l3, 0, 0, 0)))
            for l1, l2, l3 in list_natural_paths(*ends)
        ],
        dtype=torch.float64,
    )


@pytest.mark.parametrize("ends", [(1, 1, 1), (1, 3, 3), (2, 2, 2), (3, 3, 3)])
def test_gaunt_coefficients_are_clebsch_gordan_times_known_factors(ends):
    gaunt, paths = rank_one_tensor(compute_gaunt_factors(*ends)), compute_couplings(*ends)
    overlaps = torch.einsum("pxyz,xyz->p", paths, gaunt) / paths.square().sum((1, 2, 3))
    assert torch.allclose(torch.einsum("p,pxyz->xyz", overlaps, paths), gaunt, atol=1e-12)
    ratio = overlaps.abs() / gaunt_per_path(ends)
    out_degree = torch.tensor([path[2] for path in list_natural_paths(*ends)])
    for degree in range(ends[2] + 1):
        same = ratio[out_degree == degree]
        assert torch.allclose(same, same[:1].expand_as(same))


@pytest.mark.parametrize("ends", [(1, 2, 2), (2, 2, 2)])
def test_gaunt_kernel_equals_the_exact_one_with_its_path_weights(ends):
    gaunt = RankOne(compute_gaunt_factors(*ends), CHANNELS, N_RADIAL, persistent=False)
    exact = ClebschGordan(*ends, CHANNELS, N_RADIAL)
    tensor = rank_one_tensor(compute_gaunt_factors(*ends))
    norms = exact.coupling.square().sum((1, 2, 3))
    overlaps = torch.einsum("pxyz,xyz->p", exact.coupling, tensor) / norms
    exact.weight.data = overlaps[:, None, None] * gaunt.weight.data
    arguments = inputs(*ends[:2])
    assert torch.allclose(gaunt(*arguments), exact(*arguments), atol=1e-12)


@pytest.mark.parametrize("name", ["cg", "gaunt"])
@pytest.mark.parametrize("operation", [ROTATION, MIRROR, -ROTATION])
def test_exact_kernels_commute_with_rotations_and_reflections(name, operation):
    product = make_product(name, 2, 2, CHANNELS, N_RADIAL, rank=1)
    assert equivariance_error(product, operation) < 1e-12


def equivariance_error(product, operation) -> float:
    """Difference between turning before and after a product."""
    features, radial, directions, neighbours = inputs(2, 2)
    turn = representation(operation, 2)
    turned = torch.einsum("xy,nyc->nxc", turn, features)
    after = product(turned, radial, directions @ turn.T, neighbours)
    before = torch.einsum("xy,nyc->nxc", turn, product(features, radial, directions, neighbours))
    return ((after - before).norm() / before.norm()).item()


@pytest.mark.slow
def test_decomposition_gets_better_with_its_rank_but_stays_inexact():
    target = compute_couplings(2, 2, 2).sum(0)
    errors = [
        ((rank_one_tensor(fit_cp_factors(2, 2, 2, rank)) - target).norm() / target.norm()).item()
        for rank in (8, 16, 22)
    ]
    assert errors[0] > 0.3
    assert 0.01 < errors[1] < 0.15
    assert errors[2] < 1e-3


def test_decomposition_breaks_rotations_by_what_it_leaves_out():
    errors = [
        equivariance_error(make_product("cp", 2, 2, CHANNELS, N_RADIAL, rank), ROTATION)
        for rank in (8, 22)
    ]
    assert errors[0] > 1e-2
    assert 1e-10 < errors[1] < 1e-3


@pytest.mark.parametrize("name", ["cg", "gaunt", "cp"])
def test_messages_of_scalars_need_no_decomposition(name):
    assert isinstance(make_product(name, 0, 2, CHANNELS, N_RADIAL, 4), ClebschGordan)


@pytest.mark.parametrize("name", ["cg", "gaunt", "cp"])
def test_products_keep_the_variance(name):
    """One neighbour of unit variance sends messages of unit variance."""
    torch.manual_seed(0)
    product = make_product(name, 2, 2, 200, N_RADIAL, 22)
    features = torch.randn(100, 9, 200, dtype=torch.float64)
    radial = torch.randn(100, 1, N_RADIAL, dtype=torch.float64)
    directions = evaluate_harmonics(2, torch.randn(100, 1, 3, dtype=torch.float64))
    messages = product(features, radial, directions, torch.arange(100)[:, None])
    assert 0.3 < messages.square().mean() < 3
