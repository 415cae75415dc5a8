r"""Node updates: an atom's features are combined with each other.

`grid_product` and `grid_mlp` are the node update of Facet (arXiv:2509.08418): features become
functions on the sphere, channels are mixed, something nonlinear is done at each point of a grid,
and the result is projected back on harmonics. What is done at the points decides the symmetry. The
projection is an integral. A grid has the value of the integral for all orientations of the crystal
only if it integrates exactly, that is, only for polynomials up to its degree.

- `grid_mlp` applies SiLU, as the paper does. That is no polynomial: rotations change energies by an
  error that falls with the resolution, but never vanishes. (Inversion is exact, because the grid is
  inversion-symmetric.)
- `grid_product`, the default, multiplies `correlation` independent mixtures of the channels. The
  integrand is a polynomial of degree ``correlation l_max + l_out``, for which there is an exact
  grid. What has to be more than a polynomial is done by smooth functions of invariants, which need
  no grid: `normalize_softly` keeps the factors bounded, `ScalarGate` scales the product.

A pointwise product of mixed channels is also a tensor decomposition: summed over channels, products
of `correlation` linear forms span all symmetric polynomials of that order. So one message of
two-body functions gives ``correlation + 1``-body functions, like the symmetric contraction of MACE
(arXiv:2206.07697), whose coupling coefficients it does not need.

`gate` scales each degree by functions of the scalars, and couples nothing.
"""

import math
from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from potentials.facet.config import FacetConfig
from potentials.facet.sphere import (
    count_components,
    evaluate_harmonics,
    list_degrees,
    make_sphere_grid,
)

# Makes the mean square of SiLU one for normal input.
_SILU_SCALE = 1.6766
# Makes the variance of a sum of two equal ones that of each.
HALF = 0.5**0.5

Pointwise = Callable[[Sequence[Tensor]], Tensor]


class DegreeLinear(nn.Module):
    """Mixture of the channels, one matrix for each degree: the equivariant linear map.

    Parameters
    ----------
    l_max : int
        Largest degree.
    channels_in, channels_out : int
        Features of each (l, m), before and after.
    """

    degree: Tensor

    def __init__(self, l_max: int, channels_in: int, channels_out: int) -> None:
        super().__init__()
        weight = torch.randn(l_max + 1, channels_in, channels_out, dtype=torch.float64)
        self.weight = nn.Parameter(weight / channels_in**0.5)
        self.register_buffer("degree", list_degrees(l_max), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Mix channels.

        Parameters
        ----------
        features : Tensor, shape (n_atoms, (l_max + 1)^2, channels_in)
            Coefficients.

        Returns
        -------
        Tensor, shape (n_atoms, (l_max + 1)^2, channels_out)
            Of the same variance at initialisation.
        """
        return torch.einsum("nmc,mcd->nmd", features, self.weight[self.degree])


def normalize_softly(features: Tensor) -> Tensor:
    """Divide each degree by ``sqrt(1 + s)``, where s is the mean square of its features.

    Small features stay, large ones become unit vectors, so that products of them are bounded
    however dense the surroundings are.

    Parameters
    ----------
    features : Tensor, shape (n_atoms, (l_max + 1)^2, channels)
        Coefficients.

    Returns
    -------
    Tensor, shape (n_atoms, (l_max + 1)^2, channels)
        Bounded coefficients.
    """
    l_max = math.isqrt(features.shape[1]) - 1
    parts = torch.split(features, [2 * degree + 1 for degree in range(l_max + 1)], dim=1)
    scales = [(1 + part.square().mean((1, 2), keepdim=True)).rsqrt() for part in parts]
    return torch.cat([part * scale for part, scale in zip(parts, scales, strict=True)], dim=1)


class ScalarGate(nn.Module):
    """Scaling of each degree and channel by a smooth function of the scalars.

    Parameters
    ----------
    l_max : int
        Largest degree of the features that are scaled.
    channels : int
        Features of each (l, m).
    """

    degree: Tensor

    def __init__(self, l_max: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, (l_max + 1) * channels, dtype=torch.float64)
        nn.init.normal_(self.linear.weight, std=channels**-0.5)
        self.register_buffer("degree", list_degrees(l_max), persistent=False)

    def forward(self, scalars: Tensor, features: Tensor) -> Tensor:
        """Scale features.

        Parameters
        ----------
        scalars : Tensor, shape (n_atoms, channels)
            Invariants that decide.
        features : Tensor, shape (n_atoms, (l_max + 1)^2, channels)
            Coefficients to be scaled.

        Returns
        -------
        Tensor, shape (n_atoms, (l_max + 1)^2, channels)
            Scaled coefficients.
        """
        gates = _SILU_SCALE * nn.functional.silu(self.linear(scalars))
        return features * gates.view(scalars.shape[0], -1, features.shape[2])[:, self.degree]


class GridUpdate(nn.Module):
    """Pointwise function of mixed channels on a grid on the sphere, and back.

    Parameters
    ----------
    l_in, l_out : int
        Largest degrees of the features before and after; ``l_out <= l_in``.
    channels : int
        Features of each (l, m).
    n_factors : int
        Mixtures that enter the function.
    grid_degree : int
        Degree up to which the grid integrates exactly.
    pointwise : callable
        From `n_factors` values at a point to one.
    """

    to_grid: Tensor
    from_grid: Tensor

    def __init__(
        self,
        l_in: int,
        l_out: int,
        channels: int,
        n_factors: int,
        grid_degree: int,
        pointwise: Pointwise,
    ) -> None:
        super().__init__()
        self.l_out, self.n_factors, self.pointwise = l_out, n_factors, pointwise
        self.expand = DegreeLinear(l_in, channels, n_factors * channels)
        self.gate = ScalarGate(l_out, channels)
        self.mix = DegreeLinear(l_out, channels, channels)
        self.skip = DegreeLinear(l_out, channels, channels)
        points, weights = make_sphere_grid(grid_degree)
        back = (weights[:, None] * evaluate_harmonics(l_out, points)).T
        self.register_buffer(
            "to_grid", evaluate_harmonics(l_in, points) / (l_in + 1), persistent=False
        )
        self.register_buffer("from_grid", back * (l_in + 1), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Combine features.

        Parameters
        ----------
        features : Tensor, shape (n_atoms, (l_in + 1)^2, channels)
            Coefficients.

        Returns
        -------
        Tensor, shape (n_atoms, (l_out + 1)^2, channels)
            New coefficients.
        """
        values = torch.einsum("gm,nmc->ngc", self.to_grid, self.expand(normalize_softly(features)))
        combined = self.pointwise(values.chunk(self.n_factors, dim=2))
        projected = torch.einsum("mg,ngc->nmc", self.from_grid, combined)
        kept = self.skip(features[:, : count_components(self.l_out)])
        result: Tensor = HALF * (kept + self.mix(self.gate(features[:, 0], projected)))
        return result


class Gate(nn.Module):
    """Scaling by functions of the scalars between two mixtures of channels.

    Parameters
    ----------
    l_out : int
        Largest degree of the features that are kept.
    channels : int
        Features of each (l, m).
    """

    def __init__(self, l_out: int, channels: int) -> None:
        super().__init__()
        self.l_out = l_out
        self.expand = DegreeLinear(l_out, channels, channels)
        self.gate = ScalarGate(l_out, channels)
        self.mix = DegreeLinear(l_out, channels, channels)
        self.skip = DegreeLinear(l_out, channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Scale features.

        Parameters
        ----------
        features : Tensor, shape (n_atoms, (l_in + 1)^2, channels)
            Coefficients.

        Returns
        -------
        Tensor, shape (n_atoms, (l_out + 1)^2, channels)
            New coefficients.
        """
        kept = features[:, : count_components(self.l_out)]
        scaled = self.gate(features[:, 0], self.expand(kept))
        result: Tensor = HALF * (self.skip(kept) + self.mix(scaled))
        return result


def make_update(config: FacetConfig, l_out: int) -> GridUpdate | Gate:
    """Build the update that a configuration names."""
    if config.update == "gate":
        return Gate(l_out, config.channels)
    degree = config.grid_degree or config.find_exact_grid_degree(l_out)
    sizes = config.l_max, l_out, config.channels
    if config.update == "grid_mlp":
        return GridUpdate(*sizes, 1, degree, _evaluate_silu)
    return GridUpdate(*sizes, config.correlation, degree, _multiply)


def _multiply(values: Sequence[Tensor]) -> Tensor:
    return reduce(torch.mul, values)


def _evaluate_silu(values: Sequence[Tensor]) -> Tensor:
    """SiLU of unit variance."""
    return _SILU_SCALE * nn.functional.silu(values[0])
