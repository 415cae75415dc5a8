"""What another division of the force constants changes is told of the right quantities."""

import numpy as np
import pytest

from tasks.chirality import ChiralitySettings, ImageWeightings, analyze_force_constants
from tasks.chirality.image_weighting import sample_q_points
from tests.crystals import rocksalt, spring_phonon, tellurium

CLASSICAL = 1e5  # K
SETTINGS = ChiralitySettings(mesh_spacing=0.03, path_spacing=0.2, temperatures=(100.0, CLASSICAL))
SOFTER = 0.9  # of the frequencies


@pytest.fixture(scope="module")
def chiral():
    return spring_phonon(tellurium(), 1)


@pytest.fixture(scope="module")
def softer():
    """The same crystal, its force constants smaller: the same eigenvectors."""
    phonon = spring_phonon(tellurium(), 1)
    phonon.force_constants = SOFTER**2 * phonon.force_constants
    return phonon


@pytest.fixture(scope="module")
def record(chiral, softer):
    return analyze_force_constants(chiral, SETTINGS, ImageWeightings(softer, softer)).record


def test_drawn_points_stand_for_the_mesh():
    weights = np.random.default_rng(0).integers(1, 13, 600)
    rows, counts = sample_q_points(weights)
    assert counts.sum() == len(weights) / 12
    assert len(np.unique(rows)) == len(rows)
    smooth = np.sin(np.arange(len(weights)) / 100)
    expected = np.average(smooth, weights=weights)
    assert np.average(smooth[rows], weights=counts) == pytest.approx(expected, abs=0.01)


def test_few_points_are_all_taken_with_their_weights():
    rows, counts = sample_q_points(np.array([1, 6, 3]))
    assert (rows.tolist(), counts.tolist()) == ([0, 1, 2], [1, 6, 3])


def test_a_division_that_changes_nothing_has_no_spread(chiral):
    found = analyze_force_constants(chiral, SETTINGS, ImageWeightings(chiral, chiral)).record
    spreads = [found.helicity_spread, *found.tensor_spread, *found.splitting_spread]
    assert max(*spreads, found.optical_shift) < 1e-10
    np.testing.assert_allclose(found.tensor_other, found.tensor, atol=1e-20)
    assert found.splitting_other == pytest.approx(found.splitting_linear)


def test_softer_force_constants_change_what_depends_on_frequencies(record):
    """Not the angular momenta, nor the response of classical phonons, to which all modes add."""
    assert record.helicity_spread == pytest.approx(0, abs=1e-9)
    assert record.splitting_spread == pytest.approx([1 - SOFTER] * len(record.axis_orders))
    cold, classical = record.tensor_spread
    assert classical == pytest.approx(0, abs=1e-6)
    assert cold > 0.01
    change = np.subtract(record.tensor_other, record.tensor).reshape(2, 9)[0]
    size = np.linalg.norm(np.reshape(record.tensor, (2, 9))[0])
    assert np.linalg.norm(change) / size == pytest.approx(cold)


def test_the_shift_of_optical_frequencies_is_that_of_the_softer_crystal(chiral, record):
    from tasks.chirality.modes import compute_modes

    frequencies = compute_modes(
        chiral, np.random.default_rng(0).uniform(-0.5, 0.5, (50, 3))
    ).frequencies
    expected = (1 - SOFTER) * frequencies[:, 3:].mean()
    assert record.optical_shift == pytest.approx(expected, rel=0.05)


def test_what_symmetry_forbids_has_no_spread():
    phonon = spring_phonon(rocksalt(), 1)
    other = spring_phonon(rocksalt(), 2)
    found = analyze_force_constants(phonon, SETTINGS, ImageWeightings(other, other)).record
    assert found.helicity_spread is None
    assert np.isnan(found.tensor_spread).all()
    assert found.splitting_spread == ()
    assert found.optical_shift > 0


def test_without_other_divisions_nothing_is_told(chiral):
    found = analyze_force_constants(chiral, SETTINGS).record
    assert found.tensor_spread is None
    assert found.optical_shift is None
