"""The same flow on other engines, and in shares: the same rows, each once."""

import asyncio
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from flows import shards
from flows.planning import take_shard
from flows.screening import screen
from flows.shards import screen_in_shards
from tasks.results import read_catalog
from tasks.screening.costs import StageSeconds
from tasks.screening.plan import Plan
from tasks.screening.planning import WorkItem
from tasks.screening.settings import ScreenSettings
from tasks.storage import Dataset
from tests.flows.faulty import end, write_crystals
from tests.flows.test_faults import require_sound, settings_of

ROOT = Path(__file__).parents[2]
FORMULAS = ("GaAs", "ZnS", "InP")
POOL = "test-shards"


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("crystals") / "source"
    write_crystals(folder, *FORMULAS)
    return folder


@pytest.fixture(scope="module")
def alone(server, source) -> pd.DataFrame:
    """What one process finds."""
    screen(source, source.parent / "alone", settings_of(source.parent), workers=1)
    return physical(source.parent / "alone")


def physical(folder: Path) -> pd.DataFrame:
    """Rows of the catalogue without what differs from run to run."""
    rows = read_catalog(folder, "chirality").set_index("material_id").sort_index()
    varying = ("time", "run_id", "digest", "_key")
    return rows.drop(columns=[name for name in rows if any(word in name for word in varying)])


def test_a_dask_cluster_finds_what_one_process_finds_though_a_worker_is_killed(
    alone, source, tmp_path
):
    pytest.importorskip("prefect_dask")
    settings = settings_of(tmp_path, "In:kill")
    result = screen(source, tmp_path / "out", settings, workers=1, engine="dask")
    assert not result.lost
    found = physical(tmp_path / "out")
    assert found["outcome"].to_dict() == {"GaAs": "screened", "InP": "failed", "ZnS": "screened"}
    sound = ["GaAs", "ZnS"]
    pd.testing.assert_frame_equal(found.loc[sound], alone.loc[sound], check_dtype=False)
    require_sound(Dataset(tmp_path / "out"))


def test_shares_are_disjoint_and_complete_and_keep_enantiomorphs_together():
    seconds = StageSeconds(1.0, 1.0, 1.0)
    left = [WorkItem(f"m{i}", "", (f"{i:064x}", "", ""), seconds) for i in range(20)]
    right = [
        WorkItem(f"w{i}", "", (f"{i + 99:064x}", "", ""), seconds, left[i].keys) for i in range(20)
    ]
    plan = Plan({}, {}, {"relaxation": tuple(left), "phonons": tuple(right)}, ())
    names = {work.material_id for work in (*left, *right)}
    shares = [take_shard(plan, index, 3, among=names).open for index in range(3)]
    found = Counter(w.material_id for share in shares for works in share.values() for w in works)
    assert found == Counter(names)
    for share in shares:
        of_left = {work.material_id[1:] for work in share["relaxation"]}
        assert of_left == {work.material_id[1:] for work in share["phonons"]}
    assert take_shard(plan, 0, 1, among={"m3"}).n_open == 1


def test_shares_run_as_flow_runs_of_a_work_pool(alone, environment, source, tmp_path):
    deployed = screen.from_source(source=str(ROOT), entrypoint="flows/screening.py:screen")
    subprocess.run(
        [sys.executable, "-m", "prefect", "work-pool", "create", POOL, "--type", "process"],
        env=environment,
        check=True,
        timeout=300,
    )
    deployed.deploy("shard", work_pool_name=POOL, build=False, push=False, print_next_steps=False)
    worker = subprocess.Popen(
        [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL], env=environment
    )
    try:
        settings = settings_of(source.parent)
        result = screen_in_shards(source, tmp_path / "out", 2, settings, device="cpu")
    finally:
        end(worker)
    assert result.states == ["COMPLETED", "COMPLETED"]
    runs = {row["run_id"]: row for row in Dataset(tmp_path / "out").read("runs").to_pylist()}
    recorded = ScreenSettings.model_validate_json(runs[result.run_id]["settings"])
    assert recorded == settings
    pd.testing.assert_frame_equal(physical(tmp_path / "out"), alone)
    require_sound(Dataset(tmp_path / "out"))


def test_machines_without_a_common_folder_share_the_work_through_a_store(
    alone, source, tmp_path, monkeypatch
):
    """Each share has a folder of its own; so has who planned, and who comes later."""
    machines = []

    async def on_machines_of_their_own(_, run_id, shares):
        for share in shares:
            machines.append(tmp_path / f"machine-{len(machines)}")
            await asyncio.to_thread(screen, **share | {"output": machines[-1], "workers": 1})
        return []

    monkeypatch.setattr(shards, "_run_shares", on_machines_of_their_own)
    settings, url = settings_of(source.parent), f"memory://{tmp_path.name}"
    screen_in_shards(source, tmp_path / "out", 2, settings, device="cpu", store=url)
    assert len(machines) == 2
    pd.testing.assert_frame_equal(physical(tmp_path / "out"), alone)
    later = screen(source, tmp_path / "later", settings, workers=1, store=url)
    assert later.plan.n_open == 0
    pd.testing.assert_frame_equal(physical(tmp_path / "later"), alone)
    for folder in (tmp_path / "out", tmp_path / "later", *machines):
        require_sound(Dataset(folder))
