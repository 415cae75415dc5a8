"""Damaged chunks set aside: their work is open again, and nothing else is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks.storage import Dataset, compact, dataset, quarantine_chunks
from tests.tasks.storage import samples


@pytest.fixture
def made(tmp_path: Path) -> Dataset:
    """A sound dataset of two chunks."""
    made = Dataset(tmp_path)
    samples.commit(made, "chirality", [1, 2])
    samples.commit(made, "chirality", [3])
    return made


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["corrupt", "missing", "receipt"])
def test_work_of_a_damaged_chunk_is_open_again(made: Dataset, kind: str) -> None:
    """A flipped bit, a lost file, half a receipt: the other chunk keeps its rows."""
    receipt = next(r for r in made.receipts() if len(r.keys) == 2)
    part = made.root / f"parts/modes/{receipt.chunk}.parquet"
    if kind == "corrupt":
        damage(part)
    elif kind == "missing":
        part.unlink()
    else:
        (made.root / f"receipts/{receipt.chunk}.v2.json").write_text("{")
    moved = quarantine_chunks(made.root, made.verify())
    assert moved
    assert all((made.root / "damaged" / path.relative_to(made.root)).exists() for path in moved)
    assert not made.verify()
    assert made.list_done_keys("chirality") == {samples.key("chirality", 3)}
    samples.commit(made, "chirality", [1, 2])
    assert len(made.list_done_keys("chirality")) == 3
    assert not made.verify()


def test_a_sound_dataset_is_let_be(made: Dataset) -> None:
    assert not quarantine_chunks(made.root, made.verify())
    assert not (made.root / "damaged").exists()


@pytest.mark.parametrize("newer", ["schema", "format"])
def test_what_a_newer_program_wrote_is_let_be(made: Dataset, newer: str) -> None:
    [path, *_] = (made.root / "receipts").iterdir()
    if newer == "schema":
        samples.rewrite_receipt(path, schema_version=9)
    else:
        path = path.rename(path.with_name(path.name.replace(".v2.", ".v3.")))
    assert not quarantine_chunks(made.root, made.verify())
    assert path.exists()


def test_what_a_damaged_compaction_was_made_of_holds_again(made: Dataset) -> None:
    before = made.read("chirality").sort_by("key")
    [merged] = compact(made)
    damage(made.root / f"parts/modes/{merged.chunk}.parquet")
    quarantine_chunks(made.root, made.verify())
    assert made.read("chirality").sort_by("key").equals(before)
    assert not made.verify()


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_wrong_clock_loses_nothing(made: Dataset, monkeypatch, hours: int) -> None:
    """Commits that claim to be a day older or younger count like any other."""

    class Skewed(datetime):
        @classmethod
        def now(cls, tz=UTC):
            return datetime.now(tz) + timedelta(hours=hours)

    with monkeypatch.context() as patched:
        patched.setattr(dataset, "datetime", Skewed)
        samples.commit(made, "chirality", [4])
        samples.commit(made, "chirality", [3])
    samples.commit(made, "chirality", [3])
    keys = {samples.key("chirality", number) for number in (1, 2, 3, 4)}
    assert made.list_succeeded_keys("chirality") == keys
    assert sorted(made.read("chirality", columns=["key"])["key"].to_pylist()) == sorted(keys)
    assert not made.verify()
