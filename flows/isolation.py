"""Work in processes that may hang, use up their memory or die without harm to others."""

import atexit
import ctypes
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Lock
from typing import Any, Generic, TypeVar

import psutil

from flows.interruption import SHUTDOWN_STATE, block_terminal_signals
from flows.memory import limit_memory, measure_memory
from flows.temporary_folder import make_temporary_folder
from tasks.failures import RemediableError

Item = TypeVar("Item")
Result = TypeVar("Result")

_CONTEXT = multiprocessing.get_context("forkserver")
READERS = "tasks.screening.plan"
"""Module with all that reads records."""
SECONDS_PER_FILE, GIB_PER_FILE = 3600.0, 8.0
"""What the reading of one file of force constants may take."""
# Threads of libraries reserve memory for each CPU, and these processes have work for one.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
# Tells the server that forks whose it is, and which folder its socket is in.
_RUN_AND_FOLDER = "CHIRALSCREEN_RUN_AND_FOLDER"
_PR_SET_PDEATHSIG = 1  # of linux/prctl.h
# A process that has kept so much of what it may take makes room for a new one.
_KEPT_VARIABLES = 0.5
# How often a process is looked at while it may compute.
_LOOKS = 20
_WAITING = frozenset({psutil.STATUS_SLEEPING, psutil.STATUS_DISK_SLEEP})


def start_server(*preload: str) -> None:
    """Bring up the server that forks the processes of this module, and do not wait for it.

    It has one thread, so that it forks in milliseconds and safely; what it has imported its
    processes find imported.

    Parameters
    ----------
    *preload : str
        Modules that it imports; those of the first call count.
    """
    _CONTEXT.set_forkserver_preload([__name__, *preload])
    SHUTDOWN_STATE.folder = make_temporary_folder()
    of_run = {_RUN_AND_FOLDER: f"{os.getpid()} {SHUTDOWN_STATE.folder}"}
    with _set_environment(_ONE_THREAD | of_run), block_terminal_signals():
        forkserver.ensure_running()


def _remove_after(run: int, folder: str) -> None:
    """Remove the folder of a run that was killed and could not do so itself."""
    if os.getppid() != run:
        shutil.rmtree(folder, ignore_errors=True)


if _RUN_AND_FOLDER in os.environ:
    # This is the server, which ends orderly when its run is gone; what it forks never does. The run
    # may be gone already.
    _run, _folder = os.environ.pop(_RUN_AND_FOLDER).split(" ", 1)
    atexit.register(_remove_after, int(_run), _folder)


@dataclass(frozen=True)
class ResourceLimits:
    """What one thing may cost.

    Attributes
    ----------
    seconds : float
        Time until the next result, not counting time in which a busy machine lets the process wait
        for a processor; the process is ended then.
    memory : float
        Memory beyond what the process has at its beginning (GiB).
    remedy : str
        What to do where that does not suffice.
    """

    seconds: float
    memory: float
    remedy: str


@dataclass
class IsolatedWorker(Generic[Item, Result]):
    """A process that applies a function to one thing after the other, and is replaced if it dies.

    Attributes
    ----------
    function : callable
        Gives results of a thing; a module's own, or a partial of one.
    limits : ResourceLimits
        For each thing.
    """

    function: Callable[[Item], Iterable[Result]]
    limits: ResourceLimits
    _process: BaseProcess | None = None
    _pipe: Connection | None = None
    _is_closed: bool = False
    _lock: Lock = field(default_factory=Lock)

    def apply(self, *items: Item) -> Iterator[Result]:
        """Give the results of one thing after the other as they come.

        Parameters
        ----------
        *items : object
            Picklable; they travel together, so that the process need not wait for the next one.

        Yields
        ------
        object
            What the function gives.

        Raises
        ------
        RemediableError
            When the process hung, or died; what follows in `items` was not touched.
        """
        left = list(items)
        while left:
            yield from self._apply_in_one_process(left)

    def _apply_in_one_process(self, left: list[Item]) -> Iterator[Result]:
        """Apply the function until nothing is left or the process makes room for another one."""
        pipe, goes_on = self._start(), False
        try:
            pipe.send(left)
            while left:
                kind, content = self._receive(pipe)
                if kind == _RESULT:
                    yield content
                    continue
                del left[0]
                if content:
                    return
            goes_on = True
        except (EOFError, OSError) as error:
            raise self._describe_death() from error
        finally:
            if not goes_on:
                self._end()

    def close(self) -> None:
        """End the process, whatever it is busy with."""
        self._is_closed = True
        self._end()

    def _start(self) -> Connection:
        """Pipe to the process, which is started unless it runs."""
        with self._lock:
            if self._is_closed:
                raise RemediableError("reading was stopped", "read again")
            if self._pipe is None:
                self._pipe, theirs = _CONTEXT.Pipe()
                self._process = _CONTEXT.Process(
                    target=_serve, args=(theirs, self.function, self.limits.memory), daemon=True
                )
                with block_terminal_signals():
                    self._process.start()
                theirs.close()
            return self._pipe

    def _receive(self, pipe: Connection) -> tuple[str, Any]:
        """Next message."""
        if self._process and not _await_message(pipe, self._process, self.limits.seconds):
            message = f"it took more than {self.limits.seconds:g} s"
            raise RemediableError(message, self.limits.remedy)
        found: tuple[str, Any] = pipe.recv()
        return found

    def _describe_death(self) -> RemediableError:
        """Say how the process ended."""
        if self._process is None:
            return RemediableError("reading was stopped", "read again")
        self._process.join()
        message = (
            f"the process that read it died ({_describe_exit_code(self._process.exitcode or 0)})"
        )
        return RemediableError(f"{message}: too large, or damaged", self.limits.remedy)

    def _end(self) -> None:
        """Let go of the process; the next thing gets another one."""
        with self._lock:
            if self._process is not None and self._pipe is not None:
                self._process.kill()
                self._process.join()
                self._pipe.close()
            self._process = self._pipe = None


def _await_message(pipe: Connection, process: BaseProcess, seconds: float) -> bool:
    """Wait for a message, as long as the process has neither computed nor waited too long.

    A process that is ready to run and gets no processor does neither, and one that is stopped.
    """
    step, begun, waited = seconds / _LOOKS, None, 0.0
    while not pipe.poll(step):
        with suppress(psutil.NoSuchProcess):  # the pipe tells of its end
            watched = psutil.Process(process.pid)
            used = sum(watched.cpu_times()[:2])
            begun = used if begun is None else begun
            waited += step * (watched.status() in _WAITING)
            if used - begun + waited > seconds:
                return False
    return True


_RESULT, _END = "result", "end"


def _serve(pipe: Connection, function: Callable[[Item], Iterable[object]], memory: float) -> None:
    """Apply the function to each item received and send the results, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    held = measure_memory()
    with limit_memory(None if held is None else held + memory):
        while True:
            try:
                items = pipe.recv()
            except (EOFError, OSError):
                return  # the run is gone, perhaps with a message of ours unread
            for item in items:
                try:
                    for result in function(item):
                        _send(pipe, (_RESULT, result))
                except MemoryError:
                    os._exit(1)  # there is no memory for a message either, and the end tells enough
                is_last = (measure_memory() or 0.0) - (held or 0.0) > _KEPT_VARIABLES * memory
                _send(pipe, (_END, is_last))
                if is_last:
                    return


def _send(pipe: Connection, message: tuple[str, object]) -> None:
    """Send a message, or end without a word where the run is gone."""
    try:
        pipe.send(message)
    except OSError:
        os._exit(1)


def _end_with_parent() -> None:
    """Let the kernel end this process when the server that forked it ends, as it does with the run.

    A process that hangs would not notice the end of a run that was killed.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def _set_environment(values: dict[str, str]) -> Iterator[None]:
    """Have variables of the environment for the time of a block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def map_isolated(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    seconds: float = SECONDS_PER_FILE,
    memory: float = GIB_PER_FILE,
    preload: tuple[str, ...] = (),
) -> Iterator[Result | RemediableError]:
    """Apply a function to each of some things, each time in a new process under limits.

    Parameters
    ----------
    function : callable
        Pure; a module's own, or a partial of one. What it returns must be picklable.
    items : iterable
        Taken as they are needed.
    seconds : float
        Time for each; its process is ended then.
    memory : float
        Memory of each process (GiB).
    preload : tuple of str
        Modules that the processes find loaded, which saves the time to import them.

    Yields
    ------
    object or RemediableError
        Results in the order of the items; an error in place of a result that did not come.
    """
    start_server(*preload)
    for item in items:
        ours, theirs = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(
            target=_send_result, args=(theirs, function, item, memory), daemon=True
        )
        with block_terminal_signals():
            process.start()
        theirs.close()
        yield _receive(ours, process, seconds)


def _send_result(
    pipe: Connection, function: Callable[[Item], object], item: Item, memory: float
) -> None:
    """Apply the function and send what it gives."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is the main process's, which ends this one
    with limit_memory(memory):
        result = function(item)
    pipe.send(result)


def _receive(pipe: Connection, process: BaseProcess, seconds: float) -> Any:  # noqa: ANN401
    """What a process sends, or why it sent nothing; the process is gone afterwards."""
    try:
        if _await_message(pipe, process, seconds):
            return pipe.recv()
        message = f"not read within {seconds:g} s"
        return RemediableError(
            message, "allow more with `analyze --time-limit`, or divide the file"
        )
    except (EOFError, OSError):
        process.join()
        return _describe_death(process.exitcode or 0)
    finally:
        process.kill()
        process.join()
        pipe.close()


def _describe_death(code: int) -> RemediableError:
    """Say how a process ended that sent nothing."""
    message = f"the process that read it died ({_describe_exit_code(code)}): too deeply nested, "
    remedy = "give the file as phonopy wrote it, or allow more with `analyze --memory`"
    return RemediableError(f"{message}too large, or damaged", remedy)


def _describe_exit_code(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
