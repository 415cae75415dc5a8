"""The Prefect API that a run and its worker processes share."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.server.api.server import SubprocessASGIServer
from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings


@contextmanager
def shared_api() -> Iterator[str]:
    """Let worker processes report to the API that this process uses.

    Where no API is configured, Prefect starts a temporary server for this process; without being
    told of it, every worker process would start one more.

    Yields
    ------
    str
        URL of the API.
    """
    configured = get_current_settings().api.url
    if configured:
        yield configured
        return
    server = SubprocessASGIServer()
    server.start()
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield server.api_url
