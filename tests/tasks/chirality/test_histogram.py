"""Frequency bins."""

import numpy as np

from tasks.chirality.histogram import make_bin_edges, make_bin_matrix


def test_bins_reach_from_zero_over_the_highest_frequency():
    edges = make_bin_edges(np.array([[-1.0, 0.3], [1.2, 0.7]]), 0.5)
    np.testing.assert_allclose(edges, [0, 0.5, 1.0, 1.5])
    np.testing.assert_allclose(make_bin_edges(np.array([1.0]), 0.5), [0, 0.5, 1.0, 1.5])
    np.testing.assert_allclose(make_bin_edges(np.array([-2.0]), 0.5), [0, 0.5])


def test_matrix_adds_up_each_bin():
    frequencies = np.random.default_rng(0).uniform(0, 3, size=(7, 5))
    values = np.random.default_rng(1).normal(size=(7, 5))
    edges = make_bin_edges(frequencies, 0.25)
    expected, _ = np.histogram(frequencies, edges, weights=values)
    found = make_bin_matrix(frequencies, edges) @ values.ravel()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_modes_outside_count_to_the_nearest_bin():
    found = make_bin_matrix(np.array([-1.0, 0.2, 9.0]), np.array([0.0, 1.0, 2.0])) @ np.ones(3)
    np.testing.assert_allclose(found, [2, 1])
