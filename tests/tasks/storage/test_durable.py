"""Files that are complete or absent."""

import hashlib
from pathlib import Path

import pytest

from tasks.storage import DatasetError
from tasks.storage.durable import (
    TEMPORARY_SUFFIX,
    compute_file_digest,
    publish,
    stage_file,
    write_durably,
)


def test_file_appears_with_its_content_in_new_folders(tmp_path: Path) -> None:
    """Missing folders are made, and no temporary file stays."""
    path = tmp_path / "a" / "b" / "file"
    write_durably(path, lambda temporary: write(temporary, "new"))
    assert path.read_text() == "new"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def write(path: Path, text: str) -> None:
    """Write a text."""
    path.write_text(text)


def test_old_content_stays_until_the_new_one_is_published(tmp_path: Path) -> None:
    """While a file is written its predecessor can be read."""
    path = tmp_path / "file"
    path.write_text("old")
    temporary = stage_file(tmp_path, lambda staged: write(staged, "new"))
    assert path.read_text() == "old"
    assert temporary.name.endswith(TEMPORARY_SUFFIX)
    publish(temporary, path)
    assert path.read_text() == "new"
    assert not temporary.exists()


def test_error_while_writing_leaves_the_old_file_only(tmp_path: Path) -> None:
    """An error of the writer passes through, and its half file is removed."""

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise ValueError("no")

    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ValueError, match="no"):
        write_durably(path, fail)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_two_writers_use_different_temporary_files(tmp_path: Path) -> None:
    """Programs that write the same file do not write into each other's."""
    first, second = (stage_file(tmp_path, lambda path: write(path, "x")) for _ in range(2))
    assert first != second


def test_digest_is_sha256(tmp_path: Path) -> None:
    """The digest is that of the content."""
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert compute_file_digest(path) == hashlib.sha256(b"abc").hexdigest()


def test_missing_file_is_named(tmp_path: Path) -> None:
    """The error tells which file is missing."""
    with pytest.raises(DatasetError, match="absent"):
        compute_file_digest(tmp_path / "absent")
