"""Potentials by name.

torch and the packages of the models take seconds to import; they are imported by the functions that
need them, so that whoever only asks for a card or an error message does not wait.
"""

from collections.abc import Mapping
from functools import cache

from potentials.ase_calculator import Option, load_ase_calculator, load_chgnet
from potentials.interface import Equivariance, Potential
from potentials.parity import InversionAverage

_SEVENNET_MODELS = ("7net-0", "7net-l3i5")
_DTYPES = ("float32", "float64")


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
    require_known(name, device, dtype)
    return _load(name, _device_name(device), dtype, parity, tuple(sorted((options or {}).items())))


def require_known(name: str, device: str, dtype: str) -> None:
    """Refuse what `load_potential` would refuse, without loading anything.

    Parameters
    ----------
    name, device, dtype : str
        As `load_potential` takes them.

    Raises
    ------
    ValueError
        For an unknown name, dtype or device.
    """
    if dtype not in _DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}; choose one of {', '.join(_DTYPES)}")
    if name not in (*_SEVENNET_MODELS, "chgnet") and not name.startswith("ase:"):
        known = ", ".join([*_SEVENNET_MODELS, "chgnet", "ase:package.module:callable"])
        raise ValueError(f"unknown potential {name!r}; choose one of {known}")
    if device != "cpu":
        _device_name(device)


@cache
def _load(
    name: str, device: str, dtype: str, parity: bool, options: tuple[tuple[str, Option], ...]
) -> Potential:
    potential = _bare(name, device, dtype, dict(options))
    if parity and potential.card.equivariance is Equivariance.SO3:
        return InversionAverage(potential)
    return potential


def _bare(name: str, device: str, dtype: str, options: dict[str, Option]) -> Potential:
    """Load the potential as its authors published it."""
    if name == "chgnet":
        return load_chgnet(device)
    if name.startswith("ase:"):
        return load_ase_calculator(name.removeprefix("ase:"), options)
    from potentials.sevennet import load_sevennet  # noqa: PLC0415 - see the module's docstring

    return load_sevennet(name, device, dtype)


def _device_name(name: str) -> str:
    """Turn a device name into that of a device that exists here."""
    import torch  # noqa: PLC0415 - see the module's docstring

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(name).type
    except RuntimeError as error:
        raise ValueError(f"unknown device {name!r}; choose cpu, cuda, cuda:N or auto") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name!r} asked for, but torch sees no GPU; use cpu or auto")
    return name
