"""Fewer features by their principal components, for each degree apart.

Channels of a degree are combined with the same weights in all its components, so that what comes
out turns with the crystal as what went in.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from potentials.charges.network import Batch

# Of the spread of all scalars is added to that of each, lest noise is enlarged.
_SMALL = 0.02

# Features that symmetry forbids in all crystals are rounding errors, which are left as small.
_LEAST = 1e-3


@dataclass(frozen=True)
class CompressionSizes:
    """Features of degree 0, 1, 2 and 3, before and after."""

    inputs: tuple[int, int, int, int]
    outputs: tuple[int, int, int, int] = (384, 64, 64, 32)


class Compression(nn.Module):
    """Principal components of features.

    Parameters
    ----------
    sizes : CompressionSizes
        How many.
    """

    mean: Tensor
    axes_0: Tensor

    def __init__(self, sizes: CompressionSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.register_buffer("mean", torch.zeros(sizes.inputs[0]))
        for degree, shape in enumerate(zip(sizes.inputs, sizes.outputs, strict=True)):
            self.register_buffer(f"axes_{degree}", torch.zeros(shape))

    def forward(self, batch: Batch) -> Batch:
        """The same atoms with fewer features."""
        first, second, third = (
            x @ getattr(self, f"axes_{degree}") for degree, x in enumerate(batch.others, 1)
        )
        scalars = (batch.scalars - self.mean) @ self.axes_0
        return batch._replace(scalars=scalars, others=(first, second, third))


def fit_compression(sizes: CompressionSizes, batch: Batch) -> Compression:
    """Find principal components.

    Parameters
    ----------
    sizes : CompressionSizes
        How many.
    batch : Batch
        Atoms with all features.

    Returns
    -------
    Compression
        Scalars come out in units of their root mean square distance of two atoms; features of the
        other degrees with a mean square of one over all of them.
    """
    model = Compression(sizes).to(batch.scalars.dtype)
    model.mean.copy_(batch.scalars.mean(dim=0))
    scale = 1 / (batch.scalars.std(dim=0) + _SMALL * batch.scalars.std())
    scaled = (batch.scalars - model.mean) * scale
    axes = _find_axes(scaled, sizes.outputs[0])
    # The squared distance of two atoms is twice the variance, on average.
    length = (2 * (scaled @ axes).square().sum(dim=1).mean()).sqrt()
    # As precise as they are stored, so that what is fitted on top fits what is read back.
    model.axes_0.copy_((scale[:, None] * axes / length).half())
    for degree, x in enumerate(batch.others, 1):
        flat = x.flatten(0, 1)
        axes = _find_axes(flat, sizes.outputs[degree])
        size = (flat @ axes).square().mean().sqrt().clamp(min=_LEAST)
        getattr(model, f"axes_{degree}").copy_((axes / size).half())
    return model


def _find_axes(values: Tensor, count: int) -> Tensor:
    """Leading principal axes (n_features, count) of values (n, n_features)."""
    _, vectors = torch.linalg.eigh(values.T @ values)
    leading: Tensor = vectors[:, -count:].flip(1)
    return leading
