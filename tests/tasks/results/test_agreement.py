"""Two calculations of one crystal: equal ones agree, opposite hands contradict each other."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from tasks.chirality import compute_modes
from tasks.failures import RemediableError
from tasks.phonons.mirror import make_mirror_image
from tasks.results import read_catalog
from tasks.results.agreement import (
    BARS,
    FLOOR,
    compare_datasets,
    compare_modes,
    compare_pair,
    compute_relative_difference,
    keep_agreement,
    make_agreement_row,
    match_modes,
)
from tasks.results.building import build_catalog
from tasks.results.counterparts import CrystalPair, pair_crystals
from tasks.screening.plan import plan_screening
from tasks.storage import Dataset
from tests.crystals import spring_phonon, tellurium, zincblende
from tests.tasks.alloys import SETTINGS, carry_out, intake_of, write_alloys

pytestmark = pytest.mark.slow

AGREED = {"helicity_wave_found": "s", "stable": True}
HERE = {"material_id": "te", "chirality_key": "c", "potential": "one", **AGREED}
THERE = {"material_id": "te", "potential": "another", **AGREED}
PAIR = CrystalPair(HERE, THERE, "structure")


@pytest.fixture(scope="module")
def chiral():
    return spring_phonon(tellurium(), 1)


@pytest.fixture(scope="module")
def same(chiral):
    return compare_modes(chiral, chiral)


def test_a_calculation_agrees_with_itself(same):
    assert same.frequency_difference == pytest.approx(0.0, abs=1e-9)
    assert same.momentum_difference == pytest.approx(0.0, abs=1e-6)
    assert same.sign_agreement == 1.0
    assert same.leading_sign_agrees is True
    assert not make_agreement_row(same, PAIR)["potentials_disagree"]


def test_force_constants_of_half_the_size_are_a_third_of_the_frequencies_off(chiral):
    """Frequencies go with the root; eigenvectors, and so angular momenta, stay."""
    softer = spring_phonon(tellurium(), 1)
    softer.force_constants = chiral.force_constants / 2
    found = compare_modes(chiral, softer)
    frequencies = compute_modes(
        chiral, np.random.default_rng(0).uniform(-0.5, 0.5, (40, 3))
    ).frequencies
    expected = (1 - np.sqrt(0.5)) * np.abs(frequencies).mean()
    assert found.frequency_difference == pytest.approx(expected, rel=0.1)
    assert found.momentum_difference == pytest.approx(0.0, abs=1e-6)
    assert found.frequency_disagreement > 0.05
    assert not make_agreement_row(found, PAIR)["potentials_disagree"]


def test_the_other_hand_is_told_apart(chiral):
    """Its modes circle the other way: paired with those of this hand, they contradict."""
    found = compare_modes(chiral, make_mirror_image(chiral))
    assert found.sign_agreement is not None
    assert found.sign_agreement < 0.9
    assert found.momentum_difference > 0.1
    assert make_agreement_row(found, PAIR)["potentials_disagree"]


def test_modes_are_paired_by_their_eigenvectors_not_by_their_order(chiral):
    q_points = [[0.11, 0.23, 0.37]]
    modes = compute_modes(chiral, q_points)
    order = np.random.default_rng(1).permutation(modes.n_bands)
    shuffled = replace(
        modes,
        frequencies=modes.frequencies[:, order],
        eigenvectors=modes.eigenvectors[:, :, order],
    )
    np.testing.assert_allclose(match_modes(modes, shuffled).frequencies, modes.frequencies)


@pytest.mark.parametrize(
    ("other", "column"),
    [({"helicity_wave_found": "g"}, "wave_agrees"), ({"stable": False}, "stability_agrees")],
)
def test_other_verdicts_contradict(same, other, column):
    row = make_agreement_row(same, CrystalPair(HERE, THERE | other, "structure"))
    assert row["potentials_disagree"]
    assert not row[column]


def test_other_crystals_cannot_be_compared(chiral):
    with pytest.raises(RemediableError, match="differ in their atoms"):
        compare_modes(chiral, spring_phonon(zincblende(), 1))


def test_a_comparison_of_datasets_reaches_the_catalogue(tmp_path):
    """Both datasets hold the same results here, so that nothing is contradicted."""
    context = intake_of(write_alloys(tmp_path, "helix", "copper"), tmp_path / "one")
    carry_out(plan_screening(context), context)
    build_catalog(context.dataset)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    first, second = Dataset(tmp_path / "one"), Dataset(tmp_path / "two")
    [pair], [] = pair_crystals(first, second)
    rows = [compare_pair(first, second, pair)]
    assert [row["material_id"] for row in rows] == ["helix"]

    def stop_after_the_first():
        yield from rows
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(keep_agreement(first, stop_after_the_first(), at_once=1))
    build_catalog(first)
    row = read_catalog(first.root, "chirality").set_index("material_id").loc["helix"]
    assert not row["potentials_disagree"]
    assert row["frequency_disagreement"] == pytest.approx(0.0, abs=1e-9)
    assert row["stability_agrees"]
    differences = ("tensor_disagreement", "splitting_disagreement", "helicity_disagreement")
    assert [row[name] for name in differences] == [0.0, 0.0, 0.0]
    assert np.isnan(row["frequency_bar_90"]), "of a potential that was never calibrated"
    assert list(compare_datasets(first, second)) == [], "compared already"


def test_a_potential_that_makes_another_crystal_contradicts(tmp_path):
    """The copper-gold alloy becomes centrosymmetric: one run goes on with it, the other not."""
    source = write_alloys(tmp_path, "wurtzite")
    going_on = SETTINGS.model_copy(update={"include_centrosymmetric": True})
    first, second = (
        intake_of(source, tmp_path / name, settings)
        for name, settings in (("one", going_on), ("two", SETTINGS))
    )
    for context in (first, second):
        carry_out(plan_screening(context), context)
        build_catalog(context.dataset)
    [row] = compare_datasets(first.dataset, second.dataset)
    assert row["potentials_disagree"]
    assert list(keep_agreement(first.dataset, [row, "a reason"])) == [row, "a reason"]
    build_catalog(first.dataset)
    [found] = read_catalog(first.dataset.root, "chirality").to_dict("records")
    assert "centrosymmetric" in found["other_failure"]
    assert "potentials_disagree" in found["warnings"]
    assert np.isnan(found["frequency_bar_90"])
    with pytest.raises(RemediableError, match="no screened crystal"):
        list(compare_datasets(second.dataset, first.dataset))


@pytest.mark.parametrize("pair", BARS)
def test_error_bars_grow_with_the_difference_and_cover_more_for_more(chiral, same, pair):
    softer = spring_phonon(tellurium(), 1)
    softer.force_constants = chiral.force_constants / 2
    found = compare_modes(chiral, softer)
    few, many = found.compute_error_bars(*pair)[68], found.compute_error_bars(*pair)[90]
    assert few < many
    assert found.frequency_difference < many
    least = BARS[pair][90] * FLOOR * same.mean_frequency
    assert same.compute_error_bars(*pair)[90] == pytest.approx(least)
    here, there = HERE | {"potential": pair[0]}, THERE | {"potential": pair[1]}
    row = make_agreement_row(found, CrystalPair(here, there, "structure"))
    assert (row["frequency_bar_68"], row["frequency_bar_90"]) == (few, many)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([3.0, 4.0], [3.0, 4.0], 0.0),
        ([3.0, 4.0], [-3.0, -4.0], 2.0),
        ([1.0], [4.0], 0.75),
        ([4.0], [1.0], 0.75),
        ([0.0], [1.0], None),
        ([], [], None),
        ([1.0], [1.0, 2.0], None),
    ],
)
def test_relative_differences_are_in_units_of_the_larger(first, second, expected):
    assert compute_relative_difference(np.array(first), np.array(second)) == expected
