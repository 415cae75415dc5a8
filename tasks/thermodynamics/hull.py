"""The convex hull of known crystals, by energies of one potential.

A crystal above the hull is less stable than a mixture of other phases. Distances follow from the
vertices of the hull alone, which travel with the package; ``benchmarks/hull.py`` makes their table.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, combinations
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from ase.formula import Formula
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

VERTICES: Final = Path(__file__).parent / "vertices.parquet"
"""Table of the vertices, with the name of the potential in its metadata."""

VERTEX_SCHEMA: Final = pa.schema(
    [
        pa.field("material_id", pa.string(), nullable=False),
        pa.field("formula", pa.string(), nullable=False),
        pa.field("energy", pa.float64(), nullable=False),  # eV/atom, corrected
        pa.field("relaxed", pa.bool_(), nullable=False),  # else that of the crystal as given
    ]
)
_LEAST_SHARE: Final = 5e-4  # of the atoms: less is noise of the decomposition

_ON_HULL: Final = 1e-7  # eV/atom
_FLAT: Final = 1e-9  # of the normal of a facet

Elements = frozenset[str]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Stability:
    """Where a crystal stands among all known ones.

    Attributes
    ----------
    energy_above_hull : float
        Energy above the hull of the known phases, in eV per atom; negative below it.
    formation_energy : float
        Energy against the elements, in eV per atom.
    competing_phases : tuple of str
        What the hull consists of at its composition, such as ``0.67 SiO2 (mp-6930)``: share of the
        atoms, formula, name.
    """

    energy_above_hull: float
    formation_energy: float
    competing_phases: tuple[str, ...]


@dataclass(frozen=True)
class Phase:
    """A crystal with its energy.

    Attributes
    ----------
    name, formula : str
        Its name and composition.
    energy : float
        Corrected energy in eV per atom.
    """

    name: str
    formula: str
    energy: float

    @cached_property
    def shares(self) -> Mapping[str, float]:
        """Share of the atoms of each element."""
        counts = Formula(self.formula).count()
        total = sum(counts.values())
        return {symbol: count / total for symbol, count in counts.items()}

    @property
    def elements(self) -> Elements:
        """Symbols of its elements."""
        return frozenset(self.shares)

    def list_shares(self, elements: Sequence[str]) -> list[float]:
        """Share of the atoms of each of some elements."""
        return [self.shares.get(symbol, 0.0) for symbol in elements]


@dataclass(frozen=True)
class Diagram:
    """The lower hull of phases of some elements.

    Attributes
    ----------
    phases : sequence of Phase
        Among them one of each element.
    elements : sequence of str
        Symbols.
    facets : ndarray of int, shape (n_facets, n_elements)
        Phases at the corners of each facet of the hull.
    """

    phases: Sequence[Phase]
    elements: Sequence[str]
    facets: IntArray

    @classmethod
    def build(cls, phases: Sequence[Phase], elements: Sequence[str]) -> "Diagram":
        """Find the hull."""
        energies = np.array([phase.energy for phase in phases])
        if len(elements) == 1:
            return cls(phases, elements, np.array([[energies.argmin()]]))
        shares = np.array([phase.list_shares(elements) for phase in phases])
        energies -= shares @ [energies[column == 1].min() for column in shares.T]
        held = np.flatnonzero(energies <= 0)
        points = np.column_stack([shares[held, 1:], energies[held]])
        # A point far above the middle makes a body of them, whose facets at its side are left out.
        top = np.append(np.full(len(elements) - 1, 1 / len(elements)), 1.0)
        hull = ConvexHull(np.vstack([points, top]))
        return cls(phases, elements, held[hull.simplices[hull.equations[:, -2] < -_FLAT]])

    @cached_property
    def _inverses(self) -> FloatArray:
        """What turns shares of elements into shares of the corners, for each facet."""
        shares = np.array([phase.list_shares(self.elements) for phase in self.phases])
        return np.linalg.inv(shares[self.facets])

    @cached_property
    def _potentials(self) -> FloatArray:
        """Chemical potentials of the elements on each facet (eV), shape (n_facets, n_elements)."""
        energies = np.array([phase.energy for phase in self.phases])
        return np.asarray((self._inverses @ energies[self.facets][:, :, None])[:, :, 0])

    def compute_energies(self, shares: FloatArray) -> FloatArray:
        """Energy of the hull (eV/atom) at compositions, shape (n, n_elements)."""
        return np.asarray((shares @ self._potentials.T).max(axis=1))

    def find_stability(self, phase: Phase) -> Stability:
        """Find where a phase of nothing but these elements stands."""
        shares = np.array(phase.list_shares(self.elements))
        parts = shares @ self._inverses
        # On an edge between facets, rounding decides which of them is asked; both say the same.
        facet = parts.min(axis=1).argmax()
        corners = [self.phases[i] for i in self.facets[facet]]
        found = dict(zip(corners, parts[facet].tolist(), strict=True))
        above = phase.energy - sum(share * corner.energy for corner, share in found.items())
        lowest = [min(p.energy for p in self.phases if p.elements == {e}) for e in self.elements]
        return Stability(above, phase.energy - float(shares @ lowest), _name_parts(found))


@dataclass(frozen=True)
class Phases:
    """Phases by their elements, and the diagrams that were needed so far."""

    by_elements: dict[Elements, list[Phase]]
    diagrams: dict[Elements, Diagram] = field(default_factory=dict, repr=False)

    @classmethod
    def gather(cls, phases: Iterable[Phase]) -> "Phases":
        """Sort phases by their elements."""
        found = defaultdict[Elements, list[Phase]](list)
        for phase in phases:
            found[phase.elements].append(phase)
        return cls(dict(found))

    def list_missing(self, elements: Elements) -> list[str]:
        """Elements of which there is no phase."""
        return sorted(e for e in elements if frozenset({e}) not in self.by_elements)

    def find_diagram(self, elements: Elements) -> Diagram:
        """Diagram of some elements, each of which has a phase."""
        if elements not in self.diagrams:
            self.diagrams[elements] = Diagram.build(self.collect(elements), sorted(elements))
        return self.diagrams[elements]

    def collect(self, elements: Elements) -> list[Phase]:
        """Phases of nothing but these elements."""
        subsets = map(frozenset, list_subsets(elements))
        return [phase for subset in subsets for phase in self.by_elements.get(subset, ())]

    def find_stability(self, formula: str, energy: float) -> Stability:
        """Find where a crystal stands.

        Parameters
        ----------
        formula : str
            Its composition, of elements each of which has a phase.
        energy : float
            Its corrected energy in eV per atom.

        Returns
        -------
        Stability
            By these phases.
        """
        phase = Phase("", formula, energy)
        return self.find_diagram(phase.elements).find_stability(phase)


def find_distances(phases: Iterable[Phase]) -> Iterator[tuple[Phase, float]]:
    """Energy of each phase above the hull of all of them.

    Systems of few elements come first, so that of the faces of a system the vertices alone count.

    Parameters
    ----------
    phases : iterable of Phase
        Those with an element that has no phase of its own are left out.

    Yields
    ------
    Phase, float
        Phase and its energy above the hull in eV per atom, 0 for a vertex.
    """
    given, vertices = Phases.gather(phases), Phases({})
    for elements in sorted(given.by_elements, key=lambda e: (len(e), sorted(e))):
        if given.list_missing(elements):
            continue
        own = given.by_elements[elements]
        above = _compute_distances(own, vertices.collect(elements), sorted(elements))
        above[above < _ON_HULL] = 0.0
        vertices.by_elements[elements] = [p for p, e in zip(own, above, strict=True) if e == 0]
        yield from zip(own, above.tolist(), strict=True)


def _compute_distances(
    own: Sequence[Phase], others: Sequence[Phase], elements: Sequence[str]
) -> FloatArray:
    """Energy of some phases above the hull of these and others."""
    diagram = Diagram.build([*own, *others], elements)
    shares = np.array([phase.list_shares(elements) for phase in own])
    return np.array([phase.energy for phase in own]) - diagram.compute_energies(shares)


def list_subsets(elements: Elements) -> Iterator[tuple[str, ...]]:
    """All sets of some of these elements."""
    return chain.from_iterable(combinations(elements, n + 1) for n in range(len(elements)))


def _name_parts(parts: Mapping[Phase, float]) -> tuple[str, ...]:
    """Phases with their share of the atoms, the largest first, equal ones by formula."""
    shares = sorted((-round(share, 6), phase.formula, phase.name) for phase, share in parts.items())
    return tuple(
        f"{-share:.2g} {formula} ({name})"
        for share, formula, name in shares
        if -share > _LEAST_SHARE
    )
