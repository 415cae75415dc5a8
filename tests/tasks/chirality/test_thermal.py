"""Thermal properties: phonopy's numbers, the laws of thermodynamics, and what is left out."""

import numpy as np
import pytest
from phonopy import Phonopy
from phonopy.physical_units import get_physical_units
from scipy.constants import R

from tasks.chirality import (
    ChiralitySettings,
    analyze_force_constants,
    compute_thermal_properties,
    thermal,
)
from tasks.chirality.brillouin import make_irreducible_mesh
from tasks.chirality.modes import compute_modes
from tests.crystals import quartz, random_crystal, spring_phonon, tellurium, wurtzite

SETTINGS = ChiralitySettings(mesh_spacing=0.04, path_spacing=0.2)
KELVIN = np.array([0.0, 5.0, 100.0, 300.0, 1000.0])
CRYSTALS = {
    "tellurium": lambda: spring_phonon(tellurium(), 3),
    "quartz": lambda: spring_phonon(quartz(), 3),
    "wurtzite with charges": lambda: spring_phonon(wurtzite(), 3, born=True),
    "cubic": lambda: spring_phonon(random_crystal(198, 0), 0),
}


def soft() -> Phonopy:
    """Springs less other springs of the same crystal: some modes are imaginary, sum rules hold."""
    phonon, other = (spring_phonon(tellurium(), seed) for seed in (3, 4))
    phonon.force_constants = phonon.force_constants - 0.6 * other.force_constants
    return phonon


def of_phonopy(phonon: Phonopy):
    """What phonopy finds on the same mesh."""
    numbers = make_irreducible_mesh(phonon, SETTINGS.mesh_spacing).numbers
    phonon.run_mesh(numbers, is_gamma_center=True)
    return phonon.run_thermal_properties(
        temperatures=KELVIN,
        cutoff_frequency=SETTINGS.frequency_cutoff,
        exclude_gamma_acoustic=True,
    )


@pytest.fixture
def constants_of_phonopy(monkeypatch):
    """Its constants, which are older ones."""
    units = get_physical_units()
    monkeypatch.setattr(thermal, "h", units.PlanckConstant * units.EV)
    monkeypatch.setattr(thermal, "k", units.KB * units.EV)
    monkeypatch.setattr(thermal, "N_A", 1000 * units.EvTokJmol / units.EV)


def require_equal(found, expected, **options):
    np.testing.assert_allclose(found.free_energy, expected.free_energy, **options)
    np.testing.assert_allclose(found.entropy, expected.entropy, **options)
    np.testing.assert_allclose(found.heat_capacity, expected.heat_capacity, **options)
    np.testing.assert_allclose(found.zero_point_energy, expected.zero_point_energy, **options)


@pytest.mark.parametrize("name", CRYSTALS)
@pytest.mark.usefixtures("constants_of_phonopy")
def test_numbers_are_those_of_phonopy_on_the_same_mesh_with_its_constants(name):
    phonon = CRYSTALS[name]()
    found = compute_thermal_properties(phonon, KELVIN, SETTINGS)
    assert found.imaginary_fraction == 0
    require_equal(found, of_phonopy(phonon), rtol=1e-9, atol=1e-12)


def test_present_constants_change_them_by_less_than_a_hundred_thousandth():
    phonon = CRYSTALS["quartz"]()
    found = compute_thermal_properties(phonon, KELVIN, SETTINGS)
    require_equal(found, of_phonopy(phonon), rtol=1e-5, atol=1e-9)


def test_columns_are_the_values_at_room_temperature():
    phonon = CRYSTALS["tellurium"]()
    record = analyze_force_constants(phonon, SETTINGS).record
    found = compute_thermal_properties(phonon, 300.0, SETTINGS)
    assert record.zero_point_energy == found.zero_point_energy
    for name in ("free_energy", "entropy", "heat_capacity"):
        assert getattr(record, f"{name}_300") == getattr(found, name)[0]


def test_heat_capacity_goes_from_zero_to_the_classical_limit():
    found = compute_thermal_properties(CRYSTALS["quartz"](), [0.0, 1e5], SETTINGS)
    counted = 1 - 3 / (27 * make_irreducible_mesh(CRYSTALS["quartz"](), 0.04).weights.sum())
    np.testing.assert_allclose(found.heat_capacity, [0, 27 * R * counted], rtol=1e-4)
    assert found.entropy[0] == 0
    assert found.free_energy[0] == found.zero_point_energy > 0


def test_entropy_and_heat_capacity_are_derivatives_of_the_free_energy():
    step = 0.01
    t = 300.0 + step * np.arange(-1, 2)
    found = compute_thermal_properties(CRYSTALS["wurtzite with charges"](), t, SETTINGS)
    slope = 1000 * np.diff(found.free_energy[[0, 2]])[0] / (2 * step)
    assert -slope == pytest.approx(found.entropy[1], rel=1e-6)
    slope = np.diff(found.entropy[[0, 2]])[0] / (2 * step)
    assert 300 * slope == pytest.approx(found.heat_capacity[1], rel=1e-6)


@pytest.mark.usefixtures("constants_of_phonopy")
def test_imaginary_modes_are_left_out_and_their_share_is_told():
    """As phonopy leaves them out; the share is that of the record."""
    phonon = soft()
    found, expected = compute_thermal_properties(phonon, KELVIN, SETTINGS), of_phonopy(phonon)
    assert 0.01 < found.imaginary_fraction < 0.9
    require_equal(found, expected, rtol=1e-9, atol=1e-12)
    record = analyze_force_constants(phonon, SETTINGS).record
    assert record.imaginary_fraction == pytest.approx(found.imaginary_fraction)


def test_translations_are_left_out_where_they_have_a_frequency():
    """Force constants that break the acoustic sum rule give them one above the cutoff."""
    phonon = CRYSTALS["tellurium"]()
    sound = compute_thermal_properties(phonon, KELVIN, SETTINGS)
    own = np.arange(len(phonon.primitive))
    constants = phonon.force_constants.copy()
    constants[own, phonon.primitive.p2s_map] += 1e-3 * np.eye(3)
    phonon.force_constants = constants
    assert (
        np.abs(compute_modes(phonon, [0, 0, 0]).frequencies[0, :3]).min()
        > SETTINGS.frequency_cutoff
    )
    broken = compute_thermal_properties(phonon, KELVIN, SETTINGS)
    # Three modes of frequency 0.05 THz would add some per cent.
    np.testing.assert_allclose(broken.entropy, sound.entropy, rtol=5e-3, atol=1e-9)


def test_a_curve_has_default_temperatures_and_none_below_zero():
    phonon = CRYSTALS["tellurium"]()
    found = compute_thermal_properties(phonon, settings=SETTINGS)
    assert found.temperatures.tolist() == list(range(0, 1001, 10))
    assert (np.diff(found.entropy) > 0).all()
    with pytest.raises(ValueError, match="below zero: -1 K"):
        compute_thermal_properties(phonon, [300, -1], SETTINGS)
