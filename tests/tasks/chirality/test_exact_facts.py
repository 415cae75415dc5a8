"""Facts that hold for any force constants of a given crystal structure."""

import numpy as np
import pytest

from tasks.chirality.angular_momentum import angular_momentum, compute_mean_angular_momentum
from tasks.chirality.brillouin import compute_helicity
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.symmetry.zone import find_zone_images
from tests.crystals import (
    honeycomb,
    random_crystal,
    random_rotation,
    spring_phonon,
    transformed,
    wurtzite,
    zincblende,
)

TOLERANCE = 1e-4


def momenta(phonon, q_points):
    """Angular momentum of the set of each mode, and its helicity."""
    modes = compute_modes(phonon, q_points)
    sets = find_degenerate_sets(modes.frequencies, TOLERANCE)
    found = compute_mean_angular_momentum(modes.eigenvectors, sets)
    return found, compute_helicity(found, find_zone_images(modes.q_points, phonon.primitive.cell))


@pytest.mark.parametrize("seed", range(2))
def test_zincblende_has_none_on_gamma_x_and_gamma_l(seed):
    phonon = spring_phonon(zincblende(), seed)
    t = np.linspace(0.05, 0.5, 7)[:, None]
    gamma_x, gamma_l = t * [0, 1, 1], t * [1, 1, 1]
    found, _ = momenta(phonon, np.vstack([gamma_x, gamma_l]))
    np.testing.assert_allclose(found, 0, atol=1e-7)
    general, _ = momenta(phonon, [[0.1, 0.23, 0.31]])
    assert np.abs(general).max() > 1e-2


@pytest.mark.parametrize("seed", range(2))
def test_wurtzite_has_none_on_its_axis_and_no_helicity_in_its_base_plane(seed):
    phonon = spring_phonon(wurtzite(), seed)
    t = np.linspace(0.05, 0.5, 7)[:, None]
    on_axis, _ = momenta(phonon, t * [0, 0, 1])
    np.testing.assert_allclose(on_axis, 0, atol=1e-7)
    gamma_m, gamma_k = t * [1, 0, 0], t * [2 / 3, 2 / 3, 0]
    found, h = momenta(phonon, np.vstack([gamma_m, gamma_k]))
    np.testing.assert_allclose(h, 0, atol=1e-7)
    assert np.abs(found).max() > 1e-3


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("sign", [1, -1])
def test_honeycomb_valley_modes(seed, sign):
    """At K two in-plane modes have l_z = +1 and -1, each with a sublattice at rest; K' reversed."""
    phonon = spring_phonon(honeycomb(), seed)
    modes = compute_modes(phonon, [[sign / 3, sign / 3, 0]])
    angular_momenta = angular_momentum(modes.eigenvectors)[0, :, 2]
    weights = (np.abs(modes.eigenvectors[0]) ** 2).reshape(2, 3, 6)
    at_rest = weights.sum(axis=1).min(axis=0) < 1e-10
    in_plane = weights[:, 2].sum(axis=0) < 1e-10
    circular = np.flatnonzero(at_rest & in_plane)
    assert in_plane.sum() == 4
    assert len(circular) == 2
    np.testing.assert_allclose(sorted(angular_momenta[circular]), [-1, 1], atol=1e-8)
    moving = weights.sum(axis=1).argmax(axis=0)[circular]
    assert set(moving) == {0, 1}
    opposite = compute_modes(phonon, [[-sign / 3, -sign / 3, 0]])
    reverse = angular_momentum(opposite.eigenvectors)[0, :, 2]
    np.testing.assert_allclose(reverse, -angular_momenta, atol=1e-8)


@pytest.mark.parametrize("number", [1, 6, 81, 152])
@pytest.mark.parametrize("parity", [1, -1])
def test_crystal_turned_or_reflected(number, parity):
    """Frequencies stay, l -> det(R) R l, h -> det(R) h."""
    phonon = spring_phonon(random_crystal(number, 0))
    R = parity * random_rotation(6)
    turned = transformed(phonon, R)
    q_points = np.array([[0.11, 0.23, 0.31], [0.4, 0.1, 0.2], [0.5, 0, 0.2]])
    before, h_before = momenta(phonon, q_points)
    after, h_after = momenta(turned, q_points)
    frequencies = [compute_modes(p, q_points).frequencies for p in (phonon, turned)]
    np.testing.assert_allclose(frequencies[0], frequencies[1], atol=1e-6)
    np.testing.assert_allclose(after, parity * before @ R.T, atol=1e-6)
    np.testing.assert_allclose(h_after, parity * h_before, atol=1e-6)
