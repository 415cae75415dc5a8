"""The equivariant convolution of SevenNet, without its large intermediate tensors.

With neighbours j of atom n, spherical harmonics Y, a radial network w and the coupling C of the
tensor product, row k of path p of the convolution (Batzner et al., Nat. Commun. 13, 2453 (2022)) is

    m_nku = sum_j sum_ab C_kab Y_a(r_nj) w_pu(|r_nj|) x_jbu.

sevenn computes the summand for every pair and stores it, entry by entry. Here the sum over the
neighbours is a matrix product of Y with w x, and the coupling is applied once per atom. Atoms with
the same number of neighbours are treated together, as many at a time as the cache holds, and the
backward pass computes w x again instead of remembering it. Numbers are the same to rounding.
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
class _Paths:
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
        self.paths = _paths_of(original.convolution, last(unit).detach())

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
        features, second = data[key.NODE_FEATURE], data[key.EDGE_IDX][1]
        hidden, harmonics = self.hidden(data[key.EDGE_EMBEDDING]), data[key.EDGE_ATTR]
        sizes = [paths.multiplicity * paths.dimension for paths in self.paths]
        messages: dict[int, Tensor] = {}
        for paths, columns in zip(self.paths, torch.split(features, sizes, dim=1), strict=True):
            x = columns.reshape(-1, paths.multiplicity, paths.dimension).mT.contiguous()
            summed = _sum(x, hidden, harmonics, second, paths, data[GROUPS])
            pieces = torch.split(summed, list(paths.dimensions), dim=1)
            messages |= zip(paths.outputs, (piece.mT.flatten(1) for piece in pieces), strict=True)
        ordered = [messages[place] for place in sorted(messages)]
        data[key.NODE_FEATURE] = torch.cat(ordered, dim=1) / self.denominator
        return data


class _Sum(torch.autograd.Function):
    """Sum over the neighbours of all paths that begin at one irrep."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch gives it no type
        x: Tensor,
        hidden: Tensor,
        harmonics: Tensor,
        second: Tensor,
        paths: _Paths,
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
        paths: _Paths = ctx.paths
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
    paths: _Paths, groups: Groups, like: Tensor
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


def _paths_of(product: TensorProduct, radial: Tensor) -> tuple[_Paths, ...]:
    """Paths of a tensor product with radial weights (n_hidden, n), by irrep of the input."""
    by_path = torch.split(radial, [step.path_shape[0] for step in product.instructions], dim=1)
    return tuple(_paths_from(product, irrep, by_path) for irrep in range(len(product.irreps_in1)))


def _paths_from(product: TensorProduct, irrep: int, radial: Sequence[Tensor]) -> _Paths:
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
    return _Paths(
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
