"""Commits and reads of the dataset."""

import errno
import json
import math
import os
import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.storage import SCHEMA_VERSION, TABLES, Dataset, DatasetError, prune
from tests.tasks.storage import samples


def test_rows_come_back_as_committed(tmp_path: Path) -> None:
    """A stage's rows are read back with all values and in the declared types."""
    dataset = Dataset(tmp_path)
    samples.commit(dataset, "chirality", [1, 2, 3])
    modes = dataset.read("modes")
    assert modes.schema.equals(TABLES["modes"].arrow_schema, check_metadata=True)
    expected = [r for n in (1, 2, 3) for r in samples.rows_of("modes", "chirality", n)]
    assert modes.to_pylist() == expected


def test_files_lie_where_the_layout_says(tmp_path: Path) -> None:
    """One part per table and one receipt, all named after the chunk."""
    receipt = samples.commit(Dataset(tmp_path), "phonons", [1])
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert files == [
        f"parts/force_constants/{receipt.chunk}.parquet",
        f"parts/phonons/{receipt.chunk}.parquet",
        f"receipts/{receipt.chunk}.v2.json",
    ]


def test_receipt_tells_files_rows_and_keys(tmp_path: Path) -> None:
    """The receipt on disk names stage, keys, materials, rows and the schema version."""
    receipt = samples.commit(Dataset(tmp_path), "chirality", [2, 1])
    stored = json.loads((tmp_path / "receipts" / f"{receipt.chunk}.v2.json").read_text())
    assert stored["stage"] == "chirality"
    assert stored["keys"] == {"c1": ["mp-1"], "c2": ["mp-2"]}
    assert stored["files"]["modes"]["rows"] == 2 * samples.BANDS
    assert stored["schema_version"] == SCHEMA_VERSION


def test_files_are_compressed_with_zstd(tmp_path: Path) -> None:
    """Every column chunk is compressed with zstd."""
    receipt = samples.commit(Dataset(tmp_path), "chirality", [1])
    group = pq.read_metadata(tmp_path / f"parts/modes/{receipt.chunk}.parquet").row_group(0)
    assert {group.column(i).compression for i in range(group.num_columns)} == {"ZSTD"}


def test_repeating_a_commit_changes_no_file(tmp_path: Path) -> None:
    """The same rows in another order make the same names and bytes."""
    dataset = Dataset(tmp_path)
    first = samples.commit(dataset, "relaxation", [1, 2])
    content = {p: p.read_bytes() for p in tmp_path.glob("parts/*/*")}
    second = samples.commit(dataset, "relaxation", [2, 1])
    assert second.chunk == first.chunk
    assert {p: p.read_bytes() for p in tmp_path.glob("parts/*/*")} == content
    assert len(dataset.receipts()) == 1


def test_reading_an_absent_dataset_gives_no_rows(tmp_path: Path) -> None:
    """A dataset without commits has no keys, no rows and no problems."""
    dataset = Dataset(tmp_path / "absent")
    assert dataset.list_done_keys("relaxation") == frozenset()
    assert dataset.read("modes").num_rows == 0
    assert dataset.read("modes").schema == TABLES["modes"].arrow_schema
    assert dataset.verify() == []


def test_done_keys_belong_to_their_stage(tmp_path: Path) -> None:
    """Keys of one stage are not done in another whose name begins alike."""
    dataset = Dataset(tmp_path)
    rows = {"phonons": samples.rows_of("phonons", "phonons", 1)}
    dataset.commit("phonons_extra", rows, ["p1"])
    assert dataset.list_done_keys("phonons") == frozenset()
    assert dataset.list_done_keys("phonons_extra") == {"p1"}


def test_failed_for_good_is_done_and_transient_is_not(tmp_path: Path) -> None:
    """A key that failed for a passing reason is tried again, others are not."""
    dataset = Dataset(tmp_path)
    broken = [
        samples.failure("mp-1", "r1", "relaxation"),
        samples.failure("mp-2", "r2", "relaxation", transient=True),
    ]
    samples.commit(dataset, "relaxation", [1, 2, 3], failures=broken)
    assert dataset.list_done_keys("relaxation") == {"r1", "r3"}
    assert dataset.list_succeeded_keys("relaxation") == {"r3"}


def test_success_after_a_transient_failure_counts(tmp_path: Path) -> None:
    """The second try of a key settles it, and its first neighbours stay settled."""
    dataset = Dataset(tmp_path)
    broken = [samples.failure("mp-2", "r2", "relaxation", transient=True)]
    samples.commit(dataset, "relaxation", [1, 2], failures=broken)
    samples.commit(dataset, "relaxation", [2])
    assert dataset.list_succeeded_keys("relaxation") == {"r1", "r2"}
    assert sorted(dataset.read("relaxations")["key"].to_pylist()) == ["r1", "r2"]


@pytest.mark.parametrize("transient", [True, False])
@pytest.mark.parametrize("seed", range(6))  # the names of the chunks come in either order
def test_worse_second_try_loses_nothing(tmp_path: Path, seed: int, *, transient: bool) -> None:
    """A repeated chunk whose outcome is worse does not take back the first one's results."""
    dataset = Dataset(tmp_path)
    broken = [
        samples.failure(f"mp-{n}", f"r{n}", "relaxation", transient=transient) for n in (1, 2)
    ]
    samples.commit(dataset, "relaxation", [1, 2, 3], seed=seed, failures=broken[:1])
    samples.commit(dataset, "relaxation", [1, 2, 3], failures=broken)
    assert dataset.list_succeeded_keys("relaxation") == {"r2", "r3"}
    assert sorted(dataset.read("relaxations")["key"].to_pylist()) == ["r2", "r3"]


def test_row_of_a_success_holds_before_that_of_a_later_failure(tmp_path: Path) -> None:
    """A relaxation that once converged is not hidden by a later one that did not."""
    dataset = Dataset(tmp_path)
    samples.commit(dataset, "relaxation", [1], seed=10)
    tables = {
        "relaxations": samples.rows_of("relaxations", "relaxation", 1, seed=20),
        "failures": [samples.failure("mp-1", "r1", "relaxation")],
    }
    dataset.commit("relaxation", tables, ["r1"])
    assert dataset.read("relaxations")["n_evaluations"].to_pylist() == [10]
    assert dataset.list_succeeded_keys("relaxation") == {"r1"}


def test_repeated_plans_do_not_pile_up_receipts(tmp_path: Path) -> None:
    """The same keys with newer rows leave few receipts, and the rows of the newest."""
    dataset = Dataset(tmp_path)
    for run in range(30):
        rows = [samples.plan_row(n, run_id=f"run-{run}") for n in (1, 2)]
        samples.commit_plan(dataset, rows)
    prune(dataset, older_than=timedelta(seconds=-1))
    assert len(list(tmp_path.glob("parts/plan/*"))) == len(dataset.receipts()) <= 8
    assert set(dataset.read("plan")["run_id"].to_pylist()) == {"run-29"}
    assert dataset.verify() == []


def test_rows_of_overlapping_chunks_are_read_once(tmp_path: Path) -> None:
    """All modes of a material come from one chunk, the youngest."""
    dataset = Dataset(tmp_path)
    samples.commit(dataset, "chirality", [1, 2], seed=10)
    samples.commit(dataset, "chirality", [2, 3], seed=20)
    modes = dataset.read("modes").to_pylist()
    assert [(r["material_id"], r["segment"]) for r in modes] == [
        ("mp-1", 10),
        ("mp-1", 10),
        ("mp-1", 10),
        ("mp-2", 20),
        ("mp-2", 20),
        ("mp-2", 20),
        ("mp-3", 20),
        ("mp-3", 20),
        ("mp-3", 20),
    ]


def test_overlap_is_resolved_for_any_choice_of_columns(tmp_path: Path) -> None:
    """Reading a single column does not bring back the rows of the older chunk."""
    dataset = Dataset(tmp_path)
    samples.commit(dataset, "chirality", [1, 2], seed=10)
    samples.commit(dataset, "chirality", [2], seed=20)
    assert dataset.read("modes", columns=["segment"])["segment"].to_pylist() == [10] * 3 + [20] * 3


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"keys": ["c1", "c4", "absent"]}, ["c1", "c4"]),
        ({"material_ids": ["mp-3"]}, ["c3"]),
        ({"keys": ["c1", "c2"], "material_ids": ["mp-2", "mp-3"]}, ["c2"]),
        ({"keys": []}, []),
        ({}, ["c1", "c2", "c3", "c4"]),
    ],
)
def test_reading_takes_only_what_is_asked_for(
    tmp_path: Path, choice: dict[str, list[str]], expected: list[str]
) -> None:
    """Keys and materials are conditions that must both hold."""
    dataset = Dataset(tmp_path)
    samples.commit(dataset, "chirality", [1, 2])
    samples.commit(dataset, "chirality", [3, 4])
    found = dataset.read("chirality", columns=["key"], **choice)["key"].to_pylist()
    assert sorted(found) == expected


def test_parts_without_wanted_keys_stay_closed(tmp_path: Path) -> None:
    """A part whose receipt has none of the keys may even be missing."""
    dataset = Dataset(tmp_path)
    samples.commit(dataset, "chirality", [1])
    other = samples.commit(dataset, "chirality", [2])
    (tmp_path / f"parts/modes/{other.chunk}.parquet").unlink()
    assert dataset.read("modes", keys=["c1"]).num_rows == samples.BANDS
    with pytest.raises(DatasetError, match="verify"):
        dataset.read("modes")


def test_scan_yields_the_rows_of_read(tmp_path: Path) -> None:
    """Batches put together are the table."""
    dataset = Dataset(tmp_path)
    samples.commit(dataset, "chirality", [1, 2])
    samples.commit(dataset, "chirality", [3])
    assert pa.concat_tables(dataset.scan("modes")) == dataset.read("modes")


def test_parts_without_a_receipt_are_not_read(tmp_path: Path) -> None:
    """Work whose receipt is missing does not count."""
    dataset = Dataset(tmp_path)
    receipt = samples.commit(dataset, "relaxation", [1])
    (tmp_path / "receipts" / f"{receipt.chunk}.v2.json").unlink()
    assert dataset.read("relaxations").num_rows == 0
    assert dataset.list_done_keys("relaxation") == frozenset()


def test_runs_are_rows_of_their_own(tmp_path: Path) -> None:
    """A run is written at its start and again at its end; the end is what counts."""
    dataset = Dataset(tmp_path)
    begun = samples.row("runs", run_id="run-1", finished_at=None)
    dataset.commit("run", {"runs": [begun]}, ["run-1"])
    dataset.commit("run", {"runs": [begun | {"finished_at": samples.START}]}, ["run-1"])
    assert dataset.read("runs")["finished_at"].to_pylist() == [samples.START]
    assert dataset.read("runs", keys=["run-1"]).num_rows == 1


def test_same_structure_under_two_names_keeps_both(tmp_path: Path) -> None:
    """Two materials may share a key; each keeps its own rows."""
    dataset = Dataset(tmp_path)
    rows = [samples.row("materials", material_id=name, key="m") for name in ("a", "b")]
    dataset.commit("classification", {"materials": rows}, ["m"])
    assert dataset.read("materials")["material_id"].to_pylist() == ["a", "b"]
    assert dataset.read("materials", material_ids=["b"])["material_id"].to_pylist() == ["b"]


@pytest.mark.parametrize(
    ("tables", "keys", "message"),
    [
        ({"phonons": []}, ["p1"], "neither a result nor a row in failures"),
        ({"phonons": samples.rows_of("phonons", "phonons", 2)}, ["p1"], "neither"),
        (
            {"phonons": samples.rows_of("phonons", "phonons", 2)},
            [],
            "at least one key",
        ),
        (
            {"phonons": [*samples.rows_of("phonons", "phonons", 2)] * 2},
            ["p2"],
            "two rows for mp-2, key p2",
        ),
        (
            {
                "phonons": samples.rows_of("phonons", "phonons", 1)
                + samples.rows_of("phonons", "phonons", 2)
            },
            ["p1"],
            "p2, which is not among",
        ),
        ({"photons": []}, ["p1"], "unknown table photons"),
        ({"phonons": [{"frequncy": 1.0}]}, ["p1"], "no column frequncy"),
        ({"phonons": [{"material_id": "mp-1"}]}, ["p1"], "column key is empty"),
        ({"phonons": [samples.row("phonons", nac="yes")]}, ["p1"], "column nac takes bool"),
        (
            {"phonons": [samples.row("phonons", n_displacements=0.5)]},
            ["p1"],
            "n_displacements takes int",
        ),
        ({"runs": [samples.row("runs", run_id="a\x1fb")]}, ["a\x1fb"], "control characters"),
    ],
)
def test_wrong_rows_are_refused_with_the_reason(
    tmp_path: Path, tables: dict[str, list[dict[str, object]]], keys: list[str], message: str
) -> None:
    """Rows that do not fit schema or keys are refused, and nothing is written."""
    with pytest.raises(DatasetError, match=message):
        Dataset(tmp_path).commit("phonons", tables, keys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", ["", "Relax", "../up", "a/b", "a-b", "relax\n"])
def test_stage_names_cannot_leave_the_folder(tmp_path: Path, stage: str) -> None:
    """Only harmless stage names become file names."""
    rows = {"phonons": samples.rows_of("phonons", "phonons", 1)}
    with pytest.raises(DatasetError, match="stage name"):
        Dataset(tmp_path / "dataset").commit(stage, rows, ["p1"])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_material_names_never_become_paths(tmp_path: Path) -> None:
    """A material called like a path is a row like any other."""
    dataset = Dataset(tmp_path / "dataset")
    name = "../../etc/passwd\x00"
    rows = [samples.row("phonons", material_id=name, key="p1")]
    dataset.commit("phonons", {"phonons": rows}, ["p1"])
    assert dataset.read("phonons", material_ids=[name])["material_id"].to_pylist() == [name]
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_arrays_are_flattened_and_numpy_scalars_taken(tmp_path: Path) -> None:
    """Arrays of any shape go into list columns in C order."""
    dataset = Dataset(tmp_path)
    row = samples.row(
        "phonons",
        key="p1",
        supercell_matrix=np.arange(9).reshape(3, 3),
        max_frequency=np.float32(2.5),
        nac=np.bool_(True),
        n_displacements=np.int64(7),
    )
    dataset.commit("phonons", {"phonons": [row]}, ["p1"])
    [found] = dataset.read("phonons").to_pylist()
    assert found["supercell_matrix"] == list(range(9))
    assert (found["max_frequency"], found["nac"], found["n_displacements"]) == (2.5, True, 7)


def test_arrow_tables_are_taken_as_they_are(tmp_path: Path) -> None:
    """An Arrow table may lack nullable columns and be of wider types."""
    dataset = Dataset(tmp_path)
    rows = pa.Table.from_pylist(samples.rows_of("modes", "chirality", 1)).drop_columns(["pam_raw"])
    dataset.commit("chirality", {"modes": rows}, ["c1"])
    found = dataset.read("modes")
    assert found["pam_raw"].null_count == samples.BANDS
    assert found["frequency"].type == pa.float32()


def test_newer_schema_is_refused(tmp_path: Path) -> None:
    """A program does not guess at what a newer one wrote."""
    dataset = Dataset(tmp_path)
    receipt = samples.commit(dataset, "relaxation", [1])
    path = tmp_path / "receipts" / f"{receipt.chunk}.v2.json"
    samples.rewrite_receipt(path, schema_version=SCHEMA_VERSION + 1, novelty=1)
    with pytest.raises(DatasetError, match="update the program"):
        dataset.list_done_keys("relaxation")


@pytest.mark.parametrize(
    ("code", "message"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only")]
)
def test_refusing_disk_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    """A full or read-only disk says so, commits nothing and leaves nothing behind."""

    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    dataset = Dataset(tmp_path)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DatasetError, match=message):
        samples.commit(dataset, "relaxation", [1])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert dataset.list_done_keys("relaxation") == frozenset()


def test_root_that_is_a_file_is_explained(tmp_path: Path) -> None:
    """A file in the place of the folder is named."""
    root = tmp_path / "file"
    root.write_text("")
    with pytest.raises(DatasetError, match=str(root)):
        samples.commit(Dataset(root), "relaxation", [1])


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_FLOATS = {
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
}


def _values(kind: pa.DataType) -> st.SearchStrategy[object]:
    if pa.types.is_list(kind):
        return st.lists(_values(kind.value_type), max_size=4)
    if pa.types.is_integer(kind):
        return st.integers(-(2**31), 2**31 - 1)
    if pa.types.is_timestamp(kind):
        return st.datetimes(timezones=st.just(samples.START.tzinfo))
    return st.booleans() if pa.types.is_boolean(kind) else _FLOATS.get(kind, _TEXT)


def _rows(table: str) -> st.SearchStrategy[dict[str, object]]:
    columns = {
        c.name: st.none() | _values(c.type) if c.nullable else _values(c.type)
        for c in TABLES[table].columns
        if c.name != "key"
    }
    return st.fixed_dictionaries(columns)


def _same(left: object, right: object) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return left == right


@pytest.mark.parametrize("table", ["materials", "relaxations", "force_constants", "modes"])
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_any_value_survives_the_round_trip(table: str, data: st.DataObject) -> None:
    """Unicode, empty lists, nulls, NaN, infinities and signed zeros come back unchanged."""
    rows = data.draw(st.lists(_rows(table), min_size=1, max_size=3))
    named = [
        row | {"key": f"k{i}", "material_id": f"{i}{row['material_id']}"}
        for i, row in enumerate(rows)
    ]
    with tempfile.TemporaryDirectory() as folder:
        dataset = Dataset(Path(folder))
        dataset.commit("some", {table: named}, [row["key"] for row in named])
        found = dataset.read(table).to_pylist()
    assert len(found) == len(named)
    for stored, row in zip(found, named, strict=True):
        assert all(_same(stored[name], row[name]) for name in row)
