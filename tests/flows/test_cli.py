"""The command line: help with examples, plans, and errors that say what to do."""

import os
from pathlib import Path

import pandas as pd
import pytest

from tasks.results import read_catalog
from tests.flows.conftest import DEMO, told, told_by_process
from tests.tasks.storage import samples

COMMANDS = (
    "classify",
    "screen",
    "analyze",
    "status",
    "verify",
    "upgrade",
    "compact",
    "sync",
    "export",
    "observe",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command):
    result = told(command, "--help")
    assert result.returncode == 0
    assert f"chiralscreen {command}" in result.stdout


def test_a_process_of_its_own_ends_with_the_exit_code_and_no_traceback(tmp_path):
    result = told_by_process(dict(os.environ), "status", tmp_path)
    assert result.returncode == 2
    assert "holds no dataset" in result.stderr
    assert "Traceback" not in result.stderr


def test_classify_writes_what_it_prints(tmp_path):
    result = told("classify", DEMO, "--output", tmp_path / "classes.csv")
    table = pd.read_csv(tmp_path / "classes.csv").set_index("material_id")
    assert result.returncode == 0
    assert len(table) == len(list(DEMO.glob("*.cif")))
    assert table.loc["quartz-154", ["chirality_class", "helicity_wave"]].tolist() == ["II", "s"]
    assert table["chirality_class"].value_counts().to_dict() == {"II": 16, "III": 13, "I": 6}


def test_dry_run_shows_the_plan_and_writes_nothing(quick, tmp_path):
    output = tmp_path / "out"
    result = told("screen", "demo", "-o", output, "--config", quick, "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "to compute: 29 structures" in result.stdout
    assert "skipped 6" in result.stdout
    assert not output.exists()


def test_a_dry_run_counts_the_workers_of_the_run(quick, tmp_path, monkeypatch):
    """Two share a GPU, however many processors there are; the run is given the same number."""
    monkeypatch.setattr("flows.workers.cpu_count", lambda: 16)
    command = ("screen", DEMO, "-o", tmp_path / "out", "--config", quick, "--dry-run", "--limit", 2)
    assert "with 16 workers" in told(*command).stdout
    monkeypatch.setattr("flows.workers._is_on_a_gpu", lambda _: True)
    assert "with 2 workers" in told(*command).stdout
    assert "with 3 workers" in told(*command, "--workers", 3).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["screen", "nowhere", "-o", "out"], ["no such file or folder", "nowhere"]),
        (["classify", "."], ["no structure file"]),
        (["status", "."], ["holds no dataset", "what to do"]),
        (["screen", "demo", "-o", "out", "--potential", "7net-9"], ["unknown potential", "7net-9"]),
        (["screen", "demo", "-o", "out", "--device", "cuda"], ["no device 'cuda'"]),
        (["screen", "demo", "-o", "out", "--config", "absent.yaml"], ["absent.yaml"]),
        (["screen", "demo"], ["--output"]),
        (["screen", "demo", "-o", "out", "--limit", "0"], ["--limit"]),
        (["sync", "out", "nothing://bucket"], ["cannot open", "nothing"]),
    ],
)
def test_unusable_input_is_told_with_exit_code_two(monkeypatch, tmp_path, arguments, words):
    monkeypatch.chdir(tmp_path)
    result = told(*arguments)
    assert result.returncode == 2
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.stderr


def test_centrosymmetric_sources_need_no_potential(server, tmp_path):
    """A screening of silicon alone does not even import a calculator that does not exist."""
    result = told(
        "screen", DEMO / "si.cif", "-o", tmp_path / "out", "--potential", "ase:no.module:thing"
    )
    assert result.returncode == 0, result.stderr
    assert "skipped 1" in result.stdout


def test_two_folders_come_to_the_same_state_through_a_store(tmp_path):
    url = f"memory://{tmp_path.name}"
    samples.screened(tmp_path / "one", [1, 2])
    assert "0 chunks fetched" in told("sync", tmp_path / "one", url).stdout
    result = told("sync", tmp_path / "two", url)
    assert result.returncode == 0, result.stderr
    assert "0 sent" in result.stdout
    assert sorted(read_catalog(tmp_path / "two", "chirality")["material_id"]) == ["mp-1", "mp-2"]


def test_old_receipts_are_refused_with_the_command_that_upgrades_them(quick, tmp_path):
    """Two lines to read, one command to run, and the dataset is as before."""
    samples.screened(tmp_path / "old", [1, 2])
    samples.downgrade(tmp_path / "old")
    remedy = "what to do: chiralscreen upgrade old"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for command in (["compact", "old"], ["screen", DEMO, "-o", "old", "--config", quick]):
            dry = ["--dry-run"] if command[0] == "screen" else []
            refused = told(*command, *dry)
            assert refused.returncode == 2
            assert refused.stderr.splitlines()[-1] == remedy
        assert "chiralscreen upgrade old" in told("verify", "old").stdout
        upgraded = told("upgrade", "old")
        assert (upgraded.returncode, upgraded.stdout) == (0, "5 receipts upgraded, 0 problems\n")
        assert told("verify", "old").returncode == 0
        next(Path("old/parts/modes").iterdir()).write_bytes(b"other")
        samples.downgrade(tmp_path / "old")
        damaged = told("upgrade", "old")
        assert damaged.returncode == 1
        assert damaged.stdout.endswith("4 receipts upgraded, 1 problems\n")
        assert told("verify", "old").returncode == 0
