"""The soak test finds what it looks for, and leaves no process behind."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.soaking.checks import faults_in, largest_difference, stray_files
from benchmarks.soaking.rounds import _CLOCK
from tasks.results.building import build_catalog
from tasks.results.catalogue import REPORT
from tasks.screening.plan import plan_screening
from tests.tasks.alloys import carry_out, intake_of, write_alloys


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    """Dataset of a chiral crystal, one that fails, and one that is skipped."""
    root = tmp_path_factory.mktemp("reference")
    (root / "source").mkdir()
    write_alloys(root / "source", "helix", "copper", "carbide")
    context = intake_of(root / "source", root / "out")
    carry_out(plan_screening(context), context)
    build_catalog(context.dataset)
    return root / "out"


@pytest.fixture
def root(reference, tmp_path) -> Path:
    return shutil.copytree(reference, tmp_path / "out")


def test_a_sound_dataset_has_no_faults(root, reference):
    assert faults_in(root, reference) == []
    assert largest_difference(root, reference) == 0.0
    assert stray_files(root) == []


def changed(root: Path, table: str, change) -> None:
    path = root / "catalog" / f"{table}.parquet"
    pq.write_table(change(pq.read_table(path)), path)


def with_number(table: pa.Table, column: str, value: float) -> pa.Table:
    index = table.column_names.index(column)
    values = [None if v is None else v + value for v in table[column].to_pylist()]
    return table.set_column(index, table.field(index), pa.array(values, table.field(index).type))


@pytest.mark.parametrize(
    ("table", "change", "told"),
    [
        ("phonons", lambda t: t.slice(0, 0), "helix has 0 rows in phonons"),
        ("failures", lambda t: pa.concat_tables([t, t]), "carbide is failed and has 2 failures"),
        ("chirality", lambda t: pa.concat_tables([t, t]), "helix has 2 rows in chirality"),
        (
            "relaxations",
            lambda t: with_number(t, "energy", 1e-3),
            "relaxations.energy differs from the reference by",
        ),
        (
            "relaxations",
            lambda t: with_number(t, "n_evaluations", 1),
            "relaxations.n_evaluations differs from the reference by inf",
        ),
        ("modes", lambda t: t.slice(1), "modes: "),
    ],
)
def test_lost_doubled_and_changed_rows_are_told(root, reference, table, change, told):
    changed(root, table, change)
    assert any(fault.startswith(told) for fault in faults_in(root, reference))


def test_times_and_differences_below_the_tolerance_are_none(root, reference):
    changed(root, "relaxations", lambda t: with_number(t, "wall_time", 1.0))
    changed(root, "phonons", lambda t: with_number(t, "max_frequency", 1e-9))
    assert faults_in(root, reference) == []
    assert 0 < largest_difference(root, reference) < 1e-8


def test_damage_and_strays_are_told(root, reference):
    part = next((root / "parts" / "modes").iterdir())
    part.write_bytes(part.read_bytes()[:-1])
    assert any("is not what was committed" in fault for fault in faults_in(root, reference))
    for name in ("parts/modes/.left.tmp", "core", REPORT):
        (root / name).touch()
    assert {"core"} <= set(stray_files(root)) <= {"core", "parts/modes/.left.tmp"}


ORPHAN = """
import subprocess, sys
command = [sys.executable, "-c", "import time; time.sleep(60)"]
child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
"""
ADOPTING = f"""
import os, subprocess, sys
from benchmarks.soaking.programs import adopt_orphans, end, gone_after, living
adopt_orphans()
parent = subprocess.run([sys.executable, "-c", {ORPHAN!r}], capture_output=True, check=True)
[orphan] = living()
assert orphan.pid == int(parent.stdout), orphan
assert gone_after([], 0.2) is None
end([])
assert gone_after([], 5.0) < 5.0
"""


def test_processes_whose_parent_died_are_found_and_ended():
    subprocess.run([sys.executable, "-c", ADOPTING], cwd=Path(__file__).parents[2], check=True)


def test_the_clock_jumps_inside_a_process_alone():
    program = "import time, datetime; print(time.time(), datetime.datetime.now().timestamp())"
    environment = os.environ | {"PYTHONPATH": str(_CLOCK), "SOAK_CLOCK": "0:-86400"}
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    for wrong in map(float, told.stdout.split()):
        assert time.time() - wrong == pytest.approx(86400, abs=60)
