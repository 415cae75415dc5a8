"""A command loads what it uses, and Prefect's server starts for what is to be computed."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_HOME, temporary_settings

from flows.server import start_temporary_server
from tasks.results import read_catalog
from tests.flows.conftest import DEMO, Told, eventually, told_by_process
from tests.flows.faulty import write_crystals
from tests.flows.test_faults import settings_of

HEAVY = ("torch", "sevenn", "e3nn", "prefect", "matplotlib")
LOADED = """
import sys
from flows.cli import app
try:
    app(sys.argv[1:])
finally:
    print("loaded:", *sys.modules)
"""


def without_server(home: Path) -> dict[str, str]:
    """Environment of a user who has never used Prefect."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return clean | {"PREFECT_HOME": str(home)}


def screen_in(folder: Path, home: str) -> Told:
    """Screen the crystals of a folder as a user without a server does."""
    command = ("screen", folder / "source", "-o", folder / "out", "--workers", "2")
    environment = without_server(folder / home)
    return told_by_process(environment, *command, "--config", folder / "settings.yaml")


def servers_of(pid: int) -> list[str]:
    """Process ids of the temporary servers of a run, known by their last argument."""
    pattern = f"temporary_server.py [0-9]+ {pid}$"
    return subprocess.run(
        ["pgrep", "-f", pattern], capture_output=True, text=True, check=False
    ).stdout.split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two crystals, screened by two processes and a temporary server."""
    folder = tmp_path_factory.mktemp("startup")
    write_crystals(folder / "source", "GaAs", "ZnS")
    settings_of(folder)
    result = screen_in(folder, "home")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.mark.parametrize(
    "arguments", [["--help"], ["screen", "--help"], ["screen", "te.cif", "-o", "out", "--dry-run"]]
)
def test_help_and_plans_load_neither_potentials_nor_prefect(tmp_path, arguments):
    shutil.copy(DEMO / "te.cif", tmp_path)
    result = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        cwd=tmp_path,
        env=without_server(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = result.stdout.split("loaded:")[1].split()
    assert "typer" in loaded
    assert not set(HEAVY) & set(loaded)
    assert not (tmp_path / "home").exists()


WRONG = ("--config", "wrong.yaml")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["screen", "te.cif", "-o", "out", *WRONG], "did you mean displacement?"),
        (["show", "te.cif", *WRONG], "did you mean displacement?"),
        (["analyze", "te.cif", "-o", "out", *WRONG], "did you mean displacement?"),
        (["analyze", "te.cif", "te.yaml", "-o", "out"], "te.yaml: no such file or folder"),
        (["screen", "te.cif", "-o", "out", "--potential", "nequix"], "unknown potential 'nequix'"),
        (["screen", "there-is-none.cif", "-o", "out"], "there-is-none.cif"),
    ],
)
def test_what_is_wrong_is_told_before_potentials_and_prefect_are_loaded(tmp_path, arguments, told):
    shutil.copy(DEMO / "te.cif", tmp_path)
    (tmp_path / "wrong.yaml").write_text("phonons: {displacment: 0.02}")
    result = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments],
        cwd=tmp_path,
        env=without_server(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2, result.stdout + result.stderr
    assert told in result.stderr
    assert not set(HEAVY) & set(result.stdout.split("loaded:")[1].split())
    assert not (tmp_path / "out").exists()


def test_a_temporary_server_records_the_run(folder):
    assert (read_catalog(folder / "out", "chirality")["outcome"] == "screened").all()
    with sqlite3.connect(folder / "home" / "prefect.db") as records:
        flows = records.execute("select name, state_type from flow_run").fetchall()
        stages = records.execute("select name, state_type from task_run").fetchall()
    assert flows == [("screen source with ase:tests.flows.faulty:Faulty", "COMPLETED")]
    assert {name.split("-")[0] for name, _ in stages} == {"relaxation", "phonons", "chirality"}
    assert {state for _, state in stages} == {"COMPLETED"}


def test_a_run_with_nothing_to_do_starts_no_server(folder):
    before = read_catalog(folder / "out", "chirality").drop(columns="run_id")
    result = screen_in(folder, "unused")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "nothing to compute" in result.stdout
    assert not list((folder / "unused").glob("*.db"))
    after = read_catalog(folder / "out", "chirality").drop(columns="run_id")
    assert after.equals(before)
    assert len(read_catalog(folder / "out", "runs")) == 2


def test_server_and_workers_end_with_a_run_that_is_killed(tmp_path):
    write_crystals(tmp_path / "source", "GaAs")
    settings_of(tmp_path, "Ga:wait")
    command = [
        *(sys.executable, "-m", "flows.cli", "screen", tmp_path / "source", "-o", tmp_path / "out"),
        *("--config", tmp_path / "settings.yaml", "--workers", "1"),
    ]
    run = subprocess.Popen(
        list(map(str, command)),
        env=without_server(tmp_path / "home"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    eventually(lambda: (tmp_path / "waiting").exists() or run.poll() is not None)
    assert servers_of(run.pid)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    eventually(lambda: not servers_of(run.pid), 60)
    eventually(lambda: subprocess.run(["pgrep", "-s", str(run.pid)], check=False).returncode, 60)


def test_a_server_that_cannot_start_is_told(tmp_path):
    write_crystals(tmp_path / "source", "GaAs")
    settings_of(tmp_path)
    # A folder where Prefect wants a file.
    (tmp_path / "home" / "prefect.db").mkdir(parents=True)
    result = screen_in(tmp_path, "home")
    assert result.returncode == 2, result.stdout + result.stderr
    assert "server does not start" in result.stderr


def test_records_are_sent_before_the_temporary_server_ends(tmp_path, monkeypatch):
    """Prefect would try for minutes at the end of the program."""
    alive = []
    with temporary_settings({PREFECT_HOME: tmp_path}), start_temporary_server() as server:
        server.wait()
        for service in (EventsWorker, APILogWorker):
            monkeypatch.setattr(
                service, "drain_all", lambda **_: alive.append(server.process.poll() is None)
            )
    assert alive == [True, True]
    assert server.process.poll() is not None


def test_last_collection_is_spared():
    program = (
        "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count()));"
        "from flows.garbage import collect_rarely; collect_rarely()"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(told.stdout) > 1000
