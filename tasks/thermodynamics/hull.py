"""The convex hull of known crystals, by energies of one potential.

A crystal above the hull is less stable than a mixture of other phases. Distances follow from the
vertices of the hull alone, which travel with the package; ``benchmarks/hull.py`` makes their table.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, combinations
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

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

Elements = frozenset[str]


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
            subsets = map(frozenset, _list_subsets(elements))
            chosen = chain.from_iterable(self.by_elements.get(s, ()) for s in subsets)
            self.diagrams[elements] = _make_diagram(list(chosen))
        return self.diagrams[elements]

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


def find_vertices(phases: "Iterable[PDEntry]") -> "Iterator[tuple[PDEntry, float]]":
    """Energy of each phase above the hull of all; a vertex has none.

    Systems of few elements come first, so that of a system's faces the vertices alone count.

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
        vertices.by_elements[elements] = given.by_elements[elements]
        diagram = vertices.find_diagram(elements)
        vertices.by_elements[elements] = []
        del vertices.diagrams[elements]
        stable = {id(entry) for entry in diagram.stable_entries}
        for phase in given.by_elements[elements]:
            if id(phase) in stable:
                vertices.by_elements[elements].append(phase)
                yield phase, 0.0
            else:
                yield (
                    phase,
                    diagram.get_e_above_hull(phase, check_stable=False, allow_negative=True),
                )


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


def _list_subsets(elements: Elements) -> Iterator[tuple[str, ...]]:
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
