"""Where a potential computes, and how exactly."""

from typing import Any

import numpy as np
import torch

from potentials.interface import FloatArray


def resolve_device(name: str) -> str:
    """Turn the name of a device into that of a device that exists here.

    Parameters
    ----------
    name : str
        ``cpu``, ``cuda``, ``cuda:N``, or ``auto`` for a GPU where there is one.

    Returns
    -------
    str
        ``cpu`` or ``cuda:N``.

    Raises
    ------
    ValueError
        When torch does not know the name or does not see the device.
    """
    here = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if name == "auto":
        return here[1] if len(here) > 1 else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"unknown device {name!r}; choose cpu, cuda, cuda:N or auto") from error
    found = "cuda:0" if name == "cuda" else str(device)
    if found not in here:
        raise ValueError(f"there is no device {name!r}; torch sees {', '.join(here)}")
    return found


def forbid_tf32() -> None:
    """Make a GPU compute float32 as float32.

    TF32 keeps 10 bits of the mantissa, too few for forces that differ by 0.01 Å of displacement.
    """
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def to_device(
    array: np.ndarray[Any, Any], device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    """Make a tensor of an array.

    Parameters
    ----------
    array : ndarray
        Numbers.
    device : torch.device
        Where to put them.
    dtype : torch.dtype
        Precision of real numbers; integers become int64.

    Returns
    -------
    Tensor
        Of the same shape.
    """
    tensor = torch.from_numpy(array)
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else torch.long)


def to_host(tensor: torch.Tensor) -> FloatArray:
    """Make an array of a tensor.

    Parameters
    ----------
    tensor : Tensor
        Real numbers on any device.

    Returns
    -------
    ndarray of float64
        Of the same shape, a copy that remembers no gradient.
    """
    return tensor.detach().cpu().numpy().astype(np.float64)
