"""The lease of a dataset: one run at a time, whatever ends it."""

import errno
import fcntl
import os
import queue
import resource
import select
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from tasks.storage import DatasetError, hold_lease, hold_work_lock

HOLD = """
import sys, time
from pathlib import Path
from tasks.storage import hold_work_lock, hold_lease
root = Path(sys.argv[2])
if sys.argv[1] == "lease":
    lock = hold_lease(root, "the first", print)
else:
    lock = hold_work_lock(root, "a worker")
with lock:
    print("held", flush=True)
    time.sleep(600)
"""


def holder(kind: str, root: Path) -> subprocess.Popen[str]:
    """A process that holds the lease, or computes, until it is killed."""
    command = [sys.executable, "-c", HOLD, kind, str(root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert select.select([process.stdout], [], [], 60)[0], "it has to wait"
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize(("kind", "owner"), [("lease", "the first"), ("work", "a worker")])
def test_next_run_waits_for_the_end_of_a_killed_one(tmp_path, kind, owner):
    """No time passes between the death of a holder and the lease of the next."""
    with hold_lease(tmp_path / "data", "nobody", print):
        pass
    process = holder(kind, tmp_path / "data")
    told: queue.Queue[str] = queue.Queue()
    entered = threading.Event()

    def enter() -> None:
        with hold_lease(tmp_path / "data", "the second", told.put):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert told.get(timeout=60) == f"waiting for {owner}, which writes into this dataset"
    assert not entered.wait(0.5)
    os.kill(process.pid, signal.SIGKILL)
    assert entered.wait(10)
    assert told.empty()
    thread.join()
    process.wait()


def test_processes_of_one_run_compute_side_by_side(tmp_path):
    with hold_lease(tmp_path, "a run", print):
        pass
    workers = [holder("work", tmp_path) for _ in range(2)]
    assert [worker.poll() for worker in workers] == [None, None]
    for worker in workers:
        worker.kill()
        worker.wait()


def test_shares_have_leases_of_their_own(tmp_path):
    told: list[str] = []
    with (
        hold_lease(tmp_path, "the whole", told.append),
        hold_lease(tmp_path, "a share", told.append, ".lease-0-of-2"),
        hold_lease(tmp_path, "another", told.append, ".lease-1-of-2"),
    ):
        pass
    assert not told


def test_a_file_system_without_locks_is_told_of(tmp_path, monkeypatch):
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    told: list[str] = []
    with hold_lease(tmp_path, "a run", told.append):
        pass
    assert "no locks" in told[0]


@pytest.fixture
def _full_disk():
    """No file of the process may grow, as a full disk has it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("_full_disk")
@pytest.mark.parametrize("hold", [partial(hold_lease, tell=print), hold_work_lock])
def test_a_full_disk_is_explained(tmp_path, hold):
    with pytest.raises(DatasetError, match="cannot write"), hold(tmp_path, "a run"):
        pass


def test_a_file_in_the_place_of_the_folder_is_explained(tmp_path):
    (tmp_path / "data").touch()
    with (
        pytest.raises(DatasetError, match="cannot write"),
        hold_lease(tmp_path / "data", "", print),
    ):
        pass
