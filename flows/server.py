"""The Prefect API that a run and its worker processes share."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

import httpx
from prefect import get_client, get_run_logger
from prefect.context import refresh_global_settings_context
from prefect.events.worker import EventsWorker
from prefect.exceptions import PrefectException
from prefect.logging.handlers import APILogWorker
from prefect.runtime import flow_run
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_UI_ENABLED,
    get_current_settings,
    temporary_settings,
)
from prefect.states import Cancelled
from prefect.utilities.urls import url_for

from flows import temporary_server
from flows.interruption import set_shutdown_notice, stop
from flows.status_line import show_status
from tasks.failures import RemediableError

# What Prefect's clients raise while there is no server; RuntimeError by their check of versions.
UNREACHABLE = (PrefectException, httpx.HTTPError, RuntimeError)
# A server that restarts is back after this many pauses (seconds).
ATTEMPTS, PAUSE = 12, 10.0
_SECONDS_TO_START = 180
_SECONDS_TO_END = 5.0
_SECONDS_FOR_THE_REST = 5.0
_UNUSABLE = 2
# What a server of one run does without: pages, and kinds of blocks, which no run here uses.
_FOR_ONE_RUN = {
    PREFECT_UI_ENABLED.name: "0",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}


@dataclass(frozen=True)
class TemporaryServer:
    """A Prefect server of one run; made by `start_temporary_server`.

    Attributes
    ----------
    process : subprocess.Popen
        Its process.
    url : str
        Its API.
    answered : threading.Event
        Set once it has answered.
    """

    process: subprocess.Popen[bytes]
    url: str
    answered: threading.Event

    def wait(self) -> None:
        """Wait until the server answers.

        Raises
        ------
        RemediableError
            When it cannot start.
        """
        allowed = get_current_settings().server.ephemeral.startup_timeout_seconds
        # One that has ended is seen at once; one that still starts may have a busy machine.
        allowed = max(allowed, _SECONDS_TO_START)
        try:
            with show_status("starting Prefect's server"):
                # The socket takes the request before the server is there to read it.
                found = httpx.get(f"{self.url}/health", timeout=allowed, trust_env=False)
            found.raise_for_status()
            self.answered.set()
        except httpx.HTTPError as error:
            message = f"Prefect's temporary server does not start: {error}"
            remedy = "see its error above, and `prefect config view`"
            raise RemediableError(message, remedy) from error


@contextmanager
def start_temporary_server() -> Iterator[TemporaryServer]:
    """Start a Prefect server of this run's own, for all flows of the block; do not wait for it.

    It keeps its records where Prefect's own temporary servers keep theirs. A signal that a terminal
    sends to the run does not reach it, and it ends with this process, however that ends.

    Yields
    ------
    TemporaryServer
        Ended when the block is left.
    """
    own = get_current_settings().to_environment_variables(exclude_unset=True)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port, handle = listening.getsockname()[1], listening.fileno()
        # -P: a file in the working directory must not stand for a module of Prefect's.
        program = [sys.executable, "-P", str(Path(temporary_server.__file__))]
        process = subprocess.Popen(  # noqa: S603 - our own program
            [*program, str(handle), str(os.getpid())],
            env={**os.environ, **own, **_FOR_ONE_RUN},
            pass_fds=[handle],
            start_new_session=True,
        )
    server = TemporaryServer(process, f"http://127.0.0.1:{port}/api", threading.Event())
    wanted = threading.Event()
    wanted.set()
    threading.Thread(target=_stop_with_server, args=(server, wanted), daemon=True).start()
    settings = {
        PREFECT_API_URL.name: server.url,
        # Nobody counts the signs of life of a run whose server ends with it.
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY.name: None,
        PREFECT_UI_ENABLED.name: _FOR_ONE_RUN[PREFECT_UI_ENABLED.name],
    }
    try:
        with _override_environment(settings):
            yield server
    finally:
        _flush_events()
        wanted.clear()
        _end_server(process)


def _flush_events() -> None:
    """Send what Prefect has not sent yet: at the end of the program it would try for minutes."""
    for service in (EventsWorker, APILogWorker):
        service.drain_all(timeout=_SECONDS_FOR_THE_REST, at_exit=False)


def _stop_with_server(server: TemporaryServer, wanted: threading.Event) -> None:
    """Stop a run whose server ends before it: it would ask for minutes."""
    code = server.process.wait()
    if wanted.is_set():
        what = "is gone" if server.answered.is_set() else "does not start: see its error above"
        stop(f"error: Prefect's temporary server {what} (exit code {code})", _UNUSABLE)


@contextmanager
def use_prefect_api() -> Iterator[None]:
    """Use the user's Prefect server, or one of this run's own.

    Yields
    ------
    None
        Control, once the server answers.

    Raises
    ------
    RemediableError
        When the run's own cannot start.
    """
    if has_user_server():
        yield
        return
    with start_temporary_server() as server:
        server.wait()
        yield


@contextmanager
def _override_environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Change the settings of this process, threads and later processes included; None unsets."""
    before = {name: os.environ.get(name) for name in values}
    _set_environment(values)
    try:
        yield
    finally:
        _set_environment(before)


def _set_environment(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    # Prefect's threads see neither the environment nor settings of the thread that started them.
    refresh_global_settings_context()


def _end_server(process: subprocess.Popen[bytes]) -> None:
    """End a server, at last without asking."""
    process.terminate()
    try:
        process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def has_user_server() -> bool:
    """Tell whether the user has a Prefect server.

    Returns
    -------
    bool
        False where a run needs a temporary one.
    """
    return bool(get_current_settings().api.url)


def find_run_page() -> str | None:
    """Tell where the flow run of the caller can be watched.

    Returns
    -------
    str or None
        Address for a browser; None where the server of the run has no pages.
    """
    pages = get_current_settings().server.ui.enabled
    return url_for("flow-run", obj_id=flow_run.id) if pages else None


@contextmanager
def share_api() -> Iterator[int | None]:
    """Let worker processes report to the API that this process uses.

    Where no API is configured, Prefect starts a temporary server for this process; without being
    told of it, every worker process would start one more.

    Yields
    ------
    int or None
        Process id of the temporary server; None where an API is configured.
    """
    if has_user_server():
        yield None
        return
    # A flow that was called as a function: Prefect has started a server already.
    from prefect.server.api.server import SubprocessASGIServer  # noqa: PLC0415 - slow to load

    server = SubprocessASGIServer()
    server.start()
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield server.server_process.pid if server.server_process else None


def report_cancellation() -> None:
    """Let the flow run of the caller be marked as cancelled when the program is stopped."""
    set_shutdown_notice(partial(_mark_cancelled, UUID(flow_run.get_id())))


def _mark_cancelled(run: UUID) -> None:
    with suppress(*UNREACHABLE), get_client(sync_client=True) as client:
        client.set_flow_run_state(run, Cancelled(message="stopped by a signal"), force=True)


def call_with_retries(tell: Callable[[], object]) -> None:
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
