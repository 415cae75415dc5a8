"""Potentials by name."""

from collections.abc import Mapping
from functools import cache

import torch

from potentials.ase_calculator import AseCalculator, Option, load_ase_calculator, load_chgnet
from potentials.interface import Equivariance, Potential
from potentials.parity import InversionAverage
from potentials.sevennet import MILLISECONDS_PER_ATOM as SEVENNET_MODELS
from potentials.sevennet import SevenNet, load_sevennet

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


def load_potential(
    name: str,
    device: str = "cpu",
    dtype: str = "float64",
    *,
    parity: bool = True,
    options: Mapping[str, Option] | None = None,
) -> Potential:
    """Load a potential, once per process.

    Parameters
    ----------
    name : str
        ``7net-l3i5``, ``7net-0``, ``chgnet``, or ``ase:package.module:callable`` for any ASE
        calculator.
    device : str
        ``cpu``, ``cuda``, ``cuda:1``, ..., or ``auto`` for a GPU where there is one.
    dtype : str
        ``float32`` or ``float64``. CHGNet computes in float32 whatever is asked; other
        calculators take their own option.
    parity : bool
        Make SO(3)-only potentials exactly O(3)-invariant by averaging over {identity, inversion}.
    options : mapping, optional
        Keyword arguments of an ``ase:`` calculator.

    Returns
    -------
    Potential
        With ``card`` and ``evaluate``.

    Raises
    ------
    ValueError
        For an unknown name, dtype or device, or a calculator that cannot be imported.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from potentials import load_potential
    >>> load_potential("7net-0").evaluate([bulk("Si")]).forces[0].shape
    (2, 3)
    """
    if dtype not in _DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}; choose one of {', '.join(_DTYPES)}")
    return _load(name, _device(device), dtype, parity, tuple(sorted((options or {}).items())))


@cache
def _load(
    name: str,
    device: torch.device,
    dtype: str,
    parity: bool,
    options: tuple[tuple[str, Option], ...],
) -> Potential:
    potential = _bare(name, device, dtype, dict(options))
    if parity and potential.card.equivariance is Equivariance.SO3:
        return InversionAverage(potential)
    return potential


def _bare(
    name: str, device: torch.device, dtype: str, options: dict[str, Option]
) -> SevenNet | AseCalculator:
    """Load the potential as its authors published it."""
    if name in SEVENNET_MODELS:
        return load_sevennet(name, device, _DTYPES[dtype])
    if name == "chgnet":
        return load_chgnet(device.type)
    if name.startswith("ase:"):
        return load_ase_calculator(name.removeprefix("ase:"), options)
    known = ", ".join([*SEVENNET_MODELS, "chgnet", "ase:package.module:callable"])
    raise ValueError(f"unknown potential {name!r}; choose one of {known}")


def _device(name: str) -> torch.device:
    """Turn a device name into a device that exists here."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"unknown device {name!r}; choose cpu, cuda, cuda:N or auto") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name!r} asked for, but torch sees no GPU; use cpu or auto")
    return device
