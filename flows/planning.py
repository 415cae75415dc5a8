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

from flows.logs import run_logger
from flows.reading import read_records
from flows.spread import spread
from flows.waiting import waiting
from potentials import PotentialCard, load_card
from tasks.screening.decisions import Intake
from tasks.screening.intake import Plan, plan_screening
from tasks.screening.planning import Work, budget_of
from tasks.screening.settings import PotentialSettings, ScreenSettings
from tasks.sources import safe_id
from tasks.storage import Dataset, at_work, leased, set_aside
from tasks.storage.exchange import pull

SECOND_OPINION = "second-opinion"
"""Folder of a dataset that holds those of other potentials about the same crystals."""


def intake_of(source: Path, output: Path, settings: ScreenSettings, device: str) -> Intake:
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
    Intake
        For `tasks.screening.intake.plan_screening`.
    """
    now = datetime.now(UTC)
    return Intake(
        run_id=f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}",
        started_at=now,
        source=source,
        dataset=Dataset(output),
        settings=settings,
        card=cache(partial(_card, settings.potential, device)),
    )


def intakes_of(source: Path, output: Path, settings: ScreenSettings, device: str) -> list[Intake]:
    """Give a run its name, and its second opinion, where one is wanted, another.

    Parameters
    ----------
    source, output, settings, device
        As of `intake_of`.

    Returns
    -------
    list of Intake
        The second opinion has a dataset of its own, inside the folder of the first.
    """
    first = intake_of(source, output, settings, device)
    if settings.second_opinion is None:
        return [first]
    folder = output / SECOND_OPINION / safe_id(settings.second_opinion)
    return [first, intake_of(source, folder, settings.of_second_opinion, device)]


def store_of(intake: Intake, first: Intake, store: str | None) -> str | None:
    """Place of a dataset in an object store: where it is in the folder of the first.

    Parameters
    ----------
    intake, first : Intake
        One of a run, and the first of them.
    store : str or None
        URL of the copy of the first dataset.

    Returns
    -------
    str or None
        URL of its copy.
    """
    inside = intake.dataset.root.relative_to(first.dataset.root).as_posix()
    return store if store is None or inside == "." else f"{store.rstrip('/')}/{inside}"


@contextmanager
def alone(intake: Intake, store: str | None = None) -> Iterator[None]:
    """Have a dataset for one run, with damaged chunks set aside so that they are done again.

    Parameters
    ----------
    intake : Intake
        The run.
    store : str, optional
        URL of the object store that has more of it.

    Yields
    ------
    None
        Control; other runs wait.
    """
    dataset, logger = intake.dataset, run_logger()
    with leased(dataset.root, owner_of(intake), logger.warning):
        for path in set_aside(dataset.root, dataset.verify()):
            logger.warning("%s is damaged: it is moved away and computed again", path)
        _fetch(intake, store)
        yield


@contextmanager
def all_alone(intakes: Sequence[Intake], store: str | None = None) -> Iterator[None]:
    """Have the datasets of a run and of its second opinion for one run.

    Parameters
    ----------
    intakes : sequence of Intake
        From `intakes_of`.
    store : str, optional
        URL of the object store that has more of the first.

    Yields
    ------
    None
        Control; other runs wait.
    """
    with ExitStack() as stack:
        for intake in intakes:
            stack.enter_context(alone(intake, store_of(intake, intakes[0], store)))
        yield


@contextmanager
def sharing(intake: Intake, shard: tuple[int, int], store: str | None = None) -> Iterator[None]:
    """Have one share of the work on a dataset.

    Parameters
    ----------
    intake : Intake
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
    root, owner = intake.dataset.root, owner_of(intake)
    name = f".lease-{shard[0]}-of-{shard[1]}"
    with leased(root, owner, run_logger().warning, name), at_work(root, owner):
        _fetch(intake, store)
        yield


def planned_for(
    intake: Intake,
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
    intake : Intake
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
    with waiting("reading crystals") as show:

        def tell(count: int) -> None:
            run_logger().info("%d records read", count)
            show(f"reading crystals: {count} read")

        return plan_screening(
            in_turn(intake),
            limit=limit,
            budget=budget_of(hours, workers) if hours else None,
            retry_failures=retry_failures,
            commit=commit,
            on_read=tell,
            on_open=on_open,
            read=read_records,
            spread=partial(spread, workers=workers, limits=intake.settings.source),
        )


def plans_for(
    intakes: Sequence[Intake],
    workers: int,
    *,
    limit: int | None,
    hours: float | None,
    retry_failures: bool,
    commit: bool = True,
    on_open: Callable[[Intake, str], None] = lambda *_: None,
) -> list[Plan]:
    """Decide what is left to do for a run and for its second opinion, which share the time.

    Parameters
    ----------
    intakes : sequence of Intake
        From `intakes_of`.
    workers, limit, hours, retry_failures, commit
        As of `planned_for`.
    on_open : callable
        As there, with the run of the structure before its stage.

    Returns
    -------
    list of Plan
        One of each.
    """
    return [
        planned_for(
            intake,
            workers,
            limit=limit,
            hours=hours and hours / len(intakes),
            retry_failures=retry_failures,
            commit=commit,
            on_open=partial(on_open, intake),
        )
        for intake in intakes
    ]


def in_turn(intake: Intake) -> Intake:
    """Let the decisions of a run follow all earlier ones, even those of a clock that was ahead.

    Parameters
    ----------
    intake : Intake
        The run, which has the dataset for itself.

    Returns
    -------
    Intake
        Begun now, or just after the youngest plan of the dataset.
    """
    planned = (receipt.created for receipt in intake.dataset.receipts("plan"))
    latest = max(planned, default=intake.started_at)
    begun = max(intake.started_at, latest + timedelta(microseconds=1))
    return replace(intake, started_at=begun, dataset=replace(intake.dataset, not_before=begun))


def owner_of(intake: Intake) -> str:
    """Tell who has a dataset.

    Parameters
    ----------
    intake : Intake
        The run.

    Returns
    -------
    str
        Run, process and machine.
    """
    return f"run {intake.run_id} (process {os.getpid()} on {platform.node()})"


def shard_of(plan: Plan, index: int, count: int, among: Container[str]) -> Plan:
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

    def is_chosen(work: Work) -> bool:
        key = (work.image_keys or work.keys)[0]
        return work.material_id in among and int(key, 16) % count == index

    chosen = {stage: tuple(filter(is_chosen, works)) for stage, works in plan.open.items()}
    return replace(plan, open={stage: works for stage, works in chosen.items() if works})


def planned_in(intake: Intake, run_id: str | None) -> frozenset[str]:
    """List the structures that a run has decided on.

    Parameters
    ----------
    intake : Intake
        With the dataset.
    run_id : str or None
        The run.

    Returns
    -------
    frozenset of str
        Their names.
    """
    rows = intake.dataset.read("plan", columns=["material_id", "run_id"]).to_pylist()
    return frozenset(row["material_id"] for row in rows if row["run_id"] == run_id)


def _fetch(intake: Intake, store: str | None) -> None:
    """Bring what an object store has that this folder lacks."""
    if store:
        fetched = pull(store, intake.dataset.root)
        run_logger().info("%d chunks fetched from %s", fetched, store)


def _card(settings: PotentialSettings, device: str) -> PotentialCard:
    """Card of the potential of a run."""
    return load_card(settings.name, device, settings.dtype, options=settings.options)
