"""Where a run tells what it does: to Prefect inside of a flow run, to the terminal before it."""

import logging
import os
import sys
from logging import Logger, LoggerAdapter
from typing import Any

_PROGRAM = logging.getLogger("chiralscreen")


def run_logger() -> Logger | LoggerAdapter[Any]:
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
