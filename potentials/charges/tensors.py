"""Cartesian tensors of two indices as irreps: 0e + 1e + 2e in one orthonormal basis.

A Born charge couples a field and a displacement, both polar: under an isometry R it becomes
R Z R^T, so that its trace, its antisymmetric part and its symmetric traceless part are irreps of
even parity.
"""

from functools import cache
from math import sqrt

import torch
from torch import Tensor

from potentials.o3 import o3

DEGREES = (0, 1, 2)


@cache
def tensor_basis(dtype: torch.dtype = torch.float64) -> Tensor:
    """Orthonormal basis of tensors of two indices.

    Parameters
    ----------
    dtype : torch.dtype
        Precision.

    Returns
    -------
    Tensor, shape (3, 3, 9)
        The last index runs over trace, antisymmetric and symmetric traceless components.
    """
    parts = [coupling(1, 1, degree, dtype) for degree in DEGREES]
    return torch.cat(parts, dim=2)


@cache
def coupling(first: int, second: int, result: int, dtype: torch.dtype) -> Tensor:
    """Coupling of two degrees to a third, that keeps lengths.

    Parameters
    ----------
    first, second, result : int
        Degrees.
    dtype : torch.dtype
        Precision.

    Returns
    -------
    Tensor, shape (2 first + 1, 2 second + 1, 2 result + 1)
        With orthonormal columns.
    """
    coefficients: Tensor = o3.wigner_3j(first, second, result, dtype=torch.float64)
    return (coefficients * sqrt(2 * result + 1)).to(dtype)


def to_irreps(tensors: Tensor) -> Tensor:
    """Components (..., 9) of tensors (..., 3, 3) in `tensor_basis`."""
    components: Tensor = torch.tensordot(tensors, tensor_basis(tensors.dtype), dims=2)
    return components


def to_tensors(components: Tensor) -> Tensor:
    """Tensors (..., 3, 3) of components (..., 9) in `tensor_basis`."""
    basis = tensor_basis(components.dtype).permute(2, 0, 1)
    tensors: Tensor = torch.tensordot(components, basis, dims=1)
    return tensors
