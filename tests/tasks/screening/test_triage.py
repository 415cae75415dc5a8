"""A budget of time buys the most expected value, and no mirror image without its original."""

import pytest

from tasks.screening.costs import StageSeconds
from tasks.screening.plan import plan_screening
from tasks.screening.planning import WorkItem
from tasks.screening.triage import estimate_value, select_affordable
from tests.tasks.alloys import intake_of, write_alloys

CHIRAL = {"helicity_wave": "s", "energy_above_hull": 0.0}


def work(name, cost, original=None):
    """Work on a structure; of a mirror image with its original."""
    image = original.keys if original else None
    seconds = StageSeconds(0.5 * cost, 0.45 * cost, 0.05 * cost)
    return WorkItem(name, name, (f"{name}-r", f"{name}-p", f"{name}-c"), seconds, image)


@pytest.mark.parametrize(
    "worse",
    [
        {"helicity_wave": "i"},
        {"energy_above_hull": 0.2},
        {"energy_above_hull": None},
        {"realised": False},
        {"classes_differ": True},
        {"charge_balance": "none"},
    ],
)
def test_what_is_doubtful_is_worth_less(worse):
    assert estimate_value(CHIRAL | worse) < estimate_value(CHIRAL) == 1.0


def test_the_most_value_for_the_time_is_chosen():
    opened = {"relaxation": (work("dear", 90.0), work("cheap", 10.0), work("dull", 10.0))}
    values = {"dear": 1.0, "cheap": 1.0, "dull": 0.01}
    names = [
        {w.material_id for w in select_affordable(opened, values, seconds).get("relaxation", ())}
        for seconds in (5.0, 15.0, 101.0, 110.0)
    ]
    assert names == [set(), {"cheap"}, {"cheap", "dear"}, {"cheap", "dear", "dull"}]


def test_what_is_almost_finished_costs_almost_nothing():
    opened = {"chirality": (work("late", 100.0),), "relaxation": (work("early", 100.0),)}
    chosen = select_affordable(opened, {"late": 0.1, "early": 1.0}, 10.0)
    assert {stage: [w.material_id for w in works] for stage, works in chosen.items()} == {
        "chirality": ["late"]
    }


def test_a_mirror_image_waits_for_its_original():
    original = work("right", 50.0)
    image = work("left", 1.0, original)
    values = {"right": 1.0, "left": 1.0}
    together = {"relaxation": (original, image)}
    assert select_affordable(together, values, 10.0) == {}
    assert select_affordable(together, values, 51.0) == together
    assert select_affordable({"relaxation": (image,)}, values, 10.0) == {"relaxation": (image,)}


def test_a_budget_postpones_and_a_later_run_has_the_rest(tmp_path):
    (tmp_path / "source").mkdir()
    source = write_alloys(tmp_path / "source", "helix", "zincblende", "wurtzite")
    context = intake_of(source, tmp_path / "out")
    everything = plan_screening(context)
    part = plan_screening(context, budget=0.9 * everything.cost)
    assert part.outcomes == everything.outcomes
    assert 0 < part.n_open < everything.n_open
    assert part.n_open + part.n_postponed == everything.n_open
    assert part.cost <= 0.9 * everything.cost
