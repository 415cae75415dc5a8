"""The screening as a Prefect flow: plan, chunks in a sliding window, catalogue.

Prefect orchestrates chunks; the dataset remembers structures. A chunk is one task run per stage;
what a chunk has committed is never computed again, whatever becomes of the run.
"""

import itertools
import json
import os
import platform
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import ProcessPoolTaskRunner

from flows.artifacts import publish_outcomes
from flows.progress import Meter, metered
from flows.result import ScreenResult, stage_seconds
from flows.server import shared_api
from flows.spread import spread
from flows.workers import initialize_worker, worker_count
from potentials import Potential, load_potential
from tasks.external import plan_analysis
from tasks.intake import Intake, Plan, plan_screening
from tasks.planning import STAGE_NAMES, Work, balanced_chunks
from tasks.settings import PotentialSettings, ScreenSettings
from tasks.stages import StageReport, run_stage
from tasks.storage import Dataset, build_catalog

RECORDED_PACKAGES = ("chiralscreen", "phonopy", "spglib", "pymatgen", "ase", "torch", "prefect")
# A chunk should last long enough to make Prefect's own time vanish, and short enough that little
# is lost with a killed worker (seconds).
_CHUNK_SECONDS = (20.0, 300.0)
_CHUNKS_PER_WORKER = 6
_STRUCTURES_PER_CHUNK = 200
# The server records each stage of a chunk; beyond about a thousand it becomes the slow part.
_MOST_CHUNKS = 330
# Share of each stage in the cost of a structure; weights of the progress bar only.
_STAGE_SHARES = dict(zip(STAGE_NAMES, (0.25, 0.7, 0.05), strict=True))


@dataclass(frozen=True)
class Chunk:
    """Structures that go through the stages together."""

    number: int
    stage: str
    works: tuple[Work, ...]

    @property
    def name(self) -> str:
        """Name of its task run."""
        return f"{self.stage}-{self.number:04d}"

    @property
    def cost(self) -> float:
        """Estimated seconds of this stage."""
        return _STAGE_SHARES[self.stage] * sum(work.cost for work in self.works)


@task(name="stage", task_run_name="{name}", cache_policy=NO_CACHE, retries=1, retry_delay_seconds=5)
def run_chunk(
    name: str,
    stage: str,
    works: tuple[Work, ...],
    output: Path,
    settings: ScreenSettings,
    device: str,
) -> StageReport:
    """Run one stage for one chunk in a worker process.

    Parameters
    ----------
    name : str
        Name of the task run.
    stage : str
        One of ``relaxation``, ``phonons``, ``chirality``.
    works : tuple of Work
        Structures.
    output : pathlib.Path
        Folder of the dataset.
    settings : ScreenSettings
        All settings.
    device : str
        Device of the potential.

    Returns
    -------
    StageReport
        What was done.
    """
    get_run_logger().info("%s: %s", name, ", ".join(work.material_id for work in works))
    return run_stage(
        stage, works, Dataset(output), settings, lambda: _potential(settings.potential, device)
    )


@flow(name="screen", flow_run_name="screen {source}")
def screen(
    source: Path,
    output: Path,
    settings: ScreenSettings | None = None,
    limit: int | None = None,
    workers: int | None = None,
    device: str = "auto",
    retry_failures: bool = False,
) -> ScreenResult:
    """Screen all structures of a source into a dataset.

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
        Worker processes; by default one per CPU, two on a GPU.
    device : str
        Device of the potential.
    retry_failures : bool
        Try again what failed for good in an earlier run.

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
    workers = worker_count(workers, device)
    intake = intake_of(source, output, settings, device)
    logger = get_run_logger()
    plan = plan_screening(
        intake,
        limit=limit,
        retry_failures=retry_failures,
        on_read=lambda count: logger.info("%d records read", count),
        spread=partial(spread, workers=workers),
    )
    return execute(intake, plan, workers, device)


@flow(name="analyze")
def analyze(
    paths: list[Path],
    output: Path,
    settings: ScreenSettings | None = None,
    workers: int | None = None,
) -> ScreenResult:
    """Analyse force constants from phonopy files, with the chirality stage of the screening.

    Parameters
    ----------
    paths : list of pathlib.Path
        phonopy YAML files, plain or ``.xz``.
    output : pathlib.Path
        Folder of the dataset.
    settings : ScreenSettings, optional
        All settings; those of potential, relaxation and phonons do not matter here.
    workers : int, optional
        Worker processes; by default one per CPU, two on a GPU.

    Returns
    -------
    ScreenResult
        Decisions, reports and lost chunks.
    """
    settings = settings or ScreenSettings()
    intake = intake_of(paths[0].parent, output, settings, "cpu")
    return execute(intake, plan_analysis(intake, paths), worker_count(workers, "cpu"), "cpu")


def execute(intake: Intake, plan: Plan, workers: int, device: str) -> ScreenResult:
    """Compute what a plan leaves open, record the run, and build the catalogue.

    Parameters
    ----------
    intake : Intake
        The run.
    plan : Plan
        What is left to do.
    workers : int
        Worker processes.
    device : str
        Device of the potential.

    Returns
    -------
    ScreenResult
        Decisions, reports and lost chunks.
    """
    get_run_logger().info("%s; %d to compute", dict(plan.outcomes), plan.n_open)
    with (
        shared_api() as server,
        metered(plan.cost, key=f"progress-{intake.run_id}") as meter,
        ProcessPoolTaskRunner(
            workers, initializer=initialize_worker, initargs=(os.getpid(), server)
        ) as runner,
    ):
        result = _compute(intake, plan, _Pool(runner, workers, device), meter)
    _commit_run(intake, result)
    build_catalog(intake.dataset)
    publish_outcomes(intake.dataset.root, result)
    return result


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
        For `tasks.intake.plan_screening`.
    """
    now = datetime.now(UTC)
    return Intake(
        run_id=f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}",
        started_at=now,
        source=source,
        dataset=Dataset(output),
        settings=settings,
        card=lambda: _potential(settings.potential, device).card,
    )


def _potential(settings: PotentialSettings, device: str) -> Potential:
    """Load the potential of the settings, once per process."""
    return load_potential(settings.name, device, settings.dtype, options=settings.options)


@dataclass(frozen=True)
class _Pool:
    """Worker processes, and the device of their potential."""

    runner: ProcessPoolTaskRunner
    workers: int
    device: str


def _compute(intake: Intake, plan: Plan, pool: _Pool, meter: Meter) -> ScreenResult:
    """Send all chunks through their stages; mirror images after the crystals they follow from."""
    reports: list[StageReport] = []
    lost: list[str] = []
    numbers = itertools.count(1)
    for mirrored in (False, True):
        works = {
            stage: tuple(work for work in works if bool(work.image_keys) is mirrored)
            for stage, works in plan.open.items()
        }
        for chunk, report in _carried_through(_chunks(works, pool, numbers), intake, pool, meter):
            if report:
                reports.append(report)
            else:
                lost.append(chunk.name)
    return ScreenResult(intake.run_id, plan, tuple(reports), tuple(lost))


def _carried_through(
    chunks: Iterable[Chunk], intake: Intake, pool: _Pool, meter: Meter
) -> Iterator[tuple[Chunk, StageReport | None]]:
    """Send chunks through their stages, a bounded number of them at a time.

    A chunk without a report is lost: it failed as a whole, and its structures remain to be done.
    """
    queue = deque(chunks)
    pending: dict[PrefectFuture[StageReport], Chunk] = {}
    while queue or pending:
        while queue and len(pending) < 2 * pool.workers:
            chunk = queue.popleft()
            pending[_submit(pool, chunk, intake)] = chunk
        future = next(as_completed(list(pending)))
        chunk = pending.pop(future)
        report = future.result(raise_on_failure=False)
        if isinstance(report, StageReport):
            queue.extendleft(_next_chunk(chunk, report))
            meter.advance(_finished_cost(chunk, report), f"{chunk.name} done")
            yield chunk, report
        else:
            yield chunk, None


def _chunks(
    works: Mapping[str, Sequence[Work]], pool: _Pool, numbers: Iterator[int]
) -> Iterator[Chunk]:
    """Chunks of all open stages, of even cost, the later stages first."""
    cost = sum(work.cost for of_stage in works.values() for work in of_stage)
    shortest, longest = _CHUNK_SECONDS
    target = min(max(cost / (pool.workers * _CHUNKS_PER_WORKER), shortest), longest)
    target = max(target, cost / _MOST_CHUNKS)
    limit = max(_STRUCTURES_PER_CHUNK, -(-sum(map(len, works.values())) // _MOST_CHUNKS))
    for stage in reversed(STAGE_NAMES):
        for chunk in balanced_chunks(works.get(stage, ()), target, limit):
            yield Chunk(next(numbers), stage, chunk)


def _submit(pool: _Pool, chunk: Chunk, intake: Intake) -> PrefectFuture[StageReport]:
    """Hand a chunk to a worker process."""
    parameters = {
        "name": chunk.name,
        "stage": chunk.stage,
        "works": chunk.works,
        "output": intake.dataset.root,
        "settings": intake.settings,
        "device": pool.device,
    }
    return pool.runner.submit(run_chunk.with_options(name=chunk.stage), parameters)


def _next_chunk(chunk: Chunk, report: StageReport) -> list[Chunk]:
    """The structures that succeeded, in their next stage."""
    index = STAGE_NAMES.index(chunk.stage) + 1
    works = tuple(work for work in chunk.works if work.material_id in report.succeeded)
    if index == len(STAGE_NAMES) or not works:
        return []
    return [Chunk(chunk.number, STAGE_NAMES[index], works)]


def _finished_cost(chunk: Chunk, report: StageReport) -> float:
    """Cost that needs no more waiting for: of this stage, and of all stages for what failed."""
    later = sum(_STAGE_SHARES[s] for s in STAGE_NAMES[STAGE_NAMES.index(chunk.stage) + 1 :])
    failed = sum(work.cost for work in chunk.works if work.material_id not in report.succeeded)
    return chunk.cost + later * failed


def _commit_run(intake: Intake, result: ScreenResult) -> None:
    """Record settings, versions, machine and times of a run."""
    used = any(report.potential_time for report in result.reports)
    card = intake.card() if used else None
    row = {
        "run_id": intake.run_id,
        "started_at": intake.started_at,
        "finished_at": datetime.now(UTC),
        "source": str(intake.source),
        "settings": intake.settings.model_dump_json(),
        "versions": json.dumps({name: version(name) for name in RECORDED_PACKAGES}),
        "potential": card.name if card else None,
        "checkpoint_digest": card.digest if card else None,
        "host": platform.node(),
        "wall_times": json.dumps(stage_seconds(result.reports, "wall_time")),
        "potential_times": json.dumps(stage_seconds(result.reports, "potential_time")),
        "counts": json.dumps(dict(result.plan.outcomes)),
    }
    intake.dataset.commit("run", {"runs": [row]}, [intake.run_id])
