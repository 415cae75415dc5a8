"""The screening as a Prefect flow: plan, chunks in a sliding window, catalogue.

Prefect orchestrates chunks; the dataset remembers structures. A chunk is one task run per stage;
what a chunk has committed is never computed again, however the run ends.
"""

import itertools
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread

from prefect import flow, get_run_logger

from flows.artifacts import publish_outcomes
from flows.catalogue import renew_catalogue
from flows.chunks import Chunk, Errand, carried_through, finished_cost
from flows.engines import Crew, Engine, EngineName, started
from flows.interruption import STANDING
from flows.isolation import GIB_PER_FILE, SECONDS_PER_FILE, isolated
from flows.labels import analysis_name, artifact_key, ended, label_run, run_name
from flows.logs import log_remediable_errors_in_words
from flows.opinions import confer
from flows.planning import (
    all_alone,
    alone,
    in_turn,
    intake_of,
    intakes_of,
    planned_in,
    plans_for,
    shard_of,
    sharing,
    store_of,
)
from flows.progress import Meter, Tally, metered
from flows.result import ScreenResult
from flows.runs import commit_run
from flows.server import shared_api
from flows.waiting import waiting
from flows.workers import worker_count
from tasks.screening.decisions import Intake
from tasks.screening.external import plan_analysis
from tasks.screening.intake import Plan
from tasks.screening.planning import STAGE_NAMES, chunks_of
from tasks.screening.settings import ScreenSettings
from tasks.screening.stages import StageReport
from tasks.storage import DatasetError
from tasks.storage.exchange import push


@flow(name="screen", flow_run_name=run_name)
def screen(
    source: Path,
    output: Path,
    settings: ScreenSettings | None = None,
    limit: int | None = None,
    workers: int | None = None,
    device: str = "auto",
    retry_failures: bool = False,
    *,
    hours: float | None = None,
    engine: EngineName = "processes",
    address: str | None = None,
    time_limit: float = 3600.0,
    slot: str | None = None,
    memory: float | None = None,
    store: str | None = None,
    shard: tuple[int, int] | None = None,
    planned_by: str | None = None,
) -> ScreenResult:
    """Screen all structures of a source into a dataset.

    One run at a time works on a dataset: another one waits, and then finds what is left. A second
    opinion comes after the first, into a dataset of its own.

    Parameters
    ----------
    source : pathlib.Path
        File or folder of structures.
    output : pathlib.Path
        Folder of the dataset; made where it is missing, continued where it exists.
    settings : ScreenSettings, optional
        All settings.
    limit : int, optional
        Compute at most so many structures.
    workers : int, optional
        Chunks at a time; by default one per CPU, two on a GPU.
    device : str
        Device of the potential.
    retry_failures : bool
        Try again what failed for good in an earlier run.
    hours : float, optional
        Compute what is expected to be worth most within so many hours.
    engine : {"processes", "dask"}
        Processes of this machine, or a Dask cluster.
    address : str, optional
        Scheduler of the Dask cluster; without it one is started here.
    time_limit : float
        Seconds a structure may take for a stage beyond ten times the estimate; its process is
        ended then.
    slot : str, optional
        Concurrency limit of the Prefect server of which each chunk takes a slot.
    memory : float, optional
        Memory of a worker process; a structure that needs more fails (GiB).
    store : str, optional
        URL of an object store, such as ``s3://bucket/folder``: what it has is fetched first, and
        what is computed is sent there as it comes.
    shard : tuple of int, optional
        Index and number of the share of the work to do; for runs that `flows.shards` starts.
    planned_by : str, optional
        Run of whose plan it is a share.

    Returns
    -------
    ScreenResult
        Decisions, reports and lost chunks.

    Raises
    ------
    FileNotFoundError, ValueError
        When the source is missing or empty, or the potential cannot be loaded.
    """
    settings = settings or ScreenSettings()
    crew = Crew(worker_count(workers, device), device, engine, address, time_limit, slot, memory)
    intakes = intakes_of(source, output, settings, device)
    planned = partial(
        plans_for, workers=crew.workers, limit=limit, hours=hours, retry_failures=retry_failures
    )
    if shard:
        intake = intakes[0]
        with sharing(intake, shard, store):
            [open_] = planned([intake], commit=False)
            plan = shard_of(open_, *shard, among=planned_in(intake, planned_by))
            result = execute(intake, plan, crew, catalog=False, store=store)
    else:
        with all_alone(intakes, store):
            opinions = list(zip(intakes, planned(intakes), strict=True))
            result = execute_all(opinions, crew, store=store)
    return ended(result, result.told)


@flow(name="analyze", flow_run_name=analysis_name)
def analyze(
    paths: list[Path],
    output: Path,
    settings: ScreenSettings | None = None,
    workers: int | None = None,
    *,
    time_limit: float = SECONDS_PER_FILE,
    memory: float = GIB_PER_FILE,
) -> ScreenResult:
    """Analyse force constants from phonopy files, with the chirality stage of the screening.

    Parameters
    ----------
    paths : list of pathlib.Path
        phonopy YAML files, plain or ``.xz``, and folders of calculations.
    output : pathlib.Path
        Folder of the dataset.
    settings : ScreenSettings, optional
        All settings; those of potential, relaxation and phonons do not matter here.
    workers : int, optional
        Worker processes; by default one per CPU, two on a GPU.
    time_limit : float
        Seconds to read a file, and to analyse it beyond ten times the estimate; its process is
        ended then.
    memory : float
        Memory of a process that reads or analyses; a file that needs more fails (GiB).

    Returns
    -------
    ScreenResult
        Decisions, reports and lost chunks.
    """
    settings = settings or ScreenSettings()
    crew = Crew(worker_count(workers, "cpu"), "cpu", time_limit=time_limit, memory=memory)
    common = Path(os.path.commonpath([path.absolute() for path in paths]))
    intake = replace(intake_of(common, output, settings, "cpu"), kind="analyze")
    reading = partial(
        isolated, seconds=time_limit, memory=memory, preload=(plan_analysis.__module__,)
    )
    with alone(intake):
        with waiting("reading force constants"):
            plan = plan_analysis(in_turn(intake), paths, reading)
        result = execute(intake, plan, crew)
    return ended(result, result.told)


def execute_all(
    opinions: Sequence[tuple[Intake, Plan]],
    crew: Crew,
    *,
    store: str | None = None,
    engine: Engine | None = None,
) -> ScreenResult:
    """Compute what the plans of a run leave open, the first opinion first, and compare.

    Parameters
    ----------
    opinions : sequence of (Intake, Plan)
        The run; and its second opinion, where one is wanted.
    crew, store, engine
        As of `execute`.

    Returns
    -------
    ScreenResult
        That of the first opinion, with what of all was lost.
    """
    intakes = [intake for intake, _ in opinions]
    results = [
        execute(intake, plan, crew, store=store_of(intake, intakes[0], store), engine=engine)
        for intake, plan in opinions
    ]
    return confer(intakes, results, store)


def execute(
    intake: Intake,
    plan: Plan,
    crew: Crew,
    *,
    catalog: bool = True,
    store: str | None = None,
    engine: Engine | None = None,
) -> ScreenResult:
    """Compute what a plan leaves open, record the run, and build the catalogue.

    Parameters
    ----------
    intake : Intake
        The run.
    plan : Plan
        What is left to do.
    crew : Crew
        Who computes.
    catalog : bool
        Build the catalogue.
    store : str, optional
        URL of the object store that gets what is computed.
    engine : Engine, optional
        Where it is computed; without it the engine of the crew starts.

    Returns
    -------
    ScreenResult
        Decisions, reports and lost chunks.
    """
    log_remediable_errors_in_words()
    if catalog:
        # What draws the report is imported while the workers compute.
        Thread(target=import_module, args=("tasks.site.report",), daemon=True).start()
    decided = ", ".join(f"{count} {name}" for name, count in sorted(plan.outcomes.items()))
    get_run_logger().info(
        "%s; %d to compute, %d left to other runs", decided, plan.n_open, plan.n_postponed
    )
    label_run(_means(intake), intake.source.name)
    with (
        shared_api() as server,
        _metered(intake, plan) as meter,
        nullcontext(engine) if engine else started(crew, server) as places,
    ):
        result = _compute(intake, plan, meter, places, crew, store)
    settle(intake, result, catalog=catalog, store=store)
    if catalog:
        publish_outcomes(intake.dataset.root, result)
    return result


def settle(
    intake: Intake, result: ScreenResult, *, catalog: bool = True, store: str | None = None
) -> None:
    """Record a run whose work is committed; build the catalogue and write the report.

    Parameters
    ----------
    intake : Intake
        The run.
    result : ScreenResult
        What it did.
    catalog : bool
        Build the catalogue.
    store : str, optional
        URL of the object store that gets what is new.
    """
    commit_run(intake, result)
    with waiting("writing the catalogue"):
        if catalog:
            renew_catalogue(intake.dataset, store)
        elif store:
            push(intake.dataset.root, store, catalog=False)


def _means(intake: Intake) -> str:
    """Tag of a run: the potential of a screening; an analysis has none."""
    return intake.settings.potential.name if intake.kind == "screen" else intake.kind


def _metered(intake: Intake, plan: Plan) -> AbstractContextManager[Meter]:
    """Show how much of a plan is carried out."""
    key = artifact_key("progress", intake.dataset.root)
    return metered(plan.cost, key, str(Tally.of(plan.open)))


def _compute(
    intake: Intake, plan: Plan, meter: Meter, engine: Engine, crew: Crew, store: str | None
) -> ScreenResult:
    """Send all chunks through their stages; mirror images after the crystals they follow from."""
    errand = Errand(intake.run_id, intake.dataset, intake.settings, crew)
    steps, kept = n_steps(plan, crew), set[tuple[int, str]]()
    STANDING.kept = f"0 of {steps} chunks kept"
    reports: list[StageReport] = []
    lost: list[str] = []
    numbers, tally = itertools.count(1), Tally.of(plan.open)
    for parts in chunks_of(plan.open, crew.workers):
        chunks = [Chunk(next(numbers), *part) for part in parts]
        for chunk, report in carried_through(chunks, errand, engine):
            tally.add(chunk.stage, len(chunk.works), report)
            if report:
                reports.append(report)
                kept.add((chunk.number, chunk.stage))
                STANDING.kept = f"{len(kept)} of {steps} chunks kept"
                meter.advance(finished_cost(chunk, report), str(tally))
                _send(intake, store)
            else:
                lost.append(chunk.name)
    meter.finish(str(tally))
    return ScreenResult(intake.run_id, plan, tuple(reports), tuple(lost), intake.kind)


def _send(intake: Intake, store: str | None) -> None:
    """Send what was committed; what cannot be sent now goes with the next chunk."""
    try:
        if store:
            push(intake.dataset.root, store, catalog=False)
    except DatasetError as error:
        get_run_logger().warning("%s", error)


def n_chunks(plan: Plan, crew: Crew) -> int:
    """Count the chunks that a run would begin with.

    Parameters
    ----------
    plan : Plan
        What is left to do.
    crew : Crew
        Who computes.

    Returns
    -------
    int
        Chunks of all stages.
    """
    return sum(map(len, chunks_of(plan.open, crew.workers)))


def n_steps(plan: Plan, crew: Crew) -> int:
    """Count the chunks of a run in all their stages: the task runs, if nothing fails.

    Parameters
    ----------
    plan : Plan
        What is left to do.
    crew : Crew
        Who computes.

    Returns
    -------
    int
        Chunks, each once for each stage that it has to go through.
    """
    parts = itertools.chain.from_iterable(chunks_of(plan.open, crew.workers))
    return sum(len(STAGE_NAMES) - STAGE_NAMES.index(stage) for stage, _ in parts)
