"""Displacements shown are motions of the crystal, circling as their labels say."""

import numpy as np
import pytest

from tasks.bands import band_structure
from tasks.chirality import ChiralitySettings
from tasks.chirality.analysis import sample_modes
from tasks.chirality.angular_momentum import angular_momentum, angular_momentum_matrices
from tasks.chirality.modes import modes_at
from tasks.site.animation import circular_basis, special_modes
from tests.crystals import quartz, spring_crystal, spring_phonon, wurtzite

SETTINGS = ChiralitySettings(path_spacing=0.2)
Z = np.array([0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def phonon():
    return spring_phonon(quartz(), 3)


@pytest.fixture(scope="module")
def special(phonon):
    return {m.label: m for m in special_modes(phonon, band_structure(phonon, SETTINGS))}


@pytest.fixture(scope="module")
def at_gamma(phonon):
    modes = modes_at(phonon, [0.0, 0.0, 0.0])
    sets = sample_modes(phonon, modes, 1e-3).sets[0]
    return modes, sets, *circular_basis(modes.eigenvectors[0], sets, Z)


def test_the_circular_basis_spans_the_same_sets(at_gamma):
    modes, sets, vectors, _ = at_gamma
    for label in np.unique(sets):
        old, new = (m[:, sets == label] for m in (modes.eigenvectors[0], vectors))
        assert np.allclose(old @ old.conj().T, new @ new.conj().T, atol=1e-10)


def test_circulation_is_the_angular_momentum_of_the_motion(at_gamma):
    _, sets, vectors, circulation = at_gamma
    assert np.allclose(angular_momentum(vectors[None])[0] @ Z, circulation, atol=1e-10)
    block = np.einsum("a,amn->mn", Z, angular_momentum_matrices(vectors[None])[0])
    same = sets[:, None] == sets
    assert np.allclose(block * same, np.diag(circulation), atol=1e-10)


def test_partners_circle_in_opposite_senses_at_gamma(at_gamma):
    _, sets, _, circulation = at_gamma
    for label in np.unique(sets):
        assert abs(circulation[sets == label].sum()) < 1e-8
    assert np.abs(circulation).max() > 0.1


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
    points = {m.label: m for m in special_modes(phonon, band_structure(phonon, SETTINGS))}
    found = points["R"]
    assert np.isfinite(found.pam).all()
    assert len(np.unique(found.circulation.round(4))) < len(found.circulation)


def test_raman_channels_are_told_at_gamma_alone(special):
    assert set(special["Γ"].channels) <= {"", "RR LL", "RL LR"}
    assert special["Γ"].channels[:3] == ("", "", "")
    assert "RL LR" in special["Γ"].channels
    assert special["A"].channels == ()


def test_with_charges_gamma_is_approached_along_the_path():
    phonon = spring_phonon(wurtzite(), 1, born=True)
    bands = band_structure(phonon, SETTINGS)
    [gamma] = (m for m in special_modes(phonon, bands) if m.label == "Γ")
    q = bands.q_points[gamma.row + 1]
    near = modes_at(phonon, 1e-3 * q).frequencies[0]
    assert np.allclose(bands.frequencies[gamma.row][3:], near[3:], atol=1e-2)
    assert len(gamma.displacements) == len(near)
