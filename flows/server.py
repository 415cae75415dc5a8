"""The Prefect API that a run and its worker processes share."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
from prefect import get_run_logger
from prefect.exceptions import PrefectException
from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

# What Prefect's clients raise while there is no server; RuntimeError by their check of versions.
UNREACHABLE = (PrefectException, httpx.HTTPError, RuntimeError)
# A server that restarts is back after this many pauses (seconds).
ATTEMPTS, PAUSE = 12, 10.0


@contextmanager
def shared_api() -> Iterator[int | None]:
    """Let worker processes report to the API that this process uses.

    Where no API is configured, Prefect starts a temporary server for this process; without being
    told of it, every worker process would start one more.

    Yields
    ------
    int or None
        Process id of the temporary server; None where an API is configured.
    """
    if get_current_settings().api.url:
        yield None
        return
    server = SubprocessASGIServer()
    server.start()
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield server.server_process.pid if server.server_process else None


def patiently(tell: Callable[[], object]) -> None:
    """Tell the server something that the data do not depend on, even if it just restarts.

    Parameters
    ----------
    tell : callable
        Does so; called again while the server cannot be reached, and at last left out.
    """
    for _ in range(ATTEMPTS):
        try:
            tell()
        except UNREACHABLE as error:
            get_run_logger().warning("the server cannot be told: %s", error)
            time.sleep(PAUSE)
        else:
            return
