"""The one error of the dataset, and the translation of the operating system's into it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.failures import DatasetError

__all__ = ["DatasetError", "NewerDatasetError", "explained"]

_REMEDIES = {
    errno.ENOSPC: "the disk is full: free some space and run again, nothing of it was committed",
    errno.EDQUOT: "the quota is used up: free some space and run again, nothing was committed",
    errno.EACCES: "permission denied: check the owner and mode of the folder",
    errno.EPERM: "not permitted: check the owner and mode of the folder",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.ENOENT: "no such file or folder: run `verify` on a dataset, or choose another folder",
    errno.ENOTDIR: "a part of the path is a file: choose another folder",
    errno.EIO: "the disk reports an error: run `verify` on the dataset",
}


class NewerDatasetError(DatasetError):
    """A newer program wrote what this one cannot read; nothing is wrong with it."""


@contextmanager
def explained(action: str, path: Path) -> Iterator[None]:
    """Turn an OSError inside the block into a DatasetError that says what to do.

    Parameters
    ----------
    action : str
        What is being done, such as "write".
    path : Path
        File or folder it is done to.

    Raises
    ------
    DatasetError
        Instead of every OSError.
    """
    try:
        yield
    except OSError as error:
        # Arrow raises FileNotFoundError without a number.
        number = errno.ENOENT if isinstance(error, FileNotFoundError) else error.errno
        cause = _REMEDIES.get(number or 0, str(error))
        raise DatasetError(f"cannot {action} {path}: {cause}") from error
