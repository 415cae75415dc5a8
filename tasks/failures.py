"""What could not be done, as data."""

import traceback
from dataclasses import dataclass

from potentials import is_out_of_memory

_DEFAULT_REMEDY = "look at the message; if the input is sound, report it as a bug"
_REMEDY_OF_MEMORY = "allow more memory or fewer workers, or bound the supercell: phonons.max_atoms"


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


def failure_of(
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
        Its message names the line of origin when the error was not foreseen.
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
        message=message,
        remedy=getattr(error, "remedy", _REMEDY_OF_MEMORY if in_want else _DEFAULT_REMEDY),
        transient=isinstance(error, OSError) or in_want,
        source_record=source_record,
    )
