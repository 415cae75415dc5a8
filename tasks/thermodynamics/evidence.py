"""Evidence that a crystal exists: its distance from the hull that travels with the package."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow.parquet as pq
from ase import Atoms

from tasks.crystals.records import describe_observation
from tasks.crystals.rows import read_atoms
from tasks.failures import RemediableError
from tasks.thermodynamics.hull import (
    VERTICES,
    Elements,
    Phases,
    Stability,
    list_subsets,
    make_phase,
)

Vertex = tuple[str, str, float]
_SYSTEMS: Final = 2000  # are kept with their diagrams; 100 000 would fill half a gigabyte
_SYMBOL: Final = re.compile(r"[A-Z][a-z]?")
EVIDENCE: Final = ("observed", "observed_source", "energy_above_hull", "hull_reason")
"""Columns of the catalogue of materials that tell whether a crystal exists."""
NO_EVIDENCE: Final = "no evidence that it exists"
"""What keeps such a crystal from the shortlist."""
RECORD: Final = "record"
"""Source of an energy above the hull that the database of a crystal states."""


EvidenceKind = Literal["observed", "hull"]
"""What speaks for a crystal: it was observed, or it lies near the hull."""


@dataclass(frozen=True)
class Evidence:
    """Whether anything says that a crystal exists.

    Attributes
    ----------
    kind : {"observed", "hull"} or None
        What does; None where nothing is known, or what is known speaks against it.
    reason : str
        In words.
    """

    kind: EvidenceKind | None
    reason: str


@dataclass(frozen=True)
class Hull:
    """A convex hull, and the potential whose energies it is made of.

    Attributes
    ----------
    potential, checkpoint_digest : str
        Name of the potential, and digest of its parameters.
    vertices : mapping
        Name, formula and corrected energy (eV/atom) of the vertices of each set of elements.
    """

    potential: str
    checkpoint_digest: str
    vertices: Mapping[Elements, Sequence[Vertex]]
    _phases: dict[Elements, Phases] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, path: Path) -> "Hull":
        """Read a table of vertices."""
        table = pq.read_table(path)
        said = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
        columns = (table[n].to_pylist() for n in ("material_id", "formula", "energy"))
        found = defaultdict[Elements, list[Vertex]](list)
        for vertex in zip(*columns, strict=True):
            found[frozenset(_SYMBOL.findall(vertex[1]))].append(vertex)
        return cls(said["potential"], said["checkpoint_digest"], found)

    def gather(self, elements: Elements) -> Phases:
        """Phases of nothing but some elements; those of all vertices would take seconds."""
        if elements not in self._phases:
            if len(self._phases) == _SYSTEMS:
                self._phases.clear()
            subsets = map(frozenset, list_subsets(elements))
            vertices = (v for subset in subsets for v in self.vertices.get(subset, ()))
            self._phases[elements] = Phases.gather(make_phase(*vertex) for vertex in vertices)
        return self._phases[elements]


@cache
def load_hull() -> Hull:
    """The hull that travels with the package; read once per process."""
    return Hull.read(VERTICES)


def find_hull(checkpoint_digest: str | None) -> Hull:
    """The hull of energies of one potential.

    Parameters
    ----------
    checkpoint_digest : str or None
        Digest of the potential's parameters.

    Returns
    -------
    Hull
        That of the package.

    Raises
    ------
    RemediableError
        For another potential: energies of two cannot be compared.
    """
    hull = load_hull()
    if checkpoint_digest != hull.checkpoint_digest:
        message = f"energies of another potential than {hull.potential}"
        raise RemediableError(message, f"relax the crystal with {hull.potential}")
    return hull


def assess_stability(atoms: Atoms, energy: float, hull: Hull) -> Stability:
    """Find where a relaxed crystal stands.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.
    energy : float
        Its energy in eV per atom, as the potential of the hull gives it.
    hull : Hull
        From `find_hull`.

    Returns
    -------
    Stability
        With the corrections of the Materials Project.

    Raises
    ------
    RemediableError
        For elements of which the hull has no phase.
    """
    elements = frozenset(atoms.symbols)
    phases = hull.gather(elements)
    if missing := phases.list_missing(elements):
        message = f"the hull has no phase of {', '.join(missing)}"
        raise RemediableError(message, "none is known to this program")
    if len(elements) > 1:  # an element has no correction
        # It loads much of pymatgen, which most commands do without.
        from tasks.thermodynamics.corrections import compute_correction  # noqa: PLC0415

        energy += compute_correction(atoms)
    return phases.find_stability(atoms.get_chemical_formula(), energy)


def make_hull_columns(stated: float | None, relaxed: Mapping[str, Any] | None) -> dict[str, Any]:
    """Columns of the catalogue that tell the distance from the hull.

    Parameters
    ----------
    stated : float or None
        Energy above the hull that the database states (eV/atom).
    relaxed : mapping or None
        Row of ``relaxations``.

    Returns
    -------
    dict
        Values by column: what the database states first.
    """
    if stated is not None:
        return {"energy_above_hull": stated, "hull_source": RECORD}
    if relaxed is None or relaxed["energy"] is None:
        return {"hull_reason": "not relaxed by a potential"}
    try:
        hull = find_hull(relaxed["checkpoint_digest"])
        found = assess_stability(read_atoms(relaxed), relaxed["energy"], hull)
    except RemediableError as error:
        return {"hull_reason": str(error)}
    return {
        "energy_above_hull": found.energy_above_hull,
        "hull_source": hull.potential,
        "competing_phases": list(found.competing_phases),
    }


def weigh_evidence(row: Mapping[str, Any], distance: float | None) -> Evidence:
    """Tell whether anything says that a crystal exists.

    Parameters
    ----------
    row : mapping
        Columns `EVIDENCE` of the catalogue of materials; empty means unknown.
    distance : float or None
        From the hull (eV/atom), within which a crystal that is not known to be observed counts;
        None where none counts. It holds below the hull as well: what lies far below all known
        phases is an error of the potential or of the hull.

    Returns
    -------
    Evidence
        An observation comes before the hull.
    """
    seen = describe_observation(row["observed"], row["observed_source"])
    if row["observed"]:
        return Evidence("observed", seen)
    above = row["energy_above_hull"]
    if above is None:
        return Evidence(None, f"{seen}; no energy above the hull: {row['hull_reason']}")
    place = describe_distance(above)
    if distance is None:
        return Evidence(None, f"{seen}; {place}")
    if abs(above) <= distance:
        return Evidence("hull", f"{place}, within {distance:g}")
    return Evidence(None, f"{seen}; {place}, not within {distance:g}")


def describe_distance(above: float) -> str:
    """Say where a crystal lies, from its energy above the hull (eV/atom)."""
    size = round(abs(above), 3)
    return f"{size:.3f} eV/atom {'below' if above < 0 < size else 'above'} the hull"
