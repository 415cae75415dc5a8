"""Rounds: a screening that is disturbed in one way, and what must hold afterwards."""

import json
import math
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil

from benchmarks.soaking.checks import faults_in, largest_difference, stray_files
from benchmarks.soaking.programs import (
    Harm,
    Program,
    end,
    gone_after,
    living,
    role_of,
    screening,
    send,
    start,
)
from benchmarks.soaking.sources import Work

SECONDS_AFTER_SIGTERM = 3.0
SECONDS_AFTER_KILL = 10.0
SECONDS_AFTER_END = 10.0
_NEVER_ENDS = 1800.0  # s
_CLOCK = Path(__file__).with_name("clock")
_STOPPED = 143  # exit code after SIGTERM
_UNUSABLE = 2
_DAY = 86400.0
_SECONDS_OF_PYTHON = 0.5  # CPU time until the program waits for signals
# Powers of two of the bytes of a small disk: a whole dataset of the alloys has some 300 kB.
_SIZES = (13.0, 18.5)
_FULL = "the disk is full"
_TOO_LARGE = "the file would be larger than is allowed"


@dataclass(frozen=True)
class Reference:
    """A screening that nobody disturbs, to compare with.

    Attributes
    ----------
    work : Work
        What was screened.
    output : pathlib.Path
        Its dataset.
    code : int
        Its exit code.
    seconds, cpu_seconds : float
        It took so long, and computed for so long.
    """

    work: Work
    output: Path
    code: int
    seconds: float
    cpu_seconds: float


@dataclass
class Round:
    """One disturbed screening.

    Attributes
    ----------
    reference : Reference
        The same without disturbance.
    folder : pathlib.Path
        Its own.
    random : random.Random
        Decides all that is left to chance.
    harms : list of Harm
        What was done.
    codes : list of int or None
        Exit codes of the disturbed runs; None where one had to be ended.
    faults : list of str
        What did not hold.
    output : pathlib.Path
        The dataset.
    """

    reference: Reference
    folder: Path
    random: Random
    harms: list[Harm] = field(default_factory=list)
    codes: list[int | None] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    output: Path = field(init=False)

    def __post_init__(self) -> None:
        """Begin with an empty folder."""
        self.output = self.folder / "here" / "out"
        (self.folder / "temporary").mkdir(parents=True)

    def start(self, *, file_limit: int | None = None, **changes: str) -> Program:
        """Start the screening of the round."""
        home = self.folder.parent / "prefect"
        environment = {
            "PREFECT_HOME": str(home),
            "TMPDIR": str(self.folder / "temporary"),
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": str(_NEVER_ENDS),
        }
        arguments = screening(self.reference.work, self.output, self.random.randint(1, 2))
        return start(arguments, self.folder, environment | changes, file_limit=file_limit)

    def moment(self) -> float:
        """A moment of a run, by the time that it has computed (s)."""
        return self.random.uniform(0.0, self.reference.cpu_seconds)

    def require(self, holds: object, otherwise: str) -> None:
        """Note a fault unless something holds."""
        if not holds:
            self.faults.append(otherwise)

    def finish(self, run: Program, *codes: int) -> None:
        """Wait for a run that has to end by itself, with one of some exit codes."""
        code, family = run.wait(_NEVER_ENDS), run.family()
        if code is None:
            told = ", ".join(f"{role_of(p)} {p.pid} {p.status()}" for p in family)
            self.faults.append(f"not ended after {_NEVER_ENDS:.0f} s: {told}")
            end(family)
        else:
            self.require(code in codes, f"{run.log.name}: exit code {code}, expected {codes}")
            self.require("Traceback" not in run.told(), f"{run.log.name}: a traceback")
        self.codes.append(code)
        self.require_gone(family, SECONDS_AFTER_END, f"the end of {run.log.name}")

    def kill(self, run: Program) -> None:
        """Kill -9 the main process, and demand that all others end."""
        family, after = run.family(), run.age
        run.process.kill()
        self.codes.append(run.process.wait())
        seconds = self.require_gone(family, SECONDS_AFTER_KILL, f"kill -9 of {run.log.name}")
        self.harms.append(Harm("SIGKILL", "main", run.process.pid, after, seconds))

    def stop(self, run: Program) -> None:
        """Send SIGTERM to the main process, and demand that all end."""
        family, after = run.family(), run.age
        run.process.terminate()
        seconds = self.require_gone(family, SECONDS_AFTER_SIGTERM, f"SIGTERM to {run.log.name}")
        self.codes.append(run.process.wait())
        # Python itself takes a moment before it can be told anything.
        is_early = run.cpu_time() < _SECONDS_OF_PYTHON
        expected = (_STOPPED, -signal.SIGTERM) if is_early else (_STOPPED,)
        self.require(
            seconds is None or self.codes[-1] in expected,
            f"{run.log.name}: exit code {self.codes[-1]} after SIGTERM",
        )
        self.require("Traceback" not in run.told(), f"{run.log.name}: a traceback")
        self.harms.append(Harm("SIGTERM", "main", run.process.pid, after, seconds))

    def require_gone(
        self, family: list[psutil.Process], longest: float, after: str
    ) -> float | None:
        """Demand that all processes of a run end in time; end them otherwise."""
        seconds = gone_after(family, longest)
        if seconds is None:
            left = [f"{role_of(p)} {p.pid} {p.status()}" for p in living(family)]
            self.faults.append(f"alive {longest:g} s after {after}: {left}")
            end(family)
        return seconds


def kill_the_run(of: Round) -> None:
    """Kill -9 the main process, some times over."""
    _disturb(of, of.kill)


def stop_the_run(of: Round) -> None:
    """SIGTERM to the main process, some times over."""
    _disturb(of, of.stop)


def _disturb(of: Round, harm: Callable[[Program], None]) -> None:
    for _ in range(of.random.randint(1, 3)):
        run = of.start()
        if run.is_alive_after(of.moment()):
            harm(run)
        else:
            of.finish(run, of.reference.code)


def kill_a_process(of: Round) -> None:
    """Kill -9 or SIGTERM to one of the processes that the run has started."""
    run = of.start()
    if run.is_alive_after(of.moment()):
        others = run.family()[1:]
        if others:
            victim = of.random.choice(others)
            number = of.random.choice([signal.SIGKILL, signal.SIGTERM])
            of.harms.append(Harm(number.name, role_of(victim), victim.pid, run.age))
            send(number, [victim])
    of.finish(run, of.reference.code, 1, _UNUSABLE)


def pause(of: Round) -> None:
    """Stop all processes, or some, and let them go on."""
    run = of.start()
    for _ in range(of.random.randint(1, 3)):
        if run.is_alive_after(run.cpu_time() + of.moment() / 2):
            family = run.family()
            chosen = of.random.choice([family, of.random.sample(family, min(1, len(family)))])
            of.harms += [Harm("SIGSTOP", role_of(p), p.pid, run.age) for p in chosen]
            send(signal.SIGSTOP, chosen)
            time.sleep(of.random.uniform(0.5, 8.0))
            send(signal.SIGCONT, chosen)
    of.finish(run, of.reference.code)


def two_runs(of: Round) -> None:
    """Two runs at once into one dataset; one of them may be killed or stopped."""
    first = of.start()
    first.is_alive_after(of.moment() / 2)
    runs = [first, of.start()]
    of.harms.append(Harm("second run", "run", runs[1].process.pid, first.age))
    of.random.shuffle(runs)
    harm = of.random.choice([None, of.stop, of.kill])
    if harm and runs[0].is_alive_after(runs[0].cpu_time() + of.moment() / 2):
        harm(runs.pop(0))
    for run in runs:
        of.finish(run, of.reference.code)


def full_disk(of: Round) -> None:
    """A disk, or a limit for files, that is too small; afterwards there is space."""
    size = int(2 ** of.random.uniform(*_SIZES))
    with _disk_of(of, size) as is_mounted:
        for _ in range(of.random.randint(1, 2)):
            run = of.start(file_limit=None if is_mounted else size)
            of.finish(run, of.reference.code, 1, _UNUSABLE)
            if of.codes[-1] == _UNUSABLE:
                told = run.told()
                of.require(_FULL in told or _TOO_LARGE in told, f"{run.log.name}: no reason told")


@contextmanager
def _disk_of(of: Round, size: int) -> Iterator[bool]:
    """Give the dataset a file system of its own (bytes); False where nothing may be mounted."""
    of.output.mkdir(parents=True)
    is_mounted = _ran("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", of.output)
    kind = "disk" if is_mounted else "limit of files, since nothing may be mounted,"
    of.harms.append(Harm(f"{kind} of {size} bytes"))
    try:
        yield is_mounted
    finally:
        if is_mounted:
            copy = shutil.copytree(of.output, of.folder / "copy")
            _ran("umount", of.output)
            of.output.rmdir()
            copy.rename(of.output)


def _ran(*command: object) -> bool:
    """Run a system program; tell whether it succeeded."""
    done = subprocess.run(list(map(str, command)), capture_output=True, check=False)
    return done.returncode == 0


def jump_the_clock(of: Round) -> None:
    """Let the clock of all processes of the run jump, once or some times."""
    now = time.monotonic()
    jumps = [
        (
            now + of.random.uniform(0, of.reference.seconds),
            of.random.choice([-1, 1]) * of.random.choice([5.0, 3600.0, 400 * _DAY]),
        )
        for _ in range(of.random.randint(1, 3))
    ]
    of.harms += [Harm(f"clock {shift:+.0f} s", after=moment - now) for moment, shift in jumps]
    told = ",".join(f"{moment}:{shift}" for moment, shift in jumps)
    of.finish(of.start(PYTHONPATH=str(_CLOCK), SOAK_CLOCK=told), of.reference.code)


KINDS: Mapping[str, Callable[[Round], None]] = {
    "kill -9 of the run": kill_the_run,
    "SIGTERM to the run": stop_the_run,
    "a process of it is killed": kill_a_process,
    "SIGSTOP, SIGCONT": pause,
    "two runs at once": two_runs,
    "full disk": full_disk,
    "clock that jumps": jump_the_clock,
}
"""What may happen to a run, by its name in the table."""


def carry_out(of: Round, kind: str) -> float:
    """Disturb a screening, let it complete, and check all that must hold.

    Parameters
    ----------
    of : Round
        Gets harms, exit codes and faults.
    kind : str
        One of `KINDS`.

    Returns
    -------
    float
        Largest difference from the reference; nan where they cannot be compared.
    """
    KINDS[kind](of)
    _complete(of)
    try:
        of.faults += faults_in(of.output, of.reference.output)
        difference = largest_difference(of.output, of.reference.output)
        of.faults += [f"stray file {name}" for name in stray_files(of.output)]
    except Exception as error:  # noqa: BLE001 - a dataset that cannot be read is a fault
        of.faults.append(f"{type(error).__name__}: {error}")
        return float("nan")
    left = [*_left(of, "temporary"), *_left(of, "here")]
    of.faults += [f"left behind: {p.relative_to(of.folder)}" for p in left if p != of.output]
    return difference


def _left(of: Round, name: str) -> list[Path]:
    """What lies in a folder; torch keeps a cache of its own where temporary files go."""
    found = sorted((of.folder / name).iterdir())
    return [path for path in found if not path.name.startswith("torchinductor_")]


def _complete(of: Round) -> None:
    """Run the same command undisturbed, then the check."""
    of.finish(of.start(), of.reference.code)
    environment = {"TMPDIR": str(of.folder / "temporary")}
    of.finish(start(["verify", of.output], of.folder, environment), 0)


def reference_of(work: Work, folder: Path) -> Reference:
    """Screen a source without disturbance, unless that was done.

    Parameters
    ----------
    work : Work
        What to screen.
    folder : pathlib.Path
        Made for it.

    Returns
    -------
    Reference
        What it came to.

    Raises
    ------
    RuntimeError
        When the screening does not end, or leaves something.
    """
    told = folder / "reference.json"
    if not told.exists():
        shutil.rmtree(folder, ignore_errors=True)
        told.write_text(json.dumps(_screen_undisturbed(work, folder)))
    return Reference(work, folder / "here" / "out", **json.loads(told.read_text()))


def _screen_undisturbed(work: Work, folder: Path) -> dict[str, float]:
    """Exit code and seconds of a screening; a second one has to end like the first."""
    of = Round(Reference(work, folder, 0, 0.0, 0.0), folder, Random(0))  # noqa: S311 - no secret
    run = of.start()
    run.is_alive_after(math.inf)
    seconds = run.age
    of.finish(run, 0, 1)
    of.finish(of.start(), 0, 1)
    if of.faults or len(set(of.codes)) > 1:
        raise RuntimeError(f"the undisturbed screening of {work.name}: {of}")
    return {"code": of.codes[0] or 0, "seconds": seconds, "cpu_seconds": run.cpu_time()}
