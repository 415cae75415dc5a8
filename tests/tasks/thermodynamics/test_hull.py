"""The hull is that of pymatgen, whichever way it is found."""

import pytest
from pymatgen.analysis.phase_diagram import PhaseDiagram
from scipy.optimize import linprog

from tasks.thermodynamics.evidence import load_hull
from tasks.thermodynamics.hull import Phases, find_distances, make_phase

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
    others = [
        make_phase(f"{p.name}-b", str(p.composition), p.energy_per_atom + 0.03) for p in known
    ]
    return [*known, *others]


@pytest.mark.parametrize("elements", SYSTEMS, ids="-".join)
def test_distances_are_those_of_the_phase_diagram(elements):
    phases = phases_of(*elements)
    diagram = PhaseDiagram(phases)
    found = dict(find_distances(phases))
    assert len(found) == len(phases) > 2 * len(elements)
    for phase, above in found.items():
        assert above == pytest.approx(diagram.get_e_above_hull(phase), abs=1e-7)
    assert {p for p, above in found.items() if above == 0} == set(diagram.stable_entries)


def test_a_mixture_of_lowest_energy_is_what_competes():
    """Linear programming finds the same mixture for enstatite without itself."""
    phases = [p for p in phases_of("Mg", "Si", "O") if p.reduced_formula != "MgSiO3"]
    fractions = [[p.composition.get_atomic_fraction(e) for p in phases] for e in ("Mg", "Si", "O")]
    energies = [p.energy_per_atom for p in phases]
    best = linprog(energies, A_eq=fractions, b_eq=[0.2, 0.2, 0.6])
    found = Phases.gather(phases).find_stability("MgSiO3", best.fun + 0.04)
    assert found.energy_above_hull == pytest.approx(0.04, abs=1e-6)
    assert found.formation_energy < -2
    assert {text.split()[1] for text in found.competing_phases} == {"Mg2SiO4", "SiO2"}
    assert found.competing_phases[0].startswith("0.7 ")  # 7 atoms of Mg2SiO4 to 3 of SiO2


def test_a_more_stable_crystal_lies_below_the_hull():
    hull = load_hull().gather(frozenset(("Si", "O")))
    quartz = min(
        (p for p in hull.collect(frozenset(("Si", "O"))) if p.reduced_formula == "SiO2"),
        key=lambda p: p.energy_per_atom,
    )
    found = hull.find_stability("Si3O6", quartz.energy_per_atom - 0.02)
    assert found.energy_above_hull == pytest.approx(-0.02)
    assert found.competing_phases == (f"1 SiO2 ({quartz.name})",)


def test_phases_of_an_element_that_has_none_are_left_out():
    phases = [make_phase("a", "O2", -4.9), make_phase("b", "Li2O", -5)]
    assert [p.name for p, _ in find_distances(phases)] == ["a"]
