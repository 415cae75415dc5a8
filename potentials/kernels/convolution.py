"""The convolution of a network, compiled: tables of its numbers, and calls in autograd functions.

A `CompiledConvolution` gives what the `Convolution` gives from which it was made, to the error of
its splines; so does `CompiledConnection` for `Connection`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from potentials.compiler import KernelUnavailableError
from potentials.convolution import Convolution, Paths
from potentials.devices import to_host
from potentials.graphs import GraphUnion
from potentials.interface import FloatArray
from potentials.kernels.library import (
    HARMONICS,
    L_MAX,
    LANES,
    SLOPES,
    VALUES,
    EdgesStructure,
    IntervalsStructure,
    PathsStructure,
    Record,
    cast_to_real,
    get_address,
    get_addresses,
    load_library,
    make_record,
)
from potentials.kernels.splines import Intervals, compute_interval_polynomials, tabulate


@dataclass(frozen=True)
class CompiledEdges:
    """Edges for the compiled convolutions of a pass.

    Attributes
    ----------
    harmonics : Tensor, shape (n_edges, 16)
        Differentiable by the vectors. The harmonic of degree 0 is constant: the place of its
        derivative carries that by the distance.
    record : Record
        The edges as the compiled code takes them.
    """

    harmonics: Tensor
    record: Record


@dataclass(frozen=True)
class CompiledConnection:
    """Edges for `CompiledConvolution`.

    Attributes
    ----------
    intervals : Intervals
        Of the splines of all convolutions of the network.
    dtype : torch.dtype
        Precision of the network.
    """

    intervals: Intervals
    dtype: torch.dtype

    def __call__(self, vectors: Tensor, batch: GraphUnion) -> CompiledEdges:
        """Prepare the edges of a pass.

        Parameters
        ----------
        vectors : Tensor of float64, shape (n_edges, 3)
            From the first atom of each edge to the second, in Å.
        batch : GraphUnion
            The graphs.

        Returns
        -------
        CompiledEdges
            Differentiable by the vectors.
        """
        count = len(vectors)
        real = {
            name: torch.empty(count, width, dtype=self.dtype)
            for name, width in (("harmonics", HARMONICS), ("values", VALUES), ("slopes", SLOPES))
        }
        row = torch.empty(count, dtype=torch.int32)
        given = vectors.detach().contiguous()
        load_library(self.dtype).edges_forward(
            count,
            get_address(given),
            _make_intervals_record(self.intervals).reference,
            *(
                get_address(array)
                for array in (real["harmonics"], row, real["values"], real["slopes"])
            ),
        )
        neighbours = np.bincount(batch.pairs[0], minlength=len(batch.numbers))
        record = make_record(
            EdgesStructure,
            n_atoms=len(batch.numbers),
            start=np.cumsum([0, *neighbours], dtype=np.int64),
            second=np.ascontiguousarray(batch.pairs[1], dtype=np.int64),
            row=row,
            **real,
        )
        return CompiledEdges(_attach(vectors, real["harmonics"]), record)


@dataclass(frozen=True)
class CompiledConvolution:
    """A convolution as tables for the compiled code.

    Attributes
    ----------
    parts : tuple of Record
        Paths from each irrep of the features.
    padding : tuple of int
        Channels that are added to each irrep of the features.
    dimensions, widths : tuple of int
        Of the irreps of the output, the added channels included.
    channels : tuple of ndarray of int
        Channels of each irrep of the output that are not added ones.
    dtype : torch.dtype
        Precision of the network.
    """

    parts: tuple[Record, ...]
    padding: tuple[int, ...]
    dimensions: tuple[int, ...]
    widths: tuple[int, ...]
    channels: tuple[NDArray[np.int64], ...]
    dtype: torch.dtype

    def __call__(self, features: Sequence[Tensor], edges: CompiledEdges) -> list[Tensor]:
        """Sum the messages of all neighbours.

        Parameters
        ----------
        features : sequence of Tensor, each of shape (n_atoms, dimension, multiplicity)
            Features of the atoms, one tensor per irrep.
        edges : CompiledEdges
            The neighbours.

        Returns
        -------
        list of Tensor, each of shape (n_atoms, dimension of the irrep, n_channels)
            One per irrep of the output; the channels of all paths to it side by side.
        """
        filled = [
            pad(x, (0, more)) if more else x.contiguous()
            for x, more in zip(features, self.padding, strict=True)
        ]
        outputs = _convolve(self, edges.record, edges.harmonics, *filled)
        return [
            output if len(channels) == width else output[..., channels]
            for output, channels, width in zip(outputs, self.channels, self.widths, strict=True)
        ]


def compile_convolution(
    convolution: Convolution, intervals: Intervals, dtype: torch.dtype
) -> CompiledConvolution:
    """Make the tables of a convolution.

    Parameters
    ----------
    convolution : Convolution
        In float64 on a CPU.
    intervals : Intervals
        Knots of the splines, from 0 to the cutoff of the network.
    dtype : torch.dtype
        Precision of the tables.

    Returns
    -------
    CompiledConvolution
        The same convolution.

    Raises
    ------
    KernelUnavailableError
        For harmonics or features of a degree that the compiled code does not know.
    """
    dimensions, starts, widths, channels = _arrange(convolution)
    parts = tuple(
        _tabulate_paths(convolution, paths, starts, widths, dimensions, intervals, dtype)
        for paths in convolution.paths
    )
    return CompiledConvolution(
        parts=parts,
        padding=tuple(
            _round_up_channels(p.multiplicity) - p.multiplicity for p in convolution.paths
        ),
        dimensions=dimensions,
        widths=widths,
        channels=channels,
        dtype=dtype,
    )


class _Harmonics(torch.autograd.Function):
    """Harmonics that were computed already, as a function of the vectors."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, harmonics: Tensor) -> Tensor:  # noqa: ANN401
        """The harmonics as they are."""
        ctx.save_for_backward(vectors)
        return harmonics

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """Gradient by the vectors, of float64."""
        vectors = ctx.saved_tensors[0].contiguous()
        by_vectors, given = torch.empty_like(vectors), gradient.contiguous()
        load_library(given.dtype).edges_backward(
            len(vectors), get_address(vectors), get_address(given), get_address(by_vectors)
        )
        return by_vectors, None


class _Convolve(torch.autograd.Function):
    """The compiled convolution."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch gives it no type
        convolution: CompiledConvolution,
        edges: Record,
        harmonics: Tensor,
        *features: Tensor,
    ) -> tuple[Tensor, ...]:
        """Outputs (n_atoms, dimension, width) from features (n_atoms, dimension, multiplicity)."""
        ctx.save_for_backward(*features)
        ctx.convolution, ctx.edges, ctx.shape = convolution, edges, harmonics.shape
        outputs = tuple(
            features[0].new_empty(len(features[0]), dimension, width)
            for dimension, width in zip(convolution.dimensions, convolution.widths, strict=True)
        )
        library, pointers = load_library(convolution.dtype), get_addresses(outputs)
        for x, part in zip(features, convolution.parts, strict=True):
            library.convolution_forward(edges.reference, part.reference, get_address(x), pointers)
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """Gradients by the harmonics (and the distance) and by the features that need one."""
        features, convolution, edges = ctx.saved_tensors, ctx.convolution, ctx.edges
        given = [gradient.contiguous() for gradient in gradients]
        by_edges = given[0].new_zeros(ctx.shape)
        by_features = [
            torch.zeros_like(x) if needed else None
            for x, needed in zip(features, ctx.needs_input_grad[3:], strict=True)
        ]
        library, pointers = load_library(convolution.dtype), get_addresses(given)
        for x, by_x, part in zip(features, by_features, convolution.parts, strict=True):
            library.convolution_backward(
                edges.reference,
                part.reference,
                get_address(x),
                pointers,
                None if by_x is None else get_address(by_x),
                get_address(by_edges),
            )
        return None, None, by_edges, *by_features


_attach: Callable[..., Tensor] = _Harmonics.apply
_convolve: Callable[..., tuple[Tensor, ...]] = _Convolve.apply


def _make_intervals_record(intervals: Intervals) -> Record:
    """Intervals as the compiled code takes them."""
    return make_record(
        IntervalsStructure,
        n_pieces=len(intervals.start),
        shift=intervals.shift,
        start=intervals.start,
        step=intervals.step,
        count=intervals.count,
        first=intervals.first,
        values=compute_interval_polynomials(VALUES - 1),
        slopes=compute_interval_polynomials(SLOPES - 1),
    )


def _round_up_channels(multiplicity: int) -> int:
    """Channels that fill whole vectors."""
    return -(-multiplicity // LANES) * LANES


_Arrangement = tuple[
    tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[NDArray[np.int64], ...]
]


def _arrange(convolution: Convolution) -> _Arrangement:
    """Dimensions of the outputs, first channel of each path, widths and channels of the outputs."""
    paths = {place: p for p in convolution.paths for place in p.outputs}
    size = {
        place: d
        for p in convolution.paths
        for place, d in zip(p.outputs, p.dimensions, strict=True)
    }
    n_outputs = max(convolution.outputs) + 1
    dimensions, widths, starts = [0] * n_outputs, [0] * n_outputs, []
    channels: list[list[NDArray[np.int64]]] = [[] for _ in range(n_outputs)]
    for place, output in enumerate(convolution.outputs):
        multiplicity, start = paths[place].multiplicity, widths[output]
        dimensions[output] = size[place]
        starts.append(start)
        channels[output].append(np.arange(start, start + multiplicity))
        widths[output] += _round_up_channels(multiplicity)
    joined = tuple(np.concatenate(parts) for parts in channels)
    return tuple(dimensions), tuple(starts), tuple(widths), joined


def _tabulate_paths(
    convolution: Convolution,
    paths: Paths,
    starts: Sequence[int],
    widths: Sequence[int],
    dimensions: Sequence[int],
    intervals: Intervals,
    dtype: torch.dtype,
) -> Record:
    """All paths from one irrep as the compiled code takes them."""
    multiplicity = _round_up_channels(paths.multiplicity)
    last = to_host(pad(paths.radial, (0, multiplicity - paths.multiplicity)).flatten(1))

    def weights(distances: FloatArray) -> FloatArray:
        with torch.no_grad():
            return to_host(convolution.radial(torch.from_numpy(distances))) @ last

    table, slope_table = tabulate(weights, intervals)
    coupling = to_host(paths.coupling)
    degree = np.array(
        [_find_degree(coupling[:, :, p]) for p in range(len(paths.outputs))], np.int32
    )
    if degree.max() > L_MAX or paths.dimension > 2 * L_MAX + 1:
        raise KernelUnavailableError("the compiled kernel knows degrees up to 3 only")
    moment = np.array([0, *accumulate((2 * degree + 1) * paths.dimension)], np.int32)
    row, harmonic, path, component = np.nonzero(coupling)
    rows = [
        (output, k * widths[output] + starts[place], dimensions[output] * widths[output])
        for place in paths.outputs
        for output in (convolution.outputs[place],)
        for k in range(dimensions[output])
    ]
    output, offset, stride = zip(*rows, strict=True)
    return make_record(
        PathsStructure,
        multiplicity=multiplicity,
        dimension=paths.dimension,
        n_paths=len(paths.outputs),
        n_rows=len(rows),
        n_entries=len(row),
        n_moments=int(moment[-1]),
        table=cast_to_real(table, dtype),
        slope_table=cast_to_real(slope_table, dtype),
        degree=degree,
        moment=moment[:-1].copy(),
        entry_row=row.astype(np.int32),
        entry_moment=(
            moment[path] + (harmonic - degree[path] ** 2) * paths.dimension + component
        ).astype(np.int32),
        entry_value=cast_to_real(coupling[row, harmonic, path, component], dtype),
        row_output=np.array(output, np.int32),
        row_offset=np.array(offset, np.int64),
        row_stride=np.array(stride, np.int64),
    )


def _find_degree(coupling: FloatArray) -> int:
    """Degree of the harmonics of a path, from its coupling (rows, n_harmonics, dimension)."""
    used = np.flatnonzero(np.abs(coupling).max(axis=(0, 2)))
    degree = int(np.sqrt(used[0]))
    if used[-1] >= (degree + 1) ** 2:
        raise KernelUnavailableError("a path of the convolution mixes degrees of harmonics")
    return degree
