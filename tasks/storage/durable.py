"""Files that are complete or absent, whatever kills the program."""

import hashlib
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from tasks.storage.errors import explain_os_errors

TEMPORARY_SUFFIX: Final = ".tmp"
"""Ending of files that are still being written; readers never look at them."""


def stage_file(folder: Path, write: Callable[[Path], object]) -> Path:
    """Write a temporary file into a folder and wait until the disk has it.

    Parameters
    ----------
    folder : Path
        Folder of the final file; made when missing.
    write : callable
        Writes the content to the path it is given.

    Returns
    -------
    Path
        The temporary file, to be published with `publish`.

    Raises
    ------
    DatasetError
        When the file cannot be written; nothing is left behind then.
    """
    temporary = folder / f".{os.getpid()}-{uuid.uuid4().hex}{TEMPORARY_SUFFIX}"
    with explain_os_errors("write", temporary):
        try:
            make_folder(folder)
            write(temporary)
            _synchronise(temporary)
        except BaseException:
            discard(temporary)
            raise
    return temporary


def publish(temporary: Path, final: Path) -> None:
    """Give a staged file its final name, so that it survives a power cut.

    Parameters
    ----------
    temporary : Path
        File made by `stage_file`.
    final : Path
        Final path in the same folder; an existing file is replaced in one step.

    Raises
    ------
    DatasetError
        When the file cannot be renamed.
    """
    with explain_os_errors("write", final):
        os.replace(temporary, final)  # noqa: PTH105 - the step the crash tests interrupt
        _synchronise(final.parent)


def write_durably(final: Path, write: Callable[[Path], object]) -> None:
    """Write a file that is complete or absent.

    Parameters
    ----------
    final : Path
        Path of the file.
    write : callable
        Writes the content to the path it is given.

    Raises
    ------
    DatasetError
        When the file cannot be written.
    """
    publish(stage_file(final.parent, write), final)


def discard(path: Path) -> None:
    """Remove a file, if it is there and may be removed."""
    with suppress(OSError):
        path.unlink()


def compute_file_digest(path: Path) -> str:
    """Return the SHA-256 digest of a file.

    Parameters
    ----------
    path : Path
        File to read.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    DatasetError
        When the file cannot be read.
    """
    with explain_os_errors("read", path), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, each recorded in the one above."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _synchronise(folder.parent)


def _synchronise(path: Path) -> None:
    """Wait until the disk has a file's content, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
