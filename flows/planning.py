"""Before the computation: the lease of a dataset, and a plan of what is left to do."""

import os
import platform
import uuid
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path

from flows.logs import get_logger
from flows.parallel_map import map_records
from flows.reading import read_records
from flows.status_line import show_status
from potentials import PotentialCard, load_card
from tasks.folders import SECOND_OPINION
from tasks.screening.decisions import RunContext
from tasks.screening.plan import Plan, plan_screening
from tasks.screening.planning import WorkItem, compute_budget
from tasks.screening.settings import PotentialSettings, ScreenSettings
from tasks.sources import make_safe_id
from tasks.storage import Dataset, hold_lease, hold_work_lock, quarantine_chunks
from tasks.storage.object_store import pull


def make_run_context(
    source: Path, output: Path, settings: ScreenSettings, device: str
) -> RunContext:
    """Give a run its name and gather what its decisions share.

    Parameters
    ----------
    source, output : pathlib.Path
        Structures, and the folder of the dataset.
    settings : ScreenSettings
        All settings.
    device : str
        Device of the potential.

    Returns
    -------
    RunContext
        For `tasks.screening.plan.plan_screening`.
    """
    now = datetime.now(UTC)
    return RunContext(
        run_id=f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}",
        started_at=now,
        source=source,
        dataset=Dataset(output),
        settings=settings,
        card=cache(partial(_load_card_of, settings.potential, device)),
    )


def make_run_contexts(
    source: Path, output: Path, settings: ScreenSettings, device: str
) -> list[RunContext]:
    """Give a run its name, and its second opinion, where one is wanted, another.

    Parameters
    ----------
    source, output, settings, device
        As of `make_run_context`.

    Returns
    -------
    list of RunContext
        The second opinion has a dataset of its own, inside the folder of the first.
    """
    first = make_run_context(source, output, settings, device)
    if settings.second_opinion is None:
        return [first]
    folder = output / SECOND_OPINION / make_safe_id(settings.second_opinion)
    return [first, make_run_context(source, folder, settings.of_second_opinion, device)]


def locate_copy(context: RunContext, first: RunContext, store: str | None) -> str | None:
    """Place of a dataset in an object store: where it is in the folder of the first.

    Parameters
    ----------
    context, first : RunContext
        One of a run, and the first of them.
    store : str or None
        URL of the copy of the first dataset.

    Returns
    -------
    str or None
        URL of its copy.
    """
    inside = context.dataset.root.relative_to(first.dataset.root).as_posix()
    return store if store is None or inside == "." else f"{store.rstrip('/')}/{inside}"


@contextmanager
def exclusive_run(context: RunContext, store: str | None = None) -> Iterator[None]:
    """Have a dataset for one run, with damaged chunks set aside so that they are done again.

    Parameters
    ----------
    context : RunContext
        The run.
    store : str, optional
        URL of the object store that has more of it.

    Yields
    ------
    None
        Control; other runs wait.
    """
    dataset, logger = context.dataset, get_logger()
    with hold_lease(dataset.root, describe_owner(context), logger.warning):
        for path in quarantine_chunks(dataset.root, dataset.verify()):
            logger.warning("%s is damaged: it is moved away and computed again", path)
        _fetch(context, store)
        yield


@contextmanager
def exclusive_runs(contexts: Sequence[RunContext], store: str | None = None) -> Iterator[None]:
    """Have the datasets of a run and of its second opinion for one run.

    Parameters
    ----------
    contexts : sequence of RunContext
        From `make_run_contexts`.
    store : str, optional
        URL of the object store that has more of the first.

    Yields
    ------
    None
        Control; other runs wait.
    """
    with ExitStack() as stack:
        for context in contexts:
            stack.enter_context(exclusive_run(context, locate_copy(context, contexts[0], store)))
        yield


@contextmanager
def shared_run(
    context: RunContext, shard: tuple[int, int], store: str | None = None
) -> Iterator[None]:
    """Have one share of the work on a dataset.

    Parameters
    ----------
    context : RunContext
        The run.
    shard : tuple of int
        Index and number of the share.
    store : str, optional
        URL of the object store that has the plan.

    Yields
    ------
    None
        Control; the next run of the dataset waits, and one of the same share.
    """
    root, owner = context.dataset.root, describe_owner(context)
    name = f".lease-{shard[0]}-of-{shard[1]}"
    with hold_lease(root, owner, get_logger().warning, name), hold_work_lock(root, owner):
        _fetch(context, store)
        yield


def plan_run(
    context: RunContext,
    workers: int,
    *,
    limit: int | None,
    hours: float | None,
    retry_failures: bool,
    commit: bool = True,
    on_open: Callable[[str], None] = lambda _: None,
) -> Plan:
    """Read a source and decide what is left to do.

    Parameters
    ----------
    context : RunContext
        The run.
    workers : int
        Processes that help, and that will compute.
    limit : int or None
        Structures to compute at most.
    hours : float or None
        Hours to fill with what is expected to be worth most.
    retry_failures : bool
        Try again what failed for good in an earlier run.
    commit : bool
        Write the decisions into the dataset.
    on_open : callable
        Told the stage of each structure that is left to do, at once.

    Returns
    -------
    Plan
        What is left to do.
    """
    with show_status("reading crystals") as show:

        def tell(count: int) -> None:
            get_logger().info("%d records read", count)
            show(f"reading crystals: {count} read")

        return plan_screening(
            follow_earlier_runs(context),
            limit=limit,
            budget=compute_budget(hours, workers) if hours else None,
            retry_failures=retry_failures,
            commit=commit,
            on_read=tell,
            on_open=on_open,
            read=read_records,
            parallel_map=partial(map_records, workers=workers, limits=context.settings.source),
        )


def plan_runs(
    contexts: Sequence[RunContext],
    workers: int,
    *,
    limit: int | None,
    hours: float | None,
    retry_failures: bool,
    commit: bool = True,
    on_open: Callable[[RunContext, str], None] = lambda *_: None,
) -> list[Plan]:
    """Decide what is left to do for a run and for its second opinion, which share the time.

    Parameters
    ----------
    contexts : sequence of RunContext
        From `make_run_contexts`.
    workers, limit, hours, retry_failures, commit
        As of `plan_run`.
    on_open : callable
        As there, with the run of the structure before its stage.

    Returns
    -------
    list of Plan
        One of each.
    """
    return [
        plan_run(
            context,
            workers,
            limit=limit,
            hours=hours and hours / len(contexts),
            retry_failures=retry_failures,
            commit=commit,
            on_open=partial(on_open, context),
        )
        for context in contexts
    ]


def follow_earlier_runs(context: RunContext) -> RunContext:
    """Let the decisions of a run follow all earlier ones, even those of a clock that was ahead.

    Parameters
    ----------
    context : RunContext
        The run, which has the dataset for itself.

    Returns
    -------
    RunContext
        Begun now, or just after the youngest plan of the dataset.
    """
    planned = (receipt.created for receipt in context.dataset.receipts("plan"))
    latest = max(planned, default=context.started_at)
    begun = max(context.started_at, latest + timedelta(microseconds=1))
    return replace(context, started_at=begun, dataset=replace(context.dataset, not_before=begun))


def describe_owner(context: RunContext) -> str:
    """Tell who has a dataset."""
    return f"run {context.run_id} (process {os.getpid()} on {platform.node()})"


def take_shard(plan: Plan, index: int, count: int, among: Container[str]) -> Plan:
    """Take the share of a plan that falls to one of several runs.

    Parameters
    ----------
    plan : Plan
        What is left to do.
    index, count : int
        Which share of how many.
    among : container of str
        Structures that are divided.

    Returns
    -------
    Plan
        With a part of the open structures. It depends on the structure alone, and enantiomorphs
        stay together.
    """

    def is_chosen(work: WorkItem) -> bool:
        key = (work.image_keys or work.keys)[0]
        return work.material_id in among and int(key, 16) % count == index

    chosen = {stage: tuple(filter(is_chosen, works)) for stage, works in plan.open.items()}
    return replace(plan, open={stage: works for stage, works in chosen.items() if works})


def list_planned(context: RunContext, run_id: str | None) -> frozenset[str]:
    """List the structures that a run has decided on."""
    rows = context.dataset.read("plan", columns=["material_id", "run_id"]).to_pylist()
    return frozenset(row["material_id"] for row in rows if row["run_id"] == run_id)


def _fetch(context: RunContext, store: str | None) -> None:
    """Bring what an object store has that this folder lacks."""
    if store:
        fetched = pull(store, context.dataset.root)
        get_logger().info("%d chunks fetched from %s", fetched, store)


def _load_card_of(settings: PotentialSettings, device: str) -> PotentialCard:
    """Card of the potential of a run."""
    return load_card(settings.name, device, settings.dtype, options=settings.options)
