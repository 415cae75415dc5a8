"""The random crystals and spring models must be what the other tests take them for."""

import numpy as np
import pytest
from ase.neighborlist import neighbor_list
from phonopy.harmonic.force_constants import compact_fc_to_full_fc

from tests.crystals import (
    diamond,
    honeycomb,
    quartz,
    random_crystal,
    random_rotation,
    rocksalt,
    rutile,
    sampled_groups,
    space_group_number,
    spring_crystal,
    spring_phonon,
    tellurium,
    transformed,
    wurtzite,
    zincblende,
)

Q_POINTS = np.random.default_rng(3).uniform(-0.5, 0.5, (6, 3))


def full_force_constants(phonon):
    return compact_fc_to_full_fc(phonon.primitive, np.asarray(phonon.force_constants))


@pytest.mark.parametrize("number", sampled_groups())
def test_random_crystal_has_exactly_the_space_group(number):
    """Also at a loose tolerance, and in a cell that phonopy takes as primitive."""
    atoms = random_crystal(number)
    assert space_group_number(atoms) == space_group_number(atoms, 1e-2) == number
    assert len(set(atoms.numbers)) == 2
    assert len(spring_crystal(number).primitive) == len(atoms)


def test_random_crystal_depends_on_its_seed_alone():
    first, again, other = random_crystal(19, 1), random_crystal(19, 1), random_crystal(19, 2)
    np.testing.assert_array_equal(first.positions, again.positions)
    assert len(first) != len(other) or not np.allclose(first.positions, other.positions)


def test_real_crystals_have_the_space_groups_of_the_textbooks():
    makers = (rocksalt, diamond, zincblende, wurtzite, rutile, honeycomb, tellurium)
    found = [space_group_number(make()) for make in makers]
    assert found == [225, 227, 216, 186, 136, 187, 152]
    assert [space_group_number(quartz(n)) for n in (152, 154)] == [152, 154]


def test_the_two_quartzes_are_mirror_images_made_of_tetrahedra():
    """Four oxygen atoms at 1.60-1.62 A around each silicon atom, and one set of distances."""
    distances = []
    for number in (152, 154):
        atoms = quartz(number)
        i, d = neighbor_list("id", atoms, 3.4)
        assert np.bincount(i[d < 1.9]).tolist() == [4] * 3 + [2] * 6
        assert 1.60 < d.min() < d[d < 1.9].max() < 1.62
        distances.append(np.sort(d))
    np.testing.assert_allclose(*distances, atol=1e-9)


@pytest.mark.parametrize("number", sampled_groups()[::3])
def test_springs_obey_sum_rule_permutation_and_stability(number):
    phonon = spring_crystal(number)
    force_constants = full_force_constants(phonon)
    scale = np.abs(force_constants).max()
    assert np.abs(force_constants.sum(axis=1)).max() < 1e-13 * scale
    exchanged = force_constants.transpose(1, 0, 3, 2)
    assert np.abs(force_constants - exchanged).max() < 1e-13 * scale
    frequencies = phonon.run_qpoints(np.vstack([0.02 * Q_POINTS, Q_POINTS])).frequencies
    assert frequencies.min() > 1e-3


@pytest.mark.parametrize("number", sampled_groups())
def test_spring_frequencies_are_invariant_under_the_point_group_and_nothing_else(number):
    """w(Rq) = w(q) for the operations and time reversal, and not for a swap of two axes in P1."""
    phonon = spring_crystal(number)
    rotations = phonon.primitive_symmetry.symmetry_operations["rotations"]
    turned = (Q_POINTS[:2] @ np.linalg.inv(rotations)).reshape(-1, 3)
    frequencies = phonon.run_qpoints(turned).frequencies.reshape(len(rotations), 2, -1)
    assert np.abs(frequencies - frequencies[:1]).max() < 1e-9
    if number == 1:
        swapped = phonon.run_qpoints(Q_POINTS[:2, [1, 0, 2]]).frequencies
        assert np.abs(swapped - frequencies[0]).max() > 0.1


@pytest.mark.parametrize("born", [False, True])
def test_transformed_crystal_has_the_same_frequencies(born):
    """Rotation, mirror image, shift of origin and order of atoms are only descriptions."""
    phonon = spring_phonon(random_crystal(31), born=born)
    n_atoms = len(phonon.primitive)
    hand = 1 if born else -1
    descriptions = (
        transformed(phonon, hand * random_rotation(4)),
        transformed(phonon, shift=(0.13, 0.27, 0.41)),
        transformed(phonon, order=np.random.default_rng(0).permutation(n_atoms)),
    )
    expected = phonon.run_qpoints(Q_POINTS).frequencies
    for description in descriptions:
        found = description.run_qpoints(Q_POINTS).frequencies
        np.testing.assert_allclose(found, expected, atol=1e-8)


def test_repeated_cell_folds_the_frequencies():
    """In a cell doubled along a, q of the large cell holds q/2 and q/2 + a*/2 of the small one."""
    phonon = spring_phonon(random_crystal(76))
    size = int(phonon.supercell_matrix[0, 0])
    double = transformed(phonon, repeat=(size, 1, 1))
    q_point = np.array([0.3, 0.2, 0.1])
    unfolded = [(q_point + np.array([shift, 0, 0])) / [size, 1, 1] for shift in range(size)]
    expected = np.sort(phonon.run_qpoints(unfolded).frequencies.ravel())
    np.testing.assert_allclose(double.run_qpoints(q_point).frequencies[0], expected, atol=1e-8)
