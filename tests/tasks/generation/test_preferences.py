"""Space groups and elements are drawn as their score per hour deserves, and none is given up."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tasks.failures import RemediableError
from tasks.generation.model import load_sequence_model
from tasks.generation.preferences import Preferences, learn_preferences
from tasks.generation.sampling import SOHNCKE, Conditions, sample_sequences
from tasks.results.earnings import read_earnings

RELEASED = Path(__file__).parents[3] / "data" / "catalogue"


def make_earnings(*rows: tuple[str, int, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["formula", "space_group_number", "score", "hours"])


@pytest.fixture(scope="module")
def earnings():
    return read_earnings(RELEASED)


@pytest.fixture(scope="module")
def model():
    return load_sequence_model()


def test_a_factor_is_the_score_per_hour_over_the_mean():
    """The prior is ten crystals of the mean: 45 per 50 hours, and 5 per 50, over 0.5."""
    rows = [("FeSi", 198, 1.0, 1.0)] * 40 + [("NiSi", 4, 0.0, 1.0)] * 40
    found = learn_preferences(make_earnings(*rows), SOHNCKE)
    assert found.groups == {198: pytest.approx(45 / 50 / 0.5), 4: pytest.approx(0.2)}
    assert found.elements == {"Fe": 1.8, "Ni": 0.2, "Si": 1.0}


def test_few_results_change_little():
    rows = [("FeSi", 198, 0.5, 1.0)] * 99 + [("NiSi", 4, 0.0, 1.0)]
    assert learn_preferences(make_earnings(*rows), SOHNCKE).groups[4] > 0.9


def test_mirror_images_are_one_group_and_others_do_not_count():
    rows = [
        *[("SiO2", 152, 1.0, 1.0)] * 10,
        *[("SiO2", 154, 0.0, 1.0)] * 10,
        *[("NaCl", 225, 9.0, 0.1)] * 50,
        *[("NiSi", 4, 0.0, 1.0)] * 20,
    ]
    found = learn_preferences(make_earnings(*rows), SOHNCKE)
    assert found.groups[152] == found.groups[154] > 1 > found.groups[4]
    assert 225 not in found.groups
    assert "Na" not in found.elements


def test_nothing_is_learned_from_nothing():
    with pytest.raises(RemediableError, match="none of 1 crystals"):
        learn_preferences(make_earnings(("FeSi", 198, 0.0, 1.0)), SOHNCKE)


@pytest.mark.parametrize("wrong", [{"groups": {231: 1.0}}, {"elements": {"Si": 0.0}}])
def test_factors_are_checked(wrong):
    with pytest.raises(ValueError, match="no factor above 0"):
        Preferences(**wrong)


def test_earnings_of_a_dataset_are_its_scores_and_times(earnings):
    """Scores of crystals for which nothing speaks do not count; every crystal has a cost."""
    rows = pd.read_parquet(RELEASED / "chirality.parquet").set_index("material_id")
    times = pd.read_parquet(RELEASED / "phonons.parquet").set_index("material_id")["wall_time"]
    found = earnings.set_index("material_id")
    assert set(found.index) == set(rows.index)
    doubtful = rows.index[rows["evidence"].isna()]
    assert len(doubtful)
    assert (found.loc[doubtful, "score"] == 0).all()
    believed = rows.index[rows["evidence"].notna() & rows["score"].notna()]
    assert found.loc[believed, "score"].to_numpy() == pytest.approx(rows.loc[believed, "score"])
    assert (found.loc[times.index, "hours"] > times / 3600).all()


def test_what_is_learned_from_half_of_the_crystals_holds_for_the_others(earnings):
    """Score per hour of the other half, drawn as preferred, over that of all of it."""
    chosen = earnings["material_id"].map(lambda name: sum(map(ord, name)) % 2 == 0)
    found = learn_preferences(earnings[chosen], SOHNCKE)
    rest = earnings[~chosen & earnings["space_group_number"].isin(SOHNCKE)]
    groups = rest["space_group_number"].map(lambda number: found.groups.get(number, 1.0))
    weights = groups * rest["formula"].map(found.weigh_formula)
    score, hours = ((weights * rest[name]).sum() for name in ("score", "hours"))
    assert score / hours > 1.1 * rest["score"].sum() / rest["hours"].sum()


def test_preferred_groups_and_elements_are_drawn_more_often(model):
    wanted = Conditions(space_groups=(4, 198), elements=("Si", "Fe", "Co"))
    liked = Preferences(groups={198: 4.0}, elements={"Co": 0.2})
    preferring = wanted.model_copy(update={"preferences": liked})
    before, after = (sample_sequences(model, c, 200, seed=0) for c in (wanted, preferring))
    groups, preferred = (Counter(s.number for s in found) for found in (before, after))
    assert preferred[198] > 1.5 * groups[198]
    assert preferred[4] > 0
    cobalt, less = (sum(27 in s.composition for s in found) for found in (before, after))
    assert 0 < less < 0.9 * cobalt
    assert sample_sequences(model, preferring, 200, seed=0) == after


def test_no_preferences_change_nothing(model):
    before = sample_sequences(model, Conditions(), 30, seed=5)
    empty = Conditions(preferences=Preferences())
    assert sample_sequences(model, empty, 30, seed=5) == before
