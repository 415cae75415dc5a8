"""From a source to a plan: read, classify, decide, and commit the decisions."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from tasks.crystals.enantiomorphs import EnantiomorphIndex
from tasks.failures import Failure
from tasks.screening.classification import STAGE, classify_record
from tasks.screening.decisions import Decision, RunContext, SeenRecords, decide
from tasks.screening.planning import STAGE_NAMES, WorkItem, find_first_open_stage
from tasks.screening.triage import select_affordable
from tasks.sources import ParallelMap, Read, read_raw_records
from tasks.storage import Dataset

_BATCH = 200


@dataclass(frozen=True)
class Plan:
    """All decisions of a run, counted, and the work they leave.

    Attributes
    ----------
    outcomes : mapping from str to int
        Input records by decision: ``screen``, ``skipped`` or ``failed``.
    classes : mapping from str to int
        Crystals by chirality class.
    open : mapping from str to tuple of WorkItem
        Structures by the first stage that has something left to do.
    failures : tuple of Failure
        Records that cannot be screened.
    n_postponed : int
        Structures with something left to do for which the time of the run does not suffice.
    n_finished : int
        Structures whose results are all there already.
    n_given_up : int
        Structures that failed for good in an earlier run, and are not tried again.
    skipped : tuple of tuple of str
        Name of each crystal that is skipped, and why.
    """

    outcomes: Mapping[str, int]
    classes: Mapping[str, int]
    open: Mapping[str, tuple[WorkItem, ...]]
    failures: tuple[Failure, ...]
    n_postponed: int = 0
    n_finished: int = 0
    n_given_up: int = 0
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def n_open(self) -> int:
        """Structures with something left to do."""
        return sum(map(len, self.open.values()))

    @property
    def cost(self) -> float:
        """Estimated seconds on one CPU thread for all that is left."""
        return sum(work.seconds.left(s) for s, works in self.open.items() for work in works)


def plan_screening(
    context: RunContext,
    *,
    limit: int | None = None,
    budget: float | None = None,
    retry_failures: bool = False,
    commit: bool = True,
    on_read: Callable[[int], None] = lambda _: None,
    on_open: Callable[[str], None] = lambda _: None,
    read: Read = read_raw_records,
    parallel_map: ParallelMap = map,
) -> Plan:
    """Read a source, decide what to do with each record, and commit the decisions.

    Parameters
    ----------
    context : RunContext
        Source, dataset and settings.
    limit : int, optional
        Stop reading once so many structures have something left to do.
    budget : float, optional
        Leave to a later run what takes longer, by the estimates, than so many seconds on one CPU
        thread; the least expected value for the time is left first.
    retry_failures : bool
        Try again what failed for good in an earlier run.
    commit : bool
        Write the decisions into the dataset.
    on_read : callable
        Told the number of records after each batch.
    on_open : callable
        Told the first open stage of each structure with something left to do, at once.
    read : callable
        Like `read_raw_records`; may use another process.
    parallel_map : callable
        Like `map`; may use other processes, and gives the results in order.

    Returns
    -------
    Plan
        Counts, and the work that is left.

    Raises
    ------
    FileNotFoundError, ValueError
        When the source is missing or empty, or the potential cannot be loaded.
    """
    # What was given up because symmetry makes it worthless is wanted now.
    retry = retry_failures or context.settings.include_centrosymmetric
    finder = _StageFinder.from_dataset(context.dataset, retry_failures=retry)
    decisions = _limit_decisions(
        _decide_on_records(context, finder, read, parallel_map), limit, on_open
    )
    return commit_decisions(decisions, context.dataset if commit else None, on_read, budget)


def commit_decisions(
    decisions: Iterator[Decision],
    dataset: Dataset | None,
    on_read: Callable[[int], None],
    budget: float | None = None,
) -> Plan:
    """Commit decisions batch by batch and gather what they leave to do.

    Parameters
    ----------
    decisions : iterator of Decision
        Taken as they come.
    dataset : Dataset or None
        Where they are committed; None to write nothing.
    on_read : callable
        Told the number of records after each batch.
    budget : float, optional
        Seconds on one CPU thread that the work may take.

    Returns
    -------
    Plan
        Counts, and the work that is left.
    """
    values: dict[str, float] = {}
    outcomes: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    opened: dict[str, list[WorkItem]] = {stage: [] for stage in STAGE_NAMES}
    failures: list[Failure] = []
    skipped: list[tuple[str, str]] = []
    n_finished = n_given_up = 0
    while batch := list(itertools.islice(decisions, _BATCH)):
        if dataset:
            _commit_rows(dataset, batch)
        outcomes.update(decision.plan_row["outcome"] for decision in batch)
        classes.update(d.rows["materials"]["chirality_class"] for d in batch if d.rows)
        failures.extend(decision.failure for decision in batch if decision.failure)
        skipped.extend(decision.skipped for decision in batch if decision.skipped)
        for decision in batch:
            if decision.work and decision.open_stage:
                opened[decision.open_stage].append(decision.work)
                values[decision.work.material_id] = decision.value
            elif decision.work:
                n_finished += decision.finished
                n_given_up += not decision.finished
        on_read(outcomes.total())
    works = {stage: tuple(works) for stage, works in opened.items() if works}
    chosen = works if budget is None else select_affordable(works, values, budget)
    n_postponed = sum(map(len, works.values())) - sum(map(len, chosen.values()))
    return Plan(
        outcomes,
        classes,
        chosen,
        tuple(failures),
        n_postponed=n_postponed,
        n_finished=n_finished,
        n_given_up=n_given_up,
        skipped=tuple(skipped),
    )


@dataclass(frozen=True)
class _StageFinder:
    """Tells where a structure stands, from what is committed."""

    done: Mapping[str, frozenset[str]]
    succeeded: Mapping[str, frozenset[str]]

    @classmethod
    def from_dataset(cls, dataset: Dataset, *, retry_failures: bool) -> "_StageFinder":
        """Read the receipts; with `retry_failures` only results count as done."""
        succeeded = {stage: dataset.list_succeeded_keys(stage) for stage in STAGE_NAMES}
        if retry_failures:
            return cls(succeeded, succeeded)
        return cls({stage: dataset.list_done_keys(stage) for stage in STAGE_NAMES}, succeeded)

    def find_open_stage(self, work: WorkItem | None) -> str | None:
        """First stage with something left to do."""
        return find_first_open_stage(work, self.done, self.succeeded) if work else None

    def is_finished(self, work: WorkItem | None) -> bool:
        """Whether the last stage has its result."""
        return work is not None and work.keys[-1] in self.succeeded[STAGE_NAMES[-1]]


def _limit_decisions(
    decisions: Iterable[Decision], limit: int | None, on_open: Callable[[str], None]
) -> Iterator[Decision]:
    """Stop after so many decisions that leave work."""
    n_open = 0
    for decision in decisions:
        if decision.open_stage:
            on_open(decision.open_stage)
            n_open += 1
        yield decision
        if n_open == limit:
            return


def _decide_on_records(
    context: RunContext, finder: _StageFinder, read: Read, parallel_map: ParallelMap
) -> Iterator[Decision]:
    """Decide on each record of the source, in order."""
    settings = context.settings
    known, enantiomorphs = (
        SeenRecords.from_settings(settings.curation),
        EnantiomorphIndex[WorkItem](settings.symmetry.symprec),
    )
    classify = partial(classify_record, source=context.source, settings=settings)
    for item in parallel_map(classify, read(context.source, settings.source)):
        decision = decide(context, item, known, enantiomorphs)
        work = decision.work
        yield replace(
            decision, open_stage=finder.find_open_stage(work), finished=finder.is_finished(work)
        )


def _commit_rows(dataset: Dataset, decisions: Iterable[Decision]) -> None:
    """Commit the rows of some decisions."""
    tables: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for decision in decisions:
        tables["plan"].append(decision.plan_row)
        for name, row in decision.rows.items():
            tables[name].append(row)
        if decision.failure:
            tables["failures"].append(asdict(decision.failure))
    dataset.commit(STAGE, tables, {row["key"] for rows in tables.values() for row in rows})
