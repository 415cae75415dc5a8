"""What a reader of one material's numbers should be warned of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ase.data import chemical_symbols
from pymatgen.core import Element

from tasks.site.sources import Details

_IMAGINARY: Final = -0.1  # THz
_SHIFT: Final = 0.02  # of the highest frequency
_SHARE: Final = 0.2  # of the tensor
_VOLUME: Final = 0.05  # of the input's volume
_NEAR: Final = 0.05  # of the modes
_POLAR: Final = 0.5  # difference of electronegativities (Pauling)


@dataclass(frozen=True)
class Caveat:
    """A warning and when it applies.

    Attributes
    ----------
    applies : callable
        Whether it applies to a material.
    text : str
        One or two sentences.
    """

    applies: Callable[[Details], Any]
    text: str


def caveats(found: Details) -> list[str]:
    """Warnings about the results of one material.

    Parameters
    ----------
    found : Details
        All there is of it.

    Returns
    -------
    list of str
        One sentence each, the gravest first.
    """
    return [caveat.text for caveat in _CAVEATS if caveat.applies(found)] + _recorded(found)


def _number(found: Details, name: str) -> float:
    """Number of the catalogue's row, 0 where there is none."""
    value = found.row[name]
    return 0.0 if value is None else float(value)


def _largest_share(found: Details) -> float:
    return max((x for x in found.row["tensor_largest_share"] or () if x is not None), default=0.0)


def _is_polar(found: Details) -> bool:
    """Whether the elements differ enough for modes to carry dipoles."""
    numbers: list[int] = (found.material or {}).get("numbers") or []
    values = [Element(chemical_symbols[number]).X for number in set(numbers)]
    return bool(values) and max(values) - min(values) > _POLAR


_CAVEATS: Final = (
    Caveat(
        lambda found: found.row["stable"] is False,
        "Unstable: there are imaginary modes at q-points that the supercell describes exactly. "
        "Numbers leave these modes out and should not be used.",
    ),
    Caveat(
        lambda found: found.row["symmetry_changed"],
        "The space group after relaxation is not that of the input.",
    ),
    Caveat(
        lambda found: found.row["stable"] and _number(found, "min_frequency") < _IMAGINARY,
        "Imaginary modes appear only between the q-points of the supercell, where frequencies are "
        "interpolated; a larger supercell may remove them.",
    ),
    Caveat(
        lambda found: _number(found, "boundary_shift") > _SHIFT,
        "Force constants are not small at the boundary of the supercell: interpolated "
        "frequencies may change in a larger one.",
    ),
    Caveat(
        lambda found: _largest_share(found) > _SHARE,
        "One star of q-points gives more than a fifth of the response tensor: it is not "
        "converged with the mesh.",
    ),
    Caveat(
        lambda found: found.row["nac"] is False and _is_polar(found),
        "No Born charges: the splitting of longitudinal and transverse optical modes is missing.",
    ),
    Caveat(
        lambda found: abs(_number(found, "volume_change")) > _VOLUME,
        "The relaxation changed the volume by more than five per cent.",
    ),
    Caveat(
        lambda found: _number(found, "near_degenerate_fraction") > _NEAR,
        "More than one mode in twenty lies so close to another set that small changes of the "
        "force constants would mix them.",
    ),
)


def _recorded(found: Details) -> list[str]:
    """Reasons that were stored with the results."""
    reason, image = found.row["reason"], found.row["enantiomorph_of"]
    relaxed = found.relaxation or {}
    stopped = relaxed.get("reason") if relaxed.get("converged") is False else None
    texts = (
        f"Not computed: {reason}." if reason else "",
        f"Results follow from those of its mirror image {image}." if image else "",
        f"The relaxation stopped early: {stopped}." if stopped else "",
    )
    return [text for text in texts if text]
