"""Order of polymorphs: which crystals are a pair, and when their order is right."""

import pandas as pd
import pytest

from benchmarks.polymorphs import describe_by_kind, describe_by_size, list_pairs

KNOWN = pd.DataFrame(
    [
        ("quartz", "SiO2", -3.300),
        ("cristobalite", "SiO2", -3.292),
        ("stishovite", "SiO2", -3.100),
        ("zincblende", "ZnS", -1.000),
        ("alone", "GaAs", -0.500),
    ],
    columns=["material_id", "formula", "e_form"],
).set_index("material_id")
# Total energies; the order of quartz and cristobalite is wrong.
ENERGIES = pd.Series({"quartz": -8.0, "cristobalite": -8.004, "stishovite": -7.8, "alone": -4.0})


@pytest.fixture
def pairs() -> pd.DataFrame:
    return list_pairs(KNOWN, ENERGIES)


def test_pairs_have_one_formula_and_an_energy_on_both_sides(pairs):
    assert len(pairs) == 3
    assert set(pairs["kind"]) == {"oxides"}
    [near] = pairs[pairs["theirs"].abs() < 10].to_dict("records")
    assert {near["first"], near["second"]} == {"quartz", "cristobalite"}
    assert near["theirs"] == pytest.approx(-near["ours"] * 2)


def test_the_right_order_is_that_of_the_signs(pairs):
    sizes = describe_by_size(pairs)
    assert sizes["right order"].tolist() == [0.0, 1.0]
    assert sizes["pairs"].tolist() == [1, 2]
    assert sizes["median error"].iloc[0] == pytest.approx(12.0)
    assert describe_by_kind(pairs).loc["oxides", "pairs"] == 2
