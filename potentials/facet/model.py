"""The network, and the derivatives of its energy."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from potentials.facet.attention import AttentionNetwork
from potentials.facet.config import FacetConfig
from potentials.facet.graph import Graph
from potentials.facet.products import make_product
from potentials.facet.radial import RADIALS, evaluate_envelope
from potentials.facet.sphere import evaluate_harmonics
from potentials.facet.updates import HALF, DegreeLinear, make_update

# From the features that atoms send (n_atoms, (l_in + 1)^2, channels) to the sums of messages
# (n_atoms, (l_max + 1)^2, channels).
SumMessages = Callable[[Tensor], Tensor]


class Layer(nn.Module):
    """Messages from the neighbours and the atom itself, and the update.

    Parameters
    ----------
    config : FacetConfig
        Architecture.
    l_in, l_out : int
        Largest degrees of the features before and after.
    """

    def __init__(self, config: FacetConfig, l_in: int, l_out: int) -> None:
        super().__init__()
        sizes = config.channels, config.n_radial, config.rank
        self.send = DegreeLinear(l_in, config.channels, config.channels)
        self.keep = DegreeLinear(l_in, config.channels, config.channels)
        self.product = make_product(config.product, l_in, config.l_max, *sizes)
        self.update = make_update(config, l_out)
        # With the sender's features this makes radial functions of pairs of species, of low rank.
        shape = len(config.elements), config.channels
        self.receive = nn.Parameter(torch.ones(shape, dtype=torch.float64))
        self.message_scale = config.average_neighbours**-0.5

    def forward(self, features: Tensor, sum_messages: SumMessages, species: Tensor) -> Tensor:
        """Pass messages once.

        Parameters
        ----------
        features : Tensor, shape (n_atoms, (l_in + 1)^2, channels)
            Features of all atoms.
        sum_messages : callable
            The product of this layer with the neighbours of a graph.
        species : Tensor of int64, shape (n_atoms,)
            Positions in ``config.elements``.

        Returns
        -------
        Tensor, shape (n_atoms, (l_out + 1)^2, channels)
            New features.
        """
        sums = sum_messages(self.send(features))
        messages = sums * self.receive[species][:, None]
        missing = messages.shape[1] - features.shape[1]
        own = nn.functional.pad(self.keep(features), (0, 0, 0, missing))
        result: Tensor = self.update(HALF * (self.message_scale * messages + own))
        return result


class Facet(nn.Module):
    """Energies of atoms in their surroundings.

    Built in float64; cast with ``.to(torch.float32)``. Parameters start random, such that energies
    have a variance of about ``energy_scale^2``.

    Parameters
    ----------
    config : FacetConfig
        Architecture.
    """

    reference_energies: Tensor

    def __init__(self, config: FacetConfig) -> None:
        super().__init__()
        self.config = config
        n_elements, channels = len(config.elements), config.channels
        inner = [config.l_hidden] * (config.layers - 1)
        self.embedding = nn.Parameter(torch.randn(n_elements, channels, dtype=torch.float64))
        self.radial = RADIALS[config.radial](config.cutoff, config.n_radial)
        self.layers = nn.ModuleList(
            Layer(config, *ends) for ends in zip([0, *inner], [*inner, 0], strict=True)
        )
        self.readouts = nn.ModuleList(
            [*(_make_linear(channels, 1) for _ in inner), _make_readout(channels)]
        )
        references = torch.zeros(n_elements, dtype=torch.float64)
        self.register_buffer("reference_energies", references)

    def forward(self, vectors: Tensor, neighbours: Tensor, species: Tensor) -> Tensor:
        """Compute the energies of all atoms.

        Parameters
        ----------
        vectors : Tensor, shape (n_atoms, n_neighbours, 3)
            To the neighbours, in Å.
        neighbours : Tensor of int64, shape (n_atoms, n_neighbours)
            Indices of the neighbours.
        species : Tensor of int64, shape (n_atoms,)
            Positions in ``config.elements``.

        Returns
        -------
        Tensor, shape (n_atoms,)
            Energies in eV, reference energies included.
        """
        distances = vectors.norm(dim=-1)
        # Vectors may be of float64 where the features are not: then so is all that depends on them.
        radial = self.radial_functions(distances).to(self.embedding.dtype)
        directions = evaluate_harmonics(self.config.l_max, vectors).to(self.embedding.dtype)
        graph = {"radial": radial, "directions": directions, "neighbours": neighbours}
        sums = [partial(layer.get_submodule("product"), **graph) for layer in self.layers]
        return self.energies(sums, species)

    def radial_functions(self, distances: Tensor) -> Tensor:
        """Evaluate the functions of the distance, which vanish at the cutoff.

        Parameters
        ----------
        distances : Tensor, shape (...)
            In Å.

        Returns
        -------
        Tensor, shape (..., n_radial)
            Envelope included.
        """
        values: Tensor = self.radial(distances)
        return values * evaluate_envelope(distances, self.config.cutoff)[..., None]

    def energies(self, sums: Sequence[SumMessages], species: Tensor) -> Tensor:
        """Compute the energies of all atoms from the sums of messages of each layer.

        Parameters
        ----------
        sums : sequence of callable
            One per layer.
        species : Tensor of int64, shape (n_atoms,)
            Positions in ``config.elements``.

        Returns
        -------
        Tensor, shape (n_atoms,)
            Energies in eV, reference energies included.
        """
        features = self.embedding[species][:, None]
        energies = self.reference_energies[species]
        for layer, readout, sum_messages in zip(self.layers, self.readouts, sums, strict=True):
            features = layer(features, sum_messages, species)
            energies = energies + self.config.energy_scale * readout(features[:, 0])[:, 0]
        return energies


Model = Facet | AttentionNetwork


def make_network(config: FacetConfig) -> Model:
    """Make the network that a configuration names, with random weights."""
    return AttentionNetwork(config) if config.network == "attention" else Facet(config)


def compute_energies(model: nn.Module, graph: Graph) -> Tensor:
    """Sum the energies of each structure.

    Parameters
    ----------
    model : Facet
        The network.
    graph : Graph
        The structures.

    Returns
    -------
    Tensor of float64, shape (n_structures,)
        Energies in eV.
    """
    atomic: Tensor = model(graph.vectors, graph.neighbours, graph.species)
    sums = torch.zeros(len(graph.volumes), dtype=torch.float64, device=atomic.device)
    return sums.index_add(0, graph.structure, atomic.double())


def compute_derivatives(
    model: nn.Module, graph: Graph, *, create_graph: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute energies, forces and stresses in one forward and one backward pass.

    With ``g_ij = dE/dr_ij``, the force on atom i is ``sum_j g_ij - sum_j g_ji``, and the stress is
    the virial ``sum_ij r_ij g_ij / volume``, which rotational invariance makes symmetric.

    Parameters
    ----------
    model : Facet
        The network.
    graph : Graph
        The structures.
    create_graph : bool
        Whether the results are to be differentiated in turn, as in training.

    Returns
    -------
    energies : Tensor of float64, shape (n_structures,)
        In eV.
    forces : Tensor, shape (n_atoms, 3)
        In eV/Å.
    stresses : Tensor, shape (n_structures, 3, 3)
        In eV/Å^3, positive under tension.
    """
    energies, _, gradient = _differentiate_by_pairs(model, graph, create_graph=create_graph)
    return energies, *_compute_forces_and_stresses(graph, gradient)


def compute_derivatives_and_products(
    model: nn.Module, graph: Graph, directions: Tensor, *, create_graph: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute energies, forces, stresses, and the Hessian times a displacement of all atoms.

    Structures do not act on each other, so that one product gives one Hessian column of each.

    Parameters
    ----------
    model : Facet
        The network.
    graph : Graph
        The structures.
    directions : Tensor, shape (n_atoms, 3)
        The displacement.
    create_graph : bool
        Whether the results are to be differentiated in turn, as in training.

    Returns
    -------
    energies, forces, stresses : Tensor
        As `compute_derivatives` gives them.
    products : Tensor, shape (n_atoms, 3)
        In eV/Å^2 times the unit of the displacement.
    """
    energies, vectors, gradient = _differentiate_by_pairs(model, graph, create_graph=True)
    motion = _compute_pair_motion(graph.neighbours, directions)
    (change,) = torch.autograd.grad(gradient, vectors, motion, create_graph=create_graph)
    products = -_sum_forces_on_atoms(change, graph.neighbours)
    return energies, *_compute_forces_and_stresses(graph, gradient), products


def compute_hessian_products(model: nn.Module, graph: Graph, directions: Tensor) -> Tensor:
    """Multiply the matrix of second derivatives with displacements, by differentiating twice.

    Parameters
    ----------
    model : Facet
        The network.
    graph : Graph
        The structures.
    directions : Tensor, shape (n_directions, n_atoms, 3)
        Displacements.

    Returns
    -------
    Tensor, shape (n_directions, n_atoms, 3)
        ``sum_column d^2 E / dx_atom dx_column * direction_column`` in eV/Å^2 times their unit.
    """
    _, vectors, gradient = _differentiate_by_pairs(model, graph, create_graph=True)
    products = torch.empty_like(directions)
    for product, direction in zip(products, directions, strict=True):
        motion = _compute_pair_motion(graph.neighbours, direction)
        (change,) = torch.autograd.grad(gradient, vectors, motion, retain_graph=True)
        product.copy_(-_sum_forces_on_atoms(change, graph.neighbours))
    return products


def _differentiate_by_pairs(
    model: nn.Module, graph: Graph, *, create_graph: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Energies, vectors between neighbours, and the derivatives of the energy by them."""
    vectors = graph.vectors.detach().requires_grad_()
    energies = compute_energies(model, replace(graph, vectors=vectors))
    (gradient,) = torch.autograd.grad(energies.sum(), vectors, create_graph=create_graph)
    return energies if create_graph else energies.detach(), vectors, gradient


def _sum_forces_on_atoms(gradient: Tensor, neighbours: Tensor) -> Tensor:
    """Forces (n_atoms, 3) that derivatives by the vectors between neighbours make."""
    return gradient.sum(1).index_add(0, neighbours.flatten(), -gradient.flatten(0, 1))


def _compute_forces_and_stresses(graph: Graph, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Forces (n_atoms, 3) and stresses (n_structures, 3, 3)."""
    virials = torch.einsum("nkx,nky->nxy", graph.vectors, gradient)
    sums = virials.new_zeros(len(graph.volumes), 3, 3).index_add(0, graph.structure, virials)
    stresses = (sums + sums.mT) / (2 * graph.volumes[:, None, None])
    return _sum_forces_on_atoms(gradient, graph.neighbours), stresses


def _compute_pair_motion(neighbours: Tensor, directions: Tensor) -> Tensor:
    """Change of all vectors between neighbours when the atoms move."""
    return directions[neighbours] - directions[:, None]


def _make_linear(channels_in: int, channels_out: int) -> nn.Linear:
    """Linear map that keeps the variance."""
    linear = nn.Linear(channels_in, channels_out, bias=False, dtype=torch.float64)
    nn.init.normal_(linear.weight, std=channels_in**-0.5)
    return linear


def _make_readout(channels: int) -> nn.Sequential:
    """Perceptron from the last scalars to an energy."""
    return nn.Sequential(_make_linear(channels, channels), nn.SiLU(), _make_linear(channels, 1))
