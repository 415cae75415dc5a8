"""Warnings appear where the numbers call for them, and cost a material its rank."""

import pytest

from tasks.results.trust import (
    JUDGED,
    RULES,
    assess_reliability,
    get_warning_text,
    may_be_polar,
    select_rule_settings,
)
from tasks.screening.settings import ScreenSettings
from tasks.tables.declarations import CATALOG_TABLES

SOUND = {
    "formula": "SiO2",
    "stable": True,
    "symmetry_changed": False,
    "classes_differ": False,
    "boundary_shift": 0.001,
    "potentials_disagree": False,
    "frequency_disagreement": 0.01,
    "measured_volume_change": -0.01,
    "min_frequency_commensurate": 1.5,
    "min_frequency": -0.01,
    "tensor_violation": [1e-12, 1e-13],
    "tensor_largest_share": [0.1, None, 0.05],
    "sum_rules_skipped": None,
    "nac": True,
    "nac_source": "file",
    "charge_uncertainty": 0.05,
    "charge_crystals": 300,
    "band_gap": None,
    "near_degenerate_fraction": 0.01,
    "tensor_spread": [0.2, 0.1],
    "tensor_disagreement": 0.2,
    "splitting_spread": [],
    "splitting_disagreement": None,
    "helicity_spread": 0.1,
    "helicity_disagreement": 0.1,
    "space_group_number_relaxed": 152,
    "chirality_class": "II",
    "helicity_wave": "s",
    "helicity_wave_found": "s",
}
PREDICTED = {"nac_source": "predicted"}
DEFECTS = [
    ({"stable": False, "min_frequency_commensurate": -1.0}, "unstable"),
    ({"symmetry_changed": True, "space_group_number_relaxed": 186}, "class_changed"),
    ({"classes_differ": True}, "symmetry_doubtful"),
    ({"helicity_wave_found": "g"}, "wave_differs"),
    ({"boundary_shift": 0.06}, "supercell"),
    ({"potentials_disagree": True}, "potentials_disagree"),
    ({"measured_volume_change": -0.12}, "volume_far_off"),
    ({"min_frequency_commensurate": 0.05}, "soft"),
    ({"tensor_violation": [1e-12, 0.02]}, "forbidden_tensor"),
    ({"min_frequency": -0.5}, "imaginary_between"),
    ({"symmetry_changed": True, "space_group_number_relaxed": 181}, "symmetry_changed"),
    ({"boundary_shift": 0.03}, "boundary"),
    ({"measured_volume_change": 0.07}, "volume"),
    ({"frequency_disagreement": 0.06}, "frequencies_differ"),
    ({"helicity_spread": 0.4}, "helicity_uncertain"),
    ({"sum_rules_skipped": "why"}, "sum_rules_skipped"),
    ({"tensor_largest_share": [0.1, None, 0.5]}, "mesh"),
    ({"tensor_spread": [0.1, None, 0.5]}, "tensor_uncertain"),
    ({"splitting_disagreement": 0.5}, "splitting_uncertain"),
    ({"nac": False}, "no_born_charges"),
    (PREDICTED | {"charge_uncertainty": 0.3}, "charges_unsure"),
    ({"near_degenerate_fraction": 0.2}, "near_degenerate"),
    ({"measured_volume_change": None}, "volume_unchecked"),
]


def test_sound_results_are_trusted():
    found = assess_reliability(SOUND)
    assert (found.warnings, found.factor, found.reliable) == ((), 1.0, True)


@pytest.mark.parametrize(("row", "code"), DEFECTS)
def test_each_defect_has_its_own_warning_and_costs_rank(row, code):
    """One defect, one warning: nothing is counted twice."""
    [rule] = [rule for rule in RULES if rule.code == code]
    found = assess_reliability(SOUND | row)
    assert found.warnings == (code,)
    assert found.factor == rule.factor < 1
    assert found.reliable is not rule.grave


def test_every_rule_is_tried_and_reads_columns_of_the_catalogue():
    assert [code for _, code in DEFECTS] == [rule.code for rule in RULES]
    assert set(JUDGED) <= set(CATALOG_TABLES["chirality"].names)
    assert set(SOUND) == set(JUDGED)


def test_warnings_multiply():
    found = assess_reliability(SOUND | {"nac": False, "boundary_shift": 0.06})
    factors = {rule.code: rule.factor for rule in RULES}
    assert found.factor == pytest.approx(factors["supercell"] * factors["no_born_charges"])
    assert not found.reliable


def test_empty_columns_warn_of_nothing_but_what_was_not_checked():
    assert assess_reliability(dict.fromkeys(JUDGED)).warnings == ("volume_unchecked",)


@pytest.mark.parametrize("name", JUDGED)
def test_a_column_that_is_not_handed_over_is_an_error(name):
    with pytest.raises(KeyError, match=name):
        assess_reliability({column: value for column, value in SOUND.items() if column != name})


@pytest.mark.parametrize(
    ("setting", "value", "column", "numbers", "code"),
    [
        ("score.stability_tolerance", 0.3, "min_frequency", (-0.25, -0.35), "imaginary_between"),
        ("score.stability_tolerance", 0.02, "min_frequency", (-0.015, -0.05), "imaginary_between"),
        ("phonons.max_boundary_shift", 0.04, "boundary_shift", (0.035, 0.045), "boundary"),
        ("phonons.max_boundary_shift", 0.01, "boundary_shift", (0.009, 0.015), "boundary"),
    ],
)
def test_warnings_follow_the_settings_of_the_run(setting, value, column, numbers, code):
    """What a setting calls noise, or converged, is nothing to be warned of."""
    group, name = setting.split(".")
    settings = select_rule_settings({group: {name: value}})
    below, above = (
        assess_reliability(SOUND | {column: number}, settings).warnings for number in numbers
    )
    assert (below, above) == ((), (code,))


def test_the_defaults_hold_for_a_run_that_recorded_none():
    settings = ScreenSettings()
    assert select_rule_settings({}) == {
        "score.stability_tolerance": settings.score.stability_tolerance,
        "phonons.max_boundary_shift": settings.phonons.max_boundary_shift,
    }
    assert select_rule_settings(settings.model_dump(mode="json")) == select_rule_settings({})


@pytest.mark.parametrize(
    ("formula", "band_gap", "expected"),
    [
        ("ZnO", None, True),
        ("ZnO", 0.0, False),
        ("GaAs", None, True),  # 0.37 on Pauling's scale, Born charges of 2 e
        ("GaAs", float("nan"), True),
        ("Te", None, False),
        ("FeSi", None, False),
        ("MgCu2", None, False),
        ("He", None, False),
        (None, None, False),
    ],
)
def test_crystals_that_lack_charges_are_insulators_of_unlike_elements(formula, band_gap, expected):
    assert may_be_polar(formula, band_gap) is expected


@pytest.mark.parametrize(
    ("row", "codes"),
    [
        (PREDICTED, ()),
        (PREDICTED | {"charge_crystals": 3}, ("charges_unsure",)),
        ({"charge_uncertainty": 0.5, "charge_crystals": 3}, ()),
    ],
)
def test_predicted_charges_are_trusted_as_far_as_they_are_known(row, codes):
    """Elements of few crystals have bars that nobody could check."""
    assert assess_reliability(SOUND | row).warnings == codes


def test_a_warning_of_a_newer_program_is_told_by_its_name():
    assert get_warning_text("unheard_of") == "unheard_of"
    assert "Born" in get_warning_text("no_born_charges")
