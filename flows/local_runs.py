"""Runs from the terminal, without Prefect until the first structure has to be computed.

Then Prefect's temporary server and a worker process start, while planning continues. Where a server
is configured, it shows the whole run, planning included.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from prefect import flow

from flows.chunks import prepare_process
from flows.engines import Engine, WorkerOptions, start_engine
from flows.labels import complete_with_message, name_run
from flows.logs import log_to_terminal
from flows.planning import exclusive_runs, locate_copy, make_run_contexts, plan_runs
from flows.result import ScreenResult
from flows.screening import compute_plans, count_chunks, record_and_publish, screen
from flows.second_opinions import compare_opinions
from flows.server import TemporaryServer, has_user_server, start_temporary_server
from tasks.screening.decisions import RunContext
from tasks.screening.plan import Plan
from tasks.screening.settings import PotentialSettings, ScreenSettings

_WORK: ContextVar[Callable[[], ScreenResult]] = ContextVar("work")


@dataclass
class DeferredWorkers:
    """Server and worker processes, which start when there is something to compute.

    Attributes
    ----------
    worker_options : WorkerOptions
        Who computes.
    stack : contextlib.ExitStack
        Ends what was started.
    server : TemporaryServer or None
        The server, once it is started.
    engine : Engine or None
        Worker processes of this machine, once they are started.
    """

    worker_options: WorkerOptions
    stack: ExitStack
    server: TemporaryServer | None = None
    engine: Engine | None = None
    _needed: tuple[PotentialSettings, str] = field(init=False)

    def start(self, potential: PotentialSettings, stage: str) -> None:
        """Start the server and the first worker process, unless that is done.

        Parameters
        ----------
        potential : PotentialSettings
            The potential of a structure that is to be computed.
        stage : str
            Its first stage.
        """
        if self.server:
            return
        self.server, self._needed = (
            self.stack.enter_context(start_temporary_server()),
            (potential, stage),
        )
        if self.worker_options.engine == "processes":
            self.engine = self.stack.enter_context(start_engine(self.worker_options, None))
            self.prepare(0)

    def prepare(self, place: int) -> None:
        """Let the worker process of a place load what it needs."""
        if self.engine:
            potential, stage = self._needed
            arguments = (
                potential,
                self.worker_options.device,
                stage,
                self.worker_options.time_limit,
            )
            self.engine.begin(place, prepare_process, *arguments)


def screen_locally(
    source: Path,
    output: Path,
    settings: ScreenSettings,
    worker_options: WorkerOptions,
    *,
    limit: int | None = None,
    hours: float | None = None,
    retry_failures: bool = False,
    store: str | None = None,
) -> ScreenResult:
    """Screen a source, with the user's Prefect server or one for what there is to compute.

    Parameters
    ----------
    source, output, settings, limit, hours, retry_failures, store
        As of `flows.screening.screen`.
    worker_options : WorkerOptions
        Who computes, and on which terms; no slots.

    Returns
    -------
    ScreenResult
        Decisions, reports and lost chunks.

    Raises
    ------
    RemediableError
        When no server can be started.
    FileNotFoundError, ValueError
        As of `flows.screening.screen`.
    """
    if has_user_server():
        return screen(
            source,
            output,
            settings,
            limit,
            worker_options.workers,
            worker_options.device,
            retry_failures,
            hours=hours,
            engine=worker_options.engine,
            address=worker_options.address,
            time_limit=worker_options.time_limit,
            memory=worker_options.memory,
            store=store,
        )
    log_to_terminal()
    contexts = make_run_contexts(source, output, settings, worker_options.device)
    with exclusive_runs(contexts, store), ExitStack() as stack:
        deferred = DeferredWorkers(worker_options, stack)
        plans = plan_runs(
            contexts,
            worker_options.workers,
            limit=limit,
            hours=hours,
            retry_failures=retry_failures,
            on_open=lambda context, stage: deferred.start(context.settings.potential, stage),
        )
        open_ = [plan for plan in plans if plan.n_open]
        if not (open_ and deferred.server):
            return _record_all(contexts, plans, store)
        for place in range(1, min(worker_options.workers, count_chunks(open_[0], worker_options))):
            deferred.prepare(place)

        opinions = list(zip(contexts, plans, strict=True))
        work = partial(compute_plans, opinions, worker_options, store=store, engine=deferred.engine)
        deferred.server.wait()
        with run_in_flow(work):
            return compute(source, output, settings)


def _record_all(
    contexts: Sequence[RunContext], plans: Sequence[Plan], store: str | None
) -> ScreenResult:
    """Record a run that finds nothing to compute, and its second opinion."""
    results = []
    for context, plan in zip(contexts, plans, strict=True):
        results.append(ScreenResult(context.run_id, plan))
        record_and_publish(context, results[-1], store=locate_copy(context, contexts[0], store))
    return compare_opinions(contexts, results, store)


@contextmanager
def run_in_flow(work: Callable[[], ScreenResult]) -> Iterator[None]:
    """Hand work to the flow `compute`, whose parameters are shown and sent to other processes.

    Parameters
    ----------
    work : callable
        What the flow does.

    Yields
    ------
    None
        Control, to the call of the flow.
    """
    token = _WORK.set(work)
    try:
        yield
    finally:
        _WORK.reset(token)


@flow(name="screen", flow_run_name=name_run)
def compute(source: Path, output: Path, settings: ScreenSettings) -> ScreenResult:  # noqa: ARG001
    """Compute what is planned already: what Prefect sees of a run from the terminal.

    Parameters
    ----------
    source, output, settings
        As of `flows.screening.screen`, to be seen in the Prefect UI.

    Returns
    -------
    ScreenResult
        Decisions, reports and lost chunks.
    """
    # A function of its own, since Prefect sends this flow to other processes, and _WORK cannot go.
    result = _do_work()
    return complete_with_message(result, result.summary)


def _do_work() -> ScreenResult:
    return _WORK.get()()
