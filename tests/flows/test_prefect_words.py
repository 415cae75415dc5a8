"""What a server of Prefect shows: names, messages, and artifacts that gather under one key."""

import json
import re
import shutil
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
)

from flows.labels import make_artifact_key
from flows.screening import analyze, screen
from tests.crystals import spring_phonon, zincblende
from tests.flows.conftest import DEMO, eventually
from tests.flows.faulty import write_crystals
from tests.flows.test_faults import settings_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A crystal to compute, one that symmetry excludes, a file that is none, and a phonopy file."""
    folder = tmp_path_factory.mktemp("words")
    write_crystals(folder / "source", "GaAs")
    shutil.copy(DEMO / "si.cif", folder / "source")
    (folder / "source" / "broken.cif").write_text("rubbish")
    spring_phonon(zincblende(), 1).save(folder / "zns.yaml", settings={"force_constants": True})
    return folder


@pytest.fixture(scope="module")
def runs(server, folder):
    """Flow runs of two screenings into one folder, and of an analysis into another one."""
    settings = settings_of(folder)
    with get_client(sync_client=True) as client:
        before = {run.id for run in client.read_flow_runs()}
        for _ in range(2):
            screen(folder / "source", folder / "Results Té", settings, workers=1)
        analyze([folder / "zns.yaml"], folder / "dft", settings, workers=1)
        found = [run for run in client.read_flow_runs() if run.id not in before]
    return sorted(found, key=lambda run: run.start_time)


def artifacts_of(run):
    """Artifacts of a flow run by the first word of their key."""
    chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
    with get_client(sync_client=True) as client:
        return {a.key.split("-")[0]: a for a in client.read_artifacts(artifact_filter=chosen)}


def test_every_run_has_a_name_that_tells_it_from_others(runs):
    assert [run.name for run in runs] == [
        "screen source with ase:tests.flows.faulty:Faulty",
        "screen source with ase:tests.flows.faulty:Faulty",
        "analyze zns.yaml into dft",
    ]


def test_the_last_state_says_what_became_of_the_records(runs):
    assert [run.state.message for run in runs] == [
        "1 screened, 1 skipped, 1 failed",
        "1 screened before, 1 skipped, 1 failed",
        "1 analysed",
    ]
    assert {run.state_name for run in runs} == {"Completed"}


def test_the_states_of_chunks_say_how_many_succeeded(runs):
    """The server learns of states of task runs some seconds late."""
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[runs[0].id]))

    def messages():
        with get_client(sync_client=True) as client:
            return [run.state.message for run in client.read_task_runs(flow_run_filter=chosen)]

    eventually(lambda: messages() == ["1 of 1 done"] * 3, 60)


def test_artifacts_of_one_folder_gather_under_the_same_keys(runs):
    first, again, other = ({a.key for a in artifacts_of(run).values()} for run in runs)
    assert first == again
    assert {key.split("-")[0] for key in first} == {"progress", "outcomes", "summary"}
    assert not first & other
    assert all(re.fullmatch(r"[a-z]+-results-t-[0-9a-f]{6}", key) for key in first)


def test_progress_ends_at_100_percent(runs):
    assert [artifacts_of(run)["progress"].data for run in runs] == [100.0, 100.0, 100.0]


def test_the_summary_tells_who_is_missing_and_links_to_no_file(runs):
    """Browsers open no file of this machine from a page of a server."""
    found = artifacts_of(runs[0])
    text = found["summary"].data.replace("\\", "")
    assert "- 1 × centrosymmetric: phonons carry no angular momentum\n    - si" in text
    assert "- 1 × unreadable: no CIF: it has no data block" in text
    assert "read: broken.cif" in text
    assert "| GaAs | AsGa | F-43m |" in text or "| GaAs | GaAs | F-43m |" in text
    assert "potential `ase:tests.flows.faulty:Faulty`" in text
    assert "file:" not in "".join(str(artifact.data) for artifact in found.values())


def test_the_table_of_outcomes_begins_with_what_failed(runs):
    rows = json.loads(artifacts_of(runs[0])["outcomes"].data)
    assert [row["outcome"] for row in rows] == ["failed", "screened", "skipped"]
    assert rows[0]["material"] == "broken.cif"
    assert list(rows[0]) == ["material", "formula", "space group", "class", "outcome", "reason"]


def test_keys_are_ones_that_prefect_takes_and_folders_differ(tmp_path):
    folders = [tmp_path / name for name in ("Té", "a/te", "b/te", "x" * 99, "日本")]
    keys = [make_artifact_key("progress", folder) for folder in folders]
    assert all(re.fullmatch(r"progress(-[a-z0-9]+)+", key) for key in keys)
    assert len(set(keys)) == len(keys)
    assert max(map(len, keys)) < 60
    assert make_artifact_key("progress", tmp_path / "a" / ".." / "Té") == keys[0]
    assert make_artifact_key("progress", Path("te")) == make_artifact_key(
        "progress", Path.cwd() / "te"
    )
