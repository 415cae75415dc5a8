"""Names of outputs are judged before any work: two lines, exit code 2, no heavy library loaded."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.conftest import DEMO, told

HEAVY = ("torch", "prefect", "phonopy", "pymatgen", "pandas")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory with a file and a folder in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "nowhere").symlink_to("missing")
    return tmp_path


UNUSABLE = [
    (["classify", DEMO, "-o", "classes.txt"], "end the name in .csv or .parquet"),
    (["classify", DEMO, "-o", "none/classes.csv"], "no folder none"),
    (["classify", DEMO, "-o", "folder.csv"], "it is a folder"),
    (["screen", DEMO, "-o", "file"], "no folder"),
    (["screen", DEMO, "-o", "file/below", "--dry-run"], "no folder"),
    (["screen", DEMO, "-o", "nowhere"], "no folder"),
    (["analyze", "phonopy.yaml", "-o", "file"], "no folder"),
    (["export", "dataset", "te", "-o", "file"], "no folder"),
    (["plot", "dataset", "-o", "file"], "no folder"),
    (["report", "dataset", "-o", "file/report.html"], "no folder"),
    (["report", "dataset", "-o", "folder.csv"], "it is a folder"),
    (["catalogue", "dataset", "-o", "file"], "no folder"),
    (["fetch", "http://127.0.0.1:9", "-o", "file"], "no folder"),
    (["assess", DEMO, "-o", "none/rates.json"], "no folder none"),
    (["substitute", DEMO, "-o", "new.txt"], "end the name in .jsonl"),
    (["generate", "-o", "new.jsonl"], "end the name in .parquet"),
    (["train", "--config", "aln.yaml", "-o", "file"], "no folder"),
    (["distill", DEMO, "--config", "aln.yaml", "-o", "file"], "no folder"),
]


@pytest.mark.parametrize(("arguments", "words"), UNUSABLE)
def test_a_name_that_will_not_do_is_told_in_two_lines(arguments, words):
    result = told(*arguments)
    assert result.returncode == 2
    assert words in result.stderr
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == [
        "error",
        "what to do",
    ]
    assert not result.stdout


def test_it_is_told_within_two_seconds_before_the_libraries_are_loaded(folder):
    program = (
        "import sys; sys.argv[1:] = ['screen', 'demo', '-o', 'file']\n"
        "from flows.cli import app\n"
        "try: app()\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules])"
    )
    root = str(Path(__file__).parents[2])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of the processor: the tests share it.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    assert result.returncode == 2, result.stderr
    assert result.stdout.strip() == "[]"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_of_others_is_told(folder):
    folder.chmod(0o500)
    result = told("screen", DEMO, "-o", "out")
    folder.chmod(0o700)
    assert result.returncode == 2
    assert "may not be written into" in result.stderr
