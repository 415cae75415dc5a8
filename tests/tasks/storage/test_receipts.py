"""Receipts and the names of chunks."""

import hashlib
import json
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.storage import DatasetError, Receipt
from tasks.storage.receipts import (
    PartFile,
    list_receipt_paths,
    name_chunk,
    read_receipt,
    write_receipt,
)
from tests.tasks.storage import samples

FILES = {"phonons": PartFile(2, 100, 80, "ab" * 32)}


def receipt() -> Receipt:
    """A receipt with something in every field."""
    return Receipt(
        chunk=name_chunk("phonons", ["k1", "k2"], FILES, 2),
        stage="phonons",
        schema_version=1,
        created=datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=UTC),
        keys={"k1": ("mp-1",), "k2": ("mp-2", "ü\n\u2028")},
        files=FILES,
        failed=("k1",),
        transient=("k1",),
        timings={"wall": 1.5},
        generation=2,
        supersedes=("phonons-a-b",),
    )


def test_receipt_comes_back_as_written(tmp_path: Path) -> None:
    """Every field survives."""
    write_receipt(tmp_path, receipt())
    [path] = list_receipt_paths(tmp_path)
    assert read_receipt(path) == receipt()


def test_last_field_is_the_digest_of_all_before(tmp_path: Path) -> None:
    """The file is named after its format, is JSON, and anybody can compute the digest."""
    write_receipt(tmp_path, receipt())
    path = tmp_path / f"{receipt().chunk}.v2.json"
    body, _, digest = path.read_bytes().rpartition(b',"sha256":')
    assert json.loads(path.read_bytes())["sha256"] == hashlib.sha256(body).hexdigest()
    assert len(digest) == 67


@pytest.mark.parametrize("name", [field.name for field in fields(Receipt)])
def test_a_missing_field_is_an_error(tmp_path: Path, name: str) -> None:
    """Nothing stands for what a receipt does not say, though its digest is right."""
    write_receipt(tmp_path, receipt())
    [path] = list_receipt_paths(tmp_path)
    samples.rewrite_receipt(path, **{name: None})
    with pytest.raises(DatasetError, match=f"{name}: Field required"):
        read_receipt(path)


@pytest.mark.parametrize(
    "change", [{"novelty": 1}, {"files": {"phonons": {**asdict(FILES["phonons"]), "novelty": 1}}}]
)
def test_an_unknown_field_is_an_error(tmp_path: Path, change: dict[str, object]) -> None:
    """Nothing a receipt says is passed over."""
    write_receipt(tmp_path, receipt())
    [path] = list_receipt_paths(tmp_path)
    samples.rewrite_receipt(path, **change)
    with pytest.raises(DatasetError, match="novelty"):
        read_receipt(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("{}.v3.json", "update the program"),
        ("{}.json", "upgrade the dataset"),
        ("{}.v1.json", "damaged"),
        ("{}.v02.json", "damaged"),
        ("{}-0.v2.json", "damaged"),
    ],
)
def test_the_name_tells_the_format(tmp_path: Path, name: str, words: str) -> None:
    """A receipt holds under one name only."""
    write_receipt(tmp_path, receipt())
    [path] = list_receipt_paths(tmp_path)
    renamed = path.rename(tmp_path / name.format(receipt().chunk))
    with pytest.raises(DatasetError, match=words):
        read_receipt(renamed)


def test_name_depends_on_keys_and_content_but_not_on_order() -> None:
    """Chunks of other keys, content or generation have other names."""
    name = name_chunk("phonons", ["a", "b"], FILES)
    other = {"phonons": replace(FILES["phonons"], sha256="cd" * 32)}
    assert name_chunk("phonons", ["b", "a"], FILES) == name
    assert name.startswith("phonons-")
    names = {
        name,
        name_chunk("phonons", ["a"], FILES),
        name_chunk("phonons", ["a", "b"], other),
        name_chunk("phonons", ["a", "b"], FILES, 1),
        name_chunk("relaxation", ["a", "b"], FILES),
    }
    assert len(names) == 5


def test_done_and_succeeded_follow_from_the_failures() -> None:
    """A passing failure is not done, one for good is; neither is a success."""
    made = replace(receipt(), failed=("k1", "k2"), transient=("k2",))
    assert made.done == {"k1"}
    assert made.succeeded == frozenset()


@pytest.mark.parametrize("chunk", ["phonons-../x", "other-1", "phonons", "phonons-1/2", "phonons-"])
def test_receipts_refuse_names_that_are_no_chunks(chunk: str) -> None:
    """No receipt can name a path, nor a chunk of another stage."""
    with pytest.raises(ValueError, match="chunk"):
        replace(receipt(), chunk=chunk)
    with pytest.raises(ValueError, match="chunk"):
        replace(receipt(), supersedes=("phonons-a-b", chunk))
