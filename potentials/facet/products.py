"""Messages: neighbours' features times harmonics times radial weights, summed over neighbours.

``A_i,lm,c = n^-1/2 sum_j sum_p w_pbc B_b(r_ij) C^p_{l1m1,l2m2,lm} h_j,l1m1,c Y_l2m2(r_ij)``

with sums over paths p, functions b and components m1, m2. Since the weights are linear in the
functions, the sum over neighbours is one matrix product for each atom, and the paths are summed
afterwards, for each atom and no longer for each pair.

`cg` is exact with a weight for each path. `gaunt` and `cp` write the coupling as a sum of rank-one
terms, ``C_xyz = sum_r U_rx V_ry W_zr``, and share one weight among the paths (path-weight sharing,
arXiv:2507.01131); weights of degrees and paths are made up for by the channels that are mixed
before and after. The terms of `gaunt` are the points of an exact quadrature (arXiv:2401.10216, eqs.
3-4, on a grid where the paper uses Fourier series). Those of `cp` are fitted: below the exact rank
they are not equivariant.
"""

from functools import cache

import torch
from torch import Tensor, nn

from potentials.facet.sphere import compute_couplings, evaluate_harmonics, make_sphere_grid

Factors = tuple[Tensor, Tensor, Tensor]


class ClebschGordan(nn.Module):
    """Exact coupling, by matrix products of all paths at once.

    Parameters
    ----------
    l_in, l_edge, l_out : int
        Largest degrees of the features, the harmonics and the messages.
    channels : int
        Features of each (l, m).
    n_radial : int
        Functions of the distance.
    """

    coupling: Tensor

    def __init__(self, l_in: int, l_edge: int, l_out: int, channels: int, n_radial: int) -> None:
        super().__init__()
        coupling = compute_couplings(l_in, l_edge, l_out)
        self.register_buffer("coupling", coupling, persistent=False)
        self.weight = _make_radial_weight(len(coupling), n_radial, channels)

    def forward(
        self, features: Tensor, radial: Tensor, directions: Tensor, neighbours: Tensor
    ) -> Tensor:
        """Sum the products over neighbours.

        Parameters
        ----------
        features : Tensor, shape (n_atoms, (l_in + 1)^2, channels)
            Features of all atoms.
        radial : Tensor, shape (n_atoms, n_neighbours, n_radial)
            Functions of the distances.
        directions : Tensor, shape (n_atoms, n_neighbours, (l_edge + 1)^2)
            Harmonics of the directions.
        neighbours : Tensor of int64, shape (n_atoms, n_neighbours)
            Indices of the neighbours.

        Returns
        -------
        Tensor, shape (n_atoms, (l_out + 1)^2, channels)
            Messages.
        """
        sent = features.flatten(1).index_select(0, neighbours.flatten())
        pairs = (radial[..., None] * directions[..., None, :]).flatten(2)
        moments = sent.view(*neighbours.shape, sent.shape[1]).transpose(1, 2) @ pairs
        kernel = torch.einsum("pxyz,pbc->xcbyz", self.coupling, self.weight)
        parts = moments.transpose(0, 1) @ kernel.flatten(2, 3).flatten(0, 1)
        return parts.view(*features.shape[1:], *parts.shape[1:]).sum(0).permute(1, 2, 0)


class RankOne(nn.Module):
    """Coupling as a sum of rank-one terms with one radial weight for all paths.

    Parameters
    ----------
    factors : tuple of Tensor
        U, V, W of shapes (rank, (l_in + 1)^2), (rank, (l_edge + 1)^2), ((l_out + 1)^2, rank).
    channels : int
        Features of each (l, m).
    n_radial : int
        Functions of the distance.
    persistent : bool
        Whether the factors belong to the weights, because they could not be found again exactly.
    """

    factor_in: Tensor
    factor_edge: Tensor
    factor_out: Tensor

    def __init__(self, factors: Factors, channels: int, n_radial: int, *, persistent: bool) -> None:
        super().__init__()
        for name, factor in zip(("in", "edge", "out"), factors, strict=True):
            self.register_buffer(f"factor_{name}", factor.clone(), persistent=persistent)
        self.weight = _make_radial_weight(1, n_radial, channels)

    def forward(
        self, features: Tensor, radial: Tensor, directions: Tensor, neighbours: Tensor
    ) -> Tensor:
        """Sum the products over neighbours.

        Parameters
        ----------
        features : Tensor, shape (n_atoms, (l_in + 1)^2, channels)
            Features of all atoms.
        radial : Tensor, shape (n_atoms, n_neighbours, n_radial)
            Functions of the distances.
        directions : Tensor, shape (n_atoms, n_neighbours, (l_edge + 1)^2)
            Harmonics of the directions.
        neighbours : Tensor of int64, shape (n_atoms, n_neighbours)
            Indices of the neighbours.

        Returns
        -------
        Tensor, shape (n_atoms, (l_out + 1)^2, channels)
            Messages.
        """
        terms = torch.einsum("rx,nxc->rnc", self.factor_in, features)
        sent = terms.index_select(1, neighbours.flatten())
        pairs = torch.einsum("ry,nky->rnk", self.factor_edge, directions)[..., None] * radial
        moments = pairs.transpose(2, 3) @ sent.view(*pairs.shape[:3], sent.shape[2])
        return torch.einsum("zr,rnc->nzc", self.factor_out, (moments * self.weight[0]).sum(2))


def make_product(
    name: str, l_in: int, l_max: int, channels: int, n_radial: int, rank: int
) -> ClebschGordan | RankOne:
    """Build a product by name, with harmonics and messages of the same degree.

    Scalars times harmonics are no coupling to be decomposed: for ``l_in = 0`` all kernels are one.

    Parameters
    ----------
    name : {"cg", "gaunt", "cp"}
        The kernel.
    l_in, l_max : int
        Largest degrees of the features, and of the harmonics and messages.
    channels, n_radial : int
        Features of each (l, m); functions of the distance.
    rank : int
        Terms of "cp".

    Returns
    -------
    ClebschGordan or RankOne
        Freshly initialised.
    """
    if name == "cg" or l_in == 0:
        return ClebschGordan(l_in, l_max, l_max, channels, n_radial)
    if name == "gaunt":
        return RankOne(
            compute_gaunt_factors(l_in, l_max, l_max), channels, n_radial, persistent=False
        )
    return RankOne(fit_cp_factors(l_in, l_max, l_max, rank), channels, n_radial, persistent=True)


def compute_gaunt_factors(l_in: int, l_edge: int, l_out: int) -> Factors:
    """Return harmonics on a grid, whose products are Gaunt's integrals exactly.

    ``sum_g w_g Y_x(g) Y_y(g) Y_z(g)``, scaled for each l to unit variance, is
    ``sqrt((2 l1 + 1)(2 l2 + 1)) (l1 l2 l3; 0 0 0)`` times a Clebsch-Gordan path.

    Parameters
    ----------
    l_in, l_edge, l_out : int
        Largest degrees of the two factors and of the product.

    Returns
    -------
    tuple of Tensor
        Factors of shapes (n_points, (l_in + 1)^2), (n_points, (l_edge + 1)^2) and
        ((l_out + 1)^2, n_points).
    """
    points, weights = make_sphere_grid(l_in + l_edge + l_out)
    left, right, out = (evaluate_harmonics(degree, points) for degree in (l_in, l_edge, l_out))
    projection = (out * weights[:, None]).T
    squares = torch.einsum("rx,ry,zr->xyz", left, right, projection).square().sum((0, 1))
    return left, right, projection / squares.sqrt()[:, None]


@cache
def fit_cp_factors(l_in: int, l_edge: int, l_out: int, rank: int, sweeps: int = 500) -> Factors:
    """Fit a sum of rank-one terms to the sum of all paths, by alternating least squares.

    The canonical polyadic decomposition of tensor decomposition networks (arXiv:2507.01131).

    Parameters
    ----------
    l_in, l_edge, l_out : int
        Largest degrees of the two factors and of the product.
    rank : int
        Number of terms.
    sweeps : int
        Rounds over the three factors.

    Returns
    -------
    tuple of Tensor
        Factors of shapes (rank, (l_in + 1)^2), (rank, (l_edge + 1)^2), ((l_out + 1)^2, rank).
    """
    target = compute_couplings(l_in, l_edge, l_out).sum(0)
    generator = torch.Generator().manual_seed(rank)
    factors = [
        torch.randn(rank, size, dtype=torch.float64, generator=generator) for size in target.shape
    ]
    for _ in range(sweeps):
        for mode in range(3):
            factors[mode] = _solve_factor(target.movedim(mode, 0), factors, mode)
    left, right, out = factors
    return left, right, out.T


def _solve_factor(target: Tensor, factors: list[Tensor], mode: int) -> Tensor:
    """Solve for one factor with the other two fixed, a little damped."""
    first, second = (factor for other, factor in enumerate(factors) if other != mode)
    gram = (first @ first.T) * (second @ second.T)
    damped = gram + 1e-12 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    right = torch.einsum("xyz,ry,rz->rx", target, first, second)
    solution: Tensor = torch.linalg.solve(damped, right)
    return solution


def _make_radial_weight(n_paths: int, n_radial: int, channels: int) -> nn.Parameter:
    """Weights that turn unit variance into unit variance."""
    weight = torch.randn(n_paths, n_radial, channels, dtype=torch.float64)
    return nn.Parameter(weight / n_radial**0.5)
