"""The hull is that of pymatgen, whichever way it is found."""

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition
from scipy.optimize import linprog

from tasks.thermodynamics.evidence import load_hull
from tasks.thermodynamics.hull import Diagram, Phase, Phases, find_distances

SYSTEMS = [
    ("Si", "O"),
    ("Mg", "Si", "O"),
    ("Li", "Fe", "P", "O"),
    ("Sn", "Te"),
    ("K", "Al", "Si", "O"),
]


def phases_of(*elements):
    """Vertices of a system, and of each compound a second phase 0.03 eV/atom above it."""
    known = load_hull().gather(frozenset(elements)).collect(frozenset(elements))
    return [*known, *(Phase(f"{p.name}-b", p.formula, p.energy + 0.03) for p in known)]


def make_entry(phase):
    """The phase as pymatgen takes it."""
    composition = Composition(phase.formula)
    return PDEntry(composition, phase.energy * composition.num_atoms, phase.name)


@pytest.mark.parametrize("elements", SYSTEMS, ids="-".join)
def test_distances_are_those_of_the_phase_diagram(elements):
    phases = phases_of(*elements)
    diagram = PhaseDiagram(list(map(make_entry, phases)))
    found = dict(find_distances(phases))
    assert len(found) == len(phases) > 2 * len(elements)
    for phase, above in found.items():
        assert above == pytest.approx(diagram.get_e_above_hull(make_entry(phase)), abs=1e-7)
    stable = {entry.name for entry in diagram.stable_entries}
    assert {p.name for p, above in found.items() if above == 0} == stable


@pytest.mark.parametrize("elements", [("Te",), *SYSTEMS], ids="-".join)
def test_mixtures_are_those_of_the_phase_diagram(elements):
    """Compositions inside, on the sides and at the corners of the diagram."""
    phases = phases_of(*elements)
    ours = Diagram.build(phases, sorted(elements))
    theirs = PhaseDiagram(list(map(make_entry, phases)))
    counts = np.random.default_rng(0).integers(0, 4, (60, len(elements)))
    for row in counts[counts.any(axis=1)]:
        formula = "".join(f"{e}{n}" for e, n in zip(elements, row, strict=True) if n)
        phase = Phase("", formula, -5.0)
        found = ours.find_stability(phase)
        parts, above = theirs.get_decomp_and_e_above_hull(make_entry(phase), allow_negative=True)
        formation = theirs.get_form_energy_per_atom(make_entry(phase))
        assert found.energy_above_hull == pytest.approx(above, abs=1e-9)
        assert found.formation_energy == pytest.approx(formation, abs=1e-9)
        told = dict(text.split(" ", 1)[::-1] for text in found.competing_phases)
        expected = {f"{p.reduced_formula} ({p.name})": n for p, n in parts.items() if n > 5e-4}
        assert told.keys() == expected.keys()
        assert all(float(told[name]) == pytest.approx(n, abs=6e-3) for name, n in expected.items())


def test_a_mixture_of_lowest_energy_is_what_competes():
    """Linear programming finds the same mixture for enstatite without itself."""
    phases = [p for p in phases_of("Mg", "Si", "O") if p.formula != "MgSiO3"]
    fractions = [[p.shares.get(e, 0.0) for p in phases] for e in ("Mg", "Si", "O")]
    energies = [p.energy for p in phases]
    best = linprog(energies, A_eq=fractions, b_eq=[0.2, 0.2, 0.6])
    found = Phases.gather(phases).find_stability("MgSiO3", best.fun + 0.04)
    assert found.energy_above_hull == pytest.approx(0.04, abs=1e-6)
    assert found.formation_energy < -2
    assert {text.split()[1] for text in found.competing_phases} == {"Mg2SiO4", "SiO2"}
    assert found.competing_phases[0].startswith("0.7 ")  # 7 atoms of Mg2SiO4 to 3 of SiO2


def test_a_more_stable_crystal_lies_below_the_hull():
    hull = load_hull().gather(frozenset(("Si", "O")))
    quartz = min(
        (p for p in hull.collect(frozenset(("Si", "O"))) if p.formula == "SiO2"),
        key=lambda p: p.energy,
    )
    found = hull.find_stability("Si3O6", quartz.energy - 0.02)
    assert found.energy_above_hull == pytest.approx(-0.02)
    assert found.competing_phases == (f"1 SiO2 ({quartz.name})",)


def test_phases_of_an_element_that_has_none_are_left_out():
    phases = [Phase("a", "O2", -4.9), Phase("b", "Li2O", -5)]
    assert [p.name for p, _ in find_distances(phases)] == ["a"]
