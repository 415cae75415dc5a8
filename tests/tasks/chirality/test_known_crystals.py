"""What symmetry dictates in crystals everybody knows, whatever their force constants."""

import numpy as np
import pytest

from tasks.chirality.angular_momentum import (
    angular_momentum,
    compute_atomic_angular_momentum,
    compute_mean_angular_momentum,
)
from tasks.chirality.brillouin import compute_helicity, find_special_points
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.symmetry.zone import find_zone_images
from tests.crystals import (
    diamond,
    honeycomb,
    quartz,
    rocksalt,
    rutile,
    spring_phonon,
    tellurium,
    wurtzite,
    zincblende,
)

ALONG = np.linspace(0.05, 0.95, 7)[:, None]
GENERIC = np.random.default_rng(8).uniform(-0.5, 0.5, (8, 3))


def momenta(phonon, q_points):
    modes = compute_modes(phonon, q_points)
    return compute_mean_angular_momentum(
        modes.eigenvectors, find_degenerate_sets(modes.frequencies)
    )


@pytest.mark.parametrize("make", [rocksalt, diamond, rutile])
def test_no_angular_momentum_with_inversion(make):
    phonon = spring_phonon(make())
    assert np.abs(momenta(phonon, GENERIC)).max() < 1e-9
    points, _ = find_special_points(phonon.primitive)
    assert np.abs(momenta(phonon, list(points.values()))).max() < 1e-9


def test_zincblende_has_none_from_gamma_to_x_and_l():
    """Mirror planes through these axes; elsewhere l lives."""
    phonon = spring_phonon(zincblende())
    points, _ = find_special_points(phonon.primitive)
    for name in "XL":
        assert np.abs(momenta(phonon, ALONG * points[name])).max() < 1e-9
    assert np.abs(momenta(phonon, GENERIC)).max() > 0.1


def test_wurtzite_has_none_along_its_axis_and_no_helicity_in_its_base_plane():
    """C_6v along Gamma-A; mirrors hold Gamma-M and Gamma-K in the plane k_z = 0."""
    phonon = spring_phonon(wurtzite())
    points, _ = find_special_points(phonon.primitive)
    assert np.abs(momenta(phonon, ALONG * points["A"])).max() < 1e-9
    for name in "MK":
        q_points = 0.98 * ALONG * points[name]
        angular_momentum = momenta(phonon, q_points)
        images = find_zone_images(q_points, phonon.primitive.cell)
        assert np.abs(compute_helicity(angular_momentum, images)).max() < 1e-9
        assert np.abs(angular_momentum).max() > 0.05


def test_wurtzite_is_cycloidal_around_its_polar_axis():
    """A mirror that contains c and q leaves l normal to both: l is along z x q."""
    phonon = spring_phonon(wurtzite())
    points, _ = find_special_points(phonon.primitive)
    q_points = 0.98 * ALONG * points["M"]
    q = find_zone_images(q_points, phonon.primitive.cell).directions[:, 0]
    normal = np.cross([0, 0, 1], q)
    angular_momentum = momenta(phonon, q_points)
    along = np.einsum("qna,qa->qn", angular_momentum, normal)
    np.testing.assert_allclose(np.abs(along), np.linalg.norm(angular_momentum, axis=-1), atol=1e-9)


@pytest.mark.parametrize("cluster_strength", [0.0, 4.0])
def test_honeycomb_valley_modes(cluster_strength):
    """At K two modes have l_z = +1 and -1, each with one sublattice at rest; K' reverses them."""
    phonon = spring_phonon(honeycomb(), cluster_strength=cluster_strength)
    valley = np.array([1 / 3, 1 / 3, 0])
    modes = compute_modes(phonon, [valley, -valley])
    assert np.diff(modes.frequencies, axis=1).min() > 1e-3
    spin = momenta(phonon, modes.q_points)[..., 2]
    np.testing.assert_allclose(spin[1], -spin[0], atol=1e-9)
    whole = np.flatnonzero(np.abs(np.abs(spin[0]) - 1) < 1e-9)
    np.testing.assert_allclose(np.sort(spin[0, whole]), [-1, 1], atol=1e-9)
    share = (np.abs(modes.eigenvectors[0]) ** 2).reshape(2, 3, 6).sum(axis=1)
    np.testing.assert_allclose(share[:, whole].min(axis=0), 0, atol=1e-9)
    assert share[:, whole].argmax(axis=0).tolist() in ([0, 1], [1, 0])
    per_atom = compute_atomic_angular_momentum(modes.eigenvectors)[0, :, whole, 2]
    np.testing.assert_allclose(np.abs(per_atom).max(axis=1), 1, atol=1e-9)
    images = find_zone_images(modes.q_points, phonon.primitive.cell)
    assert np.abs(compute_helicity(momenta(phonon, modes.q_points), images)).max() < 1e-9


@pytest.mark.parametrize("make", [quartz, tellurium])
def test_splittings_on_the_axis_of_a_chiral_crystal(make):
    """The transverse acoustic pair splits as q^2, each optical doublet as q."""
    phonon = spring_phonon(make(), 3)
    q = 0.005 * 2.0 ** np.arange(3)
    modes = compute_modes(phonon, q[:, None] * np.array([0, 0, 1.0]))
    frequencies = modes.frequencies
    gamma = compute_modes(phonon, [0, 0, 0])
    sets = find_degenerate_sets(gamma.frequencies)[0]
    circular = np.abs(angular_momentum(modes.eigenvectors)[:, :3, 2]) > 0.5
    assert (circular.sum(axis=1) == 2).all()
    transverse = frequencies[:, :3][circular].reshape(3, 2)
    powers = np.diff(np.log2(np.diff(transverse, axis=1)[:, 0]))
    np.testing.assert_allclose(powers, 2, atol=0.15)
    doublets = [np.flatnonzero(sets == s) for s in np.unique(sets[3:]) if (sets == s).sum() == 2]
    isolated = [pair for pair in doublets if is_isolated(gamma.frequencies[0], pair)]
    assert isolated
    for low, high in isolated:
        powers = np.diff(np.log2(frequencies[:, high] - frequencies[:, low]))
        np.testing.assert_allclose(powers, 1, atol=0.2)


def is_isolated(frequencies, pair):
    """No other band within 1 THz, so that none crosses the pair at the q used."""
    others = np.delete(frequencies, pair)
    return np.abs(others - frequencies[pair[0]]).min() > 1.0


@pytest.mark.parametrize("make", [quartz, tellurium])
def test_acoustic_pair_of_a_chiral_axis_is_fully_circular(make):
    """TA branches tend to |l| = 1 as q -> 0 in every such crystal: no measure of its quality."""
    phonon = spring_phonon(make())
    modes = compute_modes(phonon, [0, 0, 0.01])
    angular_momentum = compute_mean_angular_momentum(
        modes.eigenvectors, find_degenerate_sets(modes.frequencies, 1e-9)
    )
    np.testing.assert_allclose(np.sort(angular_momentum[0, :3, 2]), [-1, 0, 1], atol=1e-2)
    np.testing.assert_allclose(angular_momentum[0, :, :2], 0, atol=1e-9)
