"""One run at a time decides what a dataset still needs.

The operating system holds the lease: it ends with the process that took it, however that process
ends. There is no time of expiry, and no clock is involved.
"""

import errno
import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

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
        stream = (root / name).open("a+", encoding="utf-8")
    with stream:
        _take_lock(stream, fcntl.LOCK_EX, tell)
        stream.truncate(0)
        stream.write(owner)
        stream.flush()
        if name == _LEASE:
            with (root / _WORKERS_FILE).open("a+", encoding="utf-8") as worker_options:
                _take_lock(worker_options, fcntl.LOCK_EX, tell)
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
        worker_options = (root / _WORKERS_FILE).open("a+", encoding="utf-8")
    with worker_options:
        _take_lock(worker_options, fcntl.LOCK_SH, lambda _: None)
        worker_options.truncate(0)
        worker_options.write(owner)
        worker_options.flush()
        yield


def _take_lock(stream: IO[str], kind: int, tell: Callable[[str], None]) -> None:
    """Take a lock; if it is held, first say by whom."""
    try:
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        tell(f"waiting for {stream.read() or 'another process'}, which writes into this dataset")
        fcntl.flock(stream, kind)
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        tell("this file system has no locks: run one screening of a dataset at a time")
