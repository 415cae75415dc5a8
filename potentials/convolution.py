"""The equivariant convolution of NequIP, SevenNet and Nequix, without its large intermediates.

With neighbours j of atom n, spherical harmonics Y, a radial network w and the coupling C of the
tensor product, row k of path p of the convolution (Batzner et al., Nat. Commun. 13, 2453 (2022)) is

    m_nku = sum_j sum_ab C_kab Y_a(r_nj) w_pu(|r_nj|) x_jbu.

Other implementations compute the summand for every pair and store it, entry by entry. Here the sum
over the neighbours is a matrix product of Y with w x, and the coupling is applied once per atom.
Atoms with the same number of neighbours are treated together, as many at a time as the cache holds,
and the backward pass computes w x again instead of remembering it. Numbers are equal to rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from potentials.devices import to_device
from potentials.graphs import GraphUnion
from potentials.o3 import o3

# Bytes that w x may take at a time: what a core's cache holds, and enough to occupy a GPU.
_WORKSPACE = {"cpu": 2**20, "cuda": 2**28}

Groups = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Paths:
    """All paths that begin at one irrep of the input.

    Attributes
    ----------
    multiplicity, dimension : int
        Shape (u, b) of the irrep in a row of the input.
    outputs : tuple of int
        Place of each path in the output.
    dimensions : tuple of int
        Rows of each path in the first axis of the coupling.
    coupling : Tensor, shape (rows, n_harmonics, n_paths, dimension)
        C, zero where row and path do not belong together.
    radial : Tensor, shape (n_hidden, n_paths, multiplicity)
        Last layer of the radial network.
    """

    multiplicity: int
    dimension: int
    outputs: tuple[int, ...]
    dimensions: tuple[int, ...]
    coupling: Tensor
    radial: Tensor

    @property
    def width(self) -> int:
        """Entries of w x for one edge."""
        return self.radial[0].numel() * self.dimension


@dataclass(frozen=True)
class Edges:
    """What all convolutions of a pass know of the edges, which are sorted by their first atom.

    Attributes
    ----------
    harmonics : Tensor, shape (n_edges, n_harmonics)
        Spherical harmonics of the directions, of unit variance over the sphere.
    distances : Tensor of float64, shape (n_edges,)
        In Å.
    second : Tensor of int, shape (n_edges,)
        Second atom of each edge.
    groups : sequence of (int, int)
        Number of neighbours, and how many atoms in a row have it.
    """

    harmonics: Tensor
    distances: Tensor
    second: Tensor
    groups: Groups


class Connect(Protocol):
    """What prepares the edges for the convolutions of a network."""

    def __call__(self, vectors: Tensor, batch: GraphUnion) -> Any:  # noqa: ANN401 - each has its own
        """Return the edges of vectors (n_edges, 3) in Å, of float64, between atoms of a batch."""
        ...


class Convolve(Protocol):
    """A convolution."""

    def __call__(self, features: Sequence[Tensor], edges: Any) -> list[Tensor]:  # noqa: ANN401
        """Sum the messages of all neighbours, as `Convolution` does."""
        ...


@dataclass(frozen=True)
class Connection:
    """Edges for `Convolution`.

    Vectors, and what depends on nothing but them, are float64: their rounding to float32 would be
    the largest error of the forces.

    Attributes
    ----------
    l_max : int
        Largest degree of the harmonics.
    device : torch.device
        Where the network lives.
    dtype : torch.dtype
        Precision of the network.
    """

    l_max: int
    device: torch.device
    dtype: torch.dtype

    def __call__(self, vectors: Tensor, batch: GraphUnion) -> Edges:
        """Prepare the edges of a pass.

        Parameters
        ----------
        vectors : Tensor of float64, shape (n_edges, 3)
            From the first atom of each edge to the second, in Å.
        batch : GraphUnion
            The graphs.

        Returns
        -------
        Edges
            Differentiable by the vectors.
        """
        degrees = list(range(self.l_max + 1))
        harmonics = o3.spherical_harmonics(
            degrees, vectors, normalize=True, normalization="component"
        )
        return Edges(
            harmonics=harmonics.to(self.dtype),
            distances=torch.linalg.norm(vectors, dim=1),
            second=to_device(batch.pairs[1], self.device, self.dtype),
            groups=batch.groups,
        )


@dataclass(frozen=True)
class Convolution:
    """A convolution of a network.

    Attributes
    ----------
    paths : tuple of Paths
        One per irrep of the features.
    outputs : tuple of int
        Irrep of the output to which each path leads, from 0 on without a gap.
    radial : callable
        From distances (n_edges,) in Å to what the radial network gives before its last layer,
        (n_edges, n_hidden), both of float64.
    """

    paths: tuple[Paths, ...]
    outputs: tuple[int, ...]
    radial: Callable[[Tensor], Tensor] = field(repr=False)

    def __call__(self, features: Sequence[Tensor], edges: Edges) -> list[Tensor]:
        """Sum the messages of all neighbours.

        Parameters
        ----------
        features : sequence of Tensor, each of shape (n_atoms, dimension, multiplicity)
            Features of the atoms, one tensor per irrep.
        edges : Edges
            The neighbours.

        Returns
        -------
        list of Tensor, each of shape (n_atoms, dimension of the irrep, n_channels)
            One per irrep of the output; the channels of all paths to it side by side.
        """
        hidden = self.radial(edges.distances).to(edges.harmonics.dtype)
        messages: dict[int, Tensor] = {}
        for x, mine in zip(features, self.paths, strict=True):
            summed = _sum(x, hidden, edges.harmonics, edges.second, mine, edges.groups)
            pieces = torch.split(summed, list(mine.dimensions), dim=1)
            messages |= zip(mine.outputs, pieces, strict=True)
        by_irrep: list[list[Tensor]] = [[] for _ in range(max(self.outputs) + 1)]
        for place, irrep in enumerate(self.outputs):
            by_irrep[irrep].append(messages[place])
        return [torch.cat(parts, dim=2) for parts in by_irrep]


class _Sum(torch.autograd.Function):
    """Sum over the neighbours of all paths that begin at one irrep."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch gives it no type
        x: Tensor,
        hidden: Tensor,
        harmonics: Tensor,
        second: Tensor,
        paths: Paths,
        groups: Groups,
    ) -> Tensor:
        """Sums (n_atoms, rows, multiplicity) of features x (n_atoms, dimension, multiplicity)."""
        ctx.save_for_backward(x, hidden, harmonics, second)
        ctx.paths, ctx.groups = paths, groups
        coupling = paths.coupling.flatten(1)
        sums = x.new_empty(len(x), len(coupling), paths.multiplicity)
        for atoms, edges, shape in _split_edges(paths, groups, x):
            weights = torch.tensordot(hidden[edges], paths.radial, dims=1).unsqueeze(2)
            product = weights * x.index_select(0, second[edges]).unsqueeze(1)
            y = harmonics[edges].view(*shape, harmonics.shape[1])
            by_harmonic = y.mT @ product.view(*shape, paths.width)
            sums[atoms] = coupling @ by_harmonic.view(shape[0], -1, paths.multiplicity)
        return sums

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Gradients by x, hidden and harmonics."""
        x, hidden, harmonics, second = ctx.saved_tensors
        paths: Paths = ctx.paths
        coupling, radial = paths.coupling.flatten(1), paths.radial.flatten(1)
        by_x, by_hidden, by_harmonics = map(torch.zeros_like, (x, hidden, harmonics))
        for atoms, edges, shape in _split_edges(paths, ctx.groups, x):
            weights = torch.tensordot(hidden[edges], paths.radial, dims=1).unsqueeze(2)
            neighbours = x.index_select(0, second[edges]).unsqueeze(1)
            product = weights * neighbours
            y = harmonics[edges].view(*shape, harmonics.shape[1])
            by_sum = (coupling.T @ gradient[atoms]).view(shape[0], y.shape[2], paths.width)
            by_harmonics[edges] = (product.view(*shape, paths.width) @ by_sum.mT).flatten(0, 1)
            by_product = (y @ by_sum).view_as(product)
            by_weights = torch.mul(by_product, neighbours, out=product).sum(2)
            by_hidden[edges] = by_weights.flatten(1) @ radial.T
            if ctx.needs_input_grad[0]:
                by_x.index_add_(0, second[edges], by_product.mul_(weights).sum(1))
        return by_x, by_hidden, by_harmonics, None, None, None


_sum: Callable[..., Tensor] = _Sum.apply


def _split_edges(
    paths: Paths, groups: Groups, like: Tensor
) -> Iterator[tuple[slice, slice, tuple[int, int]]]:
    """Atoms, edges and (number of atoms, number of neighbours) that are treated at a time."""
    per_edge = paths.width * like.element_size()
    first_atom = first_edge = 0
    for neighbours, count in groups:
        step = max(_WORKSPACE[like.device.type] // max(per_edge * neighbours, 1), 1)
        for start in range(0, count, step):
            atoms = min(step, count - start)
            last_atom, last_edge = first_atom + atoms, first_edge + atoms * neighbours
            yield slice(first_atom, last_atom), slice(first_edge, last_edge), (atoms, neighbours)
            first_atom, first_edge = last_atom, last_edge
