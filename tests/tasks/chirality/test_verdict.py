"""The verdict follows from the numbers, and no number that says nothing enters the score."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.chirality import ChiralityRecord, ChiralitySettings, ScoreSettings, Verdict, judge
from tasks.chirality.analysis import analyze_force_constants
from tasks.chirality.verdict import response_norm, score_of, score_terms
from tasks.phonons import commensurate_frequencies
from tests.crystals import diamond, spring_phonon, tellurium, wurtzite

COARSE = ChiralitySettings(mesh_spacing=0.08, path_spacing=0.2)
SETTINGS = ScoreSettings()
STABLE = np.array([0.5, 1.0, 7.0])
TERMS = ("momentum", "helicity", "isolation", "splitting", "tensor")


def analysed(make) -> tuple[ChiralityRecord, np.ndarray]:
    """Record of a spring model, and its frequencies at the q-points of the supercell."""
    phonon = spring_phonon(make(), 3)
    return analyze_force_constants(phonon, COARSE).record, commensurate_frequencies(phonon)


@pytest.fixture(scope="module")
def chiral() -> ChiralityRecord:
    """Numbers of trigonal tellurium with springs."""
    return analysed(tellurium)[0]


FRACTIONS = st.floats(0.0, 1.0)
# Possible numbers of a record: shares between 0 and 1, sizes of any magnitude.
NUMBERS = st.fixed_dictionaries(
    {
        "mean_optical_angular_momentum": FRACTIONS,
        "mean_optical_helicity": FRACTIONS,
        "near_degenerate_fraction": FRACTIONS,
        "degenerate_fraction": FRACTIONS,
        "splitting_linear": st.lists(st.floats(-1e6, 1e6), max_size=3).map(tuple),
        "tensor": st.floats(-1e-3, 1e-3).map(lambda size: 27 * (size,)),
    }
)


@given(numbers=NUMBERS)
def test_terms_are_shares(chiral, numbers):
    """Degenerate sets may also be near others: both shares together may exceed one."""
    terms = score_terms(replace(chiral, **numbers), SETTINGS)
    assert tuple(terms) == TERMS
    assert all(0.0 <= value <= 1.0 for value in terms.values()), terms


@given(numbers=NUMBERS, weights=st.lists(st.floats(0.0, 10.0), min_size=5, max_size=5))
def test_score_is_a_mean_of_its_terms(chiral, numbers, weights):
    assume(sum(weights) > 1e-3)
    record = replace(chiral, **numbers)
    settings = ScoreSettings(
        **{f"{term}_weight": weight for term, weight in zip(TERMS, weights, strict=True)}
    )
    terms = score_terms(record, settings)
    used = [terms[name] for name, weight in zip(TERMS, weights, strict=True) if weight]
    assert min(used) - 1e-9 <= score_of(record, settings) <= max(used) + 1e-9


def scaled(record: ChiralityRecord, name: str, factor: float) -> ChiralityRecord:
    """Record with one number, or each number of one list, multiplied."""
    value = getattr(record, name)
    many = isinstance(value, tuple)
    return replace(record, **{name: tuple(factor * v for v in value) if many else factor * value})


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("mean_optical_angular_momentum", +1),
        ("mean_optical_helicity", +1),
        ("splitting_linear", +1),
        ("tensor", +1),
        ("near_degenerate_fraction", -1),
    ],
)
def test_score_rises_or_falls_with_each_number(chiral, name, sign):
    base = replace(chiral, near_degenerate_fraction=0.1)
    scores = [score_of(scaled(base, name, factor), SETTINGS) for factor in (0.5, 1.0, 1.5)]
    assert np.all(sign * np.diff(scores) > 0)


@pytest.mark.parametrize(
    "name",
    [
        "max_angular_momentum",
        "max_optical_angular_momentum",
        "max_helicity",
        "max_optical_helicity",
        "mean_angular_momentum",
        "mean_helicity",
        "splitting_max",
        "splitting_acoustic",
        "max_frequency",
    ],
)
def test_maxima_and_acoustic_numbers_do_not_enter(chiral, name):
    """Near Γ the largest |l| is one wherever there is a three-, four- or six-fold axis."""
    assert score_of(scaled(chiral, name, 0.3), SETTINGS) == score_of(chiral, SETTINGS)


def test_opposite_hands_have_the_same_score(chiral):
    """Mirror images have the opposite splittings and response."""
    mirrored = scaled(scaled(chiral, "splitting_linear", -1.0), "tensor", -1.0)
    assert score_of(mirrored, SETTINGS) == pytest.approx(score_of(chiral, SETTINGS))


def test_scales_are_what_counts_half(chiral):
    splitting = max(map(abs, chiral.splitting_linear))
    response = response_norm(chiral, 300.0)
    settings = ScoreSettings(splitting_scale=splitting, tensor_scale=response)
    terms = score_terms(chiral, settings)
    assert terms["splitting"] == pytest.approx(0.5)
    assert terms["tensor"] == pytest.approx(0.5)


def test_achiral_crystals_have_no_splitting_term():
    record, _ = analysed(wurtzite)
    assert record.splitting_linear == ()
    assert score_terms(record, SETTINGS)["splitting"] == 0.0


def test_response_is_that_of_the_nearest_temperature(chiral):
    """A tensor of size T at temperature T has the norm 3 T."""
    temperatures = (100.0, 290.0, 1000.0)
    tensor = tuple(float(t) for t in temperatures for _ in range(9))
    record = replace(chiral, temperatures=temperatures, tensor=tensor)
    assert response_norm(record, 300.0) == pytest.approx(3 * 290.0)
    assert response_norm(record, 900.0) == pytest.approx(3 * 1000.0)


@pytest.mark.parametrize(
    ("lowest", "n_imaginary", "stable"),
    [(0.5, 0, True), (-0.05, 0, True), (-0.1, 0, True), (-0.11, 1, False), (-5.0, 1, False)],
)
def test_small_imaginary_frequencies_are_noise(chiral, lowest, n_imaginary, stable):
    found = judge(chiral, np.append(STABLE, lowest), SETTINGS)
    assert found.n_imaginary_commensurate == n_imaginary
    assert found.stable is stable
    assert found.min_frequency_commensurate == lowest
    assert (found.score is not None) is stable


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
    assert (found.score is None) is not stable
    assert ("elastically unstable" in found.explanation) is not stable
    assert found.least_stiffness == stiffness


@pytest.mark.parametrize(("factor", "significant"), [(0.99, False), (1.0, False), (1.01, True)])
def test_significance_is_a_mean_above_the_threshold(chiral, factor, significant):
    mean = factor * SETTINGS.significance
    found = judge(replace(chiral, mean_angular_momentum=mean), STABLE, SETTINGS)
    assert found.significant is significant
    assert (found.score is not None) is significant


@pytest.mark.parametrize(("threshold", "shortlisted"), [(0.0, True), (1.0, False)])
def test_shortlist_begins_at_its_score(chiral, threshold, shortlisted):
    found = judge(chiral, STABLE, ScoreSettings(shortlist_score=threshold))
    assert found.shortlisted is shortlisted
    exactly = ScoreSettings(shortlist_score=found.score)
    assert judge(chiral, STABLE, exactly).shortlisted


def test_without_a_score_nothing_is_shortlisted(chiral):
    settings = ScoreSettings(shortlist_score=0.0)
    assert not judge(chiral, np.array([-5.0]), settings).shortlisted
    assert not judge(replace(chiral, mean_angular_momentum=0.0), STABLE, settings).shortlisted


def test_spring_models_of_chiral_crystals_are_stable_and_significant():
    """No spring has a negative constant; space group 152 allows angular momentum everywhere."""
    found = judge(*analysed(tellurium), SETTINGS)
    assert found.stable
    assert found.significant
    assert 0 < found.score < 1


def test_centrosymmetric_crystals_are_not_significant():
    found = judge(*analysed(diamond), SETTINGS)
    assert found.stable
    assert not found.significant
    assert found.score is None
    assert found.explanation.startswith("no significant angular momentum: mean |l| ")


def test_explanation_tells_the_numbers_that_count(chiral):
    text = judge(chiral, STABLE, SETTINGS).explanation
    splitting = max(map(abs, chiral.splitting_linear))
    for part in (
        f"mean optical |l| {chiral.mean_optical_angular_momentum:.3f} ħ",
        f"mean optical |h| {chiral.mean_optical_helicity:.3f} ħ",
        f"helicity wave {chiral.helicity_wave_found}",
        f"by up to {splitting:.2f} THz Å",
    ):
        assert part in text
    assert "unstable" not in text


def test_explanation_tells_instability_with_the_number_of_modes(chiral):
    text = judge(chiral, np.array([-1.0, -2.0, 3.0]), SETTINGS).explanation
    assert "unstable: 2 imaginary modes at commensurate q-points" in text


def test_explanation_leaves_out_splittings_that_do_not_exist(chiral):
    text = judge(replace(chiral, splitting_linear=()), STABLE, SETTINGS).explanation
    assert "split" not in text


def test_verdict_holds_plain_values(chiral):
    """They are stored as they are."""
    found = judge(chiral, STABLE, SETTINGS)
    assert isinstance(found, Verdict)
    assert type(found.stable) is type(found.significant) is type(found.shortlisted) is bool
    assert type(found.n_imaginary_commensurate) is int
    assert type(found.score) is type(found.min_frequency_commensurate) is float
