"""Names of strangers in messages, tables and files; all failures in a file that exists."""

import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from ase.build import bulk
from ase.io import write

from tasks.results.building import build_catalog
from tasks.storage import Dataset
from tests.flows.conftest import DEMO, told
from tests.tasks.storage import samples

N_OVERLAPS = 25
EVIL = "\x1b]0;owned\x07te [new]"


@pytest.fixture
def overlaps(tmp_path, monkeypatch):
    """Crystals that overlap, more than a table shows; the source is in the working directory."""
    monkeypatch.chdir(tmp_path)
    atoms = bulk("NaCl", "rocksalt", a=5.69)
    records = []
    for n in range(N_OVERLAPS):
        close = [[0, 0, 0], [0, 0, 0.001 * (n + 1)]]
        records.append(
            {"lattice": atoms.cell.tolist(), "atomic_numbers": [11, 17], "frac_coords": close}
        )
    (tmp_path / "overlaps.json").write_text(json.dumps(records))
    (tmp_path / "apart").mkdir()
    incomplete = [{**record, "frac_coords": None} for record in records]
    (tmp_path / "apart" / "incomplete.json").write_text(json.dumps(incomplete))
    shutil.copy(DEMO / "quartz-152.cif", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["classify", "overlaps.json", "-o", "classes.csv"], "classes-failures.csv"),
        (["classify", "overlaps.json", "-o", "classes.parquet"], "classes-failures.parquet"),
        (["assess", "apart", "-o", "rates.json", "--workers", "1"], "rates-failures.csv"),
        (["substitute", "overlaps.json", "-o", "new.jsonl"], "new-failures.csv"),
    ],
)
def test_all_reasons_are_in_a_file_that_is_named(overlaps, arguments, file):
    result = told(*arguments)
    assert result.returncode == 1, result.stderr
    assert f"all failures: {file}" in result.stdout
    path = overlaps / file
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    assert len(table) == N_OVERLAPS
    assert table["message"].str.len().gt(0).all()
    assert table["remedy"].str.len().gt(0).all()
    assert sorted(table["source_record"].str.partition("#")[2].astype(int)) == [*range(N_OVERLAPS)]


@pytest.mark.parametrize(
    "arguments",
    [
        ["classify", "overlaps.json"],
        ["assess", "apart", "--workers", "1"],
        ["screen", "overlaps.json", "-o", "out", "--dry-run"],
    ],
)
def test_without_a_file_all_reasons_are_printed_with_their_counts(overlaps, arguments):
    result = told(*arguments)
    assert result.returncode == 1, result.stderr
    assert f"{N_OVERLAPS} failures, by reason:" in result.stdout
    assert f"{N_OVERLAPS} ×  " in result.stdout
    assert "what to do: " in result.stdout
    assert "all failures" not in result.stdout


def test_the_failures_of_an_earlier_run_do_not_stay(overlaps):
    told("classify", "overlaps.json", "-o", "classes.csv")
    assert (overlaps / "classes-failures.csv").exists()
    assert told("classify", "quartz-152.cif", "-o", "classes.csv").returncode == 0
    assert not (overlaps / "classes-failures.csv").exists()


def test_brackets_are_no_markup(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data [new] :smile:"
    folder.mkdir()
    shutil.copy(DEMO / "te.cif", folder)
    missing = told("classify", folder / "x.cif")
    assert "data [new] :smile:/x.cif" in missing.stderr
    assert "no[/b]such" in told("classify", "no[/b]such").stderr
    written = told("classify", folder, "-o", "out [new].csv")
    assert "written: out [new].csv" in written.stdout
    assert (tmp_path / "out [new].csv").exists()


def test_control_characters_are_printed_as_what_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / EVIL
    folder.mkdir()
    write(folder / f"{EVIL}.xyz", bulk("Si"), format="extxyz")
    (folder / f"{EVIL}.cif").write_text("data_\n_cell_length_a \x1b[2J\n")
    for arguments in (["classify", folder], ["classify", folder / "none"]):
        result = told(*arguments)
        text = result.stdout + result.stderr
        assert r"\x1b]0;owned\x07te [new]" in text
        assert "\x1b" not in text
        assert "\x07" not in text


def test_a_file_name_that_is_no_text_is_told(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff.cif"
    result = told("classify", os.fsdecode(name))
    assert result.returncode == 2
    assert r"\udcff.cif" in result.stderr


def test_spreadsheets_compute_nothing_that_a_source_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "=1+1.json").write_text("{}")
    atoms = bulk("Si")
    record = {
        "material_id": "=1+1",
        "lattice": atoms.cell.tolist(),
        "atomic_numbers": [14, 14],
        "frac_coords": atoms.get_scaled_positions().tolist(),
    }
    (tmp_path / "si.json").write_text(json.dumps(record))
    told("classify", ".", "-o", "classes.csv")
    told("classify", ".", "-o", "classes.parquet")
    rows = pd.read_csv("classes.csv")
    assert rows["database_id"].tolist() == ["'=1+1"]
    assert pd.read_parquet("classes.parquet")["database_id"].tolist() == ["=1+1"]
    failures = pd.read_csv("classes-failures.csv")
    assert failures["source_record"].str.startswith("'=1+1.json").all()


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii"])
@pytest.mark.parametrize(
    "arguments", [["classify", "--help"], ["classify", "overlaps.json"], ["status", "out"]]
)
def test_no_encoding_of_the_terminal_is_too_small(overlaps, encoding, arguments):
    """The names of units have letters that few encodings hold."""
    samples.screened(overlaps / "out", [1, 2])
    build_catalog(Dataset(overlaps / "out"))
    result = subprocess.run(
        [sys.executable, "-m", "flows.cli", *arguments],
        env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": str(DEMO.parents[1])},
        capture_output=True,
        check=False,
        timeout=60,
    )
    printed, complaints = result.stdout.decode(encoding), result.stderr.decode(encoding)
    assert "Traceback" not in complaints
    assert "codec" not in printed + complaints
    assert result.returncode == ("overlaps.json" in arguments), complaints
    if "overlaps.json" in arguments:
        assert (" Å apart" in printed) == (encoding != "ascii")
        assert (" Ang. apart" in printed) == (encoding == "ascii")


def test_a_full_disk_is_told_in_words(overlaps):
    (overlaps / "classes.csv").symlink_to("/dev/full")
    result = told("classify", "quartz-152.cif", "-o", "classes.csv")
    assert result.returncode == 2
    assert "the disk is full" in result.stderr
    assert "free some space" in result.stderr
