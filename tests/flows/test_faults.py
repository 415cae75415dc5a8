"""What goes wrong in the night: nothing is lost, nothing is done twice, the next run finishes."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from flows.screening import screen
from tasks.catalogue import read_catalog
from tasks.settings import ScreenSettings, read_settings
from tasks.storage import Dataset
from tests.flows.faulty import SETTINGS, write_crystals

STAGES = ("relaxation", "phonons", "chirality")


def settings_of(folder: Path, faults: str = "") -> ScreenSettings:
    path = folder / "settings.yaml"
    path.write_text(SETTINGS.replace("OPTIONS", f'faults: "{faults}", marks: "{folder}"'))
    return read_settings(path, {})


def computations(dataset: Dataset) -> Counter[str]:
    """How often each key of a stage was committed."""
    return Counter(key for stage in STAGES for r in dataset.receipts(stage) for key in r.keys)


def require_sound(dataset: Dataset) -> None:
    assert not dataset.verify()
    assert set(computations(dataset).values()) <= {1}


@pytest.fixture(scope="module")
def faulty_night(server, tmp_path_factory):
    """A run in which one structure kills its process always, one once, and one never ends."""
    folder = tmp_path_factory.mktemp("faulty")
    write_crystals(folder / "source", "GaAs", "ZnS", "InP", "CdSe")
    settings = settings_of(folder, "In:kill,Ga:kill_once,Cd:hang")
    result = screen(folder / "source", folder / "out", settings, workers=1, time_limit=2.0)
    return folder, settings, result


def test_structures_that_end_or_block_their_process_cost_the_others_nothing(faulty_night):
    folder, _, result = faulty_night
    assert not result.lost
    assert (folder / "killed").exists()
    rows = read_catalog(folder / "out", "chirality").set_index("material_id")["outcome"]
    assert rows.to_dict() == {
        "GaAs": "screened",
        "ZnS": "screened",
        "InP": "failed",
        "CdSe": "failed",
    }
    failures = read_catalog(folder / "out", "failures").set_index("material_id")
    assert failures["error_class"].to_dict() == {
        "InP": "WorkerDied",
        "CdSe": "TimeLimitExceeded",
    }
    assert not failures["transient"].any()
    require_sound(Dataset(folder / "out"))


def test_task_runs_of_ended_processes_are_crashed_not_running(faulty_night, server):
    from prefect.client.orchestration import get_client
    from prefect.states import StateType

    with get_client(sync_client=True) as client:
        states = Counter(run.state_type for run in client.read_task_runs(limit=200))
    assert states[StateType.CRASHED] >= 4
    assert not states[StateType.RUNNING]


def test_what_ended_its_process_is_not_tried_every_night(faulty_night):
    folder, settings, _ = faulty_night
    before = computations(Dataset(folder / "out"))
    again = screen(folder / "source", folder / "out", settings, workers=1)
    assert again.plan.n_open == 0
    assert computations(Dataset(folder / "out")) == before


@pytest.mark.parametrize("stage", ["phonons", "chirality"])
def test_a_corrupt_part_is_found_and_its_work_done_again(faulty_night, stage):
    folder, settings, _ = faulty_night
    dataset = Dataset(folder / "out")
    whole = read_catalog(dataset.root, "chirality")
    [path] = [p for p in dataset.root.glob(f"parts/{stage}/*.parquet") if has(dataset, p, "ZnS")]
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    assert [problem.kind for problem in dataset.verify()] == ["corrupt part"]
    result = screen(folder / "source", folder / "out", settings, workers=1)
    assert result.plan.n_open == 1
    require_sound(dataset)
    again = read_catalog(dataset.root, "chirality")
    assert again["outcome"].tolist() == whole["outcome"].tolist()
    assert again["max_frequency"].dropna().tolist() == pytest.approx(
        whole["max_frequency"].dropna().tolist()
    )


def has(dataset: Dataset, part: Path, material: str) -> bool:
    """Whether a part has rows of a material."""
    [receipt] = [r for r in dataset.receipts() if r.chunk == part.stem]
    return any(material in materials for materials in receipt.keys.values())


def test_a_full_disk_commits_nothing_and_the_next_run_finishes(server, tmp_path):
    write_crystals(tmp_path / "source", "ZnS")
    settings = settings_of(tmp_path, "Zn:full")
    first = screen(tmp_path / "source", tmp_path / "out", settings, workers=1)
    dataset = Dataset(tmp_path / "out")
    assert first.lost
    assert not computations(dataset)
    assert not dataset.verify()
    assert not list(dataset.root.rglob("*.tmp"))
    (tmp_path / "space").touch()
    second = screen(tmp_path / "source", tmp_path / "out", settings, workers=1)
    assert not second.lost
    assert len(computations(dataset)) == len(STAGES)
    require_sound(dataset)


def test_each_night_takes_what_is_new_up_to_the_limit(server, tmp_path):
    write_crystals(tmp_path / "source", "ZnS", "GaAs")
    settings = settings_of(tmp_path)
    dataset = Dataset(tmp_path / "out")
    for night, expected in enumerate([1, 1, 0, 1]):
        if night == 3:
            write_crystals(tmp_path / "source", "InP")
        result = screen(tmp_path / "source", tmp_path / "out", settings, limit=1, workers=1)
        assert result.plan.n_open == expected
    assert len(dataset.succeeded_keys("chirality")) == 3
    require_sound(dataset)


def test_two_runs_at_once_do_everything_once(environment, tmp_path):
    """The second waits for the first, and says so; then it finds nothing to do."""
    write_crystals(tmp_path / "source", "ZnS", "GaAs")
    settings_of(tmp_path)
    command = [
        *(sys.executable, "-m", "flows.cli", "screen", tmp_path / "source"),
        *("--output", tmp_path / "out", "--config", tmp_path / "settings.yaml", "--workers", "1"),
    ]
    runs = []
    for _ in range(2):
        run = subprocess.Popen(
            list(map(str, command)),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        runs.append(run)
        time.sleep(0.2)
    told = [run.communicate(timeout=600)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    assert sum("nothing to compute" in text for text in told) == 1
    assert sum("waiting for run" in text for text in told) == 1
    require_sound(Dataset(tmp_path / "out"))
