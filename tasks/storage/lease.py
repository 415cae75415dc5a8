"""One run at a time decides what a dataset still needs.

The operating system holds the lease: it ends with the process that took it, however that process
ends. There is no time of expiry, and no clock is involved.
"""

import errno
import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Final

from tasks.storage.durable import make_folder
from tasks.storage.errors import explain_os_errors

_LEASE: Final = ".lease"
_WORKERS_FILE: Final = ".crew"
_WITHOUT_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})


@contextmanager
def hold_lease(
    root: Path, owner: str, tell: Callable[[str], None], name: str = _LEASE
) -> Iterator[None]:
    """Hold the lease of a dataset; wait for it while another run has it.

    It is given once the processes of earlier runs have ended as well, even of one that was killed.

    Parameters
    ----------
    root : Path
        Folder of the dataset; made where it is missing.
    owner : str
        Who holds it, for those who wait.
    tell : callable
        Told why this takes so long.
    name : str
        Which lease; another one than that of the dataset is for a share of its work.

    Yields
    ------
    None
        Control, while the lease is held.

    Raises
    ------
    DatasetError
        When the folder cannot be written.
    """
    with explain_os_errors("write", root):
        make_folder(root)
        stream = _open_lock(root / name)
    with stream:
        _take_lock(stream, fcntl.LOCK_EX, tell)
        _write_owner(stream, owner, root)
        if name == _LEASE:
            with _open_lock(root / _WORKERS_FILE) as workers:
                _take_lock(workers, fcntl.LOCK_EX, tell)
        yield
        stream.truncate(0)


@contextmanager
def hold_work_lock(root: Path, owner: str) -> Iterator[None]:
    """Keep the next run waiting while a process computes for this one.

    Parameters
    ----------
    root : Path
        Folder of the dataset.
    owner : str
        Who computes, for those who wait.

    Yields
    ------
    None
        Control, while the computation goes on.

    Raises
    ------
    DatasetError
        When the folder cannot be written.
    """
    with explain_os_errors("write", root):
        workers = _open_lock(root / _WORKERS_FILE)
    with workers:
        _take_lock(workers, fcntl.LOCK_SH, lambda _: None)
        _write_owner(workers, owner, root)
        yield


def _open_lock(path: Path) -> FileIO:
    """Open a file to lock; without a buffer, which a full disk would refuse again at closing."""
    return path.open("a+b", buffering=0)


def _write_owner(stream: FileIO, owner: str, root: Path) -> None:
    with explain_os_errors("write", root):
        stream.truncate(0)
        stream.write(owner.encode())


def _take_lock(stream: FileIO, kind: int, tell: Callable[[str], None]) -> None:
    """Take a lock; if it is held, first say by whom."""
    try:
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        owner = stream.read().decode()
        tell(f"waiting for {owner or 'another process'}, which writes into this dataset")
        fcntl.flock(stream, kind)
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        tell("this file system has no locks: run one screening of a dataset at a time")
