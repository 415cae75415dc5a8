"""Energies, forces and stresses: the derivatives fit, and mirror images are equal."""

import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from potentials import Equivariance, invert, load_card, load_potential, require_known
from potentials.registry import list_nequix_names
from tests.potentials.crystals import rattled, trigonal_tellurium

pytestmark = pytest.mark.slow

NAMES = ("7net-0", "7net-l3i5")


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_card_tells_identity(name):
    bare = load_potential(name, parity=False)
    card = bare.card
    assert card.equivariance is Equivariance.SO3
    assert len(card.digest) == 64
    assert card.elements == set(bare.model.type_map)
    assert load_potential(name).card.digest != card.digest


def test_forces_are_minus_the_gradient_of_the_energy(name):
    potential = load_potential(name)
    atoms = rattled(bulk("ZnS", "zincblende", a=5.4))
    force = potential.evaluate([atoms]).forces[0][1, 2]
    step = 1e-3
    energies = potential.evaluate([moved(atoms, +step), moved(atoms, -step)]).energies
    assert -(energies[0] - energies[1]) / (2 * step) == pytest.approx(force, abs=1e-5)


def moved(atoms: Atoms, step: float) -> Atoms:
    """Crystal whose second atom is shifted along z."""
    result = atoms.copy()
    result.positions[1, 2] += step
    return result


def test_stress_is_the_strain_derivative_of_the_energy_per_volume(name):
    potential = load_potential(name)
    atoms = rattled(bulk("ZnS", "zincblende", a=5.4))
    stress = potential.evaluate([atoms]).stresses[0]
    direction = np.array([[0.3, 0.1, 0.0], [0.1, -0.2, 0.4], [0.0, 0.4, 0.5]])
    step = 1e-4
    pair = [strained(atoms, +step * direction), strained(atoms, -step * direction)]
    plus, minus = potential.evaluate(pair).energies
    slope = (plus - minus) / (2 * step * atoms.get_volume())
    assert slope == pytest.approx(np.sum(stress * direction), abs=1e-6)


def strained(atoms: Atoms, strain: np.ndarray) -> Atoms:
    """Crystal under a symmetric strain."""
    result = atoms.copy()
    result.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return result


def test_bare_sevennet_breaks_mirror_symmetry(name):
    """If this fails, the averaging has become needless for this model."""
    potential = load_potential(name, parity=False)
    atoms = rattled(trigonal_tellurium())
    left, right = potential.evaluate([atoms, invert(atoms)]).energies
    assert abs(left - right) > 1e-4


def test_mirror_images_have_equal_energies_and_mirrored_forces(name):
    potential = load_potential(name)
    atoms = rattled(trigonal_tellurium())
    mirror = np.diag([1.0, 1.0, -1.0])
    image = Atoms(
        numbers=atoms.numbers,
        cell=atoms.cell.array @ mirror,
        positions=atoms.positions @ mirror,
        pbc=True,
    )
    found = potential.evaluate([atoms, image])
    assert found.energies[0] == pytest.approx(found.energies[1], abs=1e-9)
    assert np.allclose(found.forces[0] @ mirror, found.forces[1], atol=1e-8)
    assert np.allclose(mirror @ found.stresses[0] @ mirror, found.stresses[1], atol=1e-9)


def test_rotated_crystals_have_equal_energies(name):
    potential = load_potential(name)
    atoms = rattled(trigonal_tellurium())
    turned = atoms.copy()
    turned.rotate(37.0, (1, 2, 3), rotate_cell=True)
    found = potential.evaluate([atoms, turned])
    # The coupling coefficients inside the model are stored in single precision.
    assert found.energies[0] == pytest.approx(found.energies[1], abs=1e-7)


def test_float32_agrees_with_float64():
    atoms = rattled(trigonal_tellurium())
    double, single = (load_potential("7net-0", dtype=d) for d in ("float64", "float32"))
    difference = double.evaluate([atoms]).forces[0] - single.evaluate([atoms]).forces[0]
    assert 0 < np.abs(difference).max() < 1e-4


def test_same_potential_is_loaded_once():
    averaged, bare = load_potential("7net-0"), load_potential("7net-0", parity=False)
    assert averaged is load_potential("7net-0")
    assert averaged.potential is bare
    assert load_potential("7net-0", dtype="float32", parity=False).model is not bare.model


@pytest.mark.parametrize("name", [*list_nequix_names(), *NAMES])
def test_cards_are_those_of_the_loaded_potentials(name):
    assert load_card(name, dtype="float32") == load_potential(name, dtype="float32").card


def test_any_ase_calculator_is_made_parity_even():
    potential = load_potential("ase:ase.calculators.emt:EMT")
    found = potential.evaluate([rattled(bulk("Cu"))])
    assert potential.card.equivariance is Equivariance.O3
    assert found.forces[0].shape == (1, 3)
    assert found.stresses.shape == (1, 3, 3)


def test_options_of_a_calculator_change_its_digest():
    cards = [
        load_potential("ase:ase.calculators.lj:LennardJones", options={"sigma": sigma}).card
        for sigma in (2.0, 2.1)
    ]
    assert cards[0].digest != cards[1].digest


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"name": "7net-9"}, r"unknown potential .7net-9.; did you mean 7net-0\?"),
        ({"name": "ase:no.such.module:Thing"}, "cannot import"),
        ({"name": "7net-0", "dtype": "float16"}, "unknown dtype"),
        ({"name": "7net-0", "device": "abacus"}, "unknown device"),
    ],
)
def test_wrong_names_are_told(arguments, word):
    with pytest.raises(ValueError, match=word):
        load_potential(**arguments)


@pytest.mark.parametrize(("name", "package"), [("7net-0", "sevenn"), ("chgnet", "chgnet")])
def test_a_missing_package_is_told_with_its_extra(monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ValueError, match=rf"needs the package {package}.*pip install 'chiralscreen"
    ):
        require_known(name, "cpu", "float64")
