"""Light acts on charges: sum rules, longitudinal frequencies, and the two hands of quartz."""

import numpy as np
import pytest

from tasks.chirality.modes import compute_modes
from tasks.observables import (
    compute_dichroism,
    compute_infrared_response,
    compute_reflectivity,
)
from tasks.phonons.mirror import make_mirror_image
from tests.crystals import (
    quartz,
    random_crystal,
    random_rotation,
    spring_phonon,
    transformed,
    wurtzite,
    zincblende,
)

pytestmark = pytest.mark.filterwarnings("ignore:Symmetry of Born effective charge")
AXES = np.eye(3)


@pytest.fixture(scope="module")
def phonon():
    return spring_phonon(quartz(), 3, born=True)


@pytest.mark.parametrize("number", [1, 19, 154, 198])
def test_zeros_of_the_dielectric_function_are_longitudinal_modes(number):
    """Those of phonopy, whose non-analytical term is another way to the same frequencies."""
    crystal = spring_phonon(random_crystal(number, 1), 1, born=True)
    infrared = compute_infrared_response(crystal)
    for n in (AXES[0], AXES[2], np.array([1.0, 2.0, -0.5]) / np.sqrt(5.25)):
        found = infrared.find_longitudinal(n)
        longitudinal = compute_modes(
            crystal, np.zeros(3), nac_direction=crystal.primitive.cell @ n
        ).frequencies[0]
        partners = found[np.isfinite(found)]
        assert len(partners)
        assert np.abs(longitudinal[:, None] - partners).min(axis=0).max() < 1e-5
        epsilon = infrared.compute_dielectric_function(partners, 0.0)
        assert np.abs(np.einsum("a,nab,b->n", n, epsilon, n)).max() < 1e-6


def test_lyddane_sachs_teller(phonon):
    """Prod (nu_LO / nu_TO)^2 = eps(0) / eps(infinity) along each direction."""
    infrared = compute_infrared_response(phonon)
    for n in AXES:
        ratio = np.nanprod((infrared.find_longitudinal(n) / infrared.frequencies) ** 2)
        expected = (n @ infrared.static @ n) / (n @ infrared.electronic @ n)
        assert ratio == pytest.approx(expected, rel=1e-6)


def test_the_rule_of_quartz_holds_a2_along_the_axis_and_e_across(phonon):
    """D3: 4 A1 silent, 4 A2 along the axis, 8 E across it."""
    infrared = compute_infrared_response(phonon)
    along, across = infrared.strengths[:, 2, 2] > 1e-9, infrared.strengths[:, 0, 0] > 1e-9
    assert (along.sum(), across.sum(), len(along)) == (4, 8, 16)
    assert not (along & across).any()
    assert (infrared.sizes[across] == 2).all()
    np.testing.assert_allclose(infrared.strengths[:, 0, 0], infrared.strengths[:, 1, 1], atol=1e-6)


def test_charges_add_up_to_that_of_the_atoms(phonon):
    """sum_m p_a p_b = sum_k Z_ac Z_bc / M_k, the translations carrying none."""
    born, masses = phonon.nac_params["born"], phonon.primitive.masses
    expected = np.einsum("kac,kbc,k->ab", born, born, 1 / masses)
    found = compute_infrared_response(phonon).charges.sum(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_light_is_reflected_wholly_between_te_pole_and_the_zero():
    infrared = compute_infrared_response(spring_phonon(zincblende(), 1, born=True))
    [transverse], [longitudinal] = infrared.frequencies, infrared.find_longitudinal(AXES[0])
    inside, outside = (transverse + longitudinal) / 2, 3 * longitudinal
    epsilon = infrared.compute_dielectric_function([inside, outside], 0.0)[:, 0, 0]
    reflected = compute_reflectivity(epsilon)
    assert reflected[0] == pytest.approx(1.0)
    assert reflected[1] < 0.5


def test_rotatory_strengths_add_up_to_zero_and_turn_round_with_the_hand(phonon):
    mirror = make_mirror_image(phonon)
    for n in AXES:
        one, other = compute_dichroism(phonon, n), compute_dichroism(mirror, n)
        largest = np.abs(one.rotatory).max()
        assert largest > 1e-3
        assert abs(one.rotatory.sum()) < 1e-4 * largest
        np.testing.assert_allclose(one.frequencies, other.frequencies, atol=1e-6)
        np.testing.assert_allclose(one.strengths, other.strengths, atol=1e-6)
        np.testing.assert_allclose(one.rotatory, -other.rotatory, atol=1e-4 * largest)


def test_rotatory_strength_needs_no_origin_and_turns_with_the_crystal(phonon):
    n, R = np.array([0.3, -0.5, 0.8]), random_rotation(2)
    one = compute_dichroism(phonon, n)
    shifted = compute_dichroism(transformed(phonon, shift=(0.13, 0.41, 0.27)), n)
    turned = compute_dichroism(transformed(phonon, R), R @ n)
    scale = np.abs(one.rotatory).max()
    for other in (shifted, turned):
        np.testing.assert_allclose(other.rotatory, one.rotatory, atol=1e-3 * scale)


@pytest.mark.parametrize("crystal", [zincblende, wurtzite])
def test_crystals_of_no_hand_show_no_dichroism(crystal):
    """Neither -43m nor 6mm is optically active in any direction."""
    found = compute_dichroism(spring_phonon(crystal(), 1, born=True), (0.2, 0.5, 0.8))
    assert np.abs(found.rotatory).max() < 1e-6 * found.strengths.max()


def test_dissymmetry_is_a_share_of_the_light_absorbed(phonon):
    found = compute_dichroism(phonon, AXES[2])
    seen = np.isfinite(found.dissymmetry)
    assert seen.sum() == 8  # the E modes
    assert 0 < np.abs(found.dissymmetry[seen]).max() < 2


def test_without_charges_there_is_no_infrared():
    with pytest.raises(ValueError, match="Born charges"):
        compute_infrared_response(spring_phonon(quartz(), 3))
