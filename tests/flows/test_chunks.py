"""What chunks finish adds up to what a plan announces, whatever stage is open."""

import pytest

from flows.chunks import Chunk, _make_next_chunks, sum_finished_seconds
from tasks.screening.plan import plan_screening
from tasks.screening.planning import make_chunks
from tasks.screening.stages import run_stage
from tests.tasks.alloys import SETTINGS, emt, intake_of, write_alloys

FINER = SETTINGS.model_copy(
    update={"chirality": SETTINGS.chirality.model_copy(update={"mesh_spacing": 0.05})}
)


def finished(plan, context) -> float:
    """Carry out a plan, chunk by chunk, and add up what is finished."""
    total = 0.0
    for parts in make_chunks(plan.open, workers=1):
        chunks = [Chunk(1, *part) for part in parts]
        while chunks:
            chunk = chunks.pop()
            report = run_stage(chunk.stage, chunk.works, context.dataset, context.settings, emt)
            total += sum_finished_seconds(chunk, report)
            chunks += _make_next_chunks(chunk, report)
    return total


def test_a_bar_ends_where_the_plan_says_with_failures_and_with_a_finer_mesh(tmp_path):
    """The wurtzite fails in its relaxation; later a finer mesh leaves the analysis alone to do."""
    (tmp_path / "source").mkdir()
    source = write_alloys(tmp_path / "source", "helix", "zincblende", "wurtzite")
    for run, settings in enumerate((SETTINGS, FINER)):
        context = intake_of(source, tmp_path / "out", settings, run=run)
        plan = plan_screening(context)
        assert plan.n_open == 3 - run
        assert finished(plan, context) == pytest.approx(plan.cost)


def test_a_chunk_may_take_ten_times_its_estimate_and_the_limit(tmp_path):
    (tmp_path / "source").mkdir()
    source = write_alloys(tmp_path / "source", "helix")
    plan = plan_screening(intake_of(source, tmp_path / "out"))
    [(stage, works)], _ = make_chunks(plan.open, workers=1)
    allowed = {s: Chunk(1, s, works).compute_time_limit(60.0) for s in ("relaxation", "chirality")}
    assert stage == "relaxation"
    assert allowed == {s: 60 + 10 * works[0].seconds.of(s) for s in allowed}
