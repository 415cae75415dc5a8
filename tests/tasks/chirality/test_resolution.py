"""What linewidths leave of the angular momentum of neighbouring modes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.chirality import resolution
from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.chirality.resolution import MEV_PER_THZ, resolve_angular_momentum
from tests.crystals import quartz, spring_phonon
from tests.tasks.chirality.mixing import mix

RNG = np.random.default_rng(4)


def resolved(angular_momentum, frequencies, width, counted=None):
    """One q-point, l along z, one width for all."""
    l_z, f = np.array(angular_momentum, dtype=float), np.array(frequencies, dtype=float)
    vectors = np.stack([0 * l_z, 0 * l_z, l_z], axis=-1)[None]
    widths = np.full((1, len(f)), float(width))
    mask = np.ones((1, len(f)), dtype=bool) if counted is None else np.array([counted])
    return resolve_angular_momentum(vectors, f[None], widths, mask)[0, :, 2]


@given(
    size=st.floats(0, 1), distance=st.floats(0, 5), width=st.floats(1e-3, 5), start=st.floats(1, 9)
)
def test_a_pair_of_opposite_modes_is_a_splitting_compared_with_a_linewidth(
    size, distance, width, start
):
    found = resolved([size, -size], [start, start + distance], width)
    expected = size * distance**2 / (distance**2 + 2 * width**2)
    np.testing.assert_allclose(found, [expected, -expected], atol=1e-9)


def test_sharp_lines_keep_their_angular_momentum_and_coinciding_ones_their_mean():
    found = resolved([0.3, 0.8, -0.4, 0.6], [1.0, 2.0, 2.0, 3.0], 1e-6)
    np.testing.assert_allclose(found, [0.3, 0.2, 0.2, 0.6], atol=1e-9)


def test_lines_that_cover_the_whole_spectrum_leave_nothing():
    """The angular momenta of all bands add up to zero at each q."""
    modes = compute_modes(spring_phonon(quartz()), [[0.1, 0.2, 0.3]])
    angular_momentum = compute_mean_angular_momentum(
        modes.eigenvectors, find_degenerate_sets(modes.frequencies)
    )
    widths, counted = np.full_like(modes.frequencies, 1e6), modes.frequencies > 0
    found = resolve_angular_momentum(angular_momentum, modes.frequencies, widths, counted)
    assert np.abs(angular_momentum).max() > 0.1
    np.testing.assert_allclose(found, 0, atol=1e-9)


def test_modes_that_do_not_count_have_no_line():
    found = resolved([0.5, -0.5, 0.9], [1.0, 1.0, 1.0], 0.1, [True, False, True])
    np.testing.assert_allclose(found, [0.7, 0.0, 0.7])


@pytest.mark.parametrize("factor", [0.3, 7.0])
def test_one_scale_of_all_frequencies_changes_nothing(factor):
    """Widths are fractions of frequencies: isotopes of one factor leave it as it is."""
    frequencies, angular_momentum = RNG.uniform(1, 10, (3, 9)), RNG.normal(size=(3, 9, 3))
    counted = np.ones((3, 9), dtype=bool)
    one, other = (
        resolve_angular_momentum(angular_momentum, f, 0.01 * f, counted)
        for f in (frequencies, factor * frequencies)
    )
    np.testing.assert_allclose(other, one, rtol=1e-9)


def test_it_does_not_depend_on_the_eigensolver():
    modes = compute_modes(spring_phonon(quartz()), [[0, 0, 0], [0, 0, 0.2], [0.1, 0.2, 0.3]])
    sets = find_degenerate_sets(modes.frequencies)
    one, other = (
        resolve_angular_momentum(
            compute_mean_angular_momentum(m.eigenvectors, sets),
            m.frequencies,
            0.01 * np.abs(m.frequencies),
            m.frequencies > 0.01,
        )
        for m in (modes, mix(modes, sets))
    )
    np.testing.assert_allclose(other, one, atol=1e-9)


def test_many_q_points_are_treated_in_pieces(monkeypatch):
    frequencies, angular_momentum = RNG.uniform(1, 10, (7, 6)), RNG.normal(size=(7, 6, 3))
    arguments = angular_momentum, frequencies, 0.1 * frequencies, np.ones((7, 6), dtype=bool)
    whole = resolve_angular_momentum(*arguments)
    monkeypatch.setattr(resolution, "_CHUNK", 100)
    np.testing.assert_array_equal(resolve_angular_momentum(*arguments), whole)


def test_one_terahertz_is_four_millielectronvolts():
    assert pytest.approx(4.135667, rel=1e-6) == MEV_PER_THZ
