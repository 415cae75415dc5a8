"""What goes wrong in the night: nothing is lost, nothing is done twice, the next run finishes."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

import tasks.storage.dataset
from flows import planning, runs
from flows.screening import screen
from tasks.results import read_catalog
from tasks.screening.settings import ScreenSettings, read_settings
from tasks.storage import Dataset
from tests.flows.conftest import eventually
from tests.flows.faulty import SETTINGS, end, write_crystals

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
    result = screen(folder / "source", folder / "out", settings, workers=1, time_limit=5.0)
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


def test_task_runs_of_ended_processes_are_crashed_not_running(faulty_night):
    """Of this night alone; the server learns of states some seconds late."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterStartTime
    from prefect.states import StateType

    began = datetime.fromtimestamp((faulty_night[0] / "settings.yaml").stat().st_mtime, UTC)
    of_this_night = FlowRunFilter(start_time=FlowRunFilterStartTime(after_=began))

    def states() -> Counter[StateType]:
        runs = client.read_task_runs(flow_run_filter=of_this_night)
        return Counter(run.state_type for run in runs)

    with get_client(sync_client=True) as client:
        eventually(lambda: not states()[StateType.RUNNING], 60)
        assert states()[StateType.CRASHED] >= 4


def test_what_ended_its_process_is_not_tried_every_night(faulty_night):
    folder, settings, _ = faulty_night
    before = computations(Dataset(folder / "out"))
    again = screen(folder / "source", folder / "out", settings, workers=1)
    assert again.plan.n_open == 0
    assert computations(Dataset(folder / "out")) == before


def test_corrupt_parts_are_found_and_their_work_done_again(faulty_night):
    """One structure loses its force constants, another one its last stage: no more is redone."""
    folder, settings, _ = faulty_night
    dataset = Dataset(folder / "out")
    whole, before = read_catalog(dataset.root, "chirality"), computations(dataset)
    for stage, material in (("phonons", "ZnS"), ("chirality", "GaAs")):
        [path] = [p for p in dataset.root.glob(f"parts/{stage}/*") if has(dataset, p, material)]
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 0xFF
        path.write_bytes(content)
    assert [problem.kind for problem in dataset.verify()] == ["corrupt part"] * 2
    result = screen(folder / "source", folder / "out", settings, workers=1)
    assert {stage: len(works) for stage, works in result.plan.open.items()} == {
        "phonons": 1,
        "chirality": 1,
    }
    require_sound(dataset)
    assert computations(dataset) == before
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
    for limit, expected in ((1, 1), (5, 2), (1, 0)):
        result = screen(tmp_path / "source", tmp_path / "out", settings, limit=limit, workers=1)
        assert result.plan.n_open == expected
        write_crystals(tmp_path / "source", "InP")
    assert len(dataset.list_succeeded_keys("chirality")) == 3
    require_sound(dataset)


def test_a_clock_that_was_ahead_does_not_outlive_its_run(server, tmp_path, monkeypatch):
    """What the next run decides holds, although the one before claims to be a day younger."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz=UTC):
            return datetime.now(tz) + timedelta(days=1)

    write_crystals(tmp_path / "source", "ZnS")
    reasons = []
    for element, clock in (("Zn", Ahead), ("S", datetime), ("Zn", datetime)):
        for module in (planning, runs, tasks.storage.dataset):
            monkeypatch.setattr(module, "datetime", clock)
        settings = ScreenSettings(curation={"excluded_elements": [element]})
        screen(tmp_path / "source", tmp_path / "out", settings, workers=1)
        [row] = read_catalog(tmp_path / "out", "chirality").to_dict("records")
        reasons.append((row["outcome"], element in row["reason"].split()))
    assert reasons == [("skipped", True)] * 3
    require_sound(Dataset(tmp_path / "out"))


def test_two_runs_at_once_do_everything_once(environment, tmp_path, request):
    """The second says that it waits, which lets the first one end; then it finds nothing to do."""
    write_crystals(tmp_path / "source", "ZnS", "GaAs")
    settings_of(tmp_path, "Ga:wait")
    command = [
        *(sys.executable, "-m", "flows.cli", "screen", tmp_path / "source"),
        *("--output", tmp_path / "out", "--config", tmp_path / "settings.yaml", "--workers", "1"),
    ]
    program = partial(
        subprocess.Popen,
        list(map(str, command)),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    first = program()
    request.addfinalizer(lambda: end(first))
    eventually(lambda: (tmp_path / "waiting").exists() or first.poll() is not None)
    assert first.poll() is None, first.communicate()[0]
    second, told = program(), []
    request.addfinalizer(lambda: end(second))
    for line in second.stdout:
        told.append(line)
        if "which writes into this dataset" in line:
            assert first.poll() is None
            (tmp_path / "go").touch()
    assert (tmp_path / "go").exists(), told
    assert first.communicate(timeout=600)[0].count("screened")
    assert (first.returncode, second.wait()) == (0, 0)
    assert "nothing to compute" in "".join(told)
    dataset = Dataset(tmp_path / "out")
    assert len(computations(dataset)) == 2 * len(STAGES)
    require_sound(dataset)


def test_a_structure_that_wants_too_much_memory_fails_alone(server, tmp_path):
    """The tenth gigabyte is refused, and the other structure is screened."""
    write_crystals(tmp_path / "source", "ZnS", "InP")
    settings = settings_of(tmp_path, "In:swell")
    result = screen(tmp_path / "source", tmp_path / "out", settings, workers=1, memory=6.0)
    assert not result.lost
    rows = read_catalog(tmp_path / "out", "chirality").set_index("material_id")["outcome"]
    assert rows.to_dict() == {"ZnS": "screened", "InP": "failed"}
    [failure] = read_catalog(tmp_path / "out", "failures").to_dict("records")
    assert failure["transient"]
    assert "allow more memory" in failure["remedy"]
    require_sound(Dataset(tmp_path / "out"))
