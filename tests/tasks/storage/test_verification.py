"""The check of a dataset."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.storage import Dataset, DatasetError
from tasks.storage.durable import compute_file_digest
from tasks.storage.parts import count_rows
from tasks.storage.receipts import read_receipt
from tests.tasks.storage import samples


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """A sound dataset of two chunks."""
    made = Dataset(tmp_path)
    samples.commit(made, "chirality", [1, 2])
    samples.commit(made, "chirality", [3])
    return made


def modes_part(dataset: Dataset) -> Path:
    """Part with the modes of the first chunk."""
    return dataset.root / f"parts/modes/{dataset.receipts()[0].chunk}.parquet"


def kinds(dataset: Dataset) -> list[tuple[str, Path]]:
    """Kind and path of each problem."""
    return [(problem.kind, problem.path) for problem in dataset.verify()]


def test_sound_dataset_has_no_problems(dataset: Dataset) -> None:
    """Nothing is reported for what was committed orderly."""
    assert dataset.verify() == []


def test_missing_part_is_found(dataset: Dataset) -> None:
    """A part that is gone is named."""
    path = modes_part(dataset)
    path.unlink()
    assert kinds(dataset) == [("missing part", path)]


def test_one_flipped_bit_is_found(dataset: Dataset) -> None:
    """Any change of a part's bytes is noticed."""
    path = modes_part(dataset)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    assert kinds(dataset) == [("corrupt part", path)]


def test_truncated_part_is_found_and_not_read(dataset: Dataset) -> None:
    """Half a file is reported by the check, and by readers with the file's name."""
    path = modes_part(dataset)
    path.write_bytes(path.read_bytes()[:200])
    assert kinds(dataset) == [("corrupt part", path)]
    with pytest.raises(DatasetError, match=path.name):
        dataset.read("modes")


def test_rows_left_out_are_found(dataset: Dataset) -> None:
    """A valid file with fewer rows than committed is reported with both digests."""
    path = modes_part(dataset)
    committed = compute_file_digest(path)
    pq.write_table(pq.read_table(path).slice(1), path)
    [problem] = dataset.verify()
    assert problem.kind == "corrupt part"
    assert f"sha256 {committed};" in problem.message
    assert f"sha256 {compute_file_digest(path)})" in problem.message


def test_a_receipt_that_counts_other_rows_than_its_part_has_is_found(dataset: Dataset) -> None:
    """A sound file under a receipt that says something else of it."""
    path = modes_part(dataset)
    receipt = path.parents[2] / f"receipts/{path.stem}.v2.json"
    files = json.loads(receipt.read_bytes())["files"]
    files["modes"]["rows"] += 1
    samples.rewrite_receipt(receipt, files=files)
    [problem] = dataset.verify()
    assert (problem.kind, problem.path) == ("corrupt part", path)
    assert f"({2 * samples.BANDS + 1} rows; found {2 * samples.BANDS})" in problem.message


def test_a_part_whose_columns_have_names_that_are_no_text_is_refused(dataset: Dataset) -> None:
    """What stands in a damaged footer costs a message, not a traceback."""
    path = modes_part(dataset)
    path.write_bytes(path.read_bytes().replace(b"frequency", b"\xfdrequency"))
    assert kinds(dataset) == [("corrupt part", path)]
    with pytest.raises(DatasetError, match=path.name):
        count_rows(path)


def test_damaged_receipt_is_found_and_stops_readers(dataset: Dataset) -> None:
    """A receipt that cannot be read is reported, with the parts it leaves alone."""
    chunk = dataset.receipts()[0].chunk
    path = dataset.root / f"receipts/{chunk}.v2.json"
    path.write_text(path.read_text()[:-10])
    assert [kind for kind, _ in kinds(dataset)] == ["unreadable receipt"] + ["orphan part"] * 2
    with pytest.raises(DatasetError, match=path.name):
        dataset.list_done_keys("chirality")


def test_receipt_under_another_name_is_found(dataset: Dataset) -> None:
    """A copied receipt does not count twice."""
    chunk = dataset.receipts()[0].chunk
    path = dataset.root / f"receipts/{chunk}.v2.json"
    copy = path.with_name("chirality-copy.v2.json")
    copy.write_bytes(path.read_bytes())
    assert kinds(dataset) == [("unreadable receipt", copy)]


@pytest.mark.parametrize("change", [{"chunk": "chirality-../../x"}, {"files": {"../modes": {}}}])
def test_receipts_cannot_name_other_folders(dataset: Dataset, change: dict[str, object]) -> None:
    """A doctored receipt cannot make readers open files elsewhere."""
    path = dataset.root / f"receipts/{dataset.receipts()[0].chunk}.v2.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DatasetError, match="damaged"):
        read_receipt(path)


def test_part_without_receipt_is_a_problem_until_its_work_is_done_again(dataset: Dataset) -> None:
    """An interrupted commit is reported; once another chunk has its keys it is not."""
    receipt = samples.commit(dataset, "chirality", [7], seed=1)
    (dataset.root / f"receipts/{receipt.chunk}.v2.json").unlink()
    assert {kind for kind, _ in kinds(dataset)} == {"orphan part"}
    samples.commit(dataset, "chirality", [7, 8], seed=2)
    assert dataset.verify() == []


def test_unknown_file_among_the_parts_is_reported(dataset: Dataset) -> None:
    """A file that is none of ours is not passed over in silence."""
    path = dataset.root / "parts/modes/notes.parquet"
    path.write_text("hello")
    assert kinds(dataset) == [("orphan part", path)]


def test_receipt_has_the_digest_of_the_file(dataset: Dataset) -> None:
    """The noted SHA-256 is that of the file, as any other program computes it."""
    receipt = dataset.receipts()[0]
    assert receipt.files["modes"].sha256 == compute_file_digest(modes_part(dataset))
