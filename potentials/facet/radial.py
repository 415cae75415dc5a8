r"""Functions of the distance between two atoms.

The radial weight of a path and channel is linear in a fixed set of smooth functions,
``R_pc(r) = sum_b w_pbc B_b(r)`` (Facet, arXiv:2509.08418, which finds splines as good as the
usual perceptron for each weight). So neighbours can be summed before weights are applied, and no
array of the size (pairs, paths, channels) is ever made.

`spline`, `bessel` and `mlp` give the functions ``B_b``; all are cut off by the same
`evaluate_envelope`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

_HIDDEN = 64


def evaluate_envelope(distances: Tensor, cutoff: float) -> Tensor:
    """Return ``(1 - x^6)^4`` with ``x = r / cutoff``, and zero beyond.

    Three derivatives vanish at the cutoff, so that force constants are continuous and have a slope.

    Parameters
    ----------
    distances : Tensor, shape (...)
        Distances r in Å.
    cutoff : float
        In Å.

    Returns
    -------
    Tensor, shape (...)
        From 1 to 0.
    """
    return (1 - (distances / cutoff).clamp(max=1) ** 6) ** 4


class Spline(nn.Module):
    """Cardinal B-splines of degree five on equidistant knots (four continuous derivatives).

    Parameters
    ----------
    cutoff : float
        Centre of the last spline in Å.
    size : int
        Number of splines; their distance is ``cutoff / size``.
    """

    centres: Tensor
    scale: Tensor

    def __init__(self, cutoff: float, size: int) -> None:
        super().__init__()
        self.step = cutoff / size
        centres = torch.arange(1, size + 1, dtype=torch.float64)
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("scale", _compute_unit_scale(self._splines, cutoff), persistent=False)

    def forward(self, distances: Tensor) -> Tensor:
        """Evaluate all splines.

        Parameters
        ----------
        distances : Tensor, shape (...)
            In Å.

        Returns
        -------
        Tensor, shape (..., size)
            Of unit variance over the ball of the cutoff.
        """
        return self.scale * self._splines(distances)

    def _splines(self, distances: Tensor) -> Tensor:
        """Schoenberg's formula in truncated powers, which vanish from three steps on."""
        x = (distances[..., None] / self.step - self.centres).abs()
        powers = [coefficient * (end - x).relu() ** 5 for coefficient, end in _QUINTIC]
        return (powers[0] + powers[1] + powers[2]) / 120


_QUINTIC = ((1, 3), (-6, 2), (15, 1))


class Bessel(nn.Module):
    """Spherical waves ``sin(n pi r / cutoff) / r`` (Gasteiger et al., arXiv:2003.03123, eq. 7).

    Parameters
    ----------
    cutoff : float
        Common zero in Å.
    size : int
        Number of waves.
    """

    wave_numbers: Tensor
    scale: Tensor

    def __init__(self, cutoff: float, size: int) -> None:
        super().__init__()
        wave_numbers = torch.arange(1, size + 1, dtype=torch.float64) * (torch.pi / cutoff)
        self.register_buffer("wave_numbers", wave_numbers, persistent=False)
        self.register_buffer("scale", _compute_unit_scale(self._waves, cutoff), persistent=False)

    def forward(self, distances: Tensor) -> Tensor:
        """Evaluate all waves.

        Parameters
        ----------
        distances : Tensor, shape (...)
            In Å.

        Returns
        -------
        Tensor, shape (..., size)
            Of unit variance over the ball of the cutoff.
        """
        return self.scale * self._waves(distances)

    def _waves(self, distances: Tensor) -> Tensor:
        r = distances[..., None]
        return (self.wave_numbers * r).sin() / r


class Mlp(nn.Module):
    """Learned functions: a perceptron of the spherical waves, shared by all paths and channels.

    Parameters
    ----------
    cutoff : float
        In Å.
    size : int
        Number of waves and of functions.
    """

    def __init__(self, cutoff: float, size: int) -> None:
        super().__init__()
        self.waves = Bessel(cutoff, size)
        self.hidden = nn.Linear(size, _HIDDEN, dtype=torch.float64)
        self.out = nn.Linear(_HIDDEN, size, bias=False, dtype=torch.float64)
        nn.init.normal_(self.hidden.weight, std=size**-0.5)
        nn.init.normal_(self.out.weight, std=(_HIDDEN / 3) ** -0.5)

    def forward(self, distances: Tensor) -> Tensor:
        """Evaluate the functions.

        Parameters
        ----------
        distances : Tensor, shape (...)
            In Å.

        Returns
        -------
        Tensor, shape (..., size)
            Of about unit variance.
        """
        values: Tensor = self.out(nn.functional.silu(self.hidden(self.waves(distances))))
        return values


RADIALS: dict[str, Callable[[float, int], nn.Module]] = {
    "spline": Spline,
    "bessel": Bessel,
    "mlp": Mlp,
}


def _compute_unit_scale(functions: Callable[[Tensor], Tensor], cutoff: float) -> Tensor:
    """Factors that make the mean square over a ball of atoms one, envelope included."""
    r = (torch.arange(1000, dtype=torch.float64) + 0.5) * (cutoff / 1000)
    squares = (functions(r) * evaluate_envelope(r, cutoff)[:, None]) ** 2
    return (3 * (squares * (r[:, None] / cutoff) ** 2).mean(0)).rsqrt()
