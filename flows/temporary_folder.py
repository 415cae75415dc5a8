"""The temporary folder of a run: where the sockets of its processes are."""

import fcntl
import multiprocessing.util
import os
import shutil
import tempfile
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path

_PREFIX = "chiralscreen-"


@cache
def make_temporary_folder() -> str:
    """Make the folder of this run, and remove those of runs that were killed.

    The server that forks removes the folder of a run that is killed. A run that is killed before
    there is a server leaves it to the next run.

    Returns
    -------
    str
        Its path; removed at the orderly end of this process.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        _remove_unless_locked(left)
    folder = _make_locked_folder()
    _let_sockets_be_in(folder)
    # After the folder inside, which multiprocessing removes at -100 and wants to find.
    Finalize(None, shutil.rmtree, (folder,), {"ignore_errors": True}, exitpriority=-200)
    return folder


def _make_locked_folder() -> str:
    """Make a folder that is locked as long as this process lives."""
    while True:
        folder = tempfile.mkdtemp(prefix=_PREFIX)
        fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)
        # Another run may have removed it before it was locked.
        if Path(folder).exists():
            return folder


def _remove_unless_locked(folder: Path) -> None:
    """Remove the folder of a run that is gone; that of another user is not ours to open."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    except OSError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(handle)


def _let_sockets_be_in(folder: str) -> None:
    """Let multiprocessing make its own folder, which it makes once, inside of ours."""
    before, tempfile.tempdir = tempfile.tempdir, folder
    try:
        multiprocessing.util.get_temp_dir()
    finally:
        tempfile.tempdir = before
