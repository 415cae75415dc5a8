"""Warnings appear exactly where the numbers call for them."""

import json
from dataclasses import replace

import pytest

from tasks.site.caveats import list_caveats
from tasks.site.potential_notes import get_potential_note
from tasks.site.sources import MaterialDetails
from tasks.storage import CATALOG_TABLES, TABLES

SOUND = dict.fromkeys(CATALOG_TABLES["chirality"].names) | {
    "formula": "SiO2",
    "stable": True,
    "min_frequency_commensurate": 1.0,
    "symmetry_changed": False,
    "min_frequency": -0.01,
    "boundary_shift": 0.001,
    "tensor_largest_share": [0.1, None, 0.05],
    "nac": True,
    "volume_change": 0.01,
    "measured_volume_change": 0.01,
    "near_degenerate_fraction": 0.01,
}


def warnings_of(relaxation: dict | None = None, **row) -> str:
    found = MaterialDetails(SOUND | row, "x", None, relaxation, None, None, None, None)
    return " ".join(list_caveats(found))


def test_sound_results_have_no_warning():
    assert warnings_of() == ""


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ({"stable": False}, "Unstable"),
        ({"symmetry_changed": True}, "space group"),
        ({"min_frequency": -0.5}, "interpolated"),
        ({"boundary_shift": 0.04}, "boundary"),
        ({"tensor_largest_share": [0.1, 0.9]}, "mesh"),
        ({"tensor_violation": [0.1, 0.0]}, "forbids"),
        ({"nac": False}, "Born"),
        ({"measured_volume_change": -0.08}, "volume"),
        ({"measured_volume_change": None}, "Not checked against experiment"),
        ({"tensor_spread": [0.1, 0.5]}, "response tensor changes"),
        ({"helicity_disagreement": 0.5}, "mean helicity changes"),
        ({"near_degenerate_fraction": 0.2}, "mix"),
        ({"reason": "centrosymmetric"}, "Not computed: centrosymmetric"),
        ({"enantiomorph_of": "quartz-152"}, "mirror image quartz-152"),
        ({"relaxation": {"converged": False, "reason": "limit"}}, "stopped early: limit"),
    ],
)
def test_each_defect_has_one_warning(row, word):
    text = warnings_of(**row)
    assert word in text
    assert text.count(". ") + 1 <= 2


def test_crystals_of_one_element_lack_no_charges():
    assert warnings_of(nac=False, formula="Te") == ""


def test_what_the_settings_of_the_run_call_noise_is_no_reason_for_a_warning():
    run = {"settings": json.dumps({"score": {"stability_tolerance": 0.6}})}
    found = MaterialDetails(SOUND | {"min_frequency": -0.5}, "x", None, None, None, None, run, None)
    assert "interpolated" in " ".join(list_caveats(replace(found, run=None)))
    assert list_caveats(found) == []


def test_an_unstable_crystal_is_not_blamed_on_interpolation():
    assert "interpolated" not in warnings_of(stable=False, min_frequency=-3.0)


def test_a_run_without_a_card_claims_nothing():
    older = dict.fromkeys(TABLES["runs"].names)
    for run in (None, older):
        note = get_potential_note("ase:somewhere:Else", run)
        assert note.citation == ""
        assert "No statement" in note.limits[0]


def test_force_constants_from_a_file_are_not_those_of_a_potential():
    assert "from a file" in get_potential_note(None, None).limits[0]
