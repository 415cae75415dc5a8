"""Helicity density of states and the wave it shows."""

import numpy as np
import pytest
from scipy.special import sph_harm_y

from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.brillouin import compute_helicity, compute_helicity_size, make_irreducible_mesh
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.harmonics import ORDERS, _evaluate_all_harmonics, compute_helicity_spectrum
from tasks.chirality.modes import compute_modes
from tasks.symmetry.classification import classify_space_group
from tasks.symmetry.zone import find_zone_images
from tests.crystals import (
    quartz,
    random_crystal,
    random_rotation,
    spring_phonon,
    transformed,
    wurtzite,
    zincblende,
)
from tests.tasks.chirality.mixing import mix

TOLERANCE = 1e-4


def mesh_of(phonon, divisions=4):
    lengths = np.linalg.norm(np.linalg.inv(phonon.primitive.cell), axis=0)
    return make_irreducible_mesh(phonon, lengths.min() / divisions)


def spectrum(phonon, *, irreducible=True, divisions=4, **options):
    mesh = mesh_of(phonon, divisions)
    q_points = mesh.q_points if irreducible else mesh.full_q_points
    weights = mesh.weights if irreducible else np.ones(len(q_points))
    modes = compute_modes(phonon, q_points)
    sets = find_degenerate_sets(modes.frequencies, TOLERANCE)
    return compute_helicity_spectrum(
        phonon, modes, sets, weights, irreducible=irreducible, **options
    )


@pytest.mark.parametrize(
    "number", [1, 76, 152, 198, 6, 25, 81, 111, 99, 156, 174, 189, 183, 215, 2, 14]
)
def test_wave_found_on_a_whole_mesh_is_that_of_the_space_group(number):
    """No symmetry enters the sums: the orders below the announced one vanish by themselves."""
    found = spectrum(spring_phonon(random_crystal(number, 1)), irreducible=False, divisions=5)
    expected = classify_space_group(number).helicity_wave
    assert found.symmetry_wave == expected
    if expected == "none":
        assert found.mean_absolute < 1e-8
        return
    assert found.wave == expected
    assert found.agrees
    forbidden = [
        order for order in found.orders if order < {"s": 0, "d": 2, "g": 4, "i": 6}[expected]
    ]
    assert all(found.relative_amplitudes[found.orders.index(order)] < 1e-6 for order in forbidden)


def test_harmonics_are_those_of_scipy():
    directions = np.random.default_rng(2).normal(size=(20, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    polar, azimuth = np.arccos(directions[:, 2]), np.arctan2(directions[:, 1], directions[:, 0])
    pairs = [(order, m) for order in ORDERS for m in range(-order, order + 1)]
    expected = np.transpose([sph_harm_y(order, m, polar, azimuth) for order, m in pairs])
    np.testing.assert_allclose(_evaluate_all_harmonics(directions), expected, atol=1e-13)


@pytest.mark.parametrize("number", [1, 6, 81, 99, 152, 198])
def test_stars_stand_for_the_whole_mesh(number):
    phonon = spring_phonon(random_crystal(number, 1))
    whole, stars = (spectrum(phonon, irreducible=choice) for choice in (False, True))
    np.testing.assert_allclose(stars.chi, whole.chi, atol=1e-8)
    np.testing.assert_allclose(stars.absolute, whole.absolute, atol=1e-8)
    np.testing.assert_allclose(stars.amplitudes, whole.amplitudes, atol=1e-6)
    assert stars.mean_absolute == pytest.approx(whole.mean_absolute, abs=1e-10)


@pytest.mark.parametrize("number", [1, 81, 144])
@pytest.mark.parametrize("parity", [1, -1])
def test_rotation_changes_nothing_and_reflection_the_sign(number, parity):
    """Chi is a pseudoscalar, the amplitudes are scalars, whatever the orientation."""
    phonon = spring_phonon(random_crystal(number, 1))
    before, after = (
        spectrum(p, divisions=3) for p in (phonon, transformed(phonon, parity * random_rotation(9)))
    )
    np.testing.assert_allclose(after.chi, parity * before.chi, atol=1e-7)
    np.testing.assert_allclose(after.amplitudes, before.amplitudes, atol=1e-6)
    np.testing.assert_allclose(after.relative_amplitudes, before.relative_amplitudes, atol=1e-6)
    assert after.wave == before.wave


def test_enantiomorphs_of_quartz():
    """152 and 154: the same frequencies, the opposite helicity density of states."""
    left, right = (
        spectrum(p)
        for p in (
            spring_phonon(quartz()),
            transformed(spring_phonon(quartz()), np.diag([-1.0, 1.0, 1.0])),
        )
    )
    assert np.abs(left.chi).max() > 1e-3
    np.testing.assert_allclose(left.chi, -right.chi, atol=1e-8)
    np.testing.assert_allclose(left.absolute, right.absolute, atol=1e-8)


def test_unitary_mixing_inside_degenerate_sets_changes_nothing():
    phonon = spring_phonon(wurtzite())
    mesh = mesh_of(phonon)
    modes = compute_modes(phonon, mesh.q_points)
    sets = find_degenerate_sets(modes.frequencies, TOLERANCE)
    one, other = (
        compute_helicity_spectrum(phonon, each, sets, mesh.weights, irreducible=True)
        for each in (modes, mix(modes, sets))
    )
    assert (np.diff(sets, axis=1) == 0).any()
    np.testing.assert_allclose(one.amplitudes, other.amplitudes, atol=1e-10)
    np.testing.assert_allclose(one.absolute, other.absolute, atol=1e-10)


@pytest.mark.parametrize("number", [76, 152, 198])
def test_helicities_of_all_bands_cancel(number):
    """The integral of chi is zero, though chi is not; a single bin holds nothing."""
    phonon = spring_phonon(random_crystal(number, 0))
    fine = spectrum(phonon)
    assert abs(fine.chi.sum() * fine.bin_width) < 1e-8
    assert np.abs(fine.chi).max() > 1e-3
    assert spectrum(phonon, bin_width=1000.0).relative_amplitudes[0] < 1e-8


def test_chi_is_the_sum_of_the_helicities_of_a_bin():
    phonon = spring_phonon(random_crystal(144, 0))
    mesh = mesh_of(phonon)
    modes = compute_modes(phonon, mesh.full_q_points)
    sets = find_degenerate_sets(modes.frequencies, TOLERANCE)
    angular_momentum = compute_mean_angular_momentum(modes.eigenvectors, sets)
    images = find_zone_images(modes.q_points, phonon.primitive.cell)
    values, sizes = (
        compute_helicity(angular_momentum, images),
        compute_helicity_size(angular_momentum, images),
    )
    found = spectrum(phonon, irreducible=False, bin_width=0.5)
    share = np.full(values.shape, 1 / len(modes)).ravel()
    for weights, expected in ((values, found.chi), (sizes, found.absolute)):
        sums, edges = np.histogram(
            modes.frequencies.ravel(), found.bin_edges, weights=weights.ravel() * share
        )
        np.testing.assert_allclose(sums / 0.5, expected, atol=2e-3)
        np.testing.assert_allclose(edges, found.bin_edges)
    np.testing.assert_allclose(found.amplitudes[0], np.abs(found.chi), atol=1e-12)
    expected = np.abs(found.chi).sum() / found.absolute.sum()
    assert found.relative_amplitudes[0] == pytest.approx(expected)
    assert found.bin_width == pytest.approx(0.5)


@pytest.mark.parametrize("make", [zincblende, wurtzite, lambda: random_crystal(82, 0), quartz])
def test_relative_amplitudes_are_bounded_by_their_order(make):
    """Only the first is a share; a helicity of one order has a root mean square above its mean."""
    found = spectrum(spring_phonon(make()))
    bounds = np.sqrt(2 * np.array(found.orders) + 1)
    assert np.all(found.relative_amplitudes <= bounds + 1e-9)
    assert found.relative_amplitudes[0] <= 1 + 1e-9
    assert found.relative_amplitudes.max() > 0.1


def test_imaginary_modes_are_left_out():
    phonon = spring_phonon(quartz())
    phonon.force_constants = -phonon.force_constants
    found = spectrum(phonon)
    assert not found.absolute.any()
    assert found.wave == "none"
    assert not found.agrees
