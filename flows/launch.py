"""Runs from the terminal, without Prefect up to the first structure that is to be computed.

Then its temporary server and a worker process start, while the planning goes on. Who has a server
sees the whole run in it, planning included.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from prefect import flow

from flows.chunks import prepare_process
from flows.engines import Crew, Engine, started
from flows.labels import run_name
from flows.logs import log_to_terminal
from flows.planning import alone, intake_of, planned_for
from flows.result import ScreenResult
from flows.screening import execute, n_chunks, screen, settle
from flows.server import TemporaryServer, has_api, temporary_api
from tasks.settings import ScreenSettings

_WORK: ContextVar[Callable[[], ScreenResult]] = ContextVar("work")


@dataclass
class Standby:
    """Server and worker processes, which start when there is something to compute.

    Attributes
    ----------
    crew : Crew
        Who computes.
    settings : ScreenSettings
        All settings.
    stack : contextlib.ExitStack
        Ends what was started.
    server : TemporaryServer or None
        The server, once it is started.
    engine : Engine or None
        Worker processes of this machine, once they are started.
    """

    crew: Crew
    settings: ScreenSettings
    stack: ExitStack
    server: TemporaryServer | None = None
    engine: Engine | None = None
    _stage: str = field(default="", init=False)

    def begin(self, stage: str) -> None:
        """Start the server and the first worker process, unless that is done.

        Parameters
        ----------
        stage : str
            First stage of a structure that is to be computed.
        """
        if self.server:
            return
        self.server, self._stage = self.stack.enter_context(temporary_api()), stage
        if self.crew.engine == "processes":
            self.engine = self.stack.enter_context(started(self.crew, None))
            self.prepare(0)

    def prepare(self, place: int) -> None:
        """Let the worker process of a place load what it needs.

        Parameters
        ----------
        place : int
            Index of the place.
        """
        if self.engine:
            crew, potential = self.crew, self.settings.potential
            arguments = (potential, crew.device, self._stage, crew.time_limit)
            self.engine.begin(place, prepare_process, *arguments)


def launch(
    source: Path,
    output: Path,
    settings: ScreenSettings,
    crew: Crew,
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
    crew : Crew
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
    if has_api():
        return screen(
            source,
            output,
            settings,
            limit,
            crew.workers,
            crew.device,
            retry_failures,
            hours=hours,
            engine=crew.engine,
            address=crew.address,
            time_limit=crew.time_limit,
            memory=crew.memory,
            store=store,
        )
    log_to_terminal()
    intake = intake_of(source, output, settings, crew.device)
    with alone(intake, store), ExitStack() as stack:
        standby = Standby(crew, settings, stack)
        plan = planned_for(
            intake,
            crew.workers,
            limit=limit,
            hours=hours,
            retry_failures=retry_failures,
            on_open=standby.begin,
        )
        if not (plan.n_open and standby.server):
            result = ScreenResult(intake.run_id, plan)
            settle(intake, result, store=store)
            return result
        for place in range(1, min(crew.workers, n_chunks(plan, crew))):
            standby.prepare(place)

        work = partial(execute, intake, plan, crew, store=store, engine=standby.engine)
        standby.server.wait()
        with given(work):
            return compute(source, output, settings)


@contextmanager
def given(work: Callable[[], ScreenResult]) -> Iterator[None]:
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


@flow(name="screen", flow_run_name=run_name)
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
    return _do_work()


def _do_work() -> ScreenResult:
    return _WORK.get()()
