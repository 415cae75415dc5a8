"""The network: what may come next in a Wyckoff sequence.

A small transformer encoder reads the sites that a crystal has so far, as a set: sites have no
place, so that their order cannot matter. From the token of the space group it tells the next
position, or that the crystal is complete; and, given the position, the element. A position is known
by its site symmetry, its place among those of equal site symmetry, its multiplicity and its free
coordinates, a space group by its point group and its centring as well, an element by row and
column as well, so that rare ones share what common ones teach. After WyFormer (N. Kazeev et al.,
arXiv:2503.02407).
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import torch
from ase.data import chemical_symbols
from pydantic import BaseModel, ConfigDict, Field
from pymatgen.core import Element
from torch import Tensor, nn

from tasks.generation.sequences import MAX_ATOMS, N_ELEMENTS
from tasks.symmetry import classify_space_group
from tasks.symmetry.wyckoff import list_wyckoff_positions

N_GROUPS: Final = 230
MAX_POSITIONS: Final = 27
"""Positions of a space group; Pmmm has as many."""
COMPLETE: Final = MAX_POSITIONS
"""Index of the choice that no further site comes."""
_SUM_SCALE = 0.2  # of the sum over sites, beside a mean
_UNSEEN = 0.5  # counts of a choice that was never made


class NetworkSizes(BaseModel):
    """How large the network is."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    width: int = Field(96, ge=4, description="features of a token")
    layers: int = Field(3, ge=1, description="rounds of attention")
    heads: int = Field(4, ge=1, description="heads of an attention; they divide the width")
    inner: int = Field(192, ge=1, description="features inside a layer")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of features left out of a step")


class Partial(NamedTuple):
    """Unfinished crystals.

    Attributes
    ----------
    groups : Tensor of int, shape (n,)
        Space-group numbers less one.
    positions, elements : Tensor of int, shape (n, n_sites)
        Of the sites so far; anything where there is none.
    present : Tensor of bool, shape (n, n_sites)
        Where there is one.
    """

    groups: Tensor
    positions: Tensor
    elements: Tensor
    present: Tensor


class Tables(NamedTuple):
    """What the network knows of space groups and elements beforehand, as indices.

    Attributes
    ----------
    positions : Tensor of int, shape (230, 27, 4)
        Site symmetry, enumeration, multiplicity and free coordinates of each position.
    known : Tensor of bool, shape (230, 27)
        Which positions a group has.
    groups : Tensor of int, shape (230, 2)
        Point group and centring.
    elements : Tensor of int, shape (104, 2)
        Row and column.
    """

    positions: Tensor
    known: Tensor
    groups: Tensor
    elements: Tensor


def make_tables() -> Tables:
    """Make the tables of all space groups and elements; takes some ten seconds."""
    listed = [list_wyckoff_positions(number) for number in range(1, N_GROUPS + 1)]
    symbols = sorted({position.site_symmetry for group in listed for position in group})
    places = {symbol: index for index, symbol in enumerate(symbols)}
    positions = torch.zeros(N_GROUPS, MAX_POSITIONS, 4, dtype=torch.long)
    known = torch.zeros(N_GROUPS, MAX_POSITIONS, dtype=torch.bool)
    for group, found in enumerate(listed):
        for index, p in enumerate(found):
            row = (places[p.site_symmetry], p.enumeration, p.multiplicity, p.space.dimension)
            positions[group, index] = torch.tensor(row)
            known[group, index] = True
    return Tables(positions, known, _describe_groups(), _describe_elements())


def _describe_groups() -> Tensor:
    """Point group and centring of each space group, numbered."""
    named = [classify_space_group(number) for number in range(1, N_GROUPS + 1)]
    points = sorted({group.point_group for group in named})
    centrings = sorted({group.symbol[0] for group in named})
    rows = [(points.index(g.point_group), centrings.index(g.symbol[0])) for g in named]
    return torch.tensor(rows)


def _describe_elements() -> Tensor:
    """Row and column of each element."""
    found = [Element(symbol) for symbol in chemical_symbols[1 : N_ELEMENTS + 1]]
    return torch.tensor([(0, 0), *((element.row, element.group) for element in found)])


class SequenceNetwork(nn.Module):
    """Scores of what may come next.

    Parameters
    ----------
    sizes : NetworkSizes
        How large it is.
    tables : Tables
        From `make_tables`, or of a file.
    """

    def __init__(self, sizes: NetworkSizes, tables: Tables) -> None:
        super().__init__()
        self.sizes = sizes
        width = sizes.width
        self.tables = tables
        self.of_position = _Sum([int(n) + 1 for n in tables.positions.amax(dim=(0, 1))], width)
        self.of_group = _Sum([N_GROUPS, *(int(n) + 1 for n in tables.groups.amax(dim=0))], width)
        self.of_element = _Sum(
            [N_ELEMENTS + 1, *(int(n) + 1 for n in tables.elements.amax(dim=0))], width
        )
        self.of_atoms = nn.Embedding(MAX_ATOMS + 1, width)
        self.of_sum = nn.Linear(width, width)
        layer = nn.TransformerEncoderLayer(
            width,
            sizes.heads,
            sizes.inner,
            sizes.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.encoder = nn.TransformerEncoder(layer, sizes.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.position_query, self.stop = nn.Linear(width, width), nn.Linear(width, 1)
        self.element_query = nn.Sequential(
            nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, width)
        )

    def encode(self, crystals: Partial) -> Tensor:
        """Read unfinished crystals.

        Parameters
        ----------
        crystals : Partial
            n of them.

        Returns
        -------
        Tensor, shape (n, width)
            Features of each.
        """
        groups, present = crystals.groups, crystals.present
        sites = (
            self._embed_positions(groups)[torch.arange(len(groups))[:, None], crystals.positions]
            + self._embed_elements()[crystals.elements]
        )
        sites = sites * present[..., None]
        indices = torch.cat([groups[:, None], self.tables.groups[groups]], dim=1)
        whole = self.of_group(indices) + self.of_atoms(count_atoms(self.tables, crystals))
        whole = whole + self.of_sum(_SUM_SCALE * sites.sum(dim=1))
        tokens = torch.cat([whole[:, None], sites], dim=1)
        absent = torch.cat([torch.zeros_like(groups[:, None], dtype=torch.bool), ~present], dim=1)
        found: Tensor = self.norm(self.encoder(tokens, src_key_padding_mask=absent)[:, 0])
        return found

    def score_positions(self, features: Tensor, groups: Tensor) -> Tensor:
        """Score the choices of the next position.

        Parameters
        ----------
        features : Tensor, shape (n, width)
            From `encode`.
        groups : Tensor of int, shape (n,)
            Space-group numbers less one.

        Returns
        -------
        Tensor, shape (n, 28)
            Logarithms of odds; the last is that of `COMPLETE`. Positions that a group lacks, or
            that are occupied and have no free coordinate, are not left out yet.
        """
        query = self.position_query(features)[:, :, None]
        scores = (self._embed_positions(groups) @ query)[..., 0] / self.sizes.width**0.5
        return torch.cat([scores, self.stop(features)], dim=1)

    def score_elements(self, features: Tensor, groups: Tensor, positions: Tensor) -> Tensor:
        """Score the elements on chosen positions.

        Parameters
        ----------
        features : Tensor, shape (n, width)
            From `encode`.
        groups, positions : Tensor of int, shape (n,)
            Space-group numbers less one, and the chosen positions.

        Returns
        -------
        Tensor, shape (n, 104)
            Logarithms of odds by atomic number.
        """
        chosen = self.of_position(self.tables.positions[groups, positions])
        query = self.element_query(torch.cat([features, chosen], dim=1))
        scores: Tensor = query @ self._embed_elements().T / self.sizes.width**0.5
        return scores

    def _embed_positions(self, groups: Tensor) -> Tensor:
        """Tokens of all positions of some groups, shape (n, 27, width)."""
        found: Tensor = self.of_position(self.tables.positions[groups])
        return found

    def _embed_elements(self) -> Tensor:
        """Tokens of all elements, shape (104, width)."""
        numbers = torch.arange(N_ELEMENTS + 1)[:, None]
        found: Tensor = self.of_element(torch.cat([numbers, self.tables.elements], dim=1))
        return found


@dataclass(frozen=True, eq=False)
class IndependentSites:
    """Scores from counts alone: a baseline, in which no site knows of another.

    Attributes
    ----------
    tables : Tables
        Of the space groups.
    positions : Tensor, shape (230, 28)
        How often each choice was made in a space group; the last is that of `COMPLETE`.
    elements : Tensor, shape (104,)
        On how many sites each element is.
    """

    tables: Tables
    positions: Tensor
    elements: Tensor

    def encode(self, crystals: Partial) -> Tensor:
        """No features, shape (n, 0)."""
        return torch.zeros(len(crystals.groups), 0)

    def score_positions(self, features: Tensor, groups: Tensor) -> Tensor:
        """As of `SequenceNetwork`."""
        del features
        return torch.log(self.positions[groups] + _UNSEEN)

    def score_elements(self, features: Tensor, groups: Tensor, positions: Tensor) -> Tensor:
        """As of `SequenceNetwork`."""
        del features, positions
        return torch.log(self.elements + _UNSEEN).expand(len(groups), -1)


class Scorer(Protocol):
    """What can tell what comes next: `SequenceNetwork` or `IndependentSites`."""

    @property
    def tables(self) -> Tables:
        """Of the space groups."""

    def encode(self, crystals: Partial) -> Tensor:
        """Read unfinished crystals."""

    def score_positions(self, features: Tensor, groups: Tensor) -> Tensor:
        """Score the choices of the next position."""

    def score_elements(self, features: Tensor, groups: Tensor, positions: Tensor) -> Tensor:
        """Score the elements on chosen positions."""


class _Sum(nn.Module):
    """Sum of one learned vector for each of several indices."""

    def __init__(self, counts: list[int], width: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Embedding(count, width) for count in counts)

    def forward(self, indices: Tensor) -> Tensor:
        """Sum over the last axis of the indices."""
        return torch.stack([part(indices[..., k]) for k, part in enumerate(self.parts)]).sum(dim=0)


def count_atoms(tables: Tables, crystals: Partial) -> Tensor:
    """Count the atoms of unfinished crystals so far, shape (n,)."""
    multiplicities = tables.positions[crystals.groups, :, 2]
    counts = multiplicities.gather(1, crystals.positions) * crystals.present
    return counts.sum(dim=1).clamp(max=MAX_ATOMS)


def find_allowed_positions(tables: Tables, crystals: Partial, max_atoms: int = MAX_ATOMS) -> Tensor:
    """Find which positions may be occupied next, whatever the network thinks of them.

    Those of the space group that fit into the largest cell, without the occupied ones that have no
    free coordinate: two atoms would be at one point.

    Parameters
    ----------
    tables : Tables
        Of the space groups.
    crystals : Partial
        n of them.
    max_atoms : int
        Largest cell.

    Returns
    -------
    Tensor of bool, shape (n, 27)
        By position.
    """
    groups = crystals.groups
    multiplicities, free = tables.positions[groups, :, 2], tables.positions[groups, :, 3]
    occupied = torch.zeros_like(multiplicities).scatter_add_(
        1, crystals.positions, crystals.present.long()
    )
    atoms = (occupied * multiplicities).sum(dim=1, keepdim=True)
    fits = atoms + multiplicities <= max_atoms
    return tables.known[groups] & fits & ((occupied == 0) | (free > 0))
