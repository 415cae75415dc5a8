"""A Prefect server of its own: killed while a run goes on, and told of runs that were killed."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.results import read_catalog
from tasks.storage import Dataset
from tests.flows.conftest import eventually
from tests.flows.faulty import write_crystals
from tests.flows.test_faults import STAGES, computations, require_sound, settings_of

ROOT = Path(__file__).parents[2]
SLEEPER = """
import sys, time
from pathlib import Path
from prefect import flow

@flow(name="sleeper", flow_run_name="asleep")
def sleeper():
    Path(sys.argv[1]).touch()
    time.sleep(600)

sleeper()
"""


class Served:
    """A server on a port of its own, which can die and come back."""

    def __init__(self, home: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        self.environment = clean | {
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        address = ("--host", "127.0.0.1", "--port", str(self.port))
        command = [sys.executable, "-m", "prefect", "server", "start", *address]
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        eventually(self.answers)

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:  # noqa: S310
                return answer.status == 200
        except OSError:
            return False

    def kill(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def states(self) -> dict[str, str]:
        """State of each flow run by its name."""
        with (
            temporary_settings({PREFECT_API_URL: self.url}),
            get_client(sync_client=True) as client,
        ):
            return {run.name: run.state_name or "" for run in client.read_flow_runs()}


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    server = Served(tmp_path_factory.mktemp("home"))
    server.start()
    yield server
    server.kill()


def test_a_run_outlives_its_server(served, tmp_path, request):
    """The server dies during the first stage and returns when the next one has been waiting."""
    write_crystals(tmp_path / "source", "ZnS", "GaAs")
    settings_of(tmp_path, "Ga:wait")
    output = tmp_path / "out"
    command = [
        *(sys.executable, "-m", "flows.cli", "screen", tmp_path / "source"),
        *("--output", output, "--config", tmp_path / "settings.yaml", "--workers", "1"),
    ]
    run = subprocess.Popen(
        list(map(str, command)),
        env=served.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    request.addfinalizer(run.kill)
    eventually(lambda: (tmp_path / "waiting").exists() or run.poll() is not None)
    served.kill()
    (tmp_path / "go").touch()
    eventually(lambda: list(output.glob("receipts/relaxation-*.json")))
    time.sleep(5)
    served.start()
    told = run.communicate(timeout=400)[0]
    assert run.returncode == 0, told
    chirality = read_catalog(output, "chirality").set_index("material_id")["outcome"]
    assert chirality.to_dict() == {"ZnS": "screened", "GaAs": "screened"}
    dataset = Dataset(output)
    assert len(computations(dataset)) == 2 * len(STAGES)
    require_sound(dataset)
    [state] = served.states().values()
    assert state == "Completed"


@pytest.fixture
def hook() -> Iterator[tuple[str, list[str]]]:
    """Address of a web hook, and what it was told."""
    told: list[str] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()

    listening = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_port}/", told
    listening.shutdown()


def test_a_run_that_was_killed_is_marked_crashed_and_told_of(served, hook, tmp_path, request):
    """The automations of deploy/, with seconds in place of minutes."""
    spec = importlib.util.spec_from_file_location("provision", ROOT / "deploy" / "provision.py")
    provision = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(provision)
    with temporary_settings({PREFECT_API_URL: served.url}):
        provision.provision(1, hook[0], silence=15.0)
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    run = subprocess.Popen(
        [sys.executable, str(tmp_path / "sleeper.py"), str(tmp_path / "begun")],
        env=served.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    request.addfinalizer(run.kill)
    eventually((tmp_path / "begun").exists)
    # Its first heartbeat is on its way.
    time.sleep(3)
    assert served.states()["asleep"] == "Running"
    run.kill()
    run.wait()
    eventually(lambda: served.states()["asleep"] == "Crashed", 120)
    eventually(lambda: hook[1], 60)
    assert "asleep: Crashed. no heartbeat" in hook[1][0]
