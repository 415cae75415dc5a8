"""Functions on the sphere: real spherical harmonics, their couplings, and a grid that is exact.

Features are coefficients of functions on the sphere, ``f(r) = sum_lm f_lm Y_lm(r)``, with e3nn's
real harmonics in component normalisation (``sum_m Y_lm^2 = 2l + 1``) and index ``l^2 + l + m``.
All have natural parity ``(-1)^l``: an improper operation acts on them as on functions. The product
of two such features is one again only if ``l1 + l2 + l3`` is even, and there Clebsch-Gordan and
Gaunt coefficients are proportional; nothing that couples natural parities is left out.
"""

import torch
from numpy.polynomial.legendre import leggauss
from torch import Tensor

from potentials.o3 import o3

Path = tuple[int, int, int]


def count_components(l_max: int) -> int:
    """Return the number of coefficients of degrees 0 to `l_max`.

    Parameters
    ----------
    l_max : int
        Largest degree.

    Returns
    -------
    int
        ``(l_max + 1)^2``.
    """
    return (l_max + 1) ** 2


def list_degrees(l_max: int) -> Tensor:
    """Return the degree of each coefficient.

    Parameters
    ----------
    l_max : int
        Largest degree.

    Returns
    -------
    Tensor of int64, shape ((l_max + 1)^2,)
        0, 1, 1, 1, 2, ...
    """
    each = torch.arange(l_max + 1)
    return each.repeat_interleave(2 * each + 1)


def evaluate_harmonics(l_max: int, vectors: Tensor) -> Tensor:
    """Evaluate the real spherical harmonics in the directions of vectors.

    Parameters
    ----------
    l_max : int
        Largest degree.
    vectors : Tensor, shape (..., 3)
        Of any length but zero.

    Returns
    -------
    Tensor, shape (..., (l_max + 1)^2)
        Component-normalised.
    """
    values: Tensor = o3.spherical_harmonics(
        list(range(l_max + 1)), vectors, normalize=True, normalization="component"
    )
    return values


def list_natural_paths(l_in: int, l_edge: int, l_out: int) -> list[Path]:
    """List the couplings ``l1 x l2 -> l3`` of natural parities.

    Parameters
    ----------
    l_in, l_edge, l_out : int
        Largest degrees of the two factors and of the product.

    Returns
    -------
    list of (int, int, int)
        Triangles of even perimeter.
    """
    return [
        (l1, l2, l3)
        for l3 in range(l_out + 1)
        for l1 in range(l_in + 1)
        for l2 in range(l_edge + 1)
        if abs(l1 - l2) <= l3 <= l1 + l2 and (l1 + l2 + l3) % 2 == 0
    ]


def compute_couplings(l_in: int, l_edge: int, l_out: int) -> Tensor:
    """Return the Clebsch-Gordan coefficients of all natural paths.

    A path is ``sqrt((2 l3 + 1) / n)`` times Wigner's 3j symbol, where n paths lead to ``l3``:
    factors of unit variance in each component make a product of unit variance.

    Parameters
    ----------
    l_in, l_edge, l_out : int
        Largest degrees of the two factors and of the product.

    Returns
    -------
    Tensor of float64, shape (n_paths, (l_in + 1)^2, (l_edge + 1)^2, (l_out + 1)^2)
        In the order of `list_natural_paths`.
    """
    paths = list_natural_paths(l_in, l_edge, l_out)
    shape = (len(paths), *map(count_components, (l_in, l_edge, l_out)))
    result = torch.zeros(shape, dtype=torch.float64)
    for block, path in zip(result, paths, strict=True):
        competitors = sum(other[2] == path[2] for other in paths)
        scale = ((2 * path[2] + 1) / competitors) ** 0.5
        block[_list_components(path)] = scale * o3.wigner_3j(*path, dtype=torch.float64)
    return result


def _list_components(path: Path) -> tuple[slice, ...]:
    """Coefficients of each degree of a path."""
    return tuple(slice(degree**2, (degree + 1) ** 2) for degree in path)


def make_sphere_grid(degree: int) -> tuple[Tensor, Tensor]:
    """Return points and weights that integrate polynomials on the sphere exactly.

    Gauss-Legendre nodes along the polar axis (e3nn's y), equidistant azimuths around it. The
    number of azimuths is even, so that the grid is its own image under the inversion.

    Parameters
    ----------
    degree : int
        Largest total degree that is integrated without error.

    Returns
    -------
    points : Tensor of float64, shape (n_points, 3)
        Unit vectors.
    weights : Tensor of float64, shape (n_points,)
        Positive, of sum one.
    """
    cosines, weights = map(torch.from_numpy, leggauss(degree // 2 + 1))
    n_azimuths = 2 * (degree // 2 + 1)
    azimuths = torch.arange(n_azimuths, dtype=torch.float64) * (2 * torch.pi / n_azimuths)
    cosine, azimuth = (x.flatten() for x in torch.meshgrid(cosines, azimuths, indexing="ij"))
    sine = (1 - cosine**2).sqrt()
    points = torch.stack([sine * azimuth.sin(), cosine, sine * azimuth.cos()], dim=-1)
    return points, weights.repeat_interleave(n_azimuths) / (2 * n_azimuths)
