"""A failure says what is wrong, where, what to do, and whether another try may help."""

import errno
import pickle
from dataclasses import asdict

import numpy as np
import pytest
import torch
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from tasks.failures import Failure, RemediableError, make_failure, raise_panics
from tasks.storage import TABLES


def caught(action) -> Exception:
    """What an action raises, with its traceback."""
    try:
        action()
    except Exception as error:  # noqa: BLE001 - any kind is wanted
        return error
    raise AssertionError("nothing was raised")


def described(error: Exception) -> Failure:
    return make_failure(error, material_id="mp-1", key="k", stage="phonons", source_record="a.cif")


def raised(error: Exception):
    raise error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        PermissionError("denied"),
        TimeoutError("too slow"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_disk_and_memory_may_recover(error):
    assert described(error).transient


@pytest.mark.parametrize(
    "error",
    [
        RemediableError("wrong", "mend it"),
        ValueError("wrong"),
        np.linalg.LinAlgError("singular"),
        ZeroDivisionError("division by zero"),
        NotImplementedError("no such element"),
        RuntimeError("shape mismatch"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_depends_on_the_structure_fails_for_good(error):
    assert not described(error).transient


def test_memory_of_an_array_is_memory():
    """NumPy's own kind of memory error counts too."""
    assert described(caught(lambda: np.zeros((10**9, 10**9)))).transient


def test_unforeseen_errors_name_the_line_of_their_origin():
    """The innermost frame counts, not the one that caught the error."""
    error = caught(lambda: raised(ValueError("inner")))
    line = raised.__code__.co_firstlineno + 1
    assert described(error).message == f"inner [raised, line {line}]"


def test_unforeseen_errors_ask_for_a_report():
    assert "report it as a bug" in described(ValueError("odd")).remedy


def test_foreseen_errors_speak_for_themselves():
    error = caught(lambda: raised(RemediableError("the cell has 500 atoms", "raise the limit")))
    failure = described(error)
    assert failure.message == "the cell has 500 atoms"
    assert failure.remedy == "raise the limit"
    assert failure.error_class == "RemediableError"


@pytest.mark.parametrize("error", [AssertionError(), MemoryError(), KeyError()])
def test_errors_without_words_are_named_by_their_class(error):
    assert described(error).message == type(error).__name__


def test_an_error_never_raised_has_no_line():
    assert described(ValueError("made up")).message == "made up"


def test_failure_says_where_it_happened():
    failure = described(ValueError("odd"))
    where = (failure.material_id, failure.key, failure.stage, failure.source_record)
    assert where == ("mp-1", "k", "phonons", "a.cif")


def test_failure_is_a_row_of_its_table():
    assert set(asdict(described(ValueError("odd")))) == set(TABLES["failures"].names)


def test_failures_and_foreseen_errors_travel_between_processes():
    failure = described(ValueError("odd"))
    assert pickle.loads(pickle.dumps(failure)) == failure  # noqa: S301 - made here
    error = pickle.loads(pickle.dumps(RemediableError("wrong", "mend it")))  # noqa: S301
    assert (str(error), error.remedy) == ("wrong", "mend it")


def test_the_panic_of_a_library_is_an_error():
    positions = np.random.default_rng(0).random((9, 3))
    cell = PhonopyAtoms(symbols=["Si"] * 9, cell=np.eye(3) * 6, scaled_positions=positions)
    phonon = Phonopy(cell, np.diag([2, 1, 1]), primitive_matrix=np.eye(3), log_level=0)
    phonon.force_constants = np.full((9, 18, 3, 3), np.nan)
    with pytest.raises(RuntimeError, match="a library gave up"), raise_panics():
        phonon.run_qpoints([[0.1, 0.2, 0.3]], with_eigenvectors=True)


def test_other_ends_of_a_program_are_left_alone():
    for error in (KeyboardInterrupt, SystemExit, ValueError):
        with pytest.raises(error), raise_panics():
            raise error
