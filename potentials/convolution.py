"""The equivariant convolution of NequIP, SevenNet and Nequix, without its large intermediates.

With neighbours j of atom n, spherical harmonics Y, a radial network w and the coupling C of the
tensor product, row k of path p of the convolution (Batzner et al., Nat. Commun. 13, 2453 (2022)) is

    m_nku = sum_j sum_ab C_kab Y_a(r_nj) w_pu(|r_nj|) x_jbu.

Other implementations compute the summand for every pair and store it, entry by entry. Here the sum
over the neighbours is a matrix product of Y with w x, and the coupling is applied once per atom.
Atoms with the same number of neighbours are treated together, as many at a time as the cache holds,
and the backward pass computes w x again instead of remembering it. Numbers are equal to rounding.
"""

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import sevenn._keys as key
import torch
from e3nn.o3 import TensorProduct
from sevenn.nn.convolution import IrrepsConvolution
from torch import Tensor

# Key under which the input of a model tells (number of neighbours, number of atoms) of its groups.
GROUPS = "atoms_by_number_of_neighbours"

# Bytes that w x may take at a time: what a core's cache holds, and enough to occupy a GPU.
_WORKSPACE = {"cpu": 2**20, "cuda": 2**28}

Data = MutableMapping[str, Any]
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


class Convolution(torch.nn.Module):
    """Stand-in for an `IrrepsConvolution` of sevenn.

    Parameters
    ----------
    original : IrrepsConvolution
        A convolution on its device and in its precision; its parameters are read, not trained.
    """

    def __init__(self, original: IrrepsConvolution) -> None:
        super().__init__()
        *hidden, last = original.weight_nn
        self.hidden = torch.nn.Sequential(*hidden)
        self.denominator = original.denominator
        unit = torch.eye(*last.weight.shape[:1]).to(last.weight)
        self.paths = paths_of(original.convolution, last(unit).detach())

    def forward(self, data: Data) -> Data:
        """Replace the features of the atoms by their convolution.

        Parameters
        ----------
        data : mapping
            Input of the model, its edges sorted by their first atom, its atoms by their number of
            neighbours; the groups of equal number under `GROUPS`.

        Returns
        -------
        mapping
            `data`.
        """
        sizes = [paths.multiplicity * paths.dimension for paths in self.paths]
        columns = torch.split(data[key.NODE_FEATURE], sizes, dim=1)
        features = [
            part.reshape(-1, paths.multiplicity, paths.dimension).mT.contiguous()
            for part, paths in zip(columns, self.paths, strict=True)
        ]
        hidden, second = self.hidden(data[key.EDGE_EMBEDDING]), data[key.EDGE_IDX][1]
        messages = convolve(features, hidden, data[key.EDGE_ATTR], second, self.paths, data[GROUPS])
        flat = [message.mT.flatten(1) for message in messages]
        data[key.NODE_FEATURE] = torch.cat(flat, dim=1) / self.denominator
        return data


def convolve(
    features: Sequence[Tensor],
    hidden: Tensor,
    harmonics: Tensor,
    second: Tensor,
    paths: Sequence[Paths],
    groups: Groups,
) -> list[Tensor]:
    """Sum the messages of all neighbours.

    Parameters
    ----------
    features : sequence of Tensor, each of shape (n_atoms, dimension, multiplicity)
        Features of the atoms, one tensor per irrep.
    hidden : Tensor, shape (n_edges, n_hidden)
        What the radial network gives before its last layer.
    harmonics : Tensor, shape (n_edges, n_harmonics)
        Spherical harmonics of the edges, which are sorted by their first atom.
    second : Tensor of int, shape (n_edges,)
        Second atom of each edge.
    paths : sequence of Paths
        One per irrep of the features, as `paths_of` gives them.
    groups : sequence of (int, int)
        Number of neighbours, and how many atoms in a row have it.

    Returns
    -------
    list of Tensor, each of shape (n_atoms, dimension of the path's output, multiplicity)
        In the order of the paths of the tensor product.
    """
    messages: dict[int, Tensor] = {}
    for x, mine in zip(features, paths, strict=True):
        summed = _sum(x, hidden, harmonics, second, mine, groups)
        pieces = torch.split(summed, list(mine.dimensions), dim=1)
        messages |= zip(mine.outputs, pieces, strict=True)
    return [messages[place] for place in sorted(messages)]


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
        for atoms, edges, shape in _pieces(paths, groups, x):
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
        for atoms, edges, shape in _pieces(paths, ctx.groups, x):
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


def _pieces(
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


def paths_of(product: TensorProduct, radial: Tensor) -> tuple[Paths, ...]:
    """Collect the paths of a tensor product by irrep of the input.

    Parameters
    ----------
    product : TensorProduct
        With connections "uvu", its weights given from outside.
    radial : Tensor, shape (n_hidden, n_weights)
        Last layer of the radial network, its columns in the order of the paths.

    Returns
    -------
    tuple of Paths
        One per irrep of the first input.
    """
    by_path = torch.split(radial, [step.path_shape[0] for step in product.instructions], dim=1)
    return tuple(_paths_from(product, irrep, by_path) for irrep in range(len(product.irreps_in1)))


def _paths_from(product: TensorProduct, irrep: int, radial: Sequence[Tensor]) -> Paths:
    """Paths of a tensor product that begin at one irrep."""
    multiplicity, (l_in, _) = product.irreps_in1[irrep]
    places = [i for i, step in enumerate(product.instructions) if step.i_in1 == irrep]
    slots = [product.irreps_out.slices()[product.instructions[i].i_out] for i in places]
    dimensions = tuple((slot.stop - slot.start) // multiplicity for slot in slots)
    response = _response(product, irrep, like=radial[0])
    coupling = response.new_zeros(
        sum(dimensions), response.shape[1], len(places), response.shape[0]
    )
    row = 0
    for p, (slot, dimension) in enumerate(zip(slots, dimensions, strict=True)):
        found = response[:, :, slot.start : slot.start + dimension]
        coupling[row : row + dimension, :, p] = found.permute(2, 1, 0)
        row += dimension
    return Paths(
        multiplicity=multiplicity,
        dimension=2 * l_in + 1,
        outputs=tuple(places),
        dimensions=dimensions,
        coupling=coupling,
        radial=torch.stack([radial[i] for i in places], dim=1),
    )


def _response(product: TensorProduct, irrep: int, like: Tensor) -> Tensor:
    """Output (dimension, n_harmonics, n_out) for unit vectors in the first copy of an irrep."""
    start, dimension = product.irreps_in1.slices()[irrep].start, product.irreps_in1[irrep].ir.dim
    n_harmonics = product.irreps_in2.dim
    x = like.new_zeros(dimension, n_harmonics, product.irreps_in1.dim)
    x[range(dimension), :, range(start, start + dimension)] = 1
    y = torch.eye(n_harmonics, dtype=like.dtype, device=like.device).expand(dimension, -1, -1)
    weights = like.new_ones(dimension, n_harmonics, product.weight_numel)
    with torch.no_grad():
        response: Tensor = product(x, y, weights)
    return response
