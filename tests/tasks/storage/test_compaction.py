"""Compaction and pruning."""

import os
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from tasks.results.building import build_catalog
from tasks.storage import Dataset, DatasetError, compact, ordering, prune
from tests.tasks.storage import samples

pytestmark = pytest.mark.slow

HOUR = timedelta(hours=1)
NUMBERS = list(range(1, 9))
TABLES = ("plan", "materials", "relaxations", "phonons", "force_constants", "chirality", "modes")


def rows(dataset: Dataset, table: str) -> list[dict[str, object]]:
    """Rows of a table in the order of their keys."""
    return dataset.read(table).sort_by("key").to_pylist()


def age(dataset: Dataset, hours: float) -> None:
    """Make all files of a dataset older."""
    then = time.time() - 3600 * hours
    for path in dataset.root.rglob("*"):
        os.utime(path, (then, then))


def test_rows_stay_the_same_in_fewer_chunks(tmp_path: Path) -> None:
    """Every table has the same rows afterwards, and one chunk per stage."""
    dataset = samples.screened(tmp_path, NUMBERS)
    before = {table: rows(dataset, table) for table in TABLES}
    compact(dataset)
    assert {table: rows(dataset, table) for table in TABLES} == before
    assert len(dataset.receipts()) == 5
    assert dataset.verify() == []


def test_compacted_parts_are_sorted_by_space_group(tmp_path: Path) -> None:
    """The rows of a compacted part come in the order of the space groups."""
    dataset = samples.screened(tmp_path, NUMBERS)
    compact(dataset)
    expected = [samples.material(n) for n in NUMBERS[::-1]]
    assert dataset.read("relaxations")["material_id"].to_pylist() == expected
    modes = dataset.read("modes")
    assert modes["material_id"].unique().to_pylist() == expected
    assert modes["band"].to_pylist() == list(range(samples.BANDS)) * len(NUMBERS)


def test_sources_stay_for_readers_who_hold_them(tmp_path: Path) -> None:
    """A view taken before the compaction can still be read after it."""
    dataset = samples.screened(tmp_path, NUMBERS)
    view = dataset.take_snapshot()
    before = rows(dataset, "modes")
    compact(dataset)
    assert view.read("modes").sort_by("key").to_pylist() == before


def test_parts_get_the_wanted_size(tmp_path: Path) -> None:
    """The largest part of each chunk is about as large as asked for."""
    dataset = Dataset(tmp_path)
    noise = np.random.default_rng(0).normal(size=(len(NUMBERS), 5000))
    for number, values in zip(NUMBERS, noise, strict=True):
        key = samples.key("phonons", number)
        row = samples.row("force_constants", key=key, force_constants=values)
        dataset.commit("phonons", {"force_constants": [row]}, [key])
    size = dataset.receipts()[0].files["force_constants"].size
    made = compact(dataset, part_bytes=4 * size)
    assert [len(receipt.keys) for receipt in made] == [4, 4]
    assert compact(dataset, part_bytes=4 * size) == []


def test_nothing_to_gain_means_nothing_done(tmp_path: Path) -> None:
    """A second compaction writes nothing."""
    dataset = samples.screened(tmp_path, NUMBERS)
    compact(dataset)
    assert compact(dataset) == []


def test_work_after_a_compaction_joins_the_next(tmp_path: Path) -> None:
    """New chunks are merged with the remainder of the last time."""
    dataset = samples.screened(tmp_path, NUMBERS)
    compact(dataset)
    samples.commit(dataset, "chirality", [20, 21])
    compact(dataset)
    assert len(dataset.receipts("chirality")) == 1
    assert dataset.list_done_keys("chirality") == {f"c{n}" for n in [*NUMBERS, 20, 21]}
    prune(dataset, older_than=-HOUR)
    assert len(list(tmp_path.glob("receipts/chirality-*"))) == 1
    assert dataset.verify() == []


def test_keys_keep_their_state(tmp_path: Path) -> None:
    """Results outweigh failures, failures for good outweigh passing ones."""
    dataset = Dataset(tmp_path)
    passing = [samples.failure(f"mp-{n}", f"c{n}", "chirality", transient=True) for n in (1, 2, 3)]
    samples.commit(dataset, "chirality", [1, 2, 3, 4], failures=passing)
    samples.commit(dataset, "chirality", [1])
    samples.commit(dataset, "chirality", [2], failures=[samples.failure("mp-2", "c2", "chirality")])
    compact(dataset)
    assert dataset.list_succeeded_keys("chirality") == {"c1", "c4"}
    assert dataset.list_done_keys("chirality") == {"c1", "c2", "c4"}


def test_younger_rows_win_in_a_compaction_too(tmp_path: Path) -> None:
    """Of rows with the same identity the youngest are taken over."""
    dataset = Dataset(tmp_path)
    samples.commit(dataset, "relaxation", [1, 2], seed=10)
    samples.commit(dataset, "relaxation", [2, 3], seed=20)
    compact(dataset)
    steps = {r["material_id"]: r["n_evaluations"] for r in rows(dataset, "relaxations")}
    assert steps == {"mp-1": 10, "mp-2": 20, "mp-3": 20}


def test_timings_are_summed(tmp_path: Path) -> None:
    """The seconds noted in the sources are not lost."""
    dataset = Dataset(tmp_path)
    for number in (1, 2):
        tables = {"phonons": samples.rows_of("phonons", "phonons", number)}
        dataset.commit("phonons", tables, [f"p{number}"], timings={"wall": 1.5})
    [receipt] = compact(dataset)
    assert receipt.timings == {"wall": 3.0}


def test_catalogue_is_the_same_after_a_compaction(tmp_path: Path) -> None:
    """The same rows in other files make the same catalogue."""
    dataset = samples.screened(tmp_path, NUMBERS)
    before = {name: path.read_bytes() for name, path in build_catalog(dataset).items()}
    compact(dataset)
    assert {name: path.read_bytes() for name, path in build_catalog(dataset).items()} == before


def test_small_batches_give_the_same_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compaction needs no more memory than a few materials."""
    dataset = samples.screened(tmp_path, NUMBERS)
    before = rows(dataset, "modes")
    monkeypatch.setattr(ordering, "_BATCH_BYTES", 1)
    compact(dataset)
    assert rows(dataset, "modes") == before


def test_pruning_waits_for_the_age(tmp_path: Path) -> None:
    """What was superseded a moment ago stays, what was an hour ago goes."""
    dataset = samples.screened(tmp_path, NUMBERS)
    before = rows(dataset, "modes")
    compact(dataset)
    assert prune(dataset, older_than=HOUR) == []
    age(dataset, 2)
    removed = prune(dataset, older_than=HOUR)
    assert len([p for p in removed if p.parent.name == "receipts"]) == 16
    assert {p.parent.name for p in tmp_path.glob("parts/*/*")} == set(TABLES)
    assert len(list(tmp_path.glob("parts/*/*"))) == len(TABLES)
    assert rows(dataset, "modes") == before
    assert dataset.verify() == []


def test_pruning_removes_leftovers_of_killed_programs(tmp_path: Path) -> None:
    """Old temporary files and parts without a receipt go, nothing else does."""
    dataset = samples.screened(tmp_path, [1])
    build_catalog(dataset)
    receipt = samples.commit(dataset, "chirality", [2])
    (tmp_path / f"receipts/{receipt.chunk}.v2.json").unlink()
    (tmp_path / "catalog/.7-abc.tmp").write_bytes(b"half")
    assert prune(dataset, older_than=HOUR) == []
    age(dataset, 2)
    removed = {str(path.relative_to(tmp_path)) for path in prune(dataset, older_than=HOUR)}
    assert removed == {
        "catalog/.7-abc.tmp",
        f"parts/chirality/{receipt.chunk}.parquet",
        f"parts/modes/{receipt.chunk}.parquet",
    }
    assert dataset.verify() == []
    assert (tmp_path / "catalog/chirality.parquet").exists()


def test_pruning_leaves_other_files_of_the_folder_alone(tmp_path: Path) -> None:
    """What people put beside the dataset is not ours to remove."""
    dataset = samples.screened(tmp_path, [1])
    notes = [tmp_path / ".draft.tmp", tmp_path / "site" / ".draft.tmp"]
    for path in notes:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    age(dataset, 2)
    assert prune(dataset, older_than=HOUR) == []
    assert all(path.exists() for path in notes)


def test_pruning_refuses_while_a_receipt_is_damaged(tmp_path: Path) -> None:
    """The parts of a damaged receipt are not taken for leftovers."""
    dataset = samples.screened(tmp_path, [1, 2, 3])
    [path, *_] = tmp_path.glob("receipts/chirality-*")
    path.write_text("{")
    files = sorted(tmp_path.rglob("*"))
    with pytest.raises(DatasetError, match="damaged"):
        prune(dataset, older_than=-HOUR)
    assert sorted(tmp_path.rglob("*")) == files
