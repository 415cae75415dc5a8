"""Crystals described anew lie on each other, and their modes are the same modes."""

import numpy as np
import pytest

from tasks.chirality import angular_momentum, compute_modes
from tasks.crystals.alignment import align_crystals
from tasks.crystals.cells import make_atoms
from tasks.phonons.mirror import make_mirror_image
from tasks.results.agreement import map_modes
from tests.crystals import (
    quartz,
    random_rotation,
    spring_phonon,
    tellurium,
    transformed,
    zincblende,
)

Q_POINTS = np.random.default_rng(5).uniform(-0.5, 0.5, (6, 3))
OTHER_VECTORS = np.array([[1, 1, 0], [0, 1, 0], [0, -1, 1]])


def described_anew(phonon, seed: int):
    """The same crystal, rotated, shifted, with other lattice vectors and order of atoms."""
    order = np.random.default_rng(seed).permutation(len(phonon.unitcell))
    rotation, shift = random_rotation(seed), (0.1, 0.2, 0.3)
    return transformed(phonon, rotation, shift=shift, order=order, lattice=OTHER_VECTORS)


def lying(first, second, distance=0.1):
    return align_crystals(make_atoms(first.primitive), make_atoms(second.primitive), distance)


@pytest.mark.parametrize("crystal", [tellurium, zincblende, lambda: quartz(152)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_modes_of_the_other_description_are_those_of_the_crystal(crystal, mirrored):
    """Mode by mode: equal frequencies, and eigenvectors that differ by a phase."""
    phonon = spring_phonon(crystal(), 1)
    other = described_anew(make_mirror_image(phonon) if mirrored else phonon, 3)
    found = lying(phonon, other)
    here = compute_modes(phonon, Q_POINTS)
    there = map_modes(found, compute_modes(other, found.map_q_points(Q_POINTS)))
    np.testing.assert_allclose(there.q_points, Q_POINTS, atol=1e-12)
    np.testing.assert_allclose(there.frequencies, here.frequencies, atol=1e-9)
    overlaps = (here.eigenvectors.conj() * there.eigenvectors).sum(axis=1)
    np.testing.assert_allclose(np.abs(overlaps), 1.0, atol=1e-6)


def test_the_hand_of_a_chiral_crystal_is_told():
    phonon = spring_phonon(tellurium(), 1)
    assert lying(phonon, described_anew(phonon, 3)).is_proper
    assert not lying(phonon, described_anew(make_mirror_image(phonon), 3)).is_proper


def test_modes_of_the_other_hand_are_turned_into_those_of_the_mirror_image():
    """As they are, they have the opposite angular momentum."""
    phonon = spring_phonon(tellurium(), 1)
    image = make_mirror_image(phonon)
    found = lying(phonon, image)
    modes = compute_modes(image, found.map_q_points(Q_POINTS))
    expected = angular_momentum(compute_modes(phonon, Q_POINTS).eigenvectors)
    np.testing.assert_allclose(
        angular_momentum(found.map_eigenvectors(modes.eigenvectors)), expected
    )
    turned = angular_momentum(modes.eigenvectors) @ found.rotation.T
    np.testing.assert_allclose(turned, -expected, atol=1e-9)
    assert np.abs(expected).max() > 0.1


def test_strain_and_small_displacements_are_allowed_and_large_ones_are_not():
    first = tellurium()
    second = first.copy()
    second.set_cell(first.cell * [1.03, 1.03, 0.99], scale_atoms=True)
    second.rattle(0.02, seed=1)
    found = align_crystals(first, second, 0.1)
    laid = found.lattice @ second.cell.array @ found.rotation.T
    np.testing.assert_allclose(laid, first.cell.array, atol=0.04 * first.cell.lengths().max())
    assert (first.numbers == second.numbers[found.order]).all()
    second.rattle(1.0, seed=1)
    assert align_crystals(first, second, 0.1) is None


def test_other_elements_are_another_crystal():
    other = tellurium()
    other.symbols[0] = "Se"
    assert align_crystals(tellurium(), other, 0.1) is None
