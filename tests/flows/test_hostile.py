"""A hundred hostile files cost a hundred sound ones nothing, and the machine little."""

import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from tests.bad_inputs import SILICON, SILICON_CELL, cif_block
from tests.hostile_inputs import write_hostile_inputs
from tests.memory_of_processes import peak_of_tree

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


def test_a_plan_survives_one_of_each_kind(source, tmp_path):
    """Planning reads as classifying does; a tenth of the sound ones and a fifth of the others."""
    folder, hostile = source
    chosen = [*hostile[::5], *(path.name for path in sorted(folder.glob("*-sound-?.cif")))]
    few = tmp_path / "few"
    few.mkdir()
    for name in chosen:
        (few / name).symlink_to(folder / name)
    options = ("--all", "--workers", 2, "--potential", "7net-0", "--dry-run")
    output, peak = run("screen", few, "--output", tmp_path / "out", *options)
    [told] = re.findall(r"records: (.*);", output)
    counts = {name: int(number) for name, number in re.findall(r"(\w+) (\d+)", told)}
    # Crystals of almost one lattice constant repeat each other.
    assert counts["screen"] + counts["skipped"] == 10
    assert counts["failed"] >= len(hostile[::5])
    assert not (tmp_path / "out").exists()
    assert peak < _MOST_MEMORY


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
