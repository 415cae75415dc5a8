"""The verdict follows from the numbers."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.chirality import ChiralityRecord, ChiralitySettings, ScoreSettings, Verdict, judge
from tasks.chirality.analysis import analyze_force_constants
from tasks.phonons import compute_commensurate_frequencies
from tests.crystals import diamond, spring_phonon, tellurium

COARSE = ChiralitySettings(mesh_spacing=0.08, path_spacing=0.2)
SETTINGS = ScoreSettings()
STABLE = np.array([0.5, 1.0, 7.0])


def analysed(make) -> tuple[ChiralityRecord, np.ndarray]:
    """Record of a spring model, and its frequencies at the q-points of the supercell."""
    phonon = spring_phonon(make(), 3)
    return analyze_force_constants(phonon, COARSE).record, compute_commensurate_frequencies(phonon)


@pytest.fixture(scope="module")
def chiral() -> ChiralityRecord:
    """Numbers of trigonal tellurium with springs."""
    return analysed(tellurium)[0]


@pytest.mark.parametrize(
    ("lowest", "n_imaginary", "stable"),
    [(0.5, 0, True), (-0.05, 0, True), (-0.1, 0, True), (-0.11, 1, False), (-5.0, 1, False)],
)
def test_small_imaginary_frequencies_are_noise(chiral, lowest, n_imaginary, stable):
    found = judge(chiral, np.append(STABLE, lowest), SETTINGS)
    assert found.n_imaginary_commensurate == n_imaginary
    assert found.stable is stable
    assert found.min_frequency_commensurate == lowest


def test_the_tolerance_of_stability_is_a_setting(chiral):
    frequencies = np.append(STABLE, -0.3)
    assert judge(chiral, frequencies, ScoreSettings(stability_tolerance=0.4)).stable
    assert not judge(chiral, frequencies, ScoreSettings(stability_tolerance=0.0)).stable


@pytest.mark.parametrize(
    ("stiffness", "stable"), [(None, True), (30.0, True), (-0.4, True), (-0.6, False)]
)
def test_a_strain_of_negative_stiffness_is_an_instability(chiral, stiffness, stable):
    """No commensurate q-point shows it: SrSi2, for one, has no imaginary mode there."""
    found = judge(chiral, STABLE, SETTINGS, stiffness)
    assert found.stable is stable
    assert ("elastically unstable" in found.explanation) is not stable
    assert found.least_stiffness == stiffness


@pytest.mark.parametrize(("factor", "significant"), [(0.99, False), (1.0, False), (1.01, True)])
def test_significance_is_a_mean_above_the_threshold(chiral, factor, significant):
    mean = factor * SETTINGS.significance
    found = judge(replace(chiral, mean_angular_momentum=mean), STABLE, SETTINGS)
    assert found.significant is significant


def test_spring_models_of_chiral_crystals_are_stable_and_significant():
    """No spring has a negative constant; space group 152 allows angular momentum everywhere."""
    found = judge(*analysed(tellurium), SETTINGS)
    assert found.stable
    assert found.significant


def test_centrosymmetric_crystals_are_not_significant():
    found = judge(*analysed(diamond), SETTINGS)
    assert found.stable
    assert not found.significant
    assert found.explanation.startswith("no significant angular momentum: mean |l| ")


def test_explanation_tells_the_numbers_that_count(chiral):
    text = judge(chiral, STABLE, SETTINGS).explanation
    splitting = max(map(abs, chiral.circular_splitting))
    for part in (
        f"mean optical |l| {chiral.mean_optical_angular_momentum:.3f} ħ",
        f"mean optical |h| {chiral.mean_optical_helicity:.3f} ħ",
        f"helicity wave {chiral.helicity_wave_found}",
        f"circular splitting up to {splitting:.2f} meV ħ",
    ):
        assert part in text
    assert "unstable" not in text


def test_explanation_tells_instability_with_the_number_of_modes(chiral):
    text = judge(chiral, np.array([-1.0, -2.0, 3.0]), SETTINGS).explanation
    assert "unstable: 2 imaginary modes at commensurate q-points" in text


def test_explanation_leaves_out_splittings_that_do_not_exist(chiral):
    text = judge(replace(chiral, circular_splitting=()), STABLE, SETTINGS).explanation
    assert "split" not in text


def test_verdict_holds_plain_values(chiral):
    """They are stored as they are."""
    found = judge(chiral, STABLE, SETTINGS)
    assert isinstance(found, Verdict)
    assert type(found.stable) is type(found.significant) is bool
    assert type(found.n_imaginary_commensurate) is int
    assert type(found.min_frequency_commensurate) is float
