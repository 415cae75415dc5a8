"""Magnetic moment of circulating Born charges."""

import numpy as np
import pytest
from scipy.constants import physical_constants

from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.brillouin import make_irreducible_mesh
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.magnetic import (
    compute_gyromagnetic_tensors,
    compute_magnetic_moments,
    compute_magnetization_tensor,
)
from tasks.chirality.modes import compute_modes
from tasks.chirality.tensor import make_thermal_sample
from tests.crystals import (
    quartz,
    random_crystal,
    random_rotation,
    spring_phonon,
    transformed,
    zincblende,
)
from tests.tasks.chirality.mixing import mix

pytestmark = pytest.mark.filterwarnings("ignore:Symmetry of Born effective charge")
ELECTRON_MASS = physical_constants["electron mass in u"][0]
Q_POINTS = np.array([[0.1, 0.2, 0.3], [0, 0, 0.2], [0.5, 0, 0.1]])


def sampled(phonon, q_points=Q_POINTS):
    modes = compute_modes(phonon, q_points)
    return modes, find_degenerate_sets(modes.frequencies, 1e-4)


def tensor(phonon):
    mesh = make_irreducible_mesh(phonon, 0.1)
    modes, sets = sampled(phonon, mesh.q_points)
    sample = make_thermal_sample(phonon, modes, sets, mesh.weights, irreducible=True)
    return compute_magnetization_tensor(phonon, sample)


def test_isotropic_charge_has_the_gyromagnetic_ratio_of_a_ring_current():
    """The ratio is e Z / 2 M: in zincblende, where the charges are isotropic by symmetry."""
    phonon = spring_phonon(zincblende(), born=True)
    charge = phonon.nac_params["born"][:, 0, 0]
    expected = charge * ELECTRON_MASS / phonon.primitive.masses
    found = compute_gyromagnetic_tensors(phonon)
    np.testing.assert_allclose(found, expected[:, None, None] * np.eye(3), atol=1e-12)


def test_moment_is_that_of_the_current_of_the_charges():
    """It is (e/2) <u x Z du/dt>, with u and du/dt of one phonon written out over a period."""
    phonon = spring_phonon(random_crystal(1, 0), born=True)
    modes, sets = sampled(phonon, Q_POINTS[:1])
    born, masses = phonon.nac_params["born"], phonon.primitive.masses
    vectors = modes.eigenvectors[0].reshape(len(masses), 3, -1)
    phase = np.exp(-2j * np.pi * np.arange(16) / 16)[:, None, None, None]
    # Amplitude of one phonon: M omega |u|^2 = hbar for |e| = 1, in units hbar = omega = 1.
    u = np.sqrt(2) * (phase * vectors / np.sqrt(masses)[:, None, None]).real
    velocity = np.sqrt(2) * (-1j * phase * vectors / np.sqrt(masses)[:, None, None]).real
    current = np.einsum("kcd,tkdn->tkcn", born, velocity)
    moment = np.cross(u, current, axisa=2, axisb=2).sum(axis=1).mean(axis=0) / 2
    found = compute_magnetic_moments(phonon, modes, sets)[0]
    np.testing.assert_allclose(found, 2 * ELECTRON_MASS * moment, atol=1e-12)


def test_rigid_circles_carry_no_moment():
    """The charges add up to zero: TA modes on the axis have l = +-1 and m -> 0 as q -> 0."""
    phonon = spring_phonon(random_crystal(143, 0), born=True)
    moments = []
    for z in (0.02, 0.01):
        modes = compute_modes(phonon, [[0, 0, z]])
        sets = np.arange(modes.n_bands)[None]
        angular_momentum = compute_mean_angular_momentum(modes.eigenvectors, sets)[0, :3, 2]
        turning = np.abs(angular_momentum) > 0.9
        moments.append(
            np.abs(compute_magnetic_moments(phonon, modes, sets)[0, :3, 2])[turning].max()
        )
    optical = np.abs(compute_magnetic_moments(phonon, *sampled(phonon))).max()
    assert moments[1] < moments[0] < 0.1 * optical


def test_unitary_mixing_changes_no_moment():
    phonon = spring_phonon(zincblende(), born=True)
    modes, sets = sampled(phonon, np.array([[0.1, 0.1, 0.1], [0.3, 0.3, 0], [0.2, 0.1, 0.4]]))
    one, other = (
        compute_magnetic_moments(phonon, each, sets) for each in (modes, mix(modes, sets))
    )
    np.testing.assert_allclose(one, other, atol=1e-15)


def test_moments_and_tensor_turn_with_the_crystal():
    """Both m and its response transform like the angular momentum."""
    phonon = spring_phonon(quartz(), born=True)
    R = random_rotation(3)
    turned = transformed(phonon, R)
    before, after = (compute_magnetic_moments(p, *sampled(p)) for p in (phonon, turned))
    np.testing.assert_allclose(after, before @ R.T, atol=1e-6 * np.abs(before).max())
    one, other = tensor(phonon), tensor(turned)
    expected = np.einsum("ac,tcd,bd->tab", R, one.response, R)
    np.testing.assert_allclose(other.response, expected, atol=1e-5 * np.abs(expected).max())
    assert one.unit == "A K^-1 per s"
    assert one.violation.max() < 1e-4


def test_moment_without_charges_is_refused():
    phonon = spring_phonon(random_crystal(143, 0))
    with pytest.raises(ValueError, match="Born charges"):
        compute_gyromagnetic_tensors(phonon)
