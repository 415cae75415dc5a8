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
from flows.engines import Crew, Engine, started
from flows.labels import ended, run_name
from flows.logs import log_to_terminal
from flows.opinions import confer
from flows.planning import all_alone, intakes_of, plans_for, store_of
from flows.result import ScreenResult
from flows.screening import execute_all, n_chunks, screen, settle
from flows.server import TemporaryServer, has_api, temporary_api
from tasks.screening.decisions import Intake
from tasks.screening.intake import Plan
from tasks.screening.settings import PotentialSettings, ScreenSettings

_WORK: ContextVar[Callable[[], ScreenResult]] = ContextVar("work")


@dataclass
class Standby:
    """Server and worker processes, which start when there is something to compute.

    Attributes
    ----------
    crew : Crew
        Who computes.
    stack : contextlib.ExitStack
        Ends what was started.
    server : TemporaryServer or None
        The server, once it is started.
    engine : Engine or None
        Worker processes of this machine, once they are started.
    """

    crew: Crew
    stack: ExitStack
    server: TemporaryServer | None = None
    engine: Engine | None = None
    _needed: tuple[PotentialSettings, str] = field(init=False)

    def begin(self, potential: PotentialSettings, stage: str) -> None:
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
        self.server, self._needed = self.stack.enter_context(temporary_api()), (potential, stage)
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
            potential, stage = self._needed
            arguments = (potential, self.crew.device, stage, self.crew.time_limit)
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
    intakes = intakes_of(source, output, settings, crew.device)
    with all_alone(intakes, store), ExitStack() as stack:
        standby = Standby(crew, stack)
        plans = plans_for(
            intakes,
            crew.workers,
            limit=limit,
            hours=hours,
            retry_failures=retry_failures,
            on_open=lambda intake, stage: standby.begin(intake.settings.potential, stage),
        )
        open_ = [plan for plan in plans if plan.n_open]
        if not (open_ and standby.server):
            return _settle_all(intakes, plans, store)
        for place in range(1, min(crew.workers, n_chunks(open_[0], crew))):
            standby.prepare(place)

        opinions = list(zip(intakes, plans, strict=True))
        work = partial(execute_all, opinions, crew, store=store, engine=standby.engine)
        standby.server.wait()
        with given(work):
            return compute(source, output, settings)


def _settle_all(
    intakes: Sequence[Intake], plans: Sequence[Plan], store: str | None
) -> ScreenResult:
    """Record a run that finds nothing to compute, and its second opinion."""
    results = []
    for intake, plan in zip(intakes, plans, strict=True):
        results.append(ScreenResult(intake.run_id, plan))
        settle(intake, results[-1], store=store_of(intake, intakes[0], store))
    return confer(intakes, results, store)


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
    result = _do_work()
    return ended(result, result.told)


def _do_work() -> ScreenResult:
    return _WORK.get()()
