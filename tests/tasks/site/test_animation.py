"""Displacements shown are motions of the crystal, circling as their labels say."""

import numpy as np
import pytest

from tasks.chirality import ChiralitySettings
from tasks.chirality.bands import compute_band_structure
from tasks.chirality.modes import compute_modes
from tasks.site.animation import choose_rows, compute_special_modes
from tests.crystals import quartz, spring_crystal, spring_phonon, wurtzite

SETTINGS = ChiralitySettings(path_spacing=0.2)
Z = np.array([0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def phonon():
    return spring_phonon(quartz(), 3)


@pytest.fixture(scope="module")
def special(phonon):
    return {
        m.label: m for m in compute_special_modes(phonon, compute_band_structure(phonon, SETTINGS))
    }


def test_translations_move_all_atoms_alike(special):
    first = special["Γ"].displacements[:3]
    assert np.allclose(first, first[:, :1], atol=1e-4)
    assert np.allclose(np.abs(first).max(axis=(1, 2)), 1.0)


def test_a_rigid_rotation_of_the_crystal_has_the_label_of_its_sense(special):
    circulation, pam = special["Γ"].circulation[:3], special["Γ"].pam[:3]
    assert sorted(circulation.round(6)) == [-1.0, 0.0, 1.0]
    assert np.allclose(circulation, pam)


def test_labels_along_an_axis_are_integers(special):
    for label in ("Γ", "A"):
        assert set(special[label].pam) <= {-1.0, 0.0, 1.0}
        assert np.allclose(np.abs(special[label].axis), Z)


def test_states_of_equal_circulation_have_labels_all_the_same():
    # At R of a cubic crystal a set holds several states of each angular momentum along (111).
    phonon = spring_crystal(198)
    points = {
        m.label: m for m in compute_special_modes(phonon, compute_band_structure(phonon, SETTINGS))
    }
    found = points["R"]
    assert np.isfinite(found.pam).all()
    assert len(np.unique(found.circulation.round(4))) < len(found.circulation)


@pytest.fixture(scope="module")
def fine(phonon):
    return compute_band_structure(phonon, ChiralitySettings(path_spacing=0.03))


def test_the_first_point_shown_has_an_optical_mode_that_circles(phonon, fine):
    first = compute_special_modes(phonon, fine)[0]
    assert "–" in first.label
    assert np.abs(first.circulation[3:]).max() > 0.3


def test_each_segment_is_shown_in_its_middle_too(fine):
    rows = choose_rows(fine)
    for part in fine.segment_slices:
        row = rows[f"{fine.labels[part.start]}–{fine.labels[part.stop - 1]}"]
        assert abs(row - part.start - (part.stop - 1 - row)) <= 1


def test_raman_channels_are_told_at_gamma_alone(special):
    assert set(special["Γ"].channels) <= {"", "RR LL", "RL LR"}
    assert special["Γ"].channels[:3] == ("", "", "")
    assert "RL LR" in special["Γ"].channels
    assert special["A"].channels == ()


def test_with_charges_gamma_is_approached_along_the_path():
    phonon = spring_phonon(wurtzite(), 1, born=True)
    bands = compute_band_structure(phonon, SETTINGS)
    [gamma] = (m for m in compute_special_modes(phonon, bands) if m.label == "Γ")
    q = bands.q_points[gamma.row + 1]
    near = compute_modes(phonon, 1e-3 * q).frequencies[0]
    assert np.allclose(bands.frequencies[gamma.row][3:], near[3:], atol=1e-2)
    assert len(gamma.displacements) == len(near)
