"""A network without built-in symmetry, which learns from examples what turning a crystal does.

Atoms attend to their neighbours, whose distances and directions enter as they are. The latent
equivariance loss is after TransIP (arXiv:2510.00027): a small network predicts the features of the
turned crystal from those of the crystal and the rotation. That it learns a change of the features,
that mirrors belong to the isometries, and that errors count in units of the features' variance is
ours.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from potentials.facet.config import FacetConfig
from potentials.facet.graph import Graph
from potentials.facet.radial import RADIALS, evaluate_envelope

_HEADS = 4
_SMALLEST_VARIANCE = 1e-6


class AttentionLayer(nn.Module):
    """Attention of atoms to their neighbours, then a perceptron of each atom.

    Parameters
    ----------
    config : FacetConfig
        Architecture; `channels` must be a multiple of four, the number of heads.
    """

    def __init__(self, config: FacetConfig) -> None:
        super().__init__()
        channels = config.channels
        self.filter = nn.Linear(4 * config.n_radial, channels, bias=False, dtype=torch.float64)
        # Distances alone at first: directions at random make forces in a perfect crystal, and a
        # training then learns to give no forces at all.
        with torch.no_grad():
            self.filter.weight.view(channels, -1, 4)[..., 1:] = 0.0
        self.send, self.receive, self.query, self.key, self.value, self.mix = (
            nn.Linear(channels, channels, dtype=torch.float64) for _ in range(6)
        )
        self.perceptron = nn.Sequential(
            nn.Linear(channels, 2 * channels, dtype=torch.float64),
            nn.SiLU(),
            nn.Linear(2 * channels, channels, dtype=torch.float64),
        )

    def forward(
        self, features: Tensor, pairs: Tensor, envelope: Tensor, neighbours: Tensor
    ) -> Tensor:
        """Update the features of all atoms.

        Parameters
        ----------
        features : Tensor, shape (n_atoms, channels)
            Before.
        pairs : Tensor, shape (n_atoms, n_neighbours, 4 n_radial)
            Functions of the distance, alone and times each component of the direction.
        envelope : Tensor, shape (n_atoms, n_neighbours)
            Fades to zero at the cutoff, so that energies are smooth.
        neighbours : Tensor of int64, shape (n_atoms, n_neighbours)
            Indices of the neighbours.

        Returns
        -------
        Tensor, shape (n_atoms, channels)
            After.
        """
        seen = self.filter(pairs) * self.send(features)[neighbours]
        hidden = nn.functional.silu(seen + self.receive(features)[:, None])
        split = (*hidden.shape[:2], _HEADS, -1)
        scores = (self.query(features)[:, None] * self.key(hidden)).view(split).mean(-1)
        attention = envelope[..., None] * torch.exp(torch.tanh(scores))
        attention = attention / (1 + attention.sum(1, keepdim=True))
        values = (attention[..., None] * self.value(hidden).view(split)).sum(1).flatten(1)
        features = features + self.mix(values)
        result: Tensor = features + self.perceptron(features)
        return result


class AttentionNetwork(nn.Module):
    """Energies of atoms in their surroundings, without any symmetry but that of equal atoms.

    Parameters
    ----------
    config : FacetConfig
        Architecture: `cutoff`, `channels`, `layers`, `radial`, `n_radial` and `energy_scale` count.
    """

    reference_energies: Tensor

    def __init__(self, config: FacetConfig) -> None:
        super().__init__()
        self.config = config
        n_elements, channels = len(config.elements), config.channels
        self.embedding = nn.Parameter(torch.randn(n_elements, channels, dtype=torch.float64))
        self.radial = RADIALS[config.radial](config.cutoff, config.n_radial)
        self.layers = nn.ModuleList(AttentionLayer(config) for _ in range(config.layers))
        self.readout = _make_perceptron(channels, channels, 1)
        self.turning = _make_perceptron(channels + 9, channels, channels)
        references = torch.zeros(n_elements, dtype=torch.float64)
        self.register_buffer("reference_energies", references)

    def forward(self, vectors: Tensor, neighbours: Tensor, species: Tensor) -> Tensor:
        """Compute the energies of all atoms, as `Facet` does.

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
        energies = self.readout(self.compute_features(vectors, neighbours, species))[:, 0]
        total: Tensor = self.reference_energies[species] + self.config.energy_scale * energies
        return total

    def compute_features(self, vectors: Tensor, neighbours: Tensor, species: Tensor) -> Tensor:
        """Compute the features from which energies are read, (n_atoms, channels)."""
        distances = vectors.norm(dim=-1)
        envelope = evaluate_envelope(distances, self.config.cutoff)
        radial = self.radial(distances) * envelope[..., None]
        directions = nn.functional.pad(vectors / distances[..., None], (1, 0), value=1.0)
        # Vectors may be of float64 where the features are not, as in `Facet`.
        dtype = self.embedding.dtype
        pairs = (radial[..., None] * directions[..., None, :]).flatten(2).to(dtype)
        features = self.embedding[species]
        for layer in self.layers:
            features = layer(features, pairs, envelope.to(dtype), neighbours)
        return features

    def turn_features(self, features: Tensor, isometries: Tensor) -> Tensor:
        """Predict the features (n_atoms, channels) of crystals turned by (n_atoms, 3, 3)."""
        change: Tensor = self.turning(torch.cat([features, isometries.flatten(1)], dim=1))
        return features + change


def compute_equivariance_error(model: AttentionNetwork, graph: Graph, isometries: Tensor) -> Tensor:
    """Compare the features of turned crystals with their prediction.

    Parameters
    ----------
    model : AttentionNetwork
        The network.
    graph : Graph
        The structures.
    isometries : Tensor, shape (n_structures, 3, 3)
        One for each structure.

    Returns
    -------
    Tensor, shape ()
        Mean square error, in units of the variance of the features.
    """
    turned = turn_graph(graph, isometries)
    before, after = (
        model.compute_features(g.vectors, g.neighbours, g.species) for g in (graph, turned)
    )
    predicted = model.turn_features(before, isometries[graph.structure])
    variance = after.detach().var(dim=0).mean().clamp(min=_SMALLEST_VARIANCE)
    return (predicted - after).square().mean() / variance


def turn_graph(graph: Graph, isometries: Tensor) -> Graph:
    """Turn each structure of a graph by its isometry, (n_structures, 3, 3)."""
    return replace(graph, vectors=graph.vectors @ isometries[graph.structure].mT)


def draw_isometries(count: int, seed: int) -> Tensor:
    """Draw rotations and improper rotations, evenly from O(3).

    Parameters
    ----------
    count : int
        How many.
    seed : int
        The same seed gives the same matrices.

    Returns
    -------
    Tensor of float64, shape (count, 3, 3)
        Orthogonal matrices that act on columns.
    """
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(count, 3, 3, generator=generator, dtype=torch.float64)
    q, r = torch.linalg.qr(normal)
    isometries: Tensor = q * torch.diagonal(r, dim1=1, dim2=2).sign()[:, None, :]
    return isometries


def _make_perceptron(channels_in: int, hidden: int, channels_out: int) -> nn.Sequential:
    """Perceptron whose output is zero in the beginning."""
    last = nn.Linear(hidden, channels_out, dtype=torch.float64)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    first = nn.Linear(channels_in, hidden, dtype=torch.float64)
    return nn.Sequential(first, nn.SiLU(), last)
