"""The compiled harmonics are those of e3nn, the derivative by the distance in the first place."""

import numpy as np
import pytest
import torch
from e3nn.o3 import spherical_harmonics

from potentials.graphs import NeighbourGraph, join_graphs
from potentials.kernels import CompiledConnection, make_intervals


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 3e-6), (torch.float64, 1e-13)])
def test_harmonics_and_gradients_are_those_of_e3nn(dtype, tolerance):
    rng = np.random.default_rng(2)
    vectors = torch.from_numpy(rng.normal(size=(50, 3)) * 2).requires_grad_()
    pairs = np.stack([np.arange(50) // 5, np.arange(50) % 10])
    batch = join_graphs(
        [NeighbourGraph(np.ones(10, dtype=int), 1.0, pairs, vectors.detach().numpy())]
    )
    found = CompiledConnection(make_intervals(20.0, 64), dtype)(vectors, batch).harmonics
    expected = spherical_harmonics([0, 1, 2, 3], vectors, normalize=True, normalization="component")
    assert (found - expected).abs().max() < tolerance
    weights = torch.from_numpy(rng.normal(size=(50, 16)))
    by_distance = weights[:, :1] * torch.linalg.norm(vectors, dim=1, keepdim=True)
    (slope,) = torch.autograd.grad(found, vectors, weights.to(dtype))
    (other,) = torch.autograd.grad((expected * weights).sum() + by_distance.sum(), vectors)
    assert (slope - other).abs().max() < 10 * tolerance * other.abs().max()
