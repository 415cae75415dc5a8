"""The main job on real crystals with a real potential and a real Prefect server."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.results import read_catalog
from tasks.storage import Dataset
from tests.bad_inputs import LIMIT_RECORDS, REASONS, TRAVERSAL_RECORDS, write_bad_inputs
from tests.flows.conftest import DEMO, eventually, told, told_by_process
from tests.flows.faulty import write_crystals
from tests.flows.test_faults import STAGES, computations, settings_of

CRYSTALS = ("quartz-152", "quartz-154", "zno", "si", "tio2-rutile")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both hands of quartz, a polar crystal and two centrosymmetric ones; a path with a space."""
    folder = tmp_path_factory.mktemp("a source")
    for name in CRYSTALS:
        shutil.copy(DEMO / f"{name}.cif", folder)
    return folder


@pytest.fixture(scope="module")
def screened(environment, source, quick, tmp_path_factory):
    """A finished screening: its folder and what it printed."""
    output = tmp_path_factory.mktemp("results") / "a dataset"
    command = ("screen", source, "--output", output, "--config", quick, "--workers", "1")
    result = told_by_process(environment, *command)
    assert result.returncode == 0, result.stdout + result.stderr
    return output, result.stdout


@pytest.fixture(scope="module")
def chirality(screened) -> pd.DataFrame:
    return read_catalog(screened[0], "chirality").set_index("material_id")


def test_every_material_has_one_row(chirality):
    assert sorted(chirality.index) == sorted(CRYSTALS)


def test_centrosymmetric_crystals_are_skipped(chirality):
    for name in ("si", "tio2-rutile"):
        assert chirality.loc[name, "chirality_class"] == "I"
        assert chirality.loc[name, "outcome"] == "skipped"


def test_both_hands_of_quartz_have_equal_spectra_and_opposite_helicity(chirality):
    left, right = chirality.loc["quartz-154"], chirality.loc["quartz-152"]
    assert (left["space_group_number"], right["space_group_number"]) == (154, 152)
    assert (left["hand"], right["hand"]) == ("left", "right")
    assert left["max_frequency"] == pytest.approx(right["max_frequency"], abs=2e-3)
    scale = np.abs(left["helicity_dos_absolute"]).max()
    total = np.asarray(left["helicity_dos"]) + np.asarray(right["helicity_dos"])
    assert np.abs(left["helicity_dos"]).max() > 0.1 * scale
    # What remains are modes that single precision moves across a bin's edge.
    assert np.abs(total).sum() < 0.05 * np.abs(left["helicity_dos"]).sum()
    assert left["tensor_pseudoscalar"] == pytest.approx(-right["tensor_pseudoscalar"], rel=0.02)


def test_zinc_oxide_is_achiral_with_helicity_in_the_i_wave(chirality):
    row = chirality.loc["zno"]
    assert row["chirality_class"] == "III"
    assert row["helicity_wave"] == "i"
    assert row["mean_angular_momentum"] > 0.05
    assert abs(row["helicity_ratios"][0]) < 1e-6
    tensor = np.reshape(row["tensor"], (-1, 3, 3))
    assert np.allclose(tensor, -tensor.transpose(0, 2, 1))


def test_mode_table_holds_real_modes(screened):
    modes = read_catalog(screened[0], "modes")
    assert set(modes["material_id"]) == {"quartz-152", "quartz-154", "zno"}
    assert modes["frequency"].max() > 30
    size = np.linalg.norm(modes[["l_x", "l_y", "l_z"]], axis=1)
    assert size.max() <= 1 + 1e-5
    by_q = modes[modes["q_label"].eq("Γ")].groupby(["material_id", "segment"])
    assert by_q[["l_x", "l_y", "l_z"]].sum().abs().to_numpy().max() < 1e-4


def test_dataset_is_sound(screened):
    assert told("verify", screened[0]).returncode == 0


def test_summary_tells_candidates_classes_and_times(screened):
    text = screened[1]
    for word in (
        "quartz-152",
        "class: I 2, II 2, III 1",
        "inside the potential",
        "chirality.parquet",
    ):
        assert word in text


def test_running_again_does_nothing(screened, server, source, quick):
    before = read_catalog(screened[0], "chirality").drop(columns="run_id")
    result = told("screen", source, "--output", screened[0], "--config", quick)
    assert result.returncode == 0
    assert "nothing to compute" in result.stdout
    after = read_catalog(screened[0], "chirality").drop(columns="run_id")
    pd.testing.assert_frame_equal(before, after)


def test_another_mesh_redoes_the_chirality_stage_only(screened, server, source, quick):
    dataset = Dataset(screened[0])
    before = {
        stage: dataset.list_done_keys(stage) for stage in ("relaxation", "phonons", "chirality")
    }
    arguments = ("screen", source, "--output", screened[0], "--config", quick, "--workers", "1")
    assert told(*arguments, "--q-spacing", "0.06").returncode == 0
    after = {stage: dataset.list_done_keys(stage) for stage in before}
    assert after["relaxation"] == before["relaxation"]
    assert after["phonons"] == before["phonons"]
    assert len(after["chirality"] - before["chirality"]) == 3
    assert len(read_catalog(screened[0], "chirality")) == len(CRYSTALS)


def test_status_reads_the_dataset_alone(screened):
    result = told("status", screened[0])
    assert result.returncode == 0
    assert "outcome: screened 3, skipped 2" in result.stdout


def test_the_site_has_a_page_for_each_with_bands_of_both_hands(screened, tmp_path):
    result = told("catalogue", screened[0], "--output", tmp_path / "site", "--workers", "1")
    assert result.returncode == 0, result.stdout + result.stderr
    folders = tmp_path / "site" / "materials"
    pages = {
        name: json.loads((folders / name / "7net-0.json").read_text(encoding="utf-8"))
        for name in ("quartz-152", "quartz-154", "zno")
    }
    assert all(page["bands"] and page["structure"] for page in pages.values())
    right, left = (pages[name]["row"]["hand"] for name in ("quartz-152", "quartz-154"))
    assert {right, left} == {"right", "left"}
    assert {path.name for path in folders.iterdir()} == set(CRYSTALS)


def test_run_is_recorded_with_settings_and_versions(screened):
    runs = read_catalog(screened[0], "runs")
    assert runs["settings"].str.contains("7net-0").all()
    assert runs["versions"].str.contains("phonopy").all()


def test_runs_are_seen_by_the_server(screened, server):
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        names = [run.name for run in client.read_flow_runs()]
        tasks = [run.name for run in client.read_task_runs()]
        keys = [artifact.key or "" for artifact in client.read_artifacts()]
    assert any(name.startswith("screen") for name in names)
    assert {name.split("-")[0] for name in tasks} >= {"relaxation", "phonons", "chirality"}
    assert {key.split("-")[0] for key in keys} >= {"progress", "outcomes", "summary"}


def test_bad_records_become_failures_and_cost_the_others_nothing(server, quick, tmp_path):
    folder, output = tmp_path / "bad", tmp_path / "out"
    write_bad_inputs(folder)
    shutil.copy(DEMO / "gaas.cif", folder)
    result = told("screen", folder, "-o", output, "--config", quick, "--workers", "1")
    assert result.returncode == 1, result.stderr
    chirality = read_catalog(output, "chirality").set_index("material_id")
    assert chirality.loc["gaas", "outcome"] == "screened"
    assert chirality.index.is_unique
    failures = read_catalog(output, "failures").set_index("source_record")
    for record in set(REASONS) - set(TRAVERSAL_RECORDS):
        assert REASONS[record] in failures.loc[record, "message"].lower()
        assert failures.loc[record, "remedy"]
    assert len(failures) == len(REASONS) - len(TRAVERSAL_RECORDS)
    assert set(LIMIT_RECORDS) <= set(failures.index)
    assert not list(tmp_path.rglob("*escaped*"))
    assert told("verify", output).returncode == 0


def test_a_killed_run_is_finished_by_the_next(environment, tmp_path):
    """Killed without warning between two stages: nothing lost, nothing twice."""
    write_crystals(tmp_path / "source", "GaAs", "ZnS", "InP")
    settings_of(tmp_path)
    output, config = tmp_path / "out", tmp_path / "settings.yaml"
    command = ["screen", tmp_path / "source", "-o", output, "--config", config, "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *map(str, command)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    eventually(lambda: list(output.glob("receipts/relaxation-*.json")))
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    eventually(lambda: subprocess.run(["pgrep", "-s", str(process.pid)], check=False).returncode)
    assert told(*command).returncode == 0
    assert told("verify", output).returncode == 0
    chirality = read_catalog(output, "chirality")
    assert sorted(chirality["material_id"]) == ["GaAs", "InP", "ZnS"]
    assert (chirality["outcome"] == "screened").all()
    counts = computations(Dataset(output))
    assert len(counts) == 3 * len(STAGES)
    assert set(counts.values()) == {1}
