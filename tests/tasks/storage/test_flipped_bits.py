"""Bits of all bytes of receipts flipped, one after the other, and bits of all places of a part."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.storage import Dataset, DatasetError, compact, prune
from tests.tasks.storage import samples

pytestmark = pytest.mark.slow


def flips(content: bytes, every: int) -> Iterator[bytes]:
    """Copies of some bytes that differ in one bit each, in one of so many bits.

    Seven leave out no byte and, since seven and eight have no common divisor, no bit of a byte.
    """
    for place in range(0, 8 * len(content), every):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        yield bytes(flipped)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """A merged chunk with a failure, and one committed after it."""
    made = Dataset(tmp_path)
    broken = samples.failure("mp-2", "r2", "relaxation", transient=True)
    samples.commit(made, "relaxation", [1])
    samples.commit(made, "relaxation", [2], failures=[broken])
    compact(made)
    prune(made, older_than=timedelta(seconds=-1))
    samples.commit(made, "relaxation", [3])
    return made


def test_a_flipped_bit_of_a_receipt_is_found_and_stops_readers(dataset: Dataset) -> None:
    """None passes the check, and none changes a row that is read."""
    receipts = sorted(dataset.root.glob("receipts/*"))
    assert dataset.verify() == []
    assert [receipt.generation for receipt in dataset.receipts()] == [1, 0]
    for path in receipts:
        content = path.read_bytes()
        for flipped in flips(content, every=7):
            path.write_bytes(flipped)
            found = {problem.path for problem in dataset.verify() if problem.kind != "orphan part"}
            assert found == {path}
            with pytest.raises(DatasetError, match=path.name):
                dataset.read("relaxations")
        path.write_bytes(content)
    assert dataset.verify() == []


def test_a_flipped_bit_of_a_part_stops_readers_and_is_forgotten_with_it(dataset: Dataset) -> None:
    """A part that a process has read already is compared again once it has changed."""
    [path] = [path for path in dataset.root.glob("parts/relaxations/*") if "mp-3" in ids_in(path)]
    whole, content = dataset.read("relaxations"), path.read_bytes()
    assert sorted(whole["material_id"].to_pylist()) == ["mp-1", "mp-3"]
    for flipped in flips(content, every=101):
        path.write_bytes(flipped)
        with pytest.raises(DatasetError, match=rf"{path.name} is damaged \(\d+ bytes"):
            dataset.read("relaxations")
    path.write_bytes(content)
    assert dataset.read("relaxations").equals(whole)


def ids_in(part: Path) -> list[str]:
    """Materials of a part."""
    return pq.read_table(part)["material_id"].to_pylist()
