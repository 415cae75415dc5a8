"""Where chunks are computed: processes of this machine, or a Dask cluster."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner

from flows.interruption import block_terminal_signals
from flows.workers import initialize_worker
from tasks.failures import RemediableError

EngineName = Literal["processes", "dask"]

_DASK = {
    # A chunk that ends a process is cut here; to try it again as it is would end another one.
    "distributed.scheduler.allowed-failures": 0,
    # A cluster gives a place up for good when it is empty this long after some process ended, even
    # while the next process is starting.
    "distributed.deploy.lost-worker-timeout": "365 days",
}


@dataclass(frozen=True)
class WorkerOptions:
    """Who computes, and on which terms.

    Attributes
    ----------
    workers : int
        Chunks at a time; processes of this machine where no cluster is given.
    device : str
        Device of the potential.
    engine : {"processes", "dask"}
        Which task runner of Prefect.
    address : str or None
        Scheduler of a Dask cluster; None for a cluster of this machine's own.
    time_limit : float
        Seconds a structure may take for a stage, beyond ten times the estimate.
    slot : str or None
        Concurrency limit of the Prefect server of which each chunk takes a slot.
    memory : float or None
        Memory of a worker process (GiB); what needs more fails. None for all there is.
    """

    workers: int
    device: str = "auto"
    engine: EngineName = "processes"
    address: str | None = None
    time_limit: float = 3600.0
    slot: str | None = None
    memory: float | None = None


@dataclass(frozen=True)
class Engine:
    """Places, each of which computes one chunk at a time.

    One chunk to a place tells which one ended a process, and leaves the others alone.

    Attributes
    ----------
    places : list of prefect.task_runners.TaskRunner
        Task runner of each place.
    make_runner : callable
        Gives a place whose process has ended a task runner that works.
    """

    places: list[TaskRunner[Any]]
    make_runner: Callable[[TaskRunner[Any]], TaskRunner[Any]]

    def begin(self, place: int, prepare: Callable[..., None], *arguments: object) -> None:
        """Start the process of a place before its first chunk, and let it load what chunks need.

        Parameters
        ----------
        place : int
            Its index.
        prepare : callable
            A module's own; what it raises, chunks will raise again.
        *arguments : object
            Its arguments.
        """
        runner = self.places[place]
        # Prefect starts processes with their first task run only, which takes a server.
        if isinstance(runner, ProcessPoolTaskRunner) and runner._executor:  # noqa: SLF001
            with block_terminal_signals():
                runner._executor.submit(prepare, *arguments)  # noqa: SLF001

    def renew(self, place: int) -> None:
        """Make a place usable again."""
        self.places[place] = self.make_runner(self.places[place])

    def kill(self) -> None:
        """End the processes of all places, whatever they compute."""
        for runner in self.places:
            executor = getattr(runner, "_executor", None)
            for process in dict(getattr(executor, "_processes", None) or {}).values():
                process.kill()


def start_engine(
    worker_options: WorkerOptions, server: int | None
) -> AbstractContextManager[Engine]:
    """Start an engine, to be left when all is done.

    Parameters
    ----------
    worker_options : WorkerOptions
        Who computes.
    server : int or None
        Process id of the run's temporary Prefect server.

    Returns
    -------
    context manager of Engine
        Ends what it started.

    Raises
    ------
    RemediableError
        When Dask is wanted and not installed.
    """
    return (
        _start_dask(worker_options)
        if worker_options.engine == "dask"
        else _start_processes(worker_options, server)
    )


@contextmanager
def _start_processes(worker_options: WorkerOptions, server: int | None) -> Iterator[Engine]:
    """One pool of one process for each place: the end of a process breaks its pool."""
    with ExitStack() as stack:

        def start(_: TaskRunner[Any] | None = None) -> TaskRunner[Any]:
            initargs = (os.getpid(), server)
            runner = ProcessPoolTaskRunner(1, initializer=initialize_worker, initargs=initargs)
            return stack.enter_context(runner)

        engine = Engine([start() for _ in range(worker_options.workers)], start)
        try:
            yield engine
        except BaseException:
            # A pool waits for its chunk, and this process waits for the pool no longer.
            engine.kill()
            raise


@contextmanager
def _start_dask(worker_options: WorkerOptions) -> Iterator[Engine]:
    """Places of a cluster; its scheduler starts processes anew by itself."""
    try:
        import dask  # noqa: PLC0415 - an extra
        from prefect_dask.task_runners import DaskTaskRunner  # noqa: PLC0415
    except ImportError as error:
        message = f"the engine dask is not installed: {error}"
        raise RemediableError(message, "pip install 'chiralscreen[dask]'") from error
    # One thread: the time limit holds for a process, and its potential for a thread.
    local = {"n_workers": worker_options.workers, "threads_per_worker": 1}
    options: dict[str, Any] = (
        {"address": worker_options.address} if worker_options.address else {"cluster_kwargs": local}
    )
    with dask.config.set(_DASK):
        runner = DaskTaskRunner(**options)
        with runner:
            yield Engine([runner] * worker_options.workers, lambda same: same)
