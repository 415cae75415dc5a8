"""The convex hull of known crystals, by energies of one potential.

A crystal above the hull is less stable than a mixture of other phases. Distances follow from the
vertices of the hull alone, which travel with the package; ``benchmarks/hull.py`` makes their table.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram

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
class Phases:
    """Phases by their elements, and the phase diagrams that were needed so far."""

    by_elements: "dict[Elements, list[PDEntry]]"
    diagrams: "dict[Elements, PhaseDiagram]" = field(default_factory=dict, repr=False)

    @classmethod
    def gather(cls, phases: "Iterable[PDEntry]") -> "Phases":
        """Sort phases by their elements."""
        found = defaultdict[Elements, list["PDEntry"]](list)
        for phase in phases:
            found[list_elements(phase)].append(phase)
        return cls(dict(found))

    def list_missing(self, elements: Elements) -> list[str]:
        """Elements of which there is no phase."""
        return sorted(e for e in elements if frozenset({e}) not in self.by_elements)

    def find_diagram(self, elements: Elements) -> "PhaseDiagram":
        """Phase diagram of some elements, each of which has a phase."""
        if elements not in self.diagrams:
            self.diagrams[elements] = _make_diagram(self.collect(elements))
        return self.diagrams[elements]

    def collect(self, elements: Elements) -> "list[PDEntry]":
        """Phases of nothing but these elements."""
        subsets = map(frozenset, list_subsets(elements))
        return [phase for subset in subsets for phase in self.by_elements.get(subset, ())]

    def find_stability(self, formula: str, energy: float) -> Stability:
        """Find where a crystal stands.

        Parameters
        ----------
        formula : str
            Its composition.
        energy : float
            Its corrected energy in eV per atom.

        Returns
        -------
        Stability
            By these phases.

        Raises
        ------
        ValueError
            When there is no phase of one of its elements.
        """
        phase = make_phase("", formula, energy)
        diagram = self.find_diagram(list_elements(phase))
        parts, above = diagram.get_decomp_and_e_above_hull(
            phase, allow_negative=True, check_stable=False
        )
        return Stability(above, diagram.get_form_energy_per_atom(phase), _name_parts(parts))


def find_distances(phases: "Iterable[PDEntry]") -> "Iterator[tuple[PDEntry, float]]":
    """Energy of each phase above the hull of all of them.

    Systems of few elements come first, so that of the faces of a system the vertices alone count.

    Parameters
    ----------
    phases : iterable of PDEntry
        With corrected energies; those with an element that has no phase of its own are left out.

    Yields
    ------
    PDEntry, float
        Phase and its energy above the hull in eV per atom, 0 for a vertex.
    """
    given, vertices = Phases.gather(phases), Phases({})
    for elements in sorted(given.by_elements, key=lambda e: (len(e), sorted(e))):
        if given.list_missing(elements):
            continue
        own = given.by_elements[elements]
        above = _compute_distances([*own, *vertices.collect(elements)], sorted(elements))[
            : len(own)
        ]
        above[above < _ON_HULL] = 0.0
        vertices.by_elements[elements] = [p for p, e in zip(own, above, strict=True) if e == 0]
        yield from zip(own, above.tolist(), strict=True)


def _compute_distances(phases: "Sequence[PDEntry]", elements: Sequence[str]) -> FloatArray:
    """Energy of each phase above their hull: the highest plane of a lower facet at its place."""
    energies = np.array([phase.energy_per_atom for phase in phases])
    if len(elements) == 1:
        return np.asarray(energies - energies.min())
    shares = np.array(
        [[p.composition.get_atomic_fraction(e) for e in elements] for p in phases], dtype=float
    )
    lowest = [energies[column == 1].min() for column in shares.T]
    energies -= shares @ lowest
    held = energies <= 0
    points = np.column_stack([shares[held, 1:], energies[held]])
    # A point far above the middle makes a body of them, whose facets at its side are left out.
    top = np.append(np.full(len(elements) - 1, 1 / len(elements)), 1.0)
    planes = ConvexHull(np.vstack([points, top])).equations
    planes = planes[planes[:, -2] < -_FLAT]
    heights = -(shares[:, 1:] @ planes[:, :-2].T + planes[:, -1]) / planes[:, -2]
    return np.asarray(energies - heights.max(axis=1))


def make_phase(name: str, formula: str, energy: float) -> "PDEntry":
    """Phase of a name, with its composition and its corrected energy in eV per atom."""
    # It loads matplotlib, which most commands do without.
    from pymatgen.analysis.phase_diagram import PDEntry  # noqa: PLC0415
    from pymatgen.core import Composition  # noqa: PLC0415

    composition = Composition(formula)
    return PDEntry(composition, energy * composition.num_atoms, name)


def list_elements(phase: "PDEntry") -> Elements:
    """Symbols of the elements of a phase."""
    return frozenset(element.symbol for element in phase.elements)


def _make_diagram(phases: "list[PDEntry]") -> "PhaseDiagram":
    from pymatgen.analysis.phase_diagram import PhaseDiagram  # noqa: PLC0415 - as above

    with warnings.catch_warnings(action="ignore"):  # light noble gases have no electronegativity
        return PhaseDiagram(phases)


def list_subsets(elements: Elements) -> Iterator[tuple[str, ...]]:
    """All sets of some of these elements."""
    return chain.from_iterable(combinations(elements, n + 1) for n in range(len(elements)))


def _name_parts(parts: "Mapping[PDEntry, float]") -> tuple[str, ...]:
    """Phases with their share of the atoms, the largest first."""
    shares = sorted(((share, phase) for phase, share in parts.items()), key=lambda s: -s[0])
    return tuple(
        f"{share:.2g} {phase.reduced_formula} ({phase.name})"
        for share, phase in shares
        if share > _LEAST_SHARE
    )
