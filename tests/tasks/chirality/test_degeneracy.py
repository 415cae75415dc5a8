"""Degenerate sets from tolerance and from symmetry, and averages over them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.chirality.angular_momentum import angular_momentum
from tasks.chirality.degeneracy import (
    average_over_sets,
    count_set_members,
    find_degenerate_sets,
    find_symmetry_partners,
    flag_near_degenerate,
)
from tasks.chirality.modes import compute_modes
from tasks.phonons.sum_rules import impose_sum_rules
from tests.crystals import quartz, sampled_groups, spring_crystal, spring_phonon, wurtzite
from tests.tasks.chirality.mixing import mix


def test_neighbours_within_the_tolerance_share_a_label():
    """The relation is transitive: a chain of small gaps is one set."""
    frequencies = np.array([[1.0, 1.0005, 1.001, 2.0, 2.5, 2.5001], [0, 1, 2, 3, 4, 5]])
    sets = find_degenerate_sets(frequencies, 1e-3)
    np.testing.assert_array_equal(sets, [[0, 0, 0, 1, 2, 2], [0, 1, 2, 3, 4, 5]])
    np.testing.assert_array_equal(count_set_members(sets), [[3, 3, 3, 1, 2, 2], [1] * 6])


def test_symmetry_joins_bands_that_the_tolerance_leaves_apart():
    frequencies = np.array([[1.0, 1.1, 2.0]])
    joined = np.array([[True, False]])
    np.testing.assert_array_equal(find_degenerate_sets(frequencies, 1e-3, joined), [[0, 0, 1]])


def test_sets_within_ten_tolerances_are_flagged():
    """A gap of 5e-3 THz is suspicious, one of 2e-2 is not, and partners inside a set are not."""
    frequencies = np.array([[1.0, 1.0005, 1.0055, 3.0, 3.02]])
    sets = find_degenerate_sets(frequencies, 1e-3)
    flags = flag_near_degenerate(frequencies, sets, 1e-3)
    np.testing.assert_array_equal(flags, [[True, True, True, False, False]])


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=8),
    seed=st.integers(0, 2**31),
)
def test_set_mean_is_the_mean_over_each_set(sizes, seed):
    sets = np.repeat(np.arange(len(sizes)), sizes)[None].repeat(2, axis=0)
    values = np.random.default_rng(seed).normal(size=(*sets.shape, 3))
    means = average_over_sets(values, sets)
    for label in range(len(sizes)):
        members = sets[0] == label
        expected = values[:, members].mean(axis=1, keepdims=True)
        np.testing.assert_allclose(means[:, members], expected.repeat(members.sum(), axis=1))


def test_set_means_of_neighbouring_q_points_stay_apart():
    """The last set of one q-point and the first of the next have labels that may be equal."""
    sets = np.zeros((2, 2), dtype=int)
    values = np.array([[1.0, 3.0], [10.0, 30.0]])
    np.testing.assert_array_equal(average_over_sets(values, sets), [[2, 2], [20, 20]])


@pytest.mark.parametrize("number", sampled_groups()[::2])
def test_symmetry_and_tolerance_find_the_same_sets(number):
    """Generic springs have no accidental degeneracy, so both ways agree at special points."""
    phonon = spring_crystal(number)
    q_points = np.array([[0, 0, 0], [0.5, 0, 0], [0, 0, 0.5], [0.5, 0.5, 0.5], [0.1, 0.2, 0.3]])
    frequencies = compute_modes(phonon, q_points).frequencies
    by_symmetry = find_degenerate_sets(frequencies, 1e-7, find_symmetry_partners(phonon, q_points))
    by_tolerance = find_degenerate_sets(frequencies, 1e-6)
    # The three translations have one frequency, whatever their representations.
    np.testing.assert_array_equal(by_symmetry[1:], by_tolerance[1:])
    sizes = [count_set_members(found)[0, 3:] for found in (by_symmetry, by_tolerance)]
    np.testing.assert_array_equal(*sizes)


def test_symmetry_keeps_pairs_together_that_sloppy_forces_split():
    """Noise of 0.1 % in the force constants splits the doublets of wurtzite at Gamma."""
    phonon = spring_phonon(wurtzite())
    gamma = np.zeros((1, 3))
    exact = count_set_members(find_degenerate_sets(compute_modes(phonon, gamma).frequencies))
    noise = np.random.default_rng(1).normal(scale=1e-3, size=phonon.force_constants.shape)
    phonon.force_constants = phonon.force_constants * (1 + noise)
    phonon.symmetrize_force_constants(show_drift=False, use_symfc_projector=False)
    frequencies = compute_modes(phonon, gamma).frequencies
    loose = count_set_members(find_degenerate_sets(frequencies))
    joined = count_set_members(
        find_degenerate_sets(frequencies, joined=find_symmetry_partners(phonon, gamma))
    )
    assert (loose[0, 3:] == 1).all()
    np.testing.assert_array_equal(joined[0, 3:], exact[0, 3:])


def test_symmetry_is_asked_without_the_supercell_of_phonopy():
    crystal = impose_sum_rules(spring_phonon(wurtzite())).crystal
    q_points = [[0, 0, 0], [0.5, 0, 0], [1 / 3, 1 / 3, 0.5]]
    found = find_symmetry_partners(crystal, q_points)
    assert "phonon" not in vars(crystal)
    np.testing.assert_array_equal(found, find_symmetry_partners(crystal.phonon, q_points))
    assert found.any(axis=1)[0]


@pytest.mark.parametrize("seed", range(5))
def test_means_survive_another_choice_of_the_eigensolver(seed):
    """On the axis of quartz and at Gamma, where single eigenvectors change beyond recognition."""
    q_points = [[0, 0, 0], [0, 0, 0.5], [1 / 3, 1 / 3, 0]]
    modes = compute_modes(spring_phonon(quartz()), q_points)
    sets = find_degenerate_sets(modes.frequencies)
    mixed = mix(modes, sets, seed)
    one, other = (angular_momentum(m.eigenvectors) for m in (modes, mixed))
    assert np.abs(one - other).max() > 0.1
    np.testing.assert_allclose(
        average_over_sets(one, sets), average_over_sets(other, sets), atol=1e-12
    )
