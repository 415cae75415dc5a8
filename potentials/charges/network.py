"""The network of a charge model: a head on frozen features, equivariant under O(3).

Products of features of equal parity couple to the degrees 0, 1 and 2, all even, of which Born
charges and dielectric tensor consist. Scalars decide, through a perceptron that also sees the mean
over the crystal, how much each product counts. The mean over the atoms is subtracted from the
charges, so that they add up to zero.
"""

from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from potentials.charges.tensors import DEGREES, coupling

N_ELEMENTS = 119
"""Atomic numbers from 0."""
MIN_SUSCEPTIBILITY = 0.05
"""Added to eps - 1 before its logarithm is taken."""
# Couplings (l, l', L): all of equal degrees, and of unequal ones that of the most channels.
_PRODUCTS = tuple((degree, degree, result) for degree in (1, 2, 3) for result in DEGREES)
_PRODUCTS += ((1, 3, 2),)
# What a sum of k gated products is multiplied by, besides 1 / sqrt(k): the size of labels, in e for
# the antisymmetric and the symmetric part, and in eps - 1 for the dielectric tensor.
_ANTISYMMETRIC, _SYMMETRIC, _ANISOTROPY = 0.2, 0.5, 0.3
_SCALAR_LIMIT = 6.0  # standard deviations: nothing beyond was learned


@dataclass(frozen=True)
class NetworkSizes:
    """How large a network is.

    Attributes
    ----------
    inputs : tuple of int
        Features of degree 0, 1, 2 and 3.
    mixed : tuple of int
        Channels of degree 1, 2 and 3 that are multiplied with each other.
    width, context, embedding : int
        Features of an atom inside, of the crystal, of an element.
    n_functionals : int
        Kinds of labels.
    """

    inputs: tuple[int, int, int, int]
    mixed: tuple[int, int, int] = (32, 32, 24)
    width: int = 192
    context: int = 64
    embedding: int = 32
    n_functionals: int = 2


class Batch(NamedTuple):
    """Inequivalent atoms of some crystals.

    Attributes
    ----------
    scalars : Tensor, shape (n_atoms, n_scalars)
        Degree 0.
    others : tuple of Tensor, each of shape (n_atoms, 2 l + 1, n_features)
        Degrees 1, 2 and 3.
    numbers, crystals : Tensor, shape (n_atoms,)
        Atomic number, and index of the crystal.
    counts : Tensor, shape (n_atoms,)
        How many equivalent atoms it stands for.
    functionals : Tensor, shape (n_crystals,)
        Index of the functional that is to be imitated.
    projectors : Tensor, shape (n_crystals, 9, 9)
        Mean of a tensor over the operations of the crystal, in components of `tensor_basis`.
    """

    scalars: Tensor
    others: tuple[Tensor, Tensor, Tensor]
    numbers: Tensor
    crystals: Tensor
    counts: Tensor
    functionals: Tensor
    projectors: Tensor

    def mean(self, values: Tensor) -> Tensor:
        """Mean (n_crystals, ...) over the atoms that are listed, each as often as it counts."""
        weights = self.counts.view(-1, *[1] * (values.dim() - 1))
        sums = values.new_zeros(len(self.functionals), *values.shape[1:])
        sums = sums.index_add(0, self.crystals, values * weights)
        totals = weights.new_zeros(len(sums)).index_add(0, self.crystals, self.counts)
        return sums / totals.view(-1, *[1] * (values.dim() - 1))

    def tensor_mean(self, components: Tensor) -> Tensor:
        """Mean (n_crystals, 9) over all atoms of the crystal, equivalent ones turned."""
        return torch.einsum("cij,cj->ci", self.projectors, self.mean(components))

    def neutralize(self, components: Tensor) -> Tensor:
        """Components (n_atoms, 9) less their mean over the crystal."""
        return components - self.tensor_mean(components)[self.crystals]


class ChargeNetwork(nn.Module):
    """Born charges and dielectric tensor of the atoms of a batch.

    Parameters
    ----------
    sizes : NetworkSizes
        How large.
    dropout : float
        Share of inputs that is left out of a training step.
    """

    scalar_mean: Tensor
    scalar_scale: Tensor
    element_charges: Tensor
    dielectric_scale: Tensor

    def __init__(self, sizes: NetworkSizes, dropout: float = 0.0) -> None:
        super().__init__()
        scalars, *others = sizes.inputs
        width, context = sizes.width, sizes.context
        self.sizes = sizes
        for name, shape in {
            "scalar_mean": (scalars,),
            "scalar_scale": (scalars,),
            **{f"scale_{degree}": (n,) for degree, n in enumerate(others, 1)},
            "element_charges": (N_ELEMENTS,),
            "dielectric_scale": (2,),
        }.items():
            self.register_buffer(name, torch.zeros(shape))
        self.elements = nn.Embedding(N_ELEMENTS, sizes.embedding)
        self.functionals = nn.Embedding(sizes.n_functionals, sizes.embedding)
        self.dropout = nn.Dropout(dropout)
        self.enter = nn.Linear(scalars + 2 * sizes.embedding, width)
        pairs = zip(others, sizes.mixed, strict=True)
        self.mix = nn.ModuleList(nn.Linear(n, 2 * k, bias=False) for n, k in pairs)
        n_products = [sum(self._count_channels(p) for p in _PRODUCTS if p[2] == d) for d in DEGREES]
        n_products[2] += others[1]
        self.join = self._make_layer(width + n_products[0], width, dropout)
        self.gather = nn.Linear(2 * width, context)
        self.judge = nn.Sequential(
            self._make_layer(width + context, width, dropout), nn.Linear(width, width), nn.SiLU()
        )
        self.charge = nn.Linear(width, 1)
        self.antisymmetric = nn.Linear(width, n_products[1])
        self.symmetric = nn.Linear(width, n_products[2])
        self.anisotropy = nn.Linear(width, n_products[2])
        end = nn.Linear(context, 1)
        self.dielectric = nn.Sequential(nn.Linear(width + context, context), nn.SiLU(), end)
        for last in (self.charge, end):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the tensors of a batch.

        Parameters
        ----------
        batch : Batch
            Features as the potentials give them.

        Returns
        -------
        charges : Tensor, shape (n_atoms, 9)
            Born charges in e, in components of `tensor_basis`.
        susceptibility : Tensor, shape (n_crystals,)
            Logarithm of the mean of eps - 1 + `MIN_SUSCEPTIBILITY`, in units of its spread.
        anisotropy : Tensor, shape (n_crystals, 9)
            Traceless symmetric part of the dielectric tensor by the mean of eps - 1.
        """
        products = self._multiply_features(batch)
        inner = torch.cat([silu(self.enter(self._gather_scalars(batch))), products[0][:, 0]], dim=1)
        local = self.join(inner)
        gathered = torch.cat([batch.mean(local), batch.mean(local.square())], dim=1)
        context = silu(self.gather(gathered))
        state = self.judge(torch.cat([local, context[batch.crystals]], dim=1))
        trace = 3**0.5 * self.element_charges[batch.numbers][:, None] + self.charge(state)
        antisymmetric = _ANTISYMMETRIC * _sum_gated(products[1], self.antisymmetric(state))
        symmetric = _SYMMETRIC * _sum_gated(products[2], self.symmetric(state))
        charges = batch.neutralize(torch.cat([trace, antisymmetric, symmetric], dim=1))
        whole = torch.cat([context, batch.mean(state)], dim=1)
        anisotropy = _ANISOTROPY * _sum_gated(products[2], self.anisotropy(state))
        padded = torch.cat([torch.zeros_like(charges[:, :4]), anisotropy], dim=1)
        return charges, self.dielectric(whole)[:, 0], batch.tensor_mean(padded)

    def susceptibility(self, logarithm: Tensor) -> Tensor:
        """Mean of eps - 1 from the second output of the network."""
        mean, spread = self.dielectric_scale
        return torch.exp(logarithm * spread + mean) - MIN_SUSCEPTIBILITY

    def _gather_scalars(self, batch: Batch) -> Tensor:
        """All invariants of the atoms."""
        scaled = ((batch.scalars - self.scalar_mean) * self.scalar_scale).clamp(
            -_SCALAR_LIMIT, _SCALAR_LIMIT
        )
        functional = self.functionals(batch.functionals)[batch.crystals]
        return torch.cat([self.dropout(scaled), self.elements(batch.numbers), functional], dim=1)

    def _multiply_features(self, batch: Batch) -> list[Tensor]:
        """Products (n_atoms, 2 l + 1, channels) by degree; of degree 2 the features themselves."""
        scaled = [x * getattr(self, f"scale_{degree}") for degree, x in enumerate(batch.others, 1)]
        mixed = [self.mix[i](x).chunk(2, dim=2) for i, x in enumerate(scaled)]
        found: list[list[Tensor]] = [[], [], [scaled[1]]]
        for first, second, result in _PRODUCTS:
            k = self._count_channels((first, second, result))
            a, b = mixed[first - 1][0][:, :, :k], mixed[second - 1][1][:, :, :k]
            outer = (a[:, :, None] * b[:, None]).flatten(1, 2)
            matrix = coupling(first, second, result, outer.dtype).flatten(0, 1)
            found[result].append(torch.einsum("npk,pm->nmk", outer, matrix))
        return [torch.cat(parts, dim=2) for parts in found]

    def _count_channels(self, product: tuple[int, int, int]) -> int:
        """Channels of a product."""
        first, second, _ = product
        return min(self.sizes.mixed[first - 1], self.sizes.mixed[second - 1])

    @staticmethod
    def _make_layer(n_in: int, n_out: int, dropout: float) -> nn.Sequential:
        """One step of a perceptron."""
        return nn.Sequential(
            nn.Linear(n_in, n_out), nn.LayerNorm(n_out), nn.SiLU(), nn.Dropout(dropout)
        )


def _sum_gated(products: Tensor, gates: Tensor) -> Tensor:
    """Sum (n_atoms, 2 l + 1) of products, each times its gate."""
    total: Tensor = torch.einsum("nmk,nk->nm", products, gates)
    return total / sqrt(products.shape[2])
