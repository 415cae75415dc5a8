"""What Python hands over to the compiled code: structures of C and calls.

The structures have the fields of those in ``convolution.cpp``, in their order.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentials.compiler import KernelUnavailableError, build_library

# Lanes of the widest vector: multiplicities are filled up to a multiple of it.
LANES = 16
HARMONICS = 16
L_MAX = 3
# B-splines that are not zero in an interval, of a function and of its slope.
VALUES, SLOPES = 6, 5

_INTEGER, _REAL, _POINTER = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


def _fields(kind: Any, names: str) -> list[tuple[str, Any]]:  # noqa: ANN401 - types of C have none
    return [(name, kind) for name in names.split()]


class IntervalsStructure(ctypes.Structure):
    """``Intervals`` of C."""

    _fields_ = [
        ("n_pieces", _INTEGER),
        ("shift", _REAL),
        *_fields(_POINTER, "start step count first values slopes"),
    ]


class EdgesStructure(ctypes.Structure):
    """``Edges`` of C."""

    _fields_ = [
        ("n_atoms", _INTEGER),
        *_fields(_POINTER, "start second harmonics row values slopes"),
    ]


class PathsStructure(ctypes.Structure):
    """``Paths`` of C."""

    _fields_ = [
        *_fields(_INTEGER, "multiplicity dimension n_paths n_rows n_entries n_moments"),
        *_fields(_POINTER, "table slope_table degree moment entry_row entry_moment entry_value"),
        *_fields(_POINTER, "row_output row_offset row_stride"),
    ]


@dataclass(frozen=True)
class Record:
    """A structure of C and the arrays it points to, which must live as long.

    Attributes
    ----------
    structure : ctypes.Structure
        As the compiled code takes it.
    arrays : tuple
        Arrays and tensors behind its pointers.
    """

    structure: ctypes.Structure
    arrays: tuple[Any, ...]

    @property
    def reference(self) -> Any:  # noqa: ANN401 - ctypes gives it no type
        """Pointer to the structure."""
        return ctypes.byref(self.structure)


def make_record(
    kind: type[ctypes.Structure], **fields: int | float | NDArray[Any] | Tensor
) -> Record:
    """Fill a structure of C.

    Parameters
    ----------
    kind : type
        One of the structures of this module.
    **fields : int, float, ndarray or Tensor
        All of its fields; arrays contiguous and of the type that C expects.

    Returns
    -------
    Record
        The structure.
    """
    arrays = [value for value in fields.values() if not isinstance(value, int | float)]
    numbers = {
        name: value if isinstance(value, int | float) else get_address(value)
        for name, value in fields.items()
    }
    return Record(kind(**numbers), tuple(arrays))


def get_address(array: NDArray[Any] | Tensor) -> int:
    """Return where the numbers of a contiguous array begin."""
    if isinstance(array, Tensor):
        assert array.is_contiguous()
        return array.data_ptr()
    assert array.flags.c_contiguous
    return int(array.ctypes.data)


def get_addresses(arrays: Sequence[Tensor]) -> Any:  # noqa: ANN401 - ctypes gives it no type
    """Return an array of C with the addresses of tensors."""
    return (ctypes.c_void_p * len(arrays))(*[get_address(array) for array in arrays])


@cache
def load_library(dtype: torch.dtype) -> Any:  # noqa: ANN401 - ctypes gives it no type
    """Load the compiled code for a precision, compiling it where that was not done yet.

    Parameters
    ----------
    dtype : torch.dtype
        ``float32`` or ``float64``.

    Returns
    -------
    ctypes.CDLL
        The functions of ``convolution.cpp``.

    Raises
    ------
    KernelUnavailableError
        When it cannot be compiled or loaded.
    """
    name = str(dtype).removeprefix("torch.")
    try:
        library = ctypes.CDLL(str(build_library(name)))
    except OSError as error:
        raise KernelUnavailableError(f"the compiled kernel cannot be loaded: {error}") from error
    pointers = {
        "edges_forward": (_INTEGER, *[_POINTER] * 6),
        "edges_backward": (_INTEGER, *[_POINTER] * 3),
        "convolution_forward": (_POINTER,) * 4,
        "convolution_backward": (_POINTER,) * 6,
    }
    for function, arguments in pointers.items():
        getattr(library, function).argtypes = arguments
        getattr(library, function).restype = None
    return library


def cast_to_real(array: NDArray[np.float64], dtype: torch.dtype) -> Tensor:
    """Cast an array to the precision of the compiled code.

    Parameters
    ----------
    array : ndarray
        Numbers.
    dtype : torch.dtype
        The precision.

    Returns
    -------
    Tensor
        Contiguous.
    """
    return torch.from_numpy(np.ascontiguousarray(array)).to(dtype)
