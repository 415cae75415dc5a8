"""The Prefect API that a run and its worker processes share."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings


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
