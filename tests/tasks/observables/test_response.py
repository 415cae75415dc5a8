"""What a gradient of temperature does: signs, units, and sums over the whole mesh."""

import numpy as np
import pytest
from scipy.constants import h, k, tera

from tasks.chirality import ChiralitySettings
from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.brillouin import compute_helicity, make_irreducible_mesh
from tasks.chirality.degeneracy import average_over_sets, find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.chirality.statistics import find_translations
from tasks.observables.response import compute_heat_response
from tasks.phonons.mirror import make_mirror_image
from tasks.symmetry.zone import find_zone_images
from tests.crystals import quartz, random_crystal, spring_phonon, wurtzite

SETTINGS = ChiralitySettings(mesh_spacing=0.1)
KELVIN = (100.0, 300.0)


@pytest.fixture(scope="module")
def phonon():
    return spring_phonon(quartz(), 3)


@pytest.fixture(scope="module")
def heat(phonon):
    return compute_heat_response(phonon, KELVIN, settings=SETTINGS)


def test_conductivity_is_the_sum_over_phonopys_velocities():
    """Kappa / tau = sum c v v / V over a whole mesh, of a crystal without degenerate bands."""
    phonon = spring_phonon(random_crystal(1, 0))
    found = compute_heat_response(phonon, [200.0], settings=SETTINGS)
    numbers = make_irreducible_mesh(phonon, SETTINGS.mesh_spacing).numbers
    phonon.run_mesh(
        numbers, is_mesh_symmetry=False, is_gamma_center=True, with_group_velocities=True
    )
    nu, velocity = phonon.mesh.frequencies, phonon.mesh.group_velocities * 100.0
    x = h * tera * np.where(nu > 0.01, nu, 1.0) / (k * 200.0)
    capacity = np.where(nu > 0.01, k * x**2 * np.exp(x) / np.expm1(x) ** 2, 0.0)
    total = np.einsum("qb,qbi,qbj->ij", capacity, velocity, velocity) / len(nu)
    expected = 1e-12 * total / (phonon.primitive.volume * 1e-30)
    np.testing.assert_allclose(found.conductivity[0], expected, rtol=1e-3, atol=1e-4)


def test_a_given_conductivity_sets_the_relaxation_time(phonon, heat):
    found = compute_heat_response(phonon, KELVIN, conductivity=7.0, settings=SETTINGS)
    np.testing.assert_allclose(np.trace(found.conductivity, axis1=1, axis2=2) / 3, 7.0)
    np.testing.assert_allclose(found.per_heat_flux, heat.per_heat_flux)
    ratio = found.relaxation_times / heat.relaxation_times
    np.testing.assert_allclose(found.angular_momentum, ratio[:, None, None] * heat.angular_momentum)


def test_thermal_helicity_is_the_sum_over_the_whole_mesh(phonon, heat):
    mesh = make_irreducible_mesh(phonon, SETTINGS.mesh_spacing)
    q = mesh.full_q_points
    modes = compute_modes(phonon, q)
    sets = find_degenerate_sets(modes.frequencies)
    angular_momentum = compute_mean_angular_momentum(modes.eigenvectors, sets)
    helicity = compute_helicity(angular_momentum, find_zone_images(q, phonon.primitive.cell))
    nu = average_over_sets(modes.frequencies, sets)
    counted = ~find_translations(modes, phonon.primitive.masses) & (nu > 0.01)
    numbers = counted / np.expm1(h * tera * np.where(counted, nu, 1.0) / (k * 300.0))
    assert heat.helicity[1] == pytest.approx((helicity * numbers).sum() / len(q), rel=1e-6)
    assert heat.mean_helicity[1] == pytest.approx(
        (helicity * numbers).sum() / numbers.sum(), rel=1e-6
    )


def test_everything_that_has_a_hand_turns_round_with_it(phonon, heat):
    other = compute_heat_response(make_mirror_image(phonon), KELVIN, settings=SETTINGS)
    np.testing.assert_allclose(other.conductivity, heat.conductivity, rtol=1e-4, atol=1e-8)
    largest = np.abs(heat.per_heat_flux).max()
    np.testing.assert_allclose(other.per_heat_flux, -heat.per_heat_flux, atol=1e-4 * largest)
    np.testing.assert_allclose(other.helicity, -heat.helicity, rtol=1e-4)
    assert np.abs(heat.helicity).min() > 1e-4


def test_thermal_phonons_of_an_achiral_crystal_have_no_helicity():
    found = compute_heat_response(spring_phonon(wurtzite(), 1), KELVIN, settings=SETTINGS)
    np.testing.assert_allclose(found.helicity, 0, atol=1e-12)
    # Its angular momentum is across the flux, the tensor being antisymmetric.
    np.testing.assert_allclose(np.einsum("tii->ti", found.per_heat_flux), 0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:Symmetry of Born effective charge")
def test_magnetization_needs_charges(heat):
    assert heat.magnetization is None
    polar = spring_phonon(quartz(), 3, born=True)
    found = compute_heat_response(polar, KELVIN, relaxation_time=2e-12, settings=SETTINGS)
    assert found.magnetization is not None
    assert np.abs(found.magnetization).max() > 0
