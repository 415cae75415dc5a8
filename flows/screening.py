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
from flows.chunks import Chunk, ChunkContext, run_all_stages, sum_finished_seconds
from flows.engines import Engine, EngineName, WorkerOptions, start_engine
from flows.interruption import SHUTDOWN_STATE
from flows.isolation import GIB_PER_FILE, SECONDS_PER_FILE, map_isolated
from flows.labels import (
    complete_with_message,
    label_run,
    make_artifact_key,
    name_analysis,
    name_run,
)
from flows.logs import log_remediable_errors_in_words
from flows.planning import (
    exclusive_run,
    exclusive_runs,
    follow_earlier_runs,
    list_planned,
    locate_copy,
    make_run_context,
    make_run_contexts,
    plan_runs,
    shared_run,
    take_shard,
)
from flows.progress import ProgressReporter, StageCounts, report_progress
from flows.result import ScreenResult
from flows.runs import describe_missing_examination, record_run
from flows.second_opinions import compare_opinions
from flows.server import share_api
from flows.status_line import show_status
from flows.workers import count_workers
from tasks.screening.decisions import RunContext
from tasks.screening.external import plan_analysis
from tasks.screening.plan import Plan
from tasks.screening.planning import STAGE_NAMES, make_chunks
from tasks.screening.settings import ScreenSettings
from tasks.screening.stages import StageReport
from tasks.storage import DatasetError
from tasks.storage.object_store import push


@flow(name="screen", flow_run_name=name_run)
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
    worker_options = WorkerOptions(
        count_workers(workers, device), device, engine, address, time_limit, slot, memory
    )
    contexts = make_run_contexts(source, output, settings, device)
    planned = partial(
        plan_runs,
        workers=worker_options.workers,
        limit=limit,
        hours=hours,
        retry_failures=retry_failures,
    )
    if shard:
        context = contexts[0]
        with shared_run(context, shard, store):
            [open_] = planned([context], commit=False)
            plan = take_shard(open_, *shard, among=list_planned(context, planned_by))
            result = compute_plan(context, plan, worker_options, catalog=False, store=store)
    else:
        with exclusive_runs(contexts, store):
            opinions = list(zip(contexts, planned(contexts), strict=True))
            result = compute_plans(opinions, worker_options, store=store)
    return complete_with_message(result, result.summary)


@flow(name="analyze", flow_run_name=name_analysis)
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
    worker_options = WorkerOptions(
        count_workers(workers, "cpu"), "cpu", time_limit=time_limit, memory=memory
    )
    common = Path(os.path.commonpath([path.absolute() for path in paths]))
    context = replace(make_run_context(common, output, settings, "cpu"), kind="analyze")
    reading = partial(
        map_isolated, seconds=time_limit, memory=memory, preload=(plan_analysis.__module__,)
    )
    with exclusive_run(context):
        with show_status("reading force constants"):
            plan = plan_analysis(follow_earlier_runs(context), paths, reading)
        result = compute_plan(context, plan, worker_options)
    return complete_with_message(result, result.summary)


def compute_plans(
    opinions: Sequence[tuple[RunContext, Plan]],
    worker_options: WorkerOptions,
    *,
    store: str | None = None,
    engine: Engine | None = None,
) -> ScreenResult:
    """Compute what the plans of a run leave open, the first opinion first, and compare.

    Parameters
    ----------
    opinions : sequence of (RunContext, Plan)
        The run; and its second opinion, where one is wanted.
    worker_options, store, engine
        As of `compute_plan`.

    Returns
    -------
    ScreenResult
        That of the first opinion, with what of all was lost.
    """
    contexts = [context for context, _ in opinions]
    results = [
        compute_plan(
            context,
            plan,
            worker_options,
            store=locate_copy(context, contexts[0], store),
            engine=engine,
        )
        for context, plan in opinions
    ]
    return compare_opinions(contexts, results, store)


def compute_plan(
    context: RunContext,
    plan: Plan,
    worker_options: WorkerOptions,
    *,
    catalog: bool = True,
    store: str | None = None,
    engine: Engine | None = None,
) -> ScreenResult:
    """Compute what a plan leaves open, record the run, and build the catalogue.

    Parameters
    ----------
    context : RunContext
        The run.
    plan : Plan
        What is left to do.
    worker_options : WorkerOptions
        Who computes.
    catalog : bool
        Build the catalogue.
    store : str, optional
        URL of the object store that gets what is computed.
    engine : Engine, optional
        Where it is computed; without it an engine starts.

    Returns
    -------
    ScreenResult
        Decisions, reports and lost chunks.
    """
    log_remediable_errors_in_words()
    if catalog:
        Thread(target=_import_for_the_end, daemon=True).start()
    decided = ", ".join(f"{count} {name}" for name, count in sorted(plan.outcomes.items()))
    get_run_logger().info(
        "%s; %d to compute, %d left to other runs", decided, plan.n_open, plan.n_postponed
    )
    if catalog and plan.n_open and context.kind == "screen":
        _warn_of_unexamined_potential(context)
    label_run(_name_method(context), context.source.name)
    with (
        share_api() as server,
        _report_plan_progress(context, plan) as progress,
        nullcontext(engine) if engine else start_engine(worker_options, server) as places,
    ):
        result = _run_chunks(context, plan, progress, places, worker_options, store)
    record_and_publish(context, result, catalog=catalog, store=store)
    if catalog:
        publish_outcomes(context.dataset.root, result)
    return result


def record_and_publish(
    context: RunContext, result: ScreenResult, *, catalog: bool = True, store: str | None = None
) -> None:
    """Record a run whose work is committed; build the catalogue and write the report.

    Parameters
    ----------
    context : RunContext
        The run.
    result : ScreenResult
        What it did.
    catalog : bool
        Build the catalogue.
    store : str, optional
        URL of the object store that gets what is new.
    """
    record_run(context, result)
    with show_status("writing the catalogue"):
        if catalog:
            renew_catalogue(context.dataset, store)
        elif store:
            push(context.dataset.root, store, catalog=False)


def _warn_of_unexamined_potential(context: RunContext) -> None:
    """Say once in a run that nobody knows whether its potential is fit."""
    warning = describe_missing_examination(context.settings.potential.name, context.card())
    if warning:
        get_run_logger().warning("%s", warning)


def _import_for_the_end() -> None:
    """Import what makes the catalogue and draws the report, while the workers compute."""
    for name in ("tasks.site.report", "tasks.thermodynamics.corrections"):
        import_module(name)


def _name_method(context: RunContext) -> str:
    """Tag of a run: the potential of a screening; an analysis has none."""
    return context.settings.potential.name if context.kind == "screen" else context.kind


def _report_plan_progress(
    context: RunContext, plan: Plan
) -> AbstractContextManager[ProgressReporter]:
    """Show how much of a plan is carried out."""
    key = make_artifact_key("progress", context.dataset.root)
    return report_progress(plan.cost, key, str(StageCounts.from_open(plan.open)))


def _run_chunks(
    context: RunContext,
    plan: Plan,
    progress: ProgressReporter,
    engine: Engine,
    worker_options: WorkerOptions,
    store: str | None,
) -> ScreenResult:
    """Send all chunks through their stages; mirror images after the crystals they follow from."""
    chunk_context = ChunkContext(context.run_id, context.dataset, context.settings, worker_options)
    steps, committed = count_task_runs(plan, worker_options), set[tuple[int, str]]()
    SHUTDOWN_STATE.progress = f"0 of {steps} chunks kept"
    reports: list[StageReport] = []
    lost: list[str] = []
    numbers, counts = itertools.count(1), StageCounts.from_open(plan.open)
    for parts in make_chunks(plan.open, worker_options.workers):
        chunks = [Chunk(next(numbers), *part) for part in parts]
        for chunk, report in run_all_stages(chunks, chunk_context, engine):
            counts.add(chunk.stage, len(chunk.works), report)
            if report:
                reports.append(report)
                committed.add((chunk.number, chunk.stage))
                SHUTDOWN_STATE.progress = f"{len(committed)} of {steps} chunks kept"
                progress.advance(sum_finished_seconds(chunk, report), str(counts))
                _push_to_store(context, store)
            else:
                lost.append(chunk.name)
    progress.finish(str(counts))
    return ScreenResult(context.run_id, plan, tuple(reports), tuple(lost), context.kind)


def _push_to_store(context: RunContext, store: str | None) -> None:
    """Send what was committed; what cannot be sent now goes with the next chunk."""
    try:
        if store:
            push(context.dataset.root, store, catalog=False)
    except DatasetError as error:
        get_run_logger().warning("%s", error)


def count_chunks(plan: Plan, worker_options: WorkerOptions) -> int:
    """Count the chunks that a run would begin with."""
    return sum(map(len, make_chunks(plan.open, worker_options.workers)))


def count_task_runs(plan: Plan, worker_options: WorkerOptions) -> int:
    """Count the chunks of a run in all their stages: the task runs, if nothing fails.

    Parameters
    ----------
    plan : Plan
        What is left to do.
    worker_options : WorkerOptions
        Who computes.

    Returns
    -------
    int
        Chunks, each once for each stage that it has to go through.
    """
    parts = itertools.chain.from_iterable(make_chunks(plan.open, worker_options.workers))
    return sum(len(STAGE_NAMES) - STAGE_NAMES.index(stage) for stage, _ in parts)
