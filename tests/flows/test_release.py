"""A release is continued: what it holds is not computed again, and keeps its rows and keys."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tasks.results import read_catalog
from tasks.results.release import FROZEN, SETTINGS
from tasks.storage import Dataset
from tasks.tables.declarations import SPECTRA
from tests.flows.conftest import DEMO, Told, told, told_by_process
from tests.flows.test_startup import without_server

OTHER = "nequix-oam-1-pft"
COARSE = f"""
potential: {{name: nequix-mp-1-pft, dtype: float32}}
second_opinion: {OTHER}
phonons: {{min_supercell_length: 6.0, max_atoms: 40, max_enlargements: 0}}
chirality: {{mesh_spacing: 0.05, path_spacing: 0.1}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A release of tellurium, of which a second opinion fails, and zinc oxide."""
    folder = tmp_path_factory.mktemp("release")
    (folder / "coarse.yaml").write_text(COARSE)
    screened(folder, "first", folder / "coarse.yaml", "te", "zno")
    result = told("release", folder / "first", folder / "released")
    assert result.returncode == 0, result.stderr
    assert "2 crystals" in result.stdout
    return folder


@pytest.fixture(scope="module")
def continued(folder) -> Path:
    """A dataset that began with the release, with one more crystal screened; the release grew."""
    result = told("continue", folder / "released", folder / "more")
    assert result.returncode == 0, result.stderr
    assert "2 crystals taken over" in result.stdout
    screened(folder, "more", folder / "more" / SETTINGS, "te", "zno", "se")
    result = told("release", folder / "more", folder / "released", "--grow")
    assert result.returncode == 0, result.stderr
    return folder / "more"


def screened(folder: Path, output: str, config: Path, *names: str) -> Told:
    """Screen crystals of the demo with both potentials."""
    source = folder / f"source of {output}"
    source.mkdir()
    for name in names:
        shutil.copy(DEMO / f"{name}.cif", source)
    words = ("screen", source, "--output", folder / output, "--config", config)
    result = told_by_process(without_server(folder / "home"), *words)
    assert result.returncode in (0, 1), result.stderr
    return result


def test_neither_inputs_paths_nor_force_constants_are_released(folder):
    for path in (folder / "released").rglob("*.parquet"):
        table = pd.read_parquet(path)
        assert not {"source", "host"} & set(table.columns)
        assert table.get("born_charges", pd.Series()).isna().all()
        assert not table.astype(str).apply(lambda c: c.str.contains(str(folder))).any().any()


def test_what_a_release_holds_is_not_computed_again(continued, folder):
    for inside in ("", f"second-opinion/{OTHER}"):
        held, data = Dataset(folder / "first" / inside), Dataset(continued / inside)
        assert data.verify() == []
        by_stage = {stage: data.receipts(stage) for stage in ("relaxation", "phonons")}
        # One chunk came with the release, and the others are computed.
        computed = {key for receipts in by_stage.values() for r in receipts[1:] for key in r.keys}
        found = data.read("relaxations", keys=computed)["material_id"].to_pylist()
        assert found == ["se"]
        failed = [key for r in data.receipts("relaxation")[1:] for key in r.failed]
        assert not failed
        for stage, receipts in by_stage.items():
            assert set(receipts[0].keys) == {key for r in held.receipts(stage) for key in r.keys}


def test_rows_and_keys_stay_and_one_is_new(continued, folder):
    old, new = (
        read_catalog(root, "chirality").set_index("material_id").sort_index()
        for root in (folder / "first", continued)
    )
    assert set(new.index) - set(old.index) == {"se"}
    left_out = {"run_id", "source", "born_charges", "dielectric_tensor", *SPECTRA}
    same = [c for c in old.columns if c not in left_out]
    pd.testing.assert_frame_equal(new.loc[old.index, same], old[same], check_dtype=False)
    assert new.loc["zno", "other_potential"] == new.loc["se", "other_potential"] == OTHER


def test_a_crystal_without_force_constants_is_told_so_and_not_called_damaged(continued, tmp_path):
    """Of a released crystal there is what was released; all else of the new one."""
    for words in (("plot", "--kind", "thermal"), ("observe",)):
        result = told(words[0], continued, "zno", *words[1:])
        assert result.returncode == 2
        assert "are not stored" in " ".join(result.stderr.split())
        assert "chiralscreen show zno.cif" in " ".join(result.stderr.split())
    result = told("plot", continued, "zno", "--format", "png", "-o", tmp_path / "old")
    assert result.returncode == 0, result.stderr
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["zno-tensor.png"]
    for name, files in (("zno", {"zno.cif"}), ("se", {"se.cif", "se-phonopy.yaml"})):
        result = told("export", continued, name, "-o", tmp_path / "export")
        assert result.returncode == 0, result.stderr
        assert files <= {path.name for path in (tmp_path / "export").iterdir()}
    result = told("report", continued, "-o", tmp_path / "report.html")
    assert result.returncode == 0, result.stderr


def test_a_release_grows_without_a_change_of_its_files(continued, folder):
    grown = folder / "released" / "growing" / "0001"
    assert pd.read_parquet(grown / "chirality.parquet")["material_id"].tolist() == ["se"]
    assert set(pd.read_parquet(folder / "released" / "chirality.parquet")["material_id"]) == {
        "te",
        "zno",
    }
    again = told("release", continued, folder / "released", "--grow")
    assert "0 crystals" in again.stdout
    assert not (folder / "released" / "growing" / "0002").exists()


def test_a_release_that_grew_begins_a_dataset_and_becomes_one_again(continued, folder, tmp_path):
    result = told("continue", folder / "released", tmp_path / "third")
    assert "3 crystals taken over" in result.stdout
    result = told("release", tmp_path / "third", tmp_path / "whole")
    assert result.returncode == 0, result.stderr
    whole = pd.read_parquet(tmp_path / "whole" / "chirality.parquet").set_index("material_id")
    expected = read_catalog(continued, "chirality").set_index("material_id")
    keys = [c for c in whole.columns if c.endswith("_key")]
    pd.testing.assert_frame_equal(whole.loc[expected.index, keys], expected[keys])
    assert (tmp_path / "whole" / "second-opinion" / OTHER / "chirality.parquet").is_file()


def test_crystals_that_wait_for_their_second_opinion_are_released_and_computed_again(folder):
    copy, release = folder / "waiting", folder / "early"
    shutil.copytree(folder / "first", copy)
    for path in (copy / "second-opinion" / OTHER / "receipts").iterdir():
        if not path.name.startswith("plan-"):
            path.unlink()
    result = told("release", copy, release)
    assert "2 crystals" in result.stdout
    assert "2 crystals wait for their second opinion\n" in result.stdout
    assert set(pd.read_parquet(release / "chirality.parquet")["material_id"]) == {"te", "zno"}
    result = told("release", copy, folder / "grown early", "--grow")
    assert "left out" in result.stdout
    result = told("continue", release, folder / "goes on")
    assert "0 crystals taken over" in result.stdout
    assert "2 wait for their second opinion" in result.stdout


def test_other_settings_are_refused_by_name(continued, folder):
    frozen = yaml.safe_load((folder / "released" / FROZEN).read_text())
    assert frozen["settings"]["second_opinion"] == OTHER
    assert "curation" not in frozen["settings"]
    copy = folder / "other"
    shutil.copytree(folder / "released", copy)
    frozen["settings"]["chirality"]["mesh_spacing"] = 0.01
    (copy / FROZEN).write_text(yaml.safe_dump(frozen))
    result = told("release", continued, copy, "--grow")
    assert result.returncode == 2
    assert "settings.chirality.mesh_spacing" in " ".join(result.stderr.split())


def test_a_release_of_a_program_without_a_setting_of_the_list_still_grows(continued, folder):
    copy = folder / "older"
    shutil.copytree(folder / "released", copy)
    frozen = yaml.safe_load((copy / FROZEN).read_text())
    assert frozen["settings"]["score"].pop("shortlist_hull") == 0.05
    (copy / FROZEN).write_text(yaml.safe_dump(frozen))
    assert told("release", continued, copy, "--grow").returncode == 0
    frozen["settings"]["score"]["shortlist_score"] = 0.5
    (copy / FROZEN).write_text(yaml.safe_dump(frozen))
    assert told("release", continued, copy, "--grow").returncode == 2


def test_tables_of_unknown_settings_cannot_be_continued(tmp_path):
    result = told("continue", DEMO, tmp_path / "d")
    assert result.returncode == 2
    assert FROZEN in result.stderr
    assert not (tmp_path / "d").exists()
