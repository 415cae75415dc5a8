"""Mean Born charges by kernel regression on the scalars of atoms, with inducing points.

Below some ten thousand atoms a kernel on good features errs less than a network does. A sparse one
(Quiñonero-Candela & Rasmussen, J. Mach. Learn. Res. 6, 1939 (2005): subset of regressors) keeps
the file small.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from potentials.charges.network import N_ELEMENTS, Batch


@dataclass(frozen=True)
class KernelSizes:
    """How large a kernel model is.

    Attributes
    ----------
    inputs, centres : int
        Scalars of an atom, inducing points.
    """

    inputs: int
    centres: int = 3000


class ChargeKernel(nn.Module):
    """Mean charge of atoms: sums of Gaussians around inducing points, and that of their element.

    Parameters
    ----------
    sizes : KernelSizes
        How large.
    """

    width: Tensor
    functional_distance: Tensor
    centres: Tensor
    centre_functionals: Tensor
    weights: Tensor
    element_charges: Tensor

    def __init__(self, sizes: KernelSizes) -> None:
        super().__init__()
        self.sizes = sizes
        for name, shape in {
            "width": (),
            "functional_distance": (),
            "centres": (sizes.centres, sizes.inputs),
            "centre_functionals": (sizes.centres,),
            "weights": (sizes.centres,),
            "element_charges": (N_ELEMENTS,),
        }.items():
            self.register_buffer(name, torch.zeros(shape))

    def forward(self, batch: Batch) -> Tensor:
        """Mean charges (n_atoms,) in e; they do not add up to zero."""
        kernel = self.compute_kernel(batch.scalars, batch.functionals[batch.crystals])
        return self.element_charges[batch.numbers] + kernel @ self.weights

    def compute_kernel(self, scalars: Tensor, functionals: Tensor) -> Tensor:
        """Kernel (n_atoms, n_centres) between atoms and inducing points."""
        squares = torch.cdist(scalars, self.centres).square() / self.width**2
        other = functionals[:, None] != self.centre_functionals[None]
        return torch.exp(-squares - self.functional_distance * other)


def fit_kernel(
    sizes: KernelSizes,
    batch: Batch,
    charges: Tensor,
    weights: Tensor,
    *,
    width: float = 1.0,
    noise: float = 0.003,
    functional_distance: float = 0.1,
    seed: int = 0,
) -> ChargeKernel:
    """Fit the mean charges of atoms.

    Parameters
    ----------
    sizes : KernelSizes
        How large.
    batch : Batch
        The atoms.
    charges, weights : Tensor, shape (n_atoms,)
        Mean charges in e and how much they count.
    width : float
        Width of the kernel, as a multiple of the root mean square distance of two atoms.
    noise : float
        Variance of the labels by that of the prior.
    functional_distance : float
        Squared distance between labels of two functionals, in units of the kernel's width.
    seed : int
        Chooses the inducing points.

    Returns
    -------
    ChargeKernel
        Fitted, in the precision of the batch.
    """
    model = ChargeKernel(sizes).to(batch.scalars.dtype)
    model.element_charges.copy_(average_by_element(charges, batch.numbers, weights))
    model.width.fill_(width)
    model.functional_distance.fill_(functional_distance)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(charges), generator=generator)[: sizes.centres]
    functionals = batch.functionals[batch.crystals]
    # As precise as they are stored: the weights are fitted to what is read back.
    model.centres.copy_(batch.scalars[chosen].half())
    model.centre_functionals.copy_(functionals[chosen])
    kernel = model.compute_kernel(batch.scalars, functionals)
    excess = charges - model.element_charges[batch.numbers]
    model.weights.copy_(_solve(kernel, chosen, excess, weights, noise))
    return model


def average_by_element(charges: Tensor, numbers: Tensor, weights: Tensor) -> Tensor:
    """Mean charge (N_ELEMENTS,) of each element, 0 where there is none."""
    zero = charges.new_zeros(N_ELEMENTS)
    sums = zero.index_add(0, numbers, charges * weights)
    return sums / zero.index_add(0, numbers, weights).clamp(min=1e-12)


def _solve(kernel: Tensor, chosen: Tensor, values: Tensor, weights: Tensor, noise: float) -> Tensor:
    """Weights of the inducing points (subset of regressors)."""
    weighted = kernel * (weights / weights.mean())[:, None]
    matrix = weighted.T @ kernel + noise * kernel[chosen]
    matrix = (matrix + matrix.T) / 2
    matrix.diagonal().add_(1e-7 * matrix.diagonal().mean())
    solution: Tensor = torch.linalg.solve(matrix, weighted.T @ values)
    return solution
