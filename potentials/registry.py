"""Potentials by name.

torch and the packages of the models take seconds to import; they are imported by the functions that
need them, so that an error message comes at once.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache, reduce
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from potentials.ase_calculator import Option, load_ase_calculator, load_chgnet
from potentials.averages import GROUPS, GroupAverage, average_card, list_groups, split_average
from potentials.charge_card import ChargeCard, read_charge_card
from potentials.compiler import predict_kernel
from potentials.interface import Potential, PotentialCard
from potentials.nequix_card import read_nequix_card
from potentials.sevennet_card import MODELS, read_sevennet_card

if TYPE_CHECKING:
    from potentials.charges import ChargeModel

# Packages that come as an extra of this one, each with the name of its extra.
_EXTRAS = {"chgnet": ("chgnet", "chgnet")} | dict.fromkeys(MODELS, ("sevenn", "sevennet"))
_CHARGES_FILE = "charges:"
_CHARGES_WEIGHTS = Path(__file__).parent / "charges" / "weights"
_DTYPES = ("float32", "float64")
_FACET_FILE = "facet:"
_FACET_WEIGHTS = Path(__file__).parent / "facet" / "weights"
_NEQUIX_FILE = "nequix:"
_NEQUIX_WEIGHTS = Path(__file__).parent / "checkpoints"
_ALWAYS_HERE = ("cpu", "auto")


def load_potential(
    name: str,
    device: str = "cpu",
    dtype: str = "float64",
    *,
    parity: bool = True,
    compiled: bool = True,
    options: Mapping[str, Option] | None = None,
) -> Potential:
    """Load a potential, once per process.

    Parameters
    ----------
    name : str
        ``nequix-mp-1-pft``, ``nequix-oam-1-pft``, ``7net-l3i5``, ``7net-0``, ``chgnet``, a shipped
        ``facet-...``, ``facet:path`` for a model of one's own training, ``nequix:path`` for another
        checkpoint of Nequix, or ``ase:package.module:callable`` for any ASE calculator. A group
        may follow, as in ``7net-0@octahedron``, over which it is averaged: ``inversion``,
        ``lattice``, ``octahedron``, ``icosahedron``; or ``bare``, for no average at all.
    device : str
        ``cpu``, ``cuda``, ``cuda:1``, ..., or ``auto`` for a GPU where there is one.
    dtype : str
        ``float32`` or ``float64``. CHGNet computes in float32 whatever is asked; other
        calculators take their own option.
    parity : bool
        Make SO(3)-only potentials exactly O(3)-invariant by averaging over {identity, inversion}.
    compiled : bool
        Use the compiled convolution where there is one for the potential, on a CPU with a C++
        compiler. The card's ``kernel`` tells what was found.
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
    from potentials.devices import forbid_tf32, resolve_device  # noqa: PLC0415 - as above

    require_known(name, device, dtype)
    forbid_tf32()
    chosen = tuple(sorted((options or {}).items()))
    return _load(name, resolve_device(device), dtype, parity, compiled, chosen)


def load_card(
    name: str,
    device: str = "cpu",
    dtype: str = "float64",
    *,
    options: Mapping[str, Option] | None = None,
) -> PotentialCard:
    """Tell what a potential is, without loading more of it than that takes.

    Parameters
    ----------
    name, device, dtype, options
        As `load_potential` takes them.

    Returns
    -------
    PotentialCard
        That of ``load_potential(name, device, dtype, options=options)``.

    Raises
    ------
    ValueError
        As `load_potential`.
    """
    require_known(name, device, dtype)
    base, average = split_average(name)
    # Other files are loaded, so that a defect in one is told before anything is computed.
    if base in list_nequix_names():
        card = read_nequix_card(_NEQUIX_WEIGHTS / f"{base}.nqx", predict_kernel(device))
    elif base in MODELS:
        card = read_sevennet_card(base, predict_kernel(device))
    else:
        return load_potential(name, device, dtype, options=options).card
    return reduce(average_card, list_groups(card, average), card)


def load_charge_model(name: str = "default") -> "ChargeModel":
    """Load a model of Born charges, once per process.

    Parameters
    ----------
    name : str
        ``default``, or ``charges:path`` for a model of one's own training.

    Returns
    -------
    ChargeModel
        With ``card`` and ``predict``; on the CPU and in float64.

    Raises
    ------
    ValueError
        For an unknown name, or a file that is no such model.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from potentials import load_charge_model
    >>> load_charge_model("default").predict(bulk("MgO", "rocksalt", 4.21)).born.shape
    (2, 3, 3)
    """
    return _read_charge_model(_find_charge_model(name))


@cache
def load_charge_card(name: str = "default") -> ChargeCard:
    """Tell what a model of Born charges is, without loading torch.

    Parameters
    ----------
    name : str
        As `load_charge_model` takes it.

    Returns
    -------
    ChargeCard
        That of ``load_charge_model(name)``.

    Raises
    ------
    ValueError
        As `load_charge_model`.
    """
    return read_charge_card(_find_charge_model(name))


def _find_charge_model(name: str) -> Path:
    """File of a charge model that is known or shipped."""
    shipped = sorted(path.stem for path in _CHARGES_WEIGHTS.glob("*.pt"))
    path = _find_checkpoint(name, _CHARGES_WEIGHTS / f"{name}.pt")
    if not path.is_file() or not name.startswith((*shipped, _CHARGES_FILE)):
        choices = ", ".join([*shipped, "charges:model.pt"])
        raise ValueError(f"unknown charge model {name!r}; choose one of {choices}")
    return path


def require_known(name: str, device: str, dtype: str) -> None:
    """Refuse what `load_potential` would refuse, without loading anything.

    Parameters
    ----------
    name, device, dtype : str
        As `load_potential` takes them.

    Raises
    ------
    ValueError
        For an unknown name, dtype or device, or a name whose package is not installed.
    """
    if dtype not in _DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}; choose one of {', '.join(_DTYPES)}")
    name, _ = split_average(name)
    known = [*list_nequix_names(), *MODELS, "chgnet", *list_facet_names()]
    files = (_FACET_FILE, _NEQUIX_FILE)
    if name not in known and not name.startswith(("ase:", *files)):
        choices = ", ".join(
            [*known, "facet:model.pt", "nequix:checkpoint.nqx", "ase:package.module:callable"]
        )
        near = get_close_matches(name, known, 1)
        base, at, average = name.rpartition("@")
        if at and base in known:
            groups = ", ".join(GROUPS)
            raise ValueError(f"{base} has no average {average!r}; choose one of {groups}")
        hint = f"did you mean {near[0]}?" if near else f"choose one of {choices}"
        raise ValueError(f"unknown potential {name!r}; {hint}")
    if name in _EXTRAS:
        _require_installed(name, *_EXTRAS[name])
    if name.startswith(files) and not Path(name.partition(":")[2]).is_file():
        raise ValueError(f"unknown potential {name!r}: there is no such file")
    if device not in _ALWAYS_HERE:
        from potentials.devices import resolve_device  # noqa: PLC0415 - as above

        resolve_device(device)


def _require_installed(name: str, package: str, extra: str) -> None:
    """Refuse a potential whose package is not there."""
    if find_spec(package) is None:
        message = f"the potential {name} needs the package {package}, which is not installed"
        raise ValueError(f"{message}: `pip install 'chiralscreen[{extra}]'`")


def list_facet_names() -> tuple[str, ...]:
    """List the models that travel with the package.

    Returns
    -------
    tuple of str
        Names for `load_potential`.
    """
    return tuple(sorted(path.stem for path in _FACET_WEIGHTS.glob("*.pt")))


def list_nequix_names() -> tuple[str, ...]:
    """List the checkpoints of Nequix that travel with the package.

    Returns
    -------
    tuple of str
        Names for `load_potential`.
    """
    return tuple(sorted(path.stem for path in _NEQUIX_WEIGHTS.glob("*.nqx")))


@cache
def _read_charge_model(path: Path) -> "ChargeModel":
    from potentials.charges.checkpoint import read_charge_model  # noqa: PLC0415 - as above

    return read_charge_model(path)


@cache
def _load(
    name: str,
    device: str,
    dtype: str,
    parity: bool,
    compiled: bool,
    options: tuple[tuple[str, Option], ...],
) -> Potential:
    base, average = split_average(name)
    potential = _load_unaveraged(base, device, dtype, compiled, options)
    return reduce(GroupAverage, list_groups(potential.card, average, parity=parity), potential)


@cache
def _load_unaveraged(
    name: str, device: str, dtype: str, compiled: bool, options: tuple[tuple[str, Option], ...]
) -> Potential:
    """Load the potential as its authors published it."""
    if name == "chgnet":
        return load_chgnet(device)
    if name.startswith("ase:"):
        return load_ase_calculator(name.removeprefix("ase:"), dict(options))
    if name.startswith("facet"):
        from potentials.facet import load_facet  # noqa: PLC0415 - as above

        path = _find_checkpoint(name, _FACET_WEIGHTS / f"{name}.pt")
        return load_facet(path, device, dtype, compiled=compiled)
    if name.startswith("nequix"):
        from potentials.nequix import load_nequix  # noqa: PLC0415 - as above

        path = _find_checkpoint(name, _NEQUIX_WEIGHTS / f"{name}.nqx")
        return load_nequix(path, device, dtype, compiled=compiled)
    # Before sevenn, which imports e3nn in its own way.
    import potentials.o3  # noqa: PLC0415, F401
    from potentials.sevennet import load_sevennet  # noqa: PLC0415 - as above

    return load_sevennet(name, device, dtype, compiled=compiled)


def _find_checkpoint(name: str, shipped: Path) -> Path:
    """File that a name tells, or that travels with the package."""
    _, colon, own = name.partition(":")
    return Path(own) if colon else shipped
