"""A hundred hostile files cost a hundred sound ones nothing, and the machine little."""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tests.bad_inputs import SILICON, SILICON_CELL, cif_block
from tests.flows.conftest import DEMO
from tests.hostile_inputs import write_hostile_inputs
from tests.memory_of_processes import peak_of_tree

ROOT = Path(__file__).parents[2]
N_SOUND = 100
_MOST_MEMORY = 1.5  # GiB
_LONGEST = 30.0  # s


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> tuple[Path, list[str]]:
    """Silicon of a hundred lattice constants among the hostile files."""
    folder = tmp_path_factory.mktemp("hostile")
    for k in range(N_SOUND):
        cell = (*(length * (1 + 0.001 * k) for length in SILICON_CELL[:3]), *SILICON_CELL[3:])
        (folder / f"{k % 5}-sound-{k}.cif").write_text(cif_block("si", SILICON, cell))
    return folder, write_hostile_inputs(folder)


def run(*arguments: object) -> tuple[str, float]:
    """What the command line prints, and its peak memory in GiB with all its processes."""
    command = [sys.executable, "-m", "flows.cli", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = peak_of_tree(process.pid)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 1, output
    return output, peak()


def test_all_sound_ones_come_out_and_each_hostile_one_is_told(source, tmp_path):
    folder, hostile = source
    begun = time.monotonic()
    _, peak = run("classify", folder, "--workers", 2, "--output", tmp_path / "all.csv")
    elapsed = time.monotonic() - begun
    rows = pd.read_csv(tmp_path / "all.csv")
    failures = pd.read_csv(tmp_path / "all-failures.csv")
    told = Counter(record.split("#")[0].split("/")[0] for record in failures["source_record"])
    assert len(rows) == N_SOUND
    assert set(rows["space_group_number"]) == {227}
    assert set(told) == set(hostile)
    assert len(hostile) == 100
    assert peak < _MOST_MEMORY
    print(json.dumps({"seconds": elapsed, "GiB": peak}))


@pytest.fixture(scope="module")
def few(source, tmp_path_factory) -> tuple[Path, list[str]]:
    """A tenth of the sound ones, a chiral crystal, and a fifth of the others."""
    folder, hostile = source
    chosen = [*hostile[::5], *(path.name for path in sorted(folder.glob("*-sound-?.cif")))]
    few = tmp_path_factory.mktemp("few")
    for name in chosen:
        (few / name).symlink_to(folder / name)
    (few / "quartz.cif").symlink_to(DEMO / "quartz-152.cif")
    return few, hostile[::5]


def test_a_plan_survives_one_of_each_kind(few, tmp_path):
    """Planning reads as classifying does."""
    folder, hostile = few
    options = ("--all", "--workers", 2, "--potential", "7net-0", "--dry-run")
    output, peak = run("screen", folder, "--output", tmp_path / "out", *options)
    [told] = re.findall(r"records: (.*);", output)
    counts = {name: int(number) for name, number in re.findall(r"(\w+) (\d+)", told)}
    # Crystals of almost one lattice constant repeat each other.
    assert counts["screen"] + counts["skipped"] == 11
    assert counts["failed"] >= len(hostile)
    assert not (tmp_path / "out").exists()
    assert peak < _MOST_MEMORY


def test_exchanges_survive_one_of_each_kind(few, tmp_path):
    folder, hostile = few
    path = tmp_path / "new.jsonl"
    _, peak = run("substitute", folder, "--limit", 3, "--workers", 2, "--output", path)
    assert len(path.read_text().splitlines()) == 3
    failures = pd.read_csv(tmp_path / "new-failures.csv")
    assert {record.split("#")[0].split("/")[0] for record in failures["source_record"]} == set(
        hostile
    )
    assert peak < _MOST_MEMORY


LABELLED = """
import sys
from functools import partial
from pathlib import Path
from flows.reading import read_records
from flows.parallel_map import map_records
from tasks.training.labelling import DistillationSettings, read_usable_crystals
settings = DistillationSettings()
spreading = partial(map_records, workers=2, limits=settings.source)
source, known = Path(sys.argv[1]), frozenset({8, 14})
crystals = read_usable_crystals(source, settings, known, read=read_records, parallel_map=spreading)
print(*(crystal.name for crystal in crystals))
"""


def test_labels_survive_one_of_each_kind(few):
    """The reading of crystals that a teacher labels, as `flows.training.label_source` does it."""
    command = [sys.executable, "-c", LABELLED, str(few[0])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    peak = peak_of_tree(process.pid)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    assert len(output.split()) == 11
    assert peak() < _MOST_MEMORY


@pytest.mark.parametrize("name", ["billion.vasp", "nested.yaml"])
def test_one_crystal_shown_is_read_under_the_limits(tmp_path, name):
    """POSCAR that announces 10^9 atoms; YAML that breaks the parser."""
    announced = "x\n1\n5 0 0\n0 5 0\n0 0 5\nSi\n1000000000\nDirect\n0 0 0\n"
    (tmp_path / name).write_text("x: " + "[" * 100_000 if name.endswith("yaml") else announced)
    command = [sys.executable, "-m", "flows.cli", "show", name, "-o", "out"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    peak = peak_of_tree(process.pid)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 2
    assert len(told.splitlines()) == 2, told
    assert peak() < _MOST_MEMORY


def test_each_ends_in_time(source, tmp_path):
    """One of each kind, alone: what it takes is what it took, and not what the others left."""
    folder, hostile = source
    from flows.classification import classify_source

    for name in hostile[::5]:
        begun = time.monotonic()
        rows, failures = classify_source(folder / name, 0.01, 1)
        assert time.monotonic() - begun < _LONGEST, name
        assert rows.empty, name
        assert failures, name
