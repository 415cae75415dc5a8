"""Screenings as processes: started, harmed, and gone with all that they started.

Processes are found by their parents alone. The kernel hands those whose parent died to this process
(`PR_SET_CHILD_SUBREAPER`), so that none escapes.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.soaking.sources import Work

PROGRAM = Path(sys.executable).with_name("chiralscreen")
_PR_SET_CHILD_SUBREAPER = 36  # of linux/prctl.h
_ROLES = {
    "temporary_server.py": "server",
    "forkserver": "reader",
    "spawn_main": "worker",
    "resource_tracker": "tracker",
    "ending.py": "ending",
}
_BETWEEN_LOOKS = 0.05  # seconds
_PATIENCE = 20.0  # times a limit, with processes that are not given a CPU
_STARTED: set[int] = set()


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


@dataclass(frozen=True)
class Harm:
    """What was done to a process.

    Attributes
    ----------
    what : str
        Signal, or another harm.
    role : str
        Of the process in its run.
    pid : int
        Its number.
    after : float
        Seconds since the start of the run.
    seconds : float or None
        Until all of the run had ended, where that was asked for.
    """

    what: str
    role: str = "run"
    pid: int = 0
    after: float = 0.0
    seconds: float | None = None


@dataclass
class Program:
    """A command in a session of its own, with its output in a file.

    Attributes
    ----------
    process : subprocess.Popen
        Its main process.
    log : pathlib.Path
        Its output.
    started : float
        Monotonic time of the start (s).
    computed : dict from int to float
        CPU time of each of its processes that was seen (s).
    """

    process: subprocess.Popen[bytes]
    log: Path
    started: float = field(default_factory=time.monotonic)
    computed: dict[int, float] = field(default_factory=dict)

    @property
    def age(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def is_alive_after(self, cpu_seconds: float) -> bool:
        """Wait until all processes together have computed for so long; False where it ends before.

        A moment of a run that does not depend on what else the machine computes.
        """
        while self.process.poll() is None and self._cpu_time() < cpu_seconds:
            time.sleep(_BETWEEN_LOOKS)
        return self.process.poll() is None

    def cpu_time(self) -> float:
        """CPU time of all its processes as last seen (s)."""
        return sum(self.computed.values())

    def _cpu_time(self) -> float:
        for process in self.family():
            with suppress(psutil.Error):
                times = process.cpu_times()
                self.computed[process.pid] = times.user + times.system
        return self.cpu_time()

    def wait(self, seconds: float) -> int | None:
        """Exit code; None where it has not ended so many seconds after its start."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(max(0.0, seconds - self.age))
        return None

    def family(self) -> list[psutil.Process]:
        """All its processes, the main one first."""
        with suppress(psutil.NoSuchProcess):
            main = psutil.Process(self.process.pid)
            return [main, *main.children(recursive=True)]
        return []

    def told(self) -> str:
        """What it has printed."""
        return self.log.read_text(errors="replace")


def start(
    arguments: Iterable[object],
    folder: Path,
    environment: Mapping[str, str],
    *,
    file_limit: int | None = None,
) -> Program:
    """Start the installed program.

    Parameters
    ----------
    arguments : iterable
        Command and options.
    folder : pathlib.Path
        Its working directory is ``here`` inside; beside it the output.
    environment : mapping
        Changes to the environment.
    file_limit : int, optional
        Largest file that it may write (bytes).

    Returns
    -------
    Program
        Started.
    """
    log = folder / f"output-{len(list(folder.glob('output-*'))):02d}.txt"
    (folder / "here").mkdir(exist_ok=True)

    def bound_files() -> None:
        if file_limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    with log.open("wb") as stream:
        process = subprocess.Popen(
            [str(PROGRAM), *map(str, arguments)],
            cwd=folder / "here",
            env={**_clean_environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            preexec_fn=bound_files,  # noqa: PLW1509 - this process has one thread
        )
    _STARTED.add(process.pid)
    return Program(process, log)


def screening(work: Work, output: Path, workers: int) -> list[object]:
    """Arguments of a screening."""
    options = ("--config", work.settings, "--workers", workers)
    return ["screen", work.source, "--output", output, *options]


def role_of(process: psutil.Process) -> str:
    """What a process does in its run, told by its command line."""
    try:
        command = " ".join(process.cmdline())
    except psutil.Error:
        return "gone"
    return next((role for word, role in _ROLES.items() if word in command), "main")


def living(family: Iterable[psutil.Process] = ()) -> list[psutil.Process]:
    """Those of some processes that live, and all that live without a parent of theirs."""
    own = psutil.Process()
    orphans = [child for child in own.children() if child.pid not in _STARTED]
    lost = [found for orphan in orphans for found in (orphan, *_descendants(orphan))]
    for orphan in orphans:
        # Whoever adopts them has to bury them.
        with suppress(ChildProcessError):
            os.waitpid(orphan.pid, os.WNOHANG)
    return [process for process in {*family, *lost} if _lives(process)]


def gone_after(family: Iterable[psutil.Process], longest: float) -> float | None:
    """Wait until all of some processes, and all orphans, have ended.

    Seconds in which one of them was ready to compute and had no CPU do not count: the test leaves
    the machine to others.

    Parameters
    ----------
    family : iterable of psutil.Process
        Processes of a run.
    longest : float
        Time to wait (s).

    Returns
    -------
    float or None
        Seconds that it took; None where some live on.
    """
    family, since, lost = tuple(family), time.monotonic(), 0.0
    before: dict[str, float] = {}
    while True:
        left = living(family)
        now = _seconds_without_cpu(left)
        lost += max((now[thread] - before.get(thread, now[thread]) for thread in now), default=0.0)
        before, elapsed = now, time.monotonic() - since
        seconds = max(elapsed - lost, 0.0)
        if not left:
            return seconds
        # How long a process has waited for a CPU is known once it has got one.
        if seconds > longest and (elapsed > _PATIENCE * longest or not _are_ready(left)):
            return None
        time.sleep(_BETWEEN_LOOKS)


def end(family: Iterable[psutil.Process]) -> None:
    """Kill what is left of a run; not a harm, but the tidying after a fault."""
    for _ in range(10):
        for process in living(family):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(_BETWEEN_LOOKS)


def send(number: signal.Signals, processes: Iterable[psutil.Process]) -> None:
    """Send a signal to processes that may have ended."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _seconds_without_cpu(processes: Iterable[psutil.Process]) -> dict[str, float]:
    """Seconds that each thread was ready to compute and had no CPU; Linux only."""
    found = {}
    for process in processes:
        for thread in Path(f"/proc/{process.pid}/task").glob("*"):
            with suppress(OSError, IndexError):
                found[thread.name] = float((thread / "schedstat").read_text().split()[1]) / 1e9
    return found


def _are_ready(processes: Iterable[psutil.Process]) -> bool:
    """Whether some process would compute if it had a CPU."""
    with suppress(psutil.NoSuchProcess):
        return any(process.status() == psutil.STATUS_RUNNING for process in processes)
    return True


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _clean_environment() -> dict[str, str]:
    """That of a user who has no server, whose libraries use one thread."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "PYTHON"))}
    return clean | {"OMP_NUM_THREADS": "1"}
