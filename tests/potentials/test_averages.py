"""Averages over groups give exactly the symmetry of the group, and are found by name."""

import numpy as np
import pytest
from ase.build import bulk

from benchmarks.asymmetry import Perturbed, break_mirrors, break_rotations
from potentials import GroupAverage, load_card, load_potential, remove_average
from potentials.averages import (
    GROUPS,
    INVERSION,
    find_lattice_isometries,
    invert,
    split_average,
    transform,
)
from tests.potentials.crystals import rattled, trigonal_tellurium


def zinc_sulphide():
    return rattled(bulk("ZnS", "zincblende", a=5.4))


@pytest.mark.parametrize("name", GROUPS)
def test_isometries_form_a_group(name):
    found = GROUPS[name].find(trigonal_tellurium())
    assert np.allclose(found @ found.transpose(0, 2, 1), np.eye(3))
    products = np.einsum("aij,bjk->abik", found, found).reshape(-1, 1, 3, 3)
    nearest = np.abs(products - found).max(axis=(2, 3)).min(axis=1)
    assert nearest.max() < 1e-9
    assert len(found) <= GROUPS[name].size
    inverted = np.abs(found + np.eye(3)).max(axis=(1, 2)).min() < 1e-9
    assert inverted == GROUPS[name].has_inversion


@pytest.mark.parametrize(
    ("atoms", "order"),
    [
        (trigonal_tellurium(), 24),
        (bulk("NaCl", "rocksalt", a=5.6), 48),
        (bulk("NaCl", "rocksalt", a=5.6) * (2, 1, 3), 8),
        (bulk("Sn", "bct", a=5.8, c=3.2), 16),
        (rattled(trigonal_tellurium()), 4),
    ],
)
def test_lattices_have_as_many_isometries_as_their_bravais_class(atoms, order):
    isometries = find_lattice_isometries(atoms)
    assert len(isometries) == order
    for isometry in isometries:
        turned = atoms.cell.array @ isometry.T @ np.linalg.inv(atoms.cell.array)
        assert np.allclose(turned, np.rint(turned), atol=1e-3)


def test_an_image_keeps_the_hand_of_its_cell():
    atoms = trigonal_tellurium()
    mirror = np.diag([1.0, 1.0, -1.0])
    image = transform(atoms, mirror)
    assert np.linalg.det(image.cell.array) == pytest.approx(atoms.get_volume())
    assert np.allclose(image.positions, atoms.positions @ mirror)
    assert np.array_equal(invert(atoms).cell.array, atoms.cell.array)
    assert np.array_equal(invert(atoms).positions, -atoms.positions)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("7net-0@octahedron", ("7net-0", "octahedron")),
        ("7net-0", ("7net-0", "")),
        ("facet:runs@night/model.pt", ("facet:runs@night/model.pt", "")),
        ("facet:runs@night/model.pt@bare", ("facet:runs@night/model.pt", "bare")),
        ("@bare", ("@bare", "")),
    ],
)
def test_a_group_is_split_from_the_name(name, split):
    assert split_average(name) == split


def test_an_unknown_group_is_told():
    with pytest.raises(ValueError, match="has no average 'cube'; choose one of bare"):
        load_card("nequix-mp-1-pft@cube")


@pytest.mark.slow
def test_order_two_vanishes_under_the_octahedron_and_order_four_does_not():
    atoms = zinc_sulphide()
    turn = transform(atoms, np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]]))
    for order, kept in ((2, True), (4, False)):
        bare = Perturbed(load_potential("facet-tetrahedra"), break_rotations(0.1, order))
        both = GroupAverage(bare, GROUPS["octahedron"]).evaluate([atoms, turn]).energies
        assert bool(abs(both[0] - both[1]) < 1e-9) is kept
        alone = bare.evaluate([atoms, turn]).energies
        assert abs(alone[0] - alone[1]) > 1e-4


@pytest.mark.slow
def test_forces_and_stress_are_derivatives_of_the_mean():
    bare = Perturbed(load_potential("facet-tetrahedra"), break_rotations(0.1))
    potential = GroupAverage(bare, GROUPS["octahedron"])
    atoms, step = zinc_sulphide(), 1e-3
    found = potential.evaluate([atoms])
    ahead, behind = atoms.copy(), atoms.copy()
    for sign, copy in ((1, ahead), (-1, behind)):
        copy.positions[1, 2] += sign * step
    energies = potential.evaluate([ahead, behind]).energies
    slope = (energies[0] - energies[1]) / (2 * step)
    assert -slope == pytest.approx(found.forces[0][1, 2], abs=1e-5)
    strain = np.diag([0.0, 1e-4, -1e-4])
    ahead, behind = atoms.copy(), atoms.copy()
    for sign, copy in ((1, ahead), (-1, behind)):
        copy.set_cell(atoms.cell.array @ (np.eye(3) + sign * strain), scale_atoms=True)
    energies = potential.evaluate([ahead, behind]).energies
    slope = (energies[0] - energies[1]) / (2 * atoms.get_volume())
    assert slope == pytest.approx(np.sum(found.stresses[0] * strain), abs=1e-10)


@pytest.mark.slow
def test_structures_of_unlike_groups_share_an_evaluation():
    bare = Perturbed(load_potential("facet-tetrahedra"), break_mirrors(0.1))
    potential = GroupAverage(bare, GROUPS["lattice"])
    atoms = [bulk("Si"), zinc_sulphide(), bulk("ZnO", "wurtzite", a=3.25, c=5.2)]
    together = potential.evaluate(atoms)
    for index, one in enumerate(atoms):
        alone = potential.evaluate([one])
        assert alone.energies[0] == pytest.approx(together.energies[index], abs=1e-9)
        assert np.allclose(alone.forces[0], together.forces[index], atol=1e-9)


@pytest.mark.slow
def test_names_choose_the_average():
    bare = load_potential("7net-0@bare")
    assert remove_average(bare) is bare
    assert bare.card.equivariance == "SO(3)"
    assert not bare.card.averaged
    both = load_potential("7net-0@octahedron")
    assert both.group is INVERSION
    assert both.potential.group is GROUPS["octahedron"]
    assert load_potential("7net-0@inversion").card == load_potential("7net-0").card
    for name in ("7net-0@bare", "7net-0@octahedron", "nequix-mp-1-pft@lattice"):
        card = load_card(name)
        assert card == load_potential(name).card
        assert card.name == name
    atoms = rattled(trigonal_tellurium())
    left, right = bare.evaluate([atoms, invert(atoms)]).energies
    assert abs(left - right) > 1e-4
