"""Any history of commits, compactions and prunings against a model that fits in a dictionary."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.results.building import build_catalog
from tasks.storage import Dataset, compact, prune
from tests.tasks.storage import samples

pytestmark = pytest.mark.slow

NUMBERS = st.sets(st.integers(0, 5), min_size=1, max_size=4)
AT_ONCE = timedelta(seconds=-1)


@dataclass(frozen=True)
class Commit:
    """Materials of a chunk, which of them fail and how, and the number in their rows."""

    numbers: frozenset[int]
    failing: frozenset[int]
    transient: bool
    seed: int


@dataclass
class Model:
    """What a dataset has to remember of its commits."""

    rows: dict[str, int] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)

    def take(self, commit: Commit) -> None:
        """Take in a commit: results stay for ever, failures for good are settled too."""
        for number in commit.numbers:
            key = samples.key("relaxation", number)
            if number not in commit.failing:
                self.rows[key] = commit.seed
            elif not commit.transient:
                self.settled.add(key)


COMMITS = st.builds(
    Commit, NUMBERS.map(frozenset), NUMBERS.map(frozenset), st.booleans(), st.integers(0, 99)
)
HISTORY = st.lists(st.one_of(COMMITS, COMMITS, st.sampled_from(["compact", "prune"])), max_size=9)


@contextmanager
def empty_dataset() -> Iterator[Dataset]:
    """A dataset in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        yield Dataset(Path(folder))


def perform(dataset: Dataset, step: Commit | str) -> None:
    """Do one step of a history."""
    if step == "compact":
        compact(dataset)
    elif step == "prune":
        prune(dataset, older_than=AT_ONCE)
    elif isinstance(step, Commit):
        failures = [
            samples.failure(
                samples.material(n),
                samples.key("relaxation", n),
                "relaxation",
                transient=step.transient,
            )
            for n in sorted(step.numbers & step.failing)
        ]
        samples.commit(dataset, "relaxation", sorted(step.numbers), "", step.seed, failures)


@given(history=HISTORY)
@settings(max_examples=25, deadline=None)
def test_no_history_loses_or_repeats_anything(history: list[Commit | str]) -> None:
    """Keys, states and the youngest rows are remembered, whatever was done in between."""
    model = Model()
    with empty_dataset() as dataset:
        for step in history:
            perform(dataset, step)
            if isinstance(step, Commit):
                model.take(step)
        rows = dataset.read("relaxations", columns=["key", "n_evaluations"]).to_pylist()
        assert len(rows) == len(model.rows)
        assert {row["key"]: row["n_evaluations"] for row in rows} == model.rows
        assert dataset.list_succeeded_keys("relaxation") == model.rows.keys()
        assert dataset.list_done_keys("relaxation") == model.rows.keys() | model.settled
        assert dataset.verify() == []


@given(
    plans=st.lists(st.tuples(NUMBERS, st.sampled_from(["", "fine"])), min_size=1, max_size=3),
    chunks=st.lists(st.tuples(NUMBERS, st.sampled_from(["", "fine"])), max_size=3),
    tidied=st.booleans(),
)
@settings(max_examples=12, deadline=None)
def test_catalogue_has_each_planned_material_once(
    plans: list[tuple[set[int], str]], chunks: list[tuple[set[int], str]], *, tidied: bool
) -> None:
    """Its newest plan decides which numbers a material shows, if they are there."""
    versions: dict[int, str] = {}
    with empty_dataset() as dataset:
        for run, (numbers, version) in enumerate(plans):
            samples.commit_plan(dataset, [samples.plan_row(n, run, version) for n in numbers])
            versions |= dict.fromkeys(numbers, version)
        for numbers, version in chunks:
            samples.commit(dataset, "chirality", sorted(numbers), version)
        if tidied:
            compact(dataset)
            prune(dataset, older_than=AT_ONCE)
        computed = {(n, version) for numbers, version in chunks for n in numbers}
        rows = pq.read_table(build_catalog(dataset)["chirality"]).to_pylist()
    expected = {
        samples.material(n): "screened" if (n, version) in computed else "pending"
        for n, version in versions.items()
    }
    assert len(rows) == len(expected)
    assert {row["material_id"]: row["outcome"] for row in rows} == expected
