"""Validated crystals that stand on a page are near by the stated measure, and of its potential."""

import pandas as pd
import pytest

from benchmarks.validation.materials import RESULTS, VALIDATED, select_for_pages
from tasks.site.validated import count_validated, find_nearest_validated, read_validated

DEFAULT = "nequix-mp-1-pft"


def test_the_crystal_itself_comes_first_where_it_was_validated():
    first = find_nearest_validated("ZnO", 186, DEFAULT)[0]
    assert (first.formula, first.space_group) == ("ZnO", 186)


def test_hands_of_an_enantiomorphic_pair_are_one_space_group():
    found = [find_nearest_validated("SiO2", group, DEFAULT, 2) for group in (152, 154)]
    assert found[0] == found[1]
    assert {crystal.space_group for crystal in found[0]} == {152, 154}


def test_the_most_electronegative_element_is_shared():
    found = find_nearest_validated("HgTe", 216, DEFAULT, 100)
    assert len(found) > 5
    assert all(crystal.formula.find("Te") >= 0 for crystal in found)
    assert not any(element in crystal.formula for crystal in found for element in ("O", "S", "F"))


def test_shared_elements_come_before_shared_space_groups():
    found = find_nearest_validated("HgZnTe2", 225, DEFAULT, 100)
    shared = [sum(symbol in crystal.formula for symbol in ("Hg", "Zn", "Te")) for crystal in found]
    assert shared[0] > 1
    assert shared[-1] == 1


@pytest.mark.parametrize(
    "crystal", [("He", 194, DEFAULT), (None, None, DEFAULT), ("ZnO", 186, None), ("ZnO", 186, "x")]
)
def test_nothing_is_near_what_nobody_validated(crystal):
    assert find_nearest_validated(*crystal) == []


def test_each_crystal_counts_once():
    rows = [crystal for crystal in read_validated() if crystal.potential == DEFAULT]
    assert 0 < count_validated(DEFAULT) < len(rows)
    assert count_validated("x") == 0


def test_the_table_of_the_package_is_that_of_the_validation(tmp_path):
    merged = pd.read_parquet(RESULTS / "materials.parquet")
    select_for_pages(merged).to_csv(tmp_path / "again.csv", index=False)
    assert (tmp_path / "again.csv").read_text() == VALIDATED.read_text()
