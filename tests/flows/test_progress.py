"""Counts of a run in words, and shares that add up to the whole."""

import pytest

from flows.chunks import Chunk, sum_finished_seconds
from flows.progress import StageCounts
from flows.result import ScreenResult
from tasks.failures import Failure
from tasks.screening.costs import StageSeconds
from tasks.screening.plan import Plan
from tasks.screening.planning import STAGE_NAMES, WorkItem
from tasks.screening.stages import StageReport


def works(*names: str) -> tuple[WorkItem, ...]:
    return tuple(WorkItem(name, "", ("", "", ""), StageSeconds(0.5, 1.0, 0.25)) for name in names)


def failure(name: str) -> Failure:
    return Failure(name, "k", "relaxation", "E", "broke", "mend", False, "")


def report(stage: str, *names: str, failed: tuple[str, ...] = ()) -> StageReport:
    return StageReport(stage, names, tuple(map(failure, failed)), 1.0, 0.5)


OPENED = {"relaxation": works("a", "b"), "chirality": works("c")}


def test_words_name_the_first_stage_with_something_to_do():
    counts = StageCounts.from_open(OPENED)
    told = [str(counts)]
    steps = [
        ("chirality", 1, report("chirality", "c")),
        ("relaxation", 1, report("relaxation", "a")),
        ("relaxation", 1, report("relaxation", failed=("b",))),
        ("phonons", 1, report("phonons", "a")),
        ("chirality", 1, report("chirality", "a")),
    ]
    for step in steps:
        counts.add(*step)
        told.append(str(counts))
    assert told == [
        "relaxing 1 of 2",
        "relaxing 1 of 2",
        "relaxing 2 of 2",
        "computing forces 1 of 1, 1 failed",
        "analysing modes 2 of 2, 1 failed",
        "done, 1 failed",
    ]


def test_a_chunk_that_is_lost_is_left_and_waited_for_no_longer():
    counts = StageCounts.from_open(OPENED)
    counts.add("relaxation", 2, None)
    assert str(counts) == "analysing modes 1 of 1, 2 left"


@pytest.mark.parametrize("first", STAGE_NAMES)
def test_finished_shares_add_up_to_what_was_open_wherever_a_structure_stands(first):
    opened = {first: works("a", "b")}
    stages = STAGE_NAMES[STAGE_NAMES.index(first) :]
    chunks = [Chunk(1, stage, opened[first]) for stage in stages]
    finished = [sum_finished_seconds(chunk, report(chunk.stage, "a", "b")) for chunk in chunks]
    cost = Plan({}, {}, opened, ()).cost
    assert sum(finished) == pytest.approx(cost)
    given_up = sum_finished_seconds(chunks[0], report(first, failed=("a", "b")))
    assert given_up == pytest.approx(cost)


def test_every_record_is_told_once():
    plan = Plan(
        {"screen": 7, "skipped": 2, "failed": 1},
        {},
        {"relaxation": works("a", "b", "c")},
        (),
        n_postponed=1,
        n_finished=2,
        n_given_up=1,
    )
    result = ScreenResult(
        "run",
        plan,
        (report("relaxation", "a", failed=("b",)), report("chirality", "a")),
        ("relaxation-0002",),
    )
    assert result.summary == (
        "1 screened, 2 screened before, 2 skipped, 2 failed, 1 failed before, 2 left to later runs"
    )


def test_an_analysis_analyses():
    plan = Plan({"screen": 1}, {}, {"chirality": works("a")}, ())
    assert (
        ScreenResult("r", plan, (report("chirality", "a"),), (), "analyze").summary == "1 analysed"
    )
