"""Chunks: one task run per stage, and what happens to a chunk whose process ends."""

import faulthandler
import platform
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import UUID

from prefect import get_client, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.concurrency.sync import concurrency
from prefect.futures import PrefectFuture, as_completed
from prefect.states import Crashed

from flows.engines import Engine, WorkerOptions
from flows.interruption import block_terminal_signals
from flows.labels import complete_with_message
from flows.logs import log_remediable_errors_in_words, silence_terminal_logs
from flows.memory import limit_memory
from flows.reasons import abbreviate_names
from flows.runs import load_run_potential
from flows.server import ATTEMPTS, PAUSE, UNREACHABLE
from flows.watchdog import find_hanging_call, limit_seconds
from flows.workers import use_one_thread
from tasks.failures import Failure
from tasks.screening.planning import STAGE_NAMES, WorkItem
from tasks.screening.settings import PotentialSettings, ScreenSettings
from tasks.screening.stages import StageReport, needs_potential, run_stage
from tasks.storage import Dataset, hold_work_lock

# A chunk whose process ended is cut into so many; few steps lead down to the one to blame.
_N_PIECES = 4
# A process may end for reasons of the machine's; twice with the same structure alone, it does not.
_MAX_DEATHS_ALONE = 2
_ALLOWED_TIMES_ESTIMATE = 10.0


@dataclass(frozen=True)
class Chunk:
    """Structures that go through the stages together.

    Attributes
    ----------
    number : int
        Counts the chunks of a run.
    stage : str
        The stage they are in.
    works : tuple of WorkItem
        The structures.
    part : str
        Tells the pieces of a chunk apart.
    deaths : int
        Processes that ended with its only structure.
    attempts : int
        Times that it could not even be started, as without a server.
    """

    number: int
    stage: str
    works: tuple[WorkItem, ...]
    part: str = ""
    deaths: int = 0
    attempts: int = 0

    @property
    def name(self) -> str:
        """Name of its task run."""
        return f"{self.stage}-{self.number:04d}{self.part}"

    @property
    def cost(self) -> float:
        """Estimated seconds of this stage."""
        return sum(work.seconds.of(self.stage) for work in self.works)

    def compute_time_limit(self, time_limit: float) -> float:
        """Seconds after which it counts as hanging.

        Parameters
        ----------
        time_limit : float
            Seconds for one structure beyond the estimate.

        Returns
        -------
        float
            Seconds.
        """
        return time_limit + _ALLOWED_TIMES_ESTIMATE * self.cost

    def split(self) -> list["Chunk"]:
        """Cut it, after its process has ended.

        Returns
        -------
        list of Chunk
            A few smaller ones; of a single structure the same, with one more death.
        """
        if len(self.works) == 1:
            return [replace(self, deaths=self.deaths + 1)]
        parts = [self.works[i::_N_PIECES] for i in range(min(_N_PIECES, len(self.works)))]
        return [
            replace(self, works=works, part=self.part + letter)
            for works, letter in zip(parts, "abcd", strict=False)
        ]


@task(name="stage", task_run_name="{name}", cache_policy=NO_CACHE, retries=1, retry_delay_seconds=5)
def run_chunk(
    name: str,
    stage: str,
    works: Collection[WorkItem],
    output: Path,
    settings: ScreenSettings,
    *,
    device: str,
    seconds: float,
    log: Path,
    slot: str | None = None,
    memory: float | None = None,
) -> StageReport:
    """Run one stage for one chunk in a worker process.

    Structures with a result are not computed again, whichever run computed it.

    Parameters
    ----------
    name : str
        Name of the task run.
    stage : str
        One of ``relaxation``, ``phonons``, ``chirality``.
    works : collection of WorkItem
        Structures.
    output : pathlib.Path
        Folder of the dataset.
    settings : ScreenSettings
        All settings.
    device : str
        Device of the potential.
    seconds : float
        Time after which the process ends itself.
    log : pathlib.Path
        Gets what it was busy with then.
    slot : str, optional
        Concurrency limit of the server to take a slot of; it must exist.
    memory : float, optional
        Memory of the process (GiB).

    Returns
    -------
    StageReport
        What was done.
    """
    use_one_thread()
    silence_terminal_logs()
    log_remediable_errors_in_words()
    logger = get_run_logger()
    logger.info("stage=%s chunk=%s materials=%s", stage, name, _join_names(works))
    dataset, index = Dataset(output), STAGE_NAMES.index(stage)
    occupied = concurrency(slot, strict=True) if slot else nullcontext()
    working = hold_work_lock(output, f"{name} on {platform.node()}")
    with occupied, working, limit_seconds(seconds, log), limit_memory(memory):
        succeeded = dataset.list_succeeded_keys(stage)
        settled = tuple(w.material_id for w in works if w.keys[index] in succeeded)
        report = run_stage(
            stage,
            [work for work in works if work.keys[index] not in succeeded],
            dataset,
            settings,
            lambda: load_run_potential(settings.potential, device),
        )
    for failure in report.failures:
        logger.warning(
            "stage=%s material=%s failed=%s", stage, failure.material_id, failure.message
        )
    report = replace(report, succeeded=(*report.succeeded, *settled))
    return complete_with_message(report, _describe_outcome(report))


def _describe_outcome(report: StageReport) -> str:
    """Say how many structures have a result, and which failed."""
    failed = [failure.material_id for failure in report.failures]
    text = f"{len(report.succeeded)} of {len(report.succeeded) + len(failed)} done"
    return f"{text}; failed: {abbreviate_names(failed)}" if failed else text


def prepare_process(settings: PotentialSettings, device: str, stage: str, seconds: float) -> None:
    """Load what the chunks of a worker process will need; the imports of this module above all.

    Parameters
    ----------
    settings : PotentialSettings
        The potential.
    device : str
        Where.
    stage : str
        The first stage; without a potential where it needs none.
    seconds : float
        Time after which the process ends itself.
    """
    use_one_thread()
    if needs_potential(stage):
        faulthandler.dump_traceback_later(seconds, exit=True)
        try:
            load_run_potential(settings, device)
        finally:
            faulthandler.cancel_dump_traceback_later()


@dataclass(frozen=True)
class ChunkContext:
    """What all chunks of a run share.

    Attributes
    ----------
    run_id : str
        The run.
    dataset : Dataset
        Where results go.
    settings : ScreenSettings
        All settings.
    worker_options : WorkerOptions
        Who computes.
    """

    run_id: str
    dataset: Dataset
    settings: ScreenSettings
    worker_options: WorkerOptions

    def name_log(self, chunk: Chunk) -> Path:
        """Name the file that tells what became of a chunk that hung.

        Parameters
        ----------
        chunk : Chunk
            The chunk.

        Returns
        -------
        pathlib.Path
            A file that is there for chunks that hung only.
        """
        return self.dataset.root / ".watch" / f"{self.run_id}-{chunk.name}.txt"

    def submit(self, chunk: Chunk, engine: Engine, place: int) -> PrefectFuture[StageReport]:
        """Hand a chunk to a place.

        Parameters
        ----------
        chunk : Chunk
            The chunk.
        engine : Engine
            Where it is computed.
        place : int
            Index of a free place.

        Returns
        -------
        prefect.futures.PrefectFuture
            Gives the report.
        """
        parameters = {
            "name": chunk.name,
            "stage": chunk.stage,
            # Prefect looks for futures in every field of every item of a tuple, but not in a deque.
            "works": deque(chunk.works),
            "output": self.dataset.root,
            "settings": self.settings,
            "device": self.worker_options.device,
            "seconds": chunk.compute_time_limit(self.worker_options.time_limit),
            "log": self.name_log(chunk),
            "slot": self.worker_options.slot,
            "memory": self.worker_options.memory,
        }
        task_run = run_chunk.with_options(name=chunk.stage)
        with block_terminal_signals():
            future: PrefectFuture[StageReport] = engine.places[place].submit(task_run, parameters)
        return future


def run_all_stages(
    chunks: Iterable[Chunk], context: ChunkContext, engine: Engine
) -> Iterator[tuple[Chunk, StageReport | None]]:
    """Send chunks through their stages, one at each place of an engine.

    A chunk whose process ended is cut and tried again, down to the structure that is to blame,
    which becomes a failure.

    Parameters
    ----------
    chunks : iterable of Chunk
        In the order of their turn.
    context : ChunkContext
        What they share.
    engine : Engine
        Where they are computed.

    Yields
    ------
    tuple of Chunk and StageReport or None
        As they finish. A chunk without a report failed as a whole, and its structures remain to be
        done.
    """
    # The place that was free last comes first: its process is there already.
    queue, free = deque(chunks), [*reversed(range(len(engine.places)))]
    pending: dict[PrefectFuture[StageReport], tuple[Chunk, int, float]] = {}
    while queue or pending:
        while queue and free:
            chunk, place = queue.popleft(), free.pop()
            pending[context.submit(chunk, engine, place)] = chunk, place, time.monotonic()
        future = next(as_completed(list(pending)))
        chunk, place, since = pending.pop(future)
        free.append(place)
        report: StageReport | None
        try:
            found = future.result(raise_on_failure=False)
            report = found if isinstance(found, StageReport) else None
        except Exception as error:  # noqa: BLE001 - each task runner has errors of its own for it
            if not _is_process_death(error):
                get_run_logger().warning("chunk=%s not started: %s", chunk.name, error)
                if chunk.attempts < ATTEMPTS:
                    time.sleep(PAUSE)
                    queue.appendleft(replace(chunk, attempts=chunk.attempts + 1))
                else:
                    yield chunk, None
                continue
            engine.renew(place)
            report = _handle_process_death(chunk, context, future.task_run_id, since, error)
            if report is None:
                queue.extendleft(reversed(chunk.split()))
                continue
        queue.extendleft(_make_next_chunks(chunk, report) if report else ())
        yield chunk, report


def sum_finished_seconds(chunk: Chunk, report: StageReport) -> float:
    """Cost that needs no more waiting for: of this stage, and of all stages for what failed.

    Parameters
    ----------
    chunk : Chunk
        The chunk.
    report : StageReport
        What became of it.

    Returns
    -------
    float
        Seconds, by the estimate.
    """
    succeeded = frozenset(report.succeeded)
    return sum(
        work.seconds.of(chunk.stage)
        if work.material_id in succeeded
        else work.seconds.left(chunk.stage)
        for work in chunk.works
    )


def _is_process_death(error: Exception) -> bool:
    """Whether a process has ended; a structure is to blame for nothing else."""
    # Dask, which has its own error for it, need not be installed.
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"


def _make_next_chunks(chunk: Chunk, report: StageReport) -> list[Chunk]:
    """The structures that succeeded, in their next stage."""
    index = STAGE_NAMES.index(chunk.stage) + 1
    succeeded = frozenset(report.succeeded)
    works = tuple(work for work in chunk.works if work.material_id in succeeded)
    if index == len(STAGE_NAMES) or not works:
        return []
    return [Chunk(chunk.number, STAGE_NAMES[index], works, chunk.part)]


def _handle_process_death(
    chunk: Chunk, context: ChunkContext, task_run: UUID, since: float, error: Exception
) -> StageReport | None:
    """Failure of the structure that is to blame; None while there is more than one, or doubt."""
    place = find_hanging_call(context.name_log(chunk))
    allowed = chunk.compute_time_limit(context.worker_options.time_limit)
    what = f"no result in {allowed:.0f} s, busy in {place}" if place else "its process was killed"
    get_run_logger().warning(
        "chunk=%s died=%r materials=%s (%s)", chunk.name, what, _join_names(chunk.works), error
    )
    _mark_crashed(task_run, what)
    if len(chunk.works) > 1 or not (place or chunk.deaths + 1 == _MAX_DEATHS_ALONE):
        return None
    failure = _make_failure(chunk, what, hung=place is not None)
    context.dataset.commit(chunk.stage, {"failures": [asdict(failure)]}, [failure.key])
    return StageReport(chunk.stage, (), (failure,), time.monotonic() - since, 0.0)


def _make_failure(chunk: Chunk, what: str, *, hung: bool) -> Failure:
    """Failure of a structure that ended its process, or never ended."""
    [work] = chunk.works
    remedy = (
        "raise the time limit if the structure is worth the time, then retry failures"
        if hung
        else "look in the system's log for a crash or a lack of memory, then retry failures"
    )
    return Failure(
        material_id=work.material_id,
        key=work.keys[STAGE_NAMES.index(chunk.stage)],
        stage=chunk.stage,
        error_class="TimeLimitExceeded" if hung else "WorkerDied",
        message=what if hung else f"{what}, {_MAX_DEATHS_ALONE} times",
        remedy=remedy,
        transient=False,
        source_record="",
    )


def _mark_crashed(task_run: UUID, what: str) -> None:
    """Mark the task run of a process that ended; it would count as running otherwise."""
    with (
        suppress(*UNREACHABLE),
        get_client(sync_client=True) as client,
    ):
        client.set_task_run_state(task_run, Crashed(message=what), force=True)


def _join_names(works: Iterable[WorkItem]) -> str:
    return ",".join(work.material_id for work in works)
