"""Forces and stresses from the energies of atoms, by one backward pass."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from potentials.devices import to_device, to_host
from potentials.graphs import GraphUnion
from potentials.interface import FloatArray


def differentiate(
    energies_of: Callable[[Tensor], Tensor], batch: GraphUnion, device: torch.device
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute energies of atoms, forces and stresses.

    With ``g_ij = dE/dr_ij``, the force on atom i is ``sum_j g_ij - sum_j g_ji``, and the stress is
    the virial ``sum_ij r_ij g_ij / volume``, which rotational invariance makes symmetric.

    Parameters
    ----------
    energies_of : callable
        From vectors (n_edges, 3) in Å, of float64, to the energies (n_atoms,) of the atoms in eV.
    batch : GraphUnion
        The graphs.
    device : torch.device
        Where to compute.

    Returns
    -------
    energies : ndarray, shape (n_atoms,)
        In eV.
    forces : ndarray, shape (n_atoms, 3)
        In eV/Å, in the order of the union.
    stresses : ndarray, shape (n_structures, 3, 3)
        In eV/Å^3, positive under tension.
    """
    vectors = to_device(batch.vectors, device, torch.float64).requires_grad_()
    first, second = to_device(batch.pairs, device, torch.float64)
    energies = energies_of(vectors)
    (gradient,) = torch.autograd.grad(energies.sum(), vectors)
    forces = gradient.new_zeros(len(batch.numbers), 3)
    forces.index_add_(0, first, gradient).index_add_(0, second, -gradient)
    virials = torch.einsum("ex,ey->exy", vectors.detach(), gradient)
    structures = to_device(batch.structures, device, torch.float64)[first]
    sums = virials.new_zeros(len(batch.volumes), 3, 3).index_add_(0, structures, virials)
    stresses = to_host(sums + sums.mT) / (2 * batch.volumes[:, np.newaxis, np.newaxis])
    return to_host(energies), to_host(forces), stresses
