"""Each thing in a process of its own, which may hang, eat memory or die without cost to others."""

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from flows.interruption import shielded
from flows.memory import bounded_memory
from tasks.failures import RemediableError

Item = TypeVar("Item")
Result = TypeVar("Result")


def isolated(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    seconds: float,
    memory: float,
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
    # A server without threads forks the processes, which therefore start in milliseconds.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *preload])
    for item in items:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_send_result, args=(theirs, function, item, memory), daemon=True
        )
        with shielded():
            process.start()
        theirs.close()
        yield _received(ours, process, seconds)


def _send_result(
    pipe: Connection, function: Callable[[Item], object], item: Item, memory: float
) -> None:
    """Apply the function and send what it gives."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is the main process's, which ends this one
    with bounded_memory(memory):
        result = function(item)
    pipe.send(result)


def _received(pipe: Connection, process: BaseProcess, seconds: float) -> Any:  # noqa: ANN401
    """What a process sends, or why it sent nothing; the process is gone afterwards."""
    try:
        if pipe.poll(seconds):
            return pipe.recv()
        message = f"not read within {seconds:g} s"
        return RemediableError(message, "allow more with --time-limit, or divide the file")
    except EOFError:
        process.join()
        return _death(process.exitcode or 0)
    finally:
        process.kill()
        process.join()
        pipe.close()


def _death(code: int) -> RemediableError:
    """Say how a process ended that sent nothing."""
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    message = f"the process that read it died ({how}): too deeply nested, too large, or damaged"
    return RemediableError(message, "give the file as phonopy wrote it, or allow more --memory")
