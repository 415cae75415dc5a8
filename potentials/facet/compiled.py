"""The exact product of Facet by the compiled kernel.

Its sum over paths and functions of the distance is the convolution of other equivariant networks
with the radial weights ``w_pc(r) = sum_b w_pbc B_b(r)``; the messages of all paths to a degree are
added.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from potentials.convolution import Convolution, Paths
from potentials.facet.model import Facet, Model
from potentials.facet.products import ClebschGordan
from potentials.facet.sphere import list_natural_paths
from potentials.graphs import GraphUnion
from potentials.kernels import (
    INTERVALS,
    CompiledConnection,
    CompiledConvolution,
    CompiledEdges,
    KernelUnavailableError,
    compile_convolution,
    make_intervals,
)


@dataclass(frozen=True)
class CompiledFacet:
    """A model whose sums over neighbours are compiled.

    Attributes
    ----------
    model : Facet
        The network on a CPU, in its precision.
    connect : CompiledConnection
        What prepares the edges.
    convolutions : tuple of CompiledConvolution
        One per layer.
    """

    model: Facet
    connect: CompiledConnection
    convolutions: tuple[CompiledConvolution, ...]

    def energies(self, vectors: Tensor, batch: GraphUnion, species: Tensor) -> Tensor:
        """Compute the energies of all atoms.

        Parameters
        ----------
        vectors : Tensor of float64, shape (n_edges, 3)
            From the first atom of each edge to the second, in Å.
        batch : GraphUnion
            The graphs.
        species : Tensor of int64, shape (n_atoms,)
            Positions in the element list of the configuration.

        Returns
        -------
        Tensor, shape (n_atoms,)
            Energies in eV, reference energies included.
        """
        edges = self.connect(vectors, batch)
        sums = [partial(_sum_messages, convolve, edges) for convolve in self.convolutions]
        return self.model.energies(sums, species)


def compile_facet(model: Model, exact: Model) -> CompiledFacet:
    """Make the tables of a model.

    Parameters
    ----------
    model, exact : Facet
        The model on a CPU in its precision, and the same in float64.

    Returns
    -------
    CompiledFacet
        The same model.

    Raises
    ------
    KernelUnavailableError
        For products other than the exact one, and networks without built-in symmetry.
    """
    if not (isinstance(model, Facet) and isinstance(exact, Facet)):
        raise KernelUnavailableError("the compiled kernel computes no attention")
    dtype = model.embedding.dtype
    # In float32 too: the functions of the distance are narrow, and their tables small.
    intervals = make_intervals(exact.config.cutoff, INTERVALS["float64"], _list_knots(exact))
    convolutions = tuple(
        compile_convolution(
            convert_convolution(layer.product, exact.radial_functions), intervals, dtype
        )
        for layer in exact.layers
    )
    return CompiledFacet(model, CompiledConnection(intervals, dtype), convolutions)


def convert_convolution(product: object, radial: Callable[[Tensor], Tensor]) -> Convolution:
    """Write a product as a convolution.

    Parameters
    ----------
    product : ClebschGordan
        In float64.
    radial : callable
        From distances (n_edges,) to functions (n_edges, n_radial).

    Returns
    -------
    Convolution
        The messages of the paths to each degree side by side.

    Raises
    ------
    KernelUnavailableError
        For another product.
    """
    if not isinstance(product, ClebschGordan):
        raise KernelUnavailableError(
            "the compiled kernel computes the product cg only, not gaunt and cp"
        )
    degrees = [round(size**0.5) - 1 for size in product.coupling.shape[1:]]
    paths = list_natural_paths(*degrees)
    parts = tuple(_build_paths_from(product, paths, l_in) for l_in in range(degrees[0] + 1))
    return Convolution(parts, tuple(l_out for _, _, l_out in paths), radial)


def _build_paths_from(
    product: ClebschGordan, paths: list[tuple[int, int, int]], l_in: int
) -> Paths:
    """Paths from one degree of the features."""
    places = [place for place, path in enumerate(paths) if path[0] == l_in]
    dimensions = tuple(2 * paths[place][2] + 1 for place in places)
    features = slice(l_in**2, (l_in + 1) ** 2)
    n_harmonics = product.coupling.shape[2]
    coupling = torch.zeros(
        sum(dimensions), n_harmonics, len(places), 2 * l_in + 1, dtype=torch.float64
    )
    row = 0
    for p, (place, dimension) in enumerate(zip(places, dimensions, strict=True)):
        start = paths[place][2] ** 2
        block = product.coupling[place, features, :, start : start + dimension]
        coupling[row : row + dimension, :, p] = block.permute(2, 1, 0)
        row += dimension
    return Paths(
        multiplicity=product.weight.shape[2],
        dimension=2 * l_in + 1,
        outputs=tuple(places),
        dimensions=dimensions,
        coupling=coupling,
        radial=product.weight.detach()[places].transpose(0, 1).contiguous(),
    )


def _list_knots(model: Facet) -> tuple[float, ...]:
    """Distances at which the fifth derivative of the radial functions jumps."""
    if model.config.radial != "spline":
        return ()
    step = model.config.cutoff / model.config.n_radial
    return tuple(step * k for k in range(1, model.config.n_radial))


def _sum_messages(convolve: CompiledConvolution, edges: CompiledEdges, sent: Tensor) -> Tensor:
    """Sums (n_atoms, (l_max + 1)^2, channels) of the messages of all paths."""
    count, components, channels = sent.shape
    sizes = [2 * degree + 1 for degree in range(round(components**0.5))]
    features = [part.contiguous() for part in torch.split(sent, sizes, dim=1)]
    by_degree = convolve(features, edges)
    added = [x.view(count, x.shape[1], -1, channels).sum(2) for x in by_degree]
    return torch.cat(added, dim=1)
