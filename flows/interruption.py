"""Ctrl-C and SIGTERM end a command within seconds, whatever it computes.

A thread waits for the signals, since the main thread may be in compiled code, or in Prefect, which
has handlers of its own. It replaces this process by another program. This stops all threads at
once, and the program then ends the processes that this one has started. Datasets are not damaged by
that: committed rows stay.
"""

import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from flows import shutdown

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Shells tell signals by exit codes above this.
_CODE_OF_SIGNALS = 128
# To tell a server that the run was stopped (seconds).
_MAX_NOTICE_SECONDS = 1.0


@dataclass
class ShutdownState:
    """What the main thread knows and a stopped command tells.

    Attributes
    ----------
    progress : str
        What of the work is done, such as "4 of 7 chunks kept".
    advice : str
        How to go on.
    notice : callable or None
        Tells a server that the run was stopped.
    is_watching : bool
        Whether signals are waited for, as in the program; never where others call a flow.
    folder : str
        Temporary folder that the program would remove at its orderly end.
    """

    progress: str = ""
    advice: str = ""
    notice: Callable[[], object] | None = None
    is_watching: bool = False
    folder: str = ""


SHUTDOWN_STATE = ShutdownState()
RESUME_ADVICE = "the same command continues"


def watch_signals() -> None:
    """Let SIGINT and SIGTERM stop this program, in the main thread and before others start.

    A signal that is ignored, as in the background of a script, stays so.
    """
    reading_end, writing_end = os.pipe()
    os.set_blocking(writing_end, False)
    # Written from within the handler of the interpreter, whoever replaces that of Python.
    signal.set_wakeup_fd(writing_end, warn_on_full_buffer=False)
    _take_signals()
    threading.Thread(target=_wait_for_signal, args=(reading_end,), daemon=True).start()
    # Threads and processes that start from now on do not get the signal of a terminal.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    SHUTDOWN_STATE.is_watching = True


def set_shutdown_notice(notice: Callable[[], object]) -> None:
    """Tell a server by this when the program is stopped, and let nobody else tell it."""
    SHUTDOWN_STATE.notice = notice
    if SHUTDOWN_STATE.is_watching and threading.current_thread() is threading.main_thread():
        # Prefect has put its own handler there, which would mark the flow run as crashed.
        _take_signals()


def _take_signals() -> None:
    """Let signals that are not ignored interrupt nothing in the main thread."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _ignore_signal)


def restore_signals() -> None:
    """Let Ctrl-C interrupt the main thread again, for a command that ends by it as usual."""
    if SHUTDOWN_STATE.is_watching:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        SHUTDOWN_STATE.is_watching = False


@contextmanager
def block_terminal_signals() -> Iterator[None]:
    """Let processes and threads that start in the block never get the signal of a terminal.

    Yields
    ------
    None
        Control.
    """
    # Its start would unblock the signal within the block.
    multiprocessing.resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stop(reason: str, code: int, hurry: Callable[[], bool] = lambda: False) -> None:
    """End this program and all processes it started; does not return.

    Nothing happens outside of the program, as where a flow is called from Python.

    Parameters
    ----------
    reason : str
        Begins the line that is printed.
    code : int
        Exit code.
    hurry : callable
        Whether to leave out what takes time.
    """
    if not SHUTDOWN_STATE.is_watching:
        return
    _send_shutdown_notice(hurry)
    line = "; ".join(filter(None, (reason, SHUTDOWN_STATE.progress, SHUTDOWN_STATE.advice)))
    # Blocked while the program is replaced: a second Ctrl-C must not leave processes behind.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    program = [
        sys.executable,
        "-I",
        str(Path(shutdown.__file__)),
        str(code),
        line,
        SHUTDOWN_STATE.folder,
    ]
    _suspend_processes()
    os.execv(sys.executable, program)  # noqa: S606 - our own program


def _suspend_processes() -> None:
    """Let nothing that this program started say a word about its end.

    A process that just starts would find its pipe closed, and print a traceback.
    """
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.suspend()


def _ignore_signal(number: int, frame: object) -> None:
    """Do not interrupt the main thread: `_wait_for_signal` knows of the signal as well."""


def _wait_for_signal(reading_end: int) -> None:
    """Wait for a signal that stops the program."""
    while (number := os.read(reading_end, 1)[0]) not in _SIGNALS:
        pass
    os.set_blocking(reading_end, False)
    stop("stopped", _CODE_OF_SIGNALS + number, lambda: _has_second_signal(reading_end))


def _has_second_signal(reading_end: int) -> bool:
    """Whether one more signal has come."""
    try:
        return bool(os.read(reading_end, 1))
    except BlockingIOError:
        return False


def _send_shutdown_notice(hurry: Callable[[], bool]) -> None:
    """Tell the server, if there is one and it listens."""
    if not SHUTDOWN_STATE.notice:
        return
    telling = threading.Thread(target=SHUTDOWN_STATE.notice, daemon=True)
    telling.start()
    end = time.monotonic() + _MAX_NOTICE_SECONDS
    while telling.is_alive() and time.monotonic() < end and not hurry():
        telling.join(0.05)
