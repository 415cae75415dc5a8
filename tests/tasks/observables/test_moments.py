"""Moments in the units of experiments, and their Zeeman splittings."""

import numpy as np
import pytest
from scipy.constants import physical_constants

from tasks.observables import measure_magnetic_moments
from tasks.observables.moments import ENERGY_PER_FIELD, PER_BOHR_MAGNETON
from tasks.phonons.mirror import make_mirror_image
from tests.crystals import quartz, rocksalt, spring_phonon, zincblende

pytestmark = pytest.mark.filterwarnings("ignore:Symmetry of Born effective charge")
Q_POINTS = np.array([[0.0, 0.0, 0.0], [0.1, 0.2, 0.3], [0.0, 0.0, 0.2]])


@pytest.fixture(scope="module")
def phonon():
    return spring_phonon(quartz(), 3, born=True)


def test_units_are_those_of_the_proton():
    assert pytest.approx(1836.15, abs=0.01) == PER_BOHR_MAGNETON
    proton = physical_constants["nuclear magneton in eV/T"][0]
    assert pytest.approx(1e3 * proton) == ENERGY_PER_FIELD


def test_triplet_of_zincblende_splits_by_twice_the_ring_current_of_its_ions():
    """At Gamma l = 0, +-1 along any field: m = (gamma_1 M_2 + gamma_2 M_1) / (M_1 + M_2)."""
    crystal = spring_phonon(zincblende(), 1, born=True)
    found = measure_magnetic_moments(crystal, np.zeros((1, 3)))
    masses, charge = crystal.primitive.masses, crystal.nac_params["born"][:, 0, 0]
    proton = physical_constants["proton mass in u"][0]
    # e Z / 2 M in nuclear magnetons per hbar is Z m_p / M; |e_k|^2 is the share of the other mass.
    moment = (charge * proton / masses) @ (masses[::-1] / masses.sum())
    expected = 2 * abs(moment) * ENERGY_PER_FIELD
    np.testing.assert_allclose(found.zeeman[0, 3:], expected, rtol=1e-6)
    np.testing.assert_allclose(found.moment[0], 0, atol=1e-9)


def test_partners_of_a_field_are_the_same_modes_at_the_opposite_wave_vector(phonon):
    one, other = (measure_magnetic_moments(phonon, q) for q in (Q_POINTS[1:], -Q_POINTS[1:]))
    np.testing.assert_allclose(one.moment, -other.moment, atol=1e-9)
    np.testing.assert_allclose(one.zeeman, other.zeeman, atol=1e-12)
    single = np.abs(one.moment) * 2 * ENERGY_PER_FIELD
    np.testing.assert_allclose(one.zeeman[0], single[0], atol=1e-12)


def test_moments_turn_round_with_the_hand_along_the_axis(phonon):
    one, other = (
        measure_magnetic_moments(each, Q_POINTS) for each in (phonon, make_mirror_image(phonon))
    )
    assert np.abs(one.moment[2, :, 2]).max() > 0.01
    np.testing.assert_allclose(one.moment, -other.moment, atol=1e-7)
    np.testing.assert_allclose(one.zeeman, other.zeeman, atol=1e-9)


def test_a_moment_is_not_parallel_to_the_angular_momentum(phonon):
    found = measure_magnetic_moments(phonon, Q_POINTS[1:2])
    pair = (found.angular_momentum[0], found.moment[0])
    one, other = (vectors / np.linalg.norm(vectors, axis=1)[:, None] for vectors in pair)
    assert np.abs(np.einsum("ba,ba->b", one, other)).min() < 0.9


def test_with_inversion_there_is_no_moment_away_from_degeneracies():
    found = measure_magnetic_moments(spring_phonon(rocksalt(), 1, born=True), Q_POINTS[1:2])
    np.testing.assert_allclose(found.moment, 0, atol=1e-7)
    np.testing.assert_allclose(found.zeeman, 0, atol=1e-9)
