"""Means and maxima over the Brillouin zone, and what is left out of them."""

import numpy as np
import pytest

from tasks.chirality.angular_momentum import (
    compute_atomic_angular_momentum,
    compute_circular_polarization,
)
from tasks.chirality.axes import find_crystal_operations
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import Modes, compute_modes
from tasks.chirality.statistics import (
    average_atomic_motion,
    compute_zone_statistics,
    find_translations,
)
from tests.crystals import quartz, spring_crystal, spring_phonon, wurtzite
from tests.tasks.chirality.mixing import mix

Q_POINTS = np.array([[0, 0, 0], [0, 0, 0.3], [0.1, 0.2, 0.3]])


def test_means_are_weighted_and_maxima_are_not():
    values = np.array([[1.0, 0, 0, -4.0], [0, 0, 3.0, 2.0]])
    found = compute_zone_statistics(values, np.array([3, 1]), np.ones((2, 4), dtype=bool))
    assert found.mean == pytest.approx((3 * 5 + 5) / 16)
    assert found.maximum == 4
    assert found.optical_mean == pytest.approx((3 * 4 + 2) / 4)
    assert found.optical_maximum == 4


def test_modes_left_out_do_not_count():
    values = np.array([[9.0, 1.0, 1.0, 2.0, 8.0]])
    counted = np.array([[False, True, True, True, False]])
    found = compute_zone_statistics(values, np.array([2]), counted)
    assert (found.mean, found.maximum) == (pytest.approx(4 / 3), 2)
    assert (found.optical_mean, found.optical_maximum) == (2, 2)


def test_one_atom_has_no_optical_branches():
    found = compute_zone_statistics(np.ones((1, 3)), np.array([1]), np.ones((1, 3), dtype=bool))
    assert (found.optical_mean, found.optical_maximum) == (0, 0)


def test_three_translations_at_gamma_and_none_elsewhere():
    phonon = spring_phonon(wurtzite())
    found = find_translations(compute_modes(phonon, Q_POINTS), phonon.primitive.masses)
    assert found.sum(axis=1).tolist() == [3, 0, 0]
    assert found[0, :3].all()


def test_translations_are_told_from_soft_optical_modes():
    """Unstable optical modes lie below the translations; these are known by their shape."""
    phonon = spring_phonon(wurtzite())
    phonon.force_constants = -phonon.force_constants
    modes = compute_modes(phonon, [[0, 0, 0]])
    found = find_translations(modes, phonon.primitive.masses)[0]
    assert found[-3:].all()
    assert not found[:-3].any()
    assert np.abs(modes.frequencies[0, found]).max() < 1e-5


def test_translations_are_found_in_any_basis():
    """Also where the solver mixes the three of them."""
    phonon = spring_phonon(wurtzite())
    modes = compute_modes(phonon, [[0, 0, 0]])
    mixed = mix(modes, find_degenerate_sets(modes.frequencies))
    expected = find_translations(modes, phonon.primitive.masses)
    np.testing.assert_array_equal(find_translations(mixed, phonon.primitive.masses), expected)


def test_atomic_means_are_those_of_the_single_modes():
    """At generic q-points no set has partners, and the definition can be written down."""
    phonon = spring_crystal(1)
    modes = compute_modes(phonon, np.random.default_rng(0).uniform(-0.5, 0.5, (30, 3)))
    weights = np.arange(1, 31)
    sets = find_degenerate_sets(modes.frequencies, 1e-9)
    counted = np.ones(sets.shape, dtype=bool)
    itself = np.arange(len(phonon.primitive))[None]
    angular_momentum, polarization = average_atomic_motion(modes, sets, weights, counted, itself)
    size = np.linalg.norm(compute_atomic_angular_momentum(modes.eigenvectors), axis=-1)
    expected = np.average(size.mean(axis=2), axis=0, weights=weights)
    np.testing.assert_allclose(angular_momentum, expected)
    share = (np.abs(modes.eigenvectors) ** 2).reshape(30, -1, 3, modes.n_bands).sum(axis=2)
    ratio = np.einsum(
        "qkn,qkn,q->k", compute_circular_polarization(modes.eigenvectors), share, weights
    )
    np.testing.assert_allclose(polarization, ratio / np.einsum("qkn,q->k", share, weights))


def test_atomic_means_survive_mixing_and_respect_symmetry():
    """Equivalent atoms of quartz have equal means on a whole mesh; no basis enters."""
    phonon = spring_phonon(quartz())
    grid = np.stack(np.meshgrid(*[np.arange(4) / 4] * 3), axis=-1).reshape(-1, 3)
    modes = compute_modes(phonon, grid)
    sets = find_degenerate_sets(modes.frequencies)
    itself = np.arange(len(phonon.primitive))[None]
    counted = np.ones(sets.shape, dtype=bool)
    arguments = (sets, np.ones(len(grid), dtype=int), counted, itself)
    found = average_atomic_motion(modes, *arguments)
    for one, other in zip(found, average_atomic_motion(mix(modes, sets), *arguments), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    for values in found:
        for element in np.unique(phonon.primitive.numbers):
            assert np.ptp(values[phonon.primitive.numbers == element]) < 1e-9


def test_chunks_do_not_show(monkeypatch):
    phonon = spring_crystal(19)
    modes = compute_modes(phonon, Q_POINTS)
    sets = find_degenerate_sets(modes.frequencies)
    sites = find_crystal_operations(phonon).sites
    arguments = (sets, np.array([1, 2, 3]), np.ones(sets.shape, dtype=bool), sites)
    expected = average_atomic_motion(modes, *arguments)
    monkeypatch.setattr("tasks.chirality.statistics._CHUNK", 1)
    np.testing.assert_allclose(average_atomic_motion(modes, *arguments), expected)


def test_empty_selection_gives_zeros():
    modes = Modes(np.zeros((1, 3)), np.zeros((1, 3)), np.eye(3, dtype=complex)[None])
    nothing = np.zeros((1, 3), dtype=bool)
    found = average_atomic_motion(modes, np.zeros((1, 3), dtype=int), np.array([1]), nothing, [[0]])
    np.testing.assert_array_equal(found, 0)
