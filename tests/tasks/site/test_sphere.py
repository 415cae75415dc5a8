"""The helicity over directions obeys the symmetry of the crystal."""

import numpy as np

from tasks.chirality.analysis import sample_modes
from tasks.chirality.brillouin import compute_helicity
from tasks.chirality.modes import compute_modes
from tasks.site.sphere import compute_helicity_sphere
from tests.crystals import quartz, rocksalt, spring_phonon, wurtzite


def test_an_inversion_centre_leaves_no_helicity():
    assert np.abs(compute_helicity_sphere(spring_phonon(rocksalt(), 1)).helicity).max() < 1e-8


def test_mirrors_of_a_polar_crystal_leave_none_on_their_planes():
    # The mirror planes of 6mm contain z and are 30 degrees apart.
    sphere = compute_helicity_sphere(spring_phonon(wurtzite(), 1))
    on_mirrors = np.isclose(np.degrees(sphere.azimuth) % 30, 0) | np.isclose(
        np.degrees(sphere.azimuth) % 30, 30
    )
    assert np.abs(sphere.helicity[:, :, on_mirrors]).max() < 1e-6
    assert np.abs(sphere.helicity).max() > 1e-4


def test_a_chiral_crystal_has_helicity_along_its_axis():
    assert np.abs(compute_helicity_sphere(spring_phonon(quartz(), 3)).helicity[:, 0]).max() > 0.1


def test_values_belong_to_their_directions():
    phonon = spring_phonon(quartz(), 3)
    sphere = compute_helicity_sphere(phonon)
    theta, phi = sphere.polar[4], sphere.azimuth[7]
    q = [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)]
    q_point = phonon.primitive.cell @ np.multiply(sphere.radius, q)
    sample = sample_modes(phonon, compute_modes(phonon, q_point), 1e-3)
    expected = compute_helicity(sample.angular_momentum, sample.images)[0]
    assert np.allclose(sphere.helicity[:, 4, 7], expected, atol=1e-8)
