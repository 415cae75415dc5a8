"""Two potentials in one run: one table tells where they agree, how far, and what follows."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.screening import screen
from flows.shards import screen_in_shards
from tasks.failures import RemediableError
from tasks.results import read_catalog
from tasks.screening.settings import read_settings
from tasks.storage import Dataset
from tests.flows.conftest import DEMO, told, told_by_process
from tests.flows.test_startup import without_server

OTHER = "nequix-oam-1-pft"
SETTINGS = f"""
potential: {{name: nequix-mp-1-pft, dtype: float32}}
second_opinion: {OTHER}
phonons: {{min_supercell_length: 6.0, max_atoms: 40, max_enlargements: 0}}
chirality: {{mesh_spacing: 0.05, path_spacing: 0.1}}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Tellurium, of which the other potential makes a simple cubic crystal, and zinc oxide."""
    folder = tmp_path_factory.mktemp("opinions")
    (folder / "source").mkdir()
    for name in ("te", "zno"):
        shutil.copy(DEMO / f"{name}.cif", folder / "source")
    (folder / "settings.yaml").write_text(SETTINGS)
    return folder


def command(folder: Path, output: str = "out") -> tuple[object, ...]:
    """The run of a user."""
    options = ("--config", folder / "settings.yaml", "--workers", "1")
    return "screen", folder / "source", "-o", folder / output, *options


@pytest.fixture(scope="module")
def screened(folder) -> str:
    """What a run with a temporary server prints."""
    result = told_by_process(without_server(folder / "home"), *command(folder))
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def rows_of(folder: Path) -> pd.DataFrame:
    return read_catalog(folder / "out", "chirality").set_index("material_id")


def test_error_bars_and_differences_are_filled(screened, folder):
    row = rows_of(folder).loc["zno"]
    assert row["other_potential"] == OTHER
    assert 0.01 < row["frequency_difference"] < row["frequency_bar_90"] < 2
    assert row["frequency_bar_68"] < row["frequency_bar_90"]
    assert 0 < row["helicity_disagreement"] < 1
    assert 0 < row["tensor_disagreement"] < 2
    assert row["wave_agrees"]


def test_a_crystal_that_the_other_potential_turns_into_another_one_is_contradicted(
    screened, folder
):
    row = rows_of(folder).loc["te"]
    assert row["stable"] is not None
    assert "centrosymmetric" in row["other_failure"]
    assert "potentials_disagree" in row["warnings"]
    assert not row["reliable"]
    assert np.isnan(row["frequency_bar_90"])


def test_the_other_potential_has_a_dataset_of_its_own(screened, folder):
    root = folder / "out" / "second-opinion" / OTHER
    rows = read_catalog(root, "chirality").set_index("material_id")
    assert rows["outcome"].to_dict() == {"te": "failed", "zno": "screened"}
    assert rows.loc["zno", "potential"] == OTHER
    assert Dataset(root).verify() == Dataset(folder / "out").verify() == []


def test_the_terminal_tells_of_both(screened, folder):
    line = f"second opinion, {OTHER}: 2 crystals, 1 of them contradicted; frequencies to"
    assert line in screened
    assert line in told("status", folder / "out").stdout


def test_a_second_run_has_nothing_to_compute_and_nothing_to_compare(screened, folder):
    before = len(Dataset(folder / "out").receipts("comparison"))
    result = told_by_process(without_server(folder / "home"), *command(folder))
    assert "nothing to compute" in result.stdout
    assert f"second opinion, {OTHER}: 2 crystals" in result.stdout
    assert len(Dataset(folder / "out").receipts("comparison")) == before == 1


def test_a_plan_shows_both(folder):
    result = told(*command(folder, "planned"), "--dry-run")
    assert result.returncode == 0
    assert result.stdout.count("to compute: 2 structures") == 2
    assert f"second opinion, {OTHER}:" in result.stdout
    assert not (folder / "planned").exists()


def test_an_unknown_second_opinion_is_told_at_once(folder):
    result = told(*command(folder, "unknown"), "--second-opinion", "nequix-1")
    assert result.returncode == 2
    assert "unknown potential 'nequix-1'" in result.stderr


def test_the_flow_gives_what_the_terminal_gives(server, screened, folder):
    settings = read_settings(folder / "settings.yaml", {})
    result = screen(folder / "source", folder / "flow", settings, workers=1)
    assert not result.lost
    found = read_catalog(folder / "flow", "chirality").set_index("material_id")
    for name in ("frequency_bar_90", "tensor_disagreement"):
        assert found.loc["zno", name] == pytest.approx(rows_of(folder).loc["zno", name], rel=1e-4)
    assert found.loc["te", "other_failure"] == rows_of(folder).loc["te", "other_failure"]


def test_shares_of_a_run_have_no_second_opinion(server, folder):
    settings = read_settings(folder / "settings.yaml", {})
    with pytest.raises(RemediableError, match="takes no second opinion"):
        screen_in_shards(folder / "source", folder / "shards", 2, settings)
