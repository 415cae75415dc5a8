"""The one error of the dataset, and the translation of the operating system's into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.failures import DatasetError, explain_os_error

__all__ = ["DatasetError", "NewerDatasetError", "explain_os_errors"]


class NewerDatasetError(DatasetError):
    """A newer program wrote what this one cannot read; nothing is wrong with it."""


class OutdatedDatasetError(DatasetError):
    """An older program wrote what has to be checked and upgraded before this one reads it.

    Parameters
    ----------
    message : str
        What is of an older format.
    remedy : str
        Command that checks and upgrades it.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.remedy = remedy

    def __str__(self) -> str:
        """Message alone."""
        return str(self.args[0])


@contextmanager
def explain_os_errors(action: str, path: Path) -> Iterator[None]:
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
        cause, remedy = explain_os_error(error, with_name=False)
        if isinstance(error, FileNotFoundError):
            remedy = "run `verify` on a dataset, or choose another folder"
        text = f"cannot {action} {path}: {cause}" + (f": {remedy}" if remedy else "")
        raise DatasetError(text) from error
