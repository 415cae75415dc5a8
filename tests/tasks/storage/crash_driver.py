"""A program that dies: runs an action again and again, killed at a later step each time.

Every run is a process of its own, forked before it touches Arrow, in a folder of its own.
"""

import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from tasks.results.building import build_catalog
from tasks.storage import Dataset, compact, prune, upgrade_receipts
from tasks.storage.receipts import read_receipt
from tests.tasks.storage import samples

RANDOM = random.Random()  # noqa: S311 - moments of death are no secret
KILLS = 12
STEPS = ("replace", "fsync", "unlink")


def commit_prepare(root: Path) -> None:
    """Commit what a crash must not harm."""
    samples.commit(Dataset(root), "chirality", [1, 2])


def commit_action(root: Path) -> None:
    """Commit a chunk that overlaps it."""
    samples.commit(Dataset(root), "chirality", [2, 3])


def retry_prepare(root: Path) -> None:
    """Leave a transient failure behind."""
    broken = [samples.failure("mp-2", "c2", "chirality", transient=True)]
    samples.commit(Dataset(root), "chirality", [1, 2, 3], failures=broken)


def retry_action(root: Path) -> None:
    """Do the same chunk again, with other numbers."""
    samples.commit(Dataset(root), "chirality", [1, 2, 3], seed=50)


def chunks_prepare(root: Path) -> None:
    """Commit some small chunks of one stage."""
    for numbers in ([1, 2], [3, 4], [4, 5], [5, 6]):
        samples.commit(Dataset(root), "relaxation", numbers)


def catalog_prepare(root: Path) -> None:
    """Build a catalogue, then screen with another mesh."""
    dataset = samples.screened(root, [1, 2, 3, 4], chunk=4)
    build_catalog(dataset)
    samples.commit_plan(dataset, [samples.plan_row(n, 1, "b") for n in (1, 2, 3, 4)])
    samples.commit(dataset, "chirality", [1, 2], "b")


def catalog_action(root: Path) -> None:
    """Build the catalogue."""
    build_catalog(Dataset(root))


def compact_action(root: Path) -> None:
    """Compact twice: into several parts, then into one."""
    receipts = [read_receipt(path) for path in root.glob("receipts/*.json")]
    largest = max(p.size for r in receipts if not r.generation for p in r.files.values())
    compact(Dataset(root), part_bytes=2 * largest + 1)
    compact(Dataset(root))


def prune_prepare(root: Path) -> None:
    """Leave superseded chunks behind."""
    chunks_prepare(root)
    compact(Dataset(root))


def prune_action(root: Path) -> None:
    """Remove them."""
    prune(Dataset(root), older_than=timedelta(seconds=-1))


def upgrade_prepare(root: Path) -> None:
    """Leave receipts of format 1, of merged chunks among others."""
    prune_prepare(root)
    samples.downgrade(root)


def upgrade_action(root: Path) -> None:
    """Upgrade them."""
    upgrade_receipts(root, print)


def many_action(root: Path) -> None:
    """Commit many chunks, passing over what is done."""
    dataset = Dataset(root)
    for start in range(0, 60, 2):
        numbers = [start, start + 1]
        if not {f"c{n}" for n in numbers} <= dataset.list_done_keys("chirality"):
            samples.commit(dataset, "chirality", numbers, seed=RANDOM.randrange(100))


SCENARIOS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "commit": (commit_prepare, commit_action),
    "retry": (retry_prepare, retry_action),
    "catalog": (catalog_prepare, catalog_action),
    "compact": (chunks_prepare, compact_action),
    "prune": (prune_prepare, prune_action),
    "upgrade": (upgrade_prepare, upgrade_action),
}


# A catalogue takes the same steps for nine tables.
STRIDES = {"catalog": 3}


def arm(fatal: int) -> None:
    """Kill this process when it is about to take a step on the disk for the n-th time."""
    count = 0

    def armed(step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            if count == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
            return step(*arguments, **options)

        return call

    for name in STEPS:
        setattr(os, name, armed(getattr(os, name)))


def forked(work: Callable[[], None]) -> int:
    """Start a process that does some work; return its number."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - a forked process must end here, and say why
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def survived(child: int) -> bool:
    """Wait for a process; tell whether it ended by itself, and stop if it failed."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in {0, -signal.SIGKILL}:
        sys.exit(f"a process ended with {status}")
    return status == 0


def kill_at_every_step(scenario: str, root: Path) -> None:
    """Run a scenario in root/0, root/1, ..., killed at step 0, 1, ... until none is left."""
    prepare, action = SCENARIOS[scenario]
    survived(forked(lambda: prepare(root / "prepared")))
    step = 0

    def work() -> None:
        arm(step)
        action(root / str(step))

    while True:
        shutil.copytree(root / "prepared", root / str(step))
        if survived(forked(work)):
            return
        step += STRIDES.get(scenario, 1)


def kill_at_random(root: Path) -> None:
    """Kill a program that commits many chunks at random moments, then let it finish."""
    for _ in range(KILLS):
        child = forked(lambda: many_action(root))
        time.sleep(RANDOM.uniform(0.02, 0.2))
        os.kill(child, signal.SIGKILL)
        survived(child)
    survived(forked(lambda: many_action(root)))


def write_at_once(root: Path) -> None:
    """Let four programs commit the same and overlapping chunks while two others compact."""

    def work(shift: int) -> None:
        for start in range(shift, 12 + shift):
            samples.commit(Dataset(root), "chirality", [start, start + 1])
            samples.commit(Dataset(root), "relaxation", list(range(12)), seed=start)

    def tidy() -> None:
        for _ in range(8):
            compact(Dataset(root))
            build_catalog(Dataset(root))

    writers = [forked(lambda shift=shift: work(shift)) for shift in (0, 0, 1, 2)]
    for child in [*writers, forked(tidy), forked(tidy)]:
        survived(child)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name in SCENARIOS:
        kill_at_every_step(name, folder / name)
    kill_at_random(folder / "random")
    write_at_once(folder / "writers")
