"""What the models that travel with the package know."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

import potentials.facet
from potentials import Equivariance, load_potential
from potentials.registry import list_facet_names
from tests.crystals import quartz
from tests.potentials.crystals import rattled
from tests.potentials.facet.structures import MIRROR, ROTATION, transformed

pytestmark = pytest.mark.slow

WEIGHTS = Path(potentials.facet.__file__).parent / "weights"
STUDENT = "facet-tetrahedra"
LEARNED = "facet-aln-attention"
TERAHERTZ = 15.633302  # of the root of one eV/(Å^2 u)


def test_shipped_models_load():
    for name in list_facet_names():
        bare = load_potential(f"{name}@bare", dtype="float32").card
        assert bare.equivariance is (Equivariance.SO3 if name == LEARNED else Equivariance.O3)


@pytest.mark.parametrize("operation", [ROTATION, MIRROR])
def test_learned_symmetry_holds_nearly(operation):
    """What its card says: turned crystals have nearly the same forces, not the same."""
    potential = load_potential(f"{LEARNED}@bare")
    assert any("nearly, not exactly" in limit for limit in potential.card.limits)
    atoms = rattled(bulk("AlN", "wurtzite", a=3.11, c=4.98).repeat(2), 0.03)
    found, turned = potential.evaluate([atoms, transformed(atoms, operation)]).forces
    error = np.abs(found @ operation.T - turned).max() / np.sqrt((found**2).mean())
    assert 1e-4 < error < 0.1


def test_student_tells_where_it_comes_from():
    card = load_potential(STUDENT).card
    assert card.name == STUDENT
    assert "nequix-mp-1-pft" in card.citation
    assert "Materials Project" in card.citation
    assert "CC-BY 4.0" in card.licence
    symbols = ["N", "O", "Al", "Si", "P", "S", "Zn", "Ga", "Ge", "As", "Se", "Cd"]
    assert card.elements == set(Atoms(symbols).numbers)
    assert (WEIGHTS / f"{STUDENT}.pt").stat().st_size < 5e6


@pytest.mark.parametrize("operation", [ROTATION, MIRROR, -np.eye(3)])
def test_student_is_exactly_invariant(operation):
    atoms = rattled(quartz())
    found = load_potential(STUDENT).evaluate([atoms, transformed(atoms, operation)])
    assert found.energies[0] == pytest.approx(found.energies[1], abs=1e-9)
    assert np.allclose(found.forces[0] @ operation.T, found.forces[1], atol=1e-9)


@pytest.mark.parametrize(
    ("crystal", "expected"),
    [
        (bulk("GaAs", "zincblende", a=5.75), 7.307),
        (bulk("ZnS", "zincblende", a=5.45), 7.865),
        (bulk("AlP", "zincblende", a=5.51), 12.958),
    ],
    ids=["GaAs", "ZnS", "AlP"],
)
def test_student_knows_the_optic_mode(crystal, expected):
    """Of both atoms against each other, in THz, as its teacher knows it."""
    assert optic_frequency(crystal, STUDENT) == pytest.approx(expected, rel=0.02)


def optic_frequency(crystal: Atoms, name: str) -> float:
    """Frequency of the transverse optic mode at the centre of the zone, from one displacement."""
    step = 0.01
    moved = [crystal.copy() for _ in range(2)]
    for atoms, sign in zip(moved, (1, -1), strict=True):
        atoms.positions[0, 0] += sign * step
    forth, back = load_potential(name).evaluate(moved).forces
    stiffness = -(forth - back)[0, 0] / (2 * step)
    return float(TERAHERTZ * np.sqrt(stiffness * (1 / crystal.get_masses()).sum()))
