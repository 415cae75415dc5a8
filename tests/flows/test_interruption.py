"""Commands are stopped at any moment: at once, in one line, with nothing lost or left running."""

import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tasks.results import read_catalog
from tasks.storage import Dataset
from tests.flows.conftest import DEMO, eventually
from tests.flows.faulty import end, write_crystals
from tests.flows.test_faults import STAGES, computations, require_sound, settings_of
from tests.flows.test_startup import servers_of, without_server

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("chiralscreen")
STOPPED = "; the same command continues"
_STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def _take_terminal() -> None:
    """Be a program that a terminal started, even where the tests run in the background."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def catches_sigterm(pid: int) -> bool:
    """Whether a program handles signals itself, which it does before it loads anything."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)


class InTerminal:
    """The installed program, with a terminal of its own that controls its process group."""

    def __init__(self, folder: Path, *arguments: object, **environment: str) -> None:
        self.keys, its = pty.openpty()
        self.process = subprocess.Popen(
            [str(PROGRAM), *map(str, arguments)],
            cwd=folder,
            env=without_server(folder / "home") | {"PYTHONPATH": str(ROOT)} | environment,
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - between two system calls
        )
        os.close(its)
        self.received = bytearray()
        self.reading = threading.Thread(target=self._read, daemon=True)
        self.reading.start()

    def _read(self) -> None:
        with suppress(OSError):
            while some := os.read(self.keys, 65536):
                self.received.extend(some)

    @property
    def pid(self) -> int:
        return self.process.pid

    def family(self) -> list[psutil.Process]:
        """All its processes."""
        main = psutil.Process(self.pid)
        return [main, *main.children(recursive=True)]

    def until(self, moment: str) -> None:
        """Wait for a moment of a run with a structure that waits."""
        reached = {
            "loading": lambda: catches_sigterm(self.pid),
            "planning": (Path(psutil.Process(self.pid).cwd()) / "out" / ".lease").exists,
            "server": lambda: servers_of(self.pid),
            "chunk": (Path(psutil.Process(self.pid).cwd()) / "waiting").exists,
        }[moment]
        eventually(lambda: reached() or self.process.poll() is not None, 200)
        assert self.process.poll() is None, self.screen()

    def stop(self, how: str) -> tuple[int, float]:
        """Press Ctrl-C or send SIGTERM: exit code, seconds."""
        since = time.monotonic()
        if how == "SIGTERM":
            self.process.terminate()
        else:
            os.write(self.keys, b"\x03")
        return self.process.wait(60), time.monotonic() - since

    def screen(self) -> str:
        """What stands in the terminal in the end, the bar included."""
        self.reading.join(5)
        return _STYLE.sub("", self.received.decode()).replace("\r\n", "\n")


@pytest.fixture
def run(request):
    """Starts programs in terminals, and ends what is left of them."""

    def start(folder: Path, *arguments: object, **environment: str) -> InTerminal:
        started = InTerminal(folder, *arguments, **environment)
        request.addfinalizer(lambda: end(started.process))
        return started

    return start


OWN = """
import signal
from pathlib import Path
from flows.screening import screen
from tasks.screening.settings import read_settings

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    screen(Path("source"), Path("out"), read_settings(Path("settings.yaml"), {}), workers=1)
"""
SCREEN = ("screen", "source", "-o", "out", "--config", "settings.yaml", "--workers", "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two crystals, one of which waits until it may end."""
    folder = tmp_path_factory.mktemp("stopped")
    write_crystals(folder / "source", "GaAs", "ZnS")
    settings_of(folder, "Ga:wait")
    return folder


@pytest.mark.parametrize(
    ("moment", "how"),
    [
        ("loading", "Ctrl-C"),
        ("planning", "Ctrl-C"),
        ("server", "Ctrl-C"),
        ("server", "SIGTERM"),
        ("chunk", "Ctrl-C"),
        ("chunk", "SIGTERM"),
    ],
)
def test_a_screening_is_stopped_in_one_line_and_nothing_is_left(run, folder, moment, how):
    (folder / "waiting").unlink(missing_ok=True)
    (folder / "out" / ".lease").unlink(missing_ok=True)
    program = run(folder, *SCREEN)
    program.until(moment)
    family = program.family()
    code, seconds = program.stop(how)
    assert code == (143 if how == "SIGTERM" else 130)
    assert seconds < 3
    assert not [process for process in family if process.is_running()]
    told = program.screen()
    assert "Traceback" not in told
    assert told.count("stopped") == 1
    assert moment == "loading" or told.rstrip().endswith(STOPPED)
    assert moment != "chunk" or "of 3 chunks kept" in told or "of 6 chunks kept" in told
    require_sound(Dataset(folder / "out"))


def test_a_run_that_slept_goes_on_and_finishes_what_was_stopped(run, folder):
    (folder / "waiting").unlink(missing_ok=True)
    program = run(folder, *SCREEN)
    program.until("chunk")
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for process in program.family():
            process.send_signal(number)
        time.sleep(5)
    (folder / "go").touch()
    assert program.process.wait(300) == 0, program.screen()
    dataset = Dataset(folder / "out")
    require_sound(dataset)
    assert len(computations(dataset)) == 2 * len(STAGES)
    assert set(read_catalog(dataset.root, "chirality")["outcome"]) == {"screened"}


def waiting_run(run, folder: Path, **environment: str) -> InTerminal:
    """A run that computes a crystal, which waits."""
    write_crystals(folder / "source", "GaAs")
    settings_of(folder, "Ga:wait")
    program = run(folder, *SCREEN, **environment)
    program.until("chunk")
    return program


def test_nothing_is_left_in_the_temporary_folder(run, tmp_path):
    """The socket by which processes that read are started lies there, and may have no long path."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        program = waiting_run(run, tmp_path, TMPDIR=name)
        assert list(folder.iterdir())
        program.process.send_signal(signal.SIGTERM)
        program.process.wait()
        eventually(lambda: not list(folder.iterdir()), 10)


def test_a_run_killed_at_its_start_leaves_nothing_in_the_temporary_folder(tmp_path):
    """The server that forks removes the folder, even where its run is gone before it looks."""
    write_crystals(tmp_path / "source", "GaAs")
    settings_of(tmp_path)
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        environment = without_server(tmp_path / "home") | {"PYTHONPATH": str(ROOT), "TMPDIR": name}
        program = subprocess.Popen([PROGRAM, *SCREEN], cwd=tmp_path, env=environment)
        main = psutil.Process(program.pid)
        eventually(lambda: forking_servers(main), 20)
        [server] = forking_servers(main)
        server.suspend()
        program.kill()
        program.wait()
        assert list(folder.rglob("listener-*"))
        server.resume()
        eventually(lambda: not list(folder.iterdir()), 20)


def forking_servers(main: psutil.Process) -> list[psutil.Process]:
    """The server of a run that forks the processes that read."""
    return [child for child in main.children() if "forkserver" in " ".join(child.cmdline())]


def test_a_full_disk_is_told_in_words(run, tmp_path):
    write_crystals(tmp_path / "source", "GaAs")
    settings_of(tmp_path, "Ga:full")
    program = run(tmp_path, *SCREEN)
    assert program.process.wait(120) == 1
    told = program.screen()
    assert "the disk is full" in told
    assert "Traceback" not in told


def test_a_run_whose_server_is_gone_ends_and_says_so(run, tmp_path):
    program = waiting_run(run, tmp_path)
    family = program.family()
    [server] = servers_of(program.pid)
    os.kill(int(server), signal.SIGKILL)
    assert program.process.wait(10) == 2
    told = program.screen()
    assert "error: Prefect's temporary server is gone (exit code -9); 0 of 3 chunks kept" in told
    assert "Traceback" not in told
    assert not [process for process in family if process.is_running()]
    require_sound(Dataset(tmp_path / "out"))


def test_a_server_ends_with_a_run_that_is_killed_before_it_has_workers(run, tmp_path):
    write_crystals(tmp_path / "source", "GaAs")
    settings_of(tmp_path)
    program = run(tmp_path, *SCREEN)
    program.until("server")
    family = program.family()
    program.process.kill()
    program.process.wait()
    eventually(lambda: not [process for process in family if process.is_running()], 10)


@pytest.mark.parametrize("command", ["analyze", "train"])
def test_other_long_commands_are_stopped_as_well(run, tmp_path, command):
    arguments = {
        "analyze": ("analyze", tmp_path, "-o", "out"),
        "train": ("train", "--config", ROOT / "data" / "training" / "aln.yaml", "-o", "out"),
    }
    program = run(tmp_path, *arguments[command])
    program.until("server")
    family = program.family()
    code, seconds = program.stop("Ctrl-C")
    assert (code, seconds < 3) == (130, True)
    assert program.screen().rstrip().endswith("stopped; the same command continues")
    assert not [process for process in family if process.is_running()]


def test_a_server_is_told_that_its_run_was_stopped(run, server, tmp_path):
    from prefect.client.orchestration import get_client

    write_crystals(tmp_path / "source", "InP")
    settings_of(tmp_path, "In:wait")
    program = run(tmp_path, *SCREEN, PREFECT_API_URL=server)
    program.until("chunk")
    code, seconds = program.stop("SIGTERM")
    assert (code, seconds < 3) == (143, True)
    with get_client(sync_client=True) as client:
        [stopped] = [flow for flow in client.read_flow_runs() if flow.parameters["output"] == "out"]
    assert stopped.state_name == "Cancelled"


def test_a_flow_that_is_interrupted_in_python_ends_with_its_workers(server, tmp_path, request):
    write_crystals(tmp_path / "source", "CdSe")
    settings_of(tmp_path, "Cd:wait")
    script = tmp_path / "own.py"
    script.write_text(OWN)
    environment = without_server(tmp_path / "home") | {"PREFECT_API_URL": server}
    program = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    request.addfinalizer(lambda: end(program))
    eventually(lambda: (tmp_path / "waiting").exists() or program.poll() is not None, 200)
    family = psutil.Process(program.pid).children(recursive=True)
    assert len(family) >= 2
    os.killpg(program.pid, signal.SIGINT)
    assert program.wait(30)
    eventually(lambda: not [process for process in family if process.is_running()], 10)
    require_sound(Dataset(tmp_path / "out"))


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PREFECT_API_URL": "http://127.0.0.1:9/api"}, "no Prefect server at http://127.0.0.1:9"),
        ({"PREFECT_API_URL": "nonsense"}, "no Prefect server at nonsense"),
        ({"PREFECT_HOME": "file"}, "Prefect cannot write into its folder file"),
        ({"HOME": "/proc/1/nope", "PREFECT_HOME": ""}, "Prefect cannot write into its folder ~"),
        ({"PREFECT_HOME": "of-profile"}, "no Prefect server at http://127.0.0.1:9/api"),
    ],
)
def test_what_prefect_lacks_is_told_before_work(tmp_path, environment, message):
    (tmp_path / "file").touch()
    (tmp_path / "of-profile").mkdir()
    (tmp_path / "of-profile" / "profiles.toml").write_text(
        'active = "old"\n[profiles.old]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
    )
    before = os.times().children_user
    result = subprocess.run(
        [PROGRAM, "screen", DEMO / "te.cif", "-o", "out"],
        cwd=tmp_path,
        env=without_server(tmp_path / "home") | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    # Seconds of the CPU, since other tests may have the rest of it.
    assert os.times().children_user - before < 2
    assert result.returncode == 2
    assert message in result.stderr
    assert "what to do:" in result.stderr
    assert len(result.stderr.splitlines()) == 2, result.stderr
    assert not (tmp_path / "out").exists()


def test_files_with_the_names_of_modules_do_no_harm(run, tmp_path):
    write_crystals(tmp_path / "source", "GaAs", "ZnS")
    settings_of(tmp_path)
    for name in ("token", "tasks", "flows", "potentials", "random", "prefect", "uvicorn"):
        (tmp_path / f"{name}.py").write_text("open('harm', 'w')\nraise SystemExit('not this one')")
    program = run(tmp_path, *SCREEN)
    assert program.process.wait(300) == 0, program.screen()
    assert not (tmp_path / "harm").exists()
    assert set(read_catalog(tmp_path / "out", "chirality")["outcome"]) == {"screened"}
