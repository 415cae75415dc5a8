"""Receipts of format 1: refused by readers, checked and rewritten by the upgrade."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from tasks.results.building import build_catalog
from tasks.storage import Dataset, compact, prune, quarantine_chunks, upgrade_receipts
from tasks.storage.errors import OutdatedDatasetError
from tests.tasks.storage import samples
from tests.tasks.storage.test_flipped_bits import flips

pytestmark = pytest.mark.slow


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Chunks that were merged, failed, tried again and superseded; all receipts of format 1."""
    made = samples.screened(tmp_path / "data", [1, 2, 3, 4])
    for version in (5, 6):
        broken = samples.failure("mp-5", "r5", "relaxation", transient=True)
        samples.commit(made, "relaxation", [5, version + 2], failures=[broken])
    compact(made)
    samples.commit(made, "relaxation", [5])
    made.commit("run", {"runs": [samples.row("runs", run_id="run-0")]}, ["run-0"])
    samples.downgrade(made.root)
    return made


def rows(dataset: Dataset) -> dict[str, list[dict[str, object]]]:
    names = ("relaxations", "force_constants", "modes", "failures", "plan", "runs")
    return {name: dataset.read(name).to_pylist() for name in names}


def test_readers_refuse_and_name_the_command(dataset: Dataset) -> None:
    """Two lines: what is wrong, and what to run; nothing is set aside."""
    for read in (dataset.take_snapshot, lambda: compact(dataset), lambda: build_catalog(dataset)):
        with pytest.raises(OutdatedDatasetError, match=r"\.json is of format 1") as refusal:
            read()
        assert refusal.value.remedy == f"chiralscreen upgrade {dataset.root}"
    assert {problem.kind for problem in dataset.verify()} == {"outdated receipt"}
    assert quarantine_chunks(dataset.root, dataset.verify()) == []


def test_a_sound_dataset_is_upgraded_whole(tmp_path: Path, dataset: Dataset) -> None:
    """Rows, receipts and names of chunks are those that a dataset without an upgrade has."""
    number = len(list(dataset.root.glob("receipts/*")))
    assert upgrade_receipts(dataset.root, print) == (number, [])
    assert dataset.verify() == []
    assert len(list(dataset.root.glob("receipts/*.v2.json"))) == number
    assert not list(dataset.root.glob("damaged/*"))
    assert dataset.list_succeeded_keys("relaxation") == {"r1", "r2", "r3", "r4", "r5", "r7", "r8"}
    before = rows(dataset)
    assert upgrade_receipts(dataset.root, print) == (0, [])
    prune(dataset, older_than=timedelta(seconds=-1))
    assert rows(dataset) == before


@pytest.mark.parametrize("kind", ["flipped", "missing"])
def test_a_chunk_with_a_damaged_part_is_set_aside(dataset: Dataset, kind: str) -> None:
    """The others are upgraded, and its work is open."""
    [part] = dataset.root.glob("parts/plan/*")
    if kind == "flipped":
        content = bytearray(part.read_bytes())
        content[100] ^= 1
        part.write_bytes(content)
    else:
        part.unlink()
    _, problems = upgrade_receipts(dataset.root, print)
    assert [problem.path for problem in problems] == [part]
    assert dataset.verify() == []
    assert dataset.list_done_keys("plan") == frozenset()
    assert len(dataset.list_done_keys("chirality")) == 4
    assert (dataset.root / "damaged/receipts" / f"{part.stem}.json").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"keys": {"r5": ["mp-6"]}},
        {"keys": {"r6": ["mp-5"]}},
        {"failed": ["r5"]},
        {"transient": ["r5"], "failed": ["r5"]},
        {"generation": 1},
        {"schema_version": 3},
        {"chunk": "relaxation-1-2"},
        {"stage": "relax"},
        {"novelty": 1},
        {"supersedes": None},
        {"files": {}},
    ],
)
def test_a_receipt_that_disagrees_with_its_parts_is_set_aside(
    tmp_path: Path, change: dict[str, object]
) -> None:
    """Whatever its parts tell better is not taken from it."""
    dataset = Dataset(tmp_path)
    samples.commit(dataset, "relaxation", [5])
    samples.downgrade(tmp_path)
    [path] = tmp_path.glob("receipts/*")
    fields = json.loads(path.read_bytes()) | change
    path.write_text(json.dumps({k: v for k, v in fields.items() if v is not None}))
    upgraded, problems = upgrade_receipts(tmp_path, print)
    assert (upgraded, [problem.path for problem in problems]) == (0, [path])
    assert not list(tmp_path.glob("receipts/*"))
    assert (tmp_path / "damaged/receipts" / path.name).exists()


def test_flipped_bits_of_an_old_receipt_upgrade_to_the_same_keys_or_to_none(tmp_path: Path) -> None:
    """What slips through changes times and sizes alone, never keys, materials or failures."""
    dataset = Dataset(tmp_path)
    broken = samples.failure("mp-2", "r2", "relaxation", transient=True)
    receipt = samples.commit(dataset, "relaxation", [1, 2], failures=[broken])
    parts = {path: path.read_bytes() for path in tmp_path.glob("parts/*/*")}
    samples.downgrade(tmp_path)
    [path] = tmp_path.glob("receipts/*")
    for flipped in flips(path.read_bytes(), every=7):
        path.write_bytes(flipped)
        upgraded, problems = upgrade_receipts(tmp_path, print)
        assert upgraded + len(problems) == 1
        for found in dataset.receipts():
            assert found.keys == receipt.keys
            assert (found.failed, found.transient) == (receipt.failed, receipt.transient)
        for new in tmp_path.glob("receipts/*"):
            new.unlink()
        for part, content in parts.items():
            part.write_bytes(content)


def test_two_upgrades_at_once_harm_nothing(dataset: Dataset) -> None:
    """The second waits for the first, and finds nothing to do."""
    number = len(list(dataset.root.glob("receipts/*")))
    with ThreadPoolExecutor(2) as both:
        upgrades = [both.submit(upgrade_receipts, dataset.root, print) for _ in range(2)]
    assert sorted(upgrade.result() for upgrade in upgrades) == [(0, []), (number, [])]
    assert len(list(dataset.root.glob("receipts/*.v2.json"))) == number
    assert dataset.verify() == []
