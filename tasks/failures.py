"""Failures as data: what could not be done, why, and what to do."""

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from potentials import is_out_of_memory
from tasks.untrusted_text import escape_control_characters

_DEFAULT_REMEDY = "look at the message; if the input is sound, report it as a bug"
_REMEDY_OF_MEMORY = "allow more memory or fewer workers, or bound the supercell: phonons.max_atoms"

_CAUSES: Final = {
    errno.ENOSPC: ("the disk is full", "free some space and run again; what is done is kept"),
    errno.EDQUOT: ("the quota is used up", "free some space and run again; what is done is kept"),
    errno.EFBIG: ("the file would be larger than is allowed", "raise the limit (`ulimit -f`)"),
    errno.EACCES: ("permission denied", "check owner and mode of file and folder"),
    errno.EPERM: ("not permitted", "check owner and mode of file and folder"),
    errno.EROFS: ("the file system is read-only", "choose another folder"),
    errno.ENOENT: ("no such file or folder", "check the name"),
    errno.ENOTDIR: ("a part of the path is a file", "choose another folder"),
    errno.EISDIR: ("it is a folder", "give the name of a file"),
    errno.EEXIST: ("it is there already, as something else", "choose another name"),
    errno.EIO: ("the disk reports an error", "run `chiralscreen verify` on the dataset"),
    errno.EMFILE: ("too many files are open", "raise the limit (`ulimit -n`)"),
}


class RemediableError(ValueError):
    """An error whose remedy is known.

    Parameters
    ----------
    message : str
        What is wrong, with the value found.
    remedy : str
        What the user can do about it.
    """

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.remedy = remedy

    def __str__(self) -> str:
        """Message alone."""
        return str(self.args[0])


@contextmanager
def raise_panics() -> Iterator[None]:
    """Turn the panic of a library written in Rust, such as phonopy's eigensolver, into an error.

    A panic is no `Exception`: no handler that turns an error of one structure into a failure would
    catch it, and Prefect would wait endlessly for the task that raised it.

    Yields
    ------
    None
        Control.

    Raises
    ------
    RuntimeError
        In place of a panic.
    """
    try:
        yield
    except BaseException as error:
        # Its class is made by each library anew and can be imported from none.
        if type(error).__name__ != "PanicException":
            raise
        raise RuntimeError(f"a library gave up: {error}") from error


class DatasetError(RuntimeError):
    """The dataset cannot be read or written; the message says where, why and what to do."""


def explain_os_error(error: OSError, *, with_name: bool = True) -> tuple[str, str]:
    """Say what an error of the operating system means.

    Parameters
    ----------
    error : OSError
        As raised.
    with_name : bool
        Begin with the name of the file, where it is known.

    Returns
    -------
    message, remedy : str
        What happened, and what to do; no remedy where none is known.
    """
    # Arrow raises FileNotFoundError without a number, and with a sentence of its own.
    number = errno.ENOENT if isinstance(error, FileNotFoundError) else error.errno
    if number not in _CAUSES:
        return str(error), ""
    cause, remedy = _CAUSES[number]
    name = error.filename or ("" if error.strerror else str(error))
    if cause in str(name):
        return str(name), remedy
    return (f"{name}: {cause}" if with_name and name else cause), remedy


@dataclass(frozen=True)
class Failure:
    """One structure that one stage could not treat; a row of the table ``failures``.

    Attributes
    ----------
    material_id : str
        The structure.
    key : str
        Digest of structure and settings for which the stage failed.
    stage : str
        The stage that failed.
    error_class, message, remedy : str
        What happened, and what to do.
    transient : bool
        Whether the same attempt may succeed another time (disk, memory).
    source_record : str
        File and record of the input.
    """

    material_id: str
    key: str
    stage: str
    error_class: str
    message: str
    remedy: str
    transient: bool
    source_record: str


def make_failure(
    error: Exception, *, material_id: str, key: str, stage: str, source_record: str = ""
) -> Failure:
    """Describe an exception that one structure raised in one stage.

    Parameters
    ----------
    error : Exception
        What was raised.
    material_id, key, stage, source_record : str
        Where it was raised.

    Returns
    -------
    Failure
        In one line, with nothing that acts on a terminal. Its message names the line of origin
        when the error was not foreseen.
    """
    message = str(error) or type(error).__name__
    if not isinstance(error, RemediableError):
        origin = traceback.extract_tb(error.__traceback__)[-1:]
        message += "".join(f" [{frame.name}, line {frame.lineno}]" for frame in origin)
    in_want = is_out_of_memory(error)
    return Failure(
        material_id=material_id,
        key=key,
        stage=stage,
        error_class=type(error).__name__,
        message=escape_control_characters(" ".join(message.splitlines())),
        remedy=getattr(error, "remedy", _REMEDY_OF_MEMORY if in_want else _DEFAULT_REMEDY),
        transient=isinstance(error, OSError) or in_want,
        source_record=escape_control_characters(source_record),
    )
