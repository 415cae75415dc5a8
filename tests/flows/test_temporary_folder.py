"""The temporary folder of a run, and those that killed runs have left."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

MAKE = "from flows.temporary_folder import make_temporary_folder as make; print(make(), flush=True)"
KILL = "import os; os.kill(os.getpid(), 9)"
STAY = "input()"


def start(temporary: Path, *code: str) -> subprocess.Popen[str]:
    """A process that makes its folder and then does what it is told to."""
    environment = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", "; ".join([MAKE, *code])],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], said: str = "") -> str:
    """Let a process end, which must not complain, and get what it has printed."""
    printed, complaints = process.communicate(said, timeout=60)
    assert complaints == ""
    return printed.strip()


def test_the_folder_of_a_killed_run_is_removed_by_the_next_one(tmp_path):
    killed = finish(start(tmp_path, KILL))
    assert [str(path) for path in tmp_path.iterdir()] == [killed]
    assert finish(start(tmp_path)) != killed
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_living_run_stays(tmp_path):
    living = start(tmp_path, STAY)
    folder = Path(living.stdout.readline().strip())
    assert finish(start(tmp_path)) != str(folder)
    assert list(tmp_path.iterdir()) == [folder]
    assert list(folder.iterdir()), "the folder that multiprocessing makes"
    finish(living, "\n")
    assert list(tmp_path.iterdir()) == []


def test_what_a_stranger_has_put_there_is_not_followed(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "chiralscreen-link").symlink_to(kept)
    (tmp_path / "chiralscreen-file").write_text("no folder")
    assert finish(start(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {
        "kept",
        "chiralscreen-link",
        "chiralscreen-file",
    }
