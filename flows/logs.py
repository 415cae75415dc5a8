"""Where log lines of a run go: to Prefect inside a flow run, to the terminal before it."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging import Logger, LoggerAdapter
from typing import TYPE_CHECKING, Any

from tasks.failures import DatasetError, RemediableError

if TYPE_CHECKING:
    from prefect.logging.handlers import PrefectConsoleHandler

_PROGRAM = logging.getLogger("chiralscreen")


def get_logger() -> Logger | LoggerAdapter[Any]:
    """Choose the logger of the flow run, or that of the program where there is none.

    Returns
    -------
    logging.Logger or logging.LoggerAdapter
        Prefect is not loaded for it.
    """
    if "prefect" not in sys.modules:
        return _PROGRAM
    from prefect import get_run_logger  # noqa: PLC0415 - slow to load
    from prefect.exceptions import MissingContextError  # noqa: PLC0415 - as above

    try:
        return get_run_logger()
    except MissingContextError:
        return _PROGRAM


def log_to_terminal() -> None:
    """Show what the program logs, as far as Prefect would show the log of a run."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s | %(levelname)-7s | %(message)s", "%X"))
    _PROGRAM.handlers = [handler]
    _PROGRAM.propagate = False
    _PROGRAM.setLevel(os.environ.get("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "INFO"))


def log_remediable_errors_in_words() -> None:
    """Leave tracebacks of errors that say it all, as of a full disk, out of Prefect's log."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_without_traceback)


def _without_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info and isinstance(record.exc_info[1], RemediableError | DatasetError):
        record.exc_info = None
    return True


@contextmanager
def print_logs_above_bar() -> Iterator[None]:
    """Let Prefect's log lines come above the bar that is shown, not into it.

    Yields
    ------
    None
        Control.
    """
    before = [(handler, handler.console.file) for handler in _find_prefect_handlers()]
    for handler, _ in before:
        # What the bar has put in the place of the terminal.
        handler.console.file = sys.stderr
    try:
        yield
    finally:
        for handler, file in before:
            handler.console.file = file


def silence_terminal_logs() -> None:
    """Keep warnings of this worker process from the terminal of a run, where they meet its bar.

    The server has them, and the run tells failures at its end.
    """
    if sys.stderr.isatty():
        for handler in _find_prefect_handlers():
            handler.setLevel(logging.ERROR)


def _find_prefect_handlers() -> "list[PrefectConsoleHandler]":
    """Handlers that print Prefect's log."""
    from prefect.logging.handlers import PrefectConsoleHandler  # noqa: PLC0415 - slow to load

    handlers = logging.getLogger().handlers
    return [handler for handler in handlers if isinstance(handler, PrefectConsoleHandler)]
