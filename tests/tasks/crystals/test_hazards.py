"""Elements that a laboratory handles with care."""

from tasks.crystals.curation import CurationSettings
from tasks.crystals.hazards import HAZARDS, list_hazards


def test_elements_of_a_formula_are_named_by_hazard():
    assert list_hazards("CdAs2") == {"radioactive": (), "toxic": ("Cd", "As")}
    assert list_hazards("Th3(PO4)4") == {"radioactive": ("Th",), "toxic": ()}
    assert not any(list_hazards("SiO2").values())


def test_bismuth_and_lead_have_stable_isotopes_and_technetium_has_none():
    assert {"Tc", "Pm", "Po", "U"} <= set(HAZARDS["radioactive"])
    assert not {"Bi", "Pb", "Ru"} & set(HAZARDS["radioactive"])


def test_the_words_of_the_curation_mean_the_same_elements():
    for word, symbols in HAZARDS.items():
        assert CurationSettings(excluded_elements=(word,)).excluded_elements == symbols
