"""Units of frequency, and what one terahertz is in each: the only place that knows the factors.

Everything stored is in terahertz, a frequency nu = omega / 2 pi and not an angular frequency.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

_STORED: Final = "THz"


class UnitName(StrEnum):
    """Names of the units, as options take them."""

    THZ = _STORED
    INVERSE_CENTIMETRE = "cm-1"
    MILLIELECTRONVOLT = "meV"


@dataclass(frozen=True)
class FrequencyUnit:
    """Unit in which frequencies are shown.

    Attributes
    ----------
    name : UnitName
        As options take it.
    text : str
        As texts show it.
    tex : str
        The same in TeX, without dollar signs.
    """

    name: UnitName
    text: str
    tex: str

    @property
    def per_terahertz(self) -> float:
        """What one terahertz is in this unit: 1, 1 THz / c or h 1 THz, of CODATA."""
        from scipy.constants import c, centi, e, h, milli, tera  # noqa: PLC0415 - slow to load

        factors: dict[UnitName, float] = {
            UnitName.THZ: 1.0,
            UnitName.INVERSE_CENTIMETRE: tera * centi / c,
            UnitName.MILLIELECTRONVOLT: h * tera / e / milli,
        }
        return factors[self.name]

    def get_scale(self, unit: str) -> float:
        """Tell by what stored numbers are multiplied to be shown.

        Parameters
        ----------
        unit : str
            Their stored unit, such as ``THz``, ``THz Å`` or ``ħ/THz``; other text may surround it.

        Returns
        -------
        float
            1 where it holds no terahertz.
        """
        if _STORED not in unit:
            return 1.0
        return 1 / self.per_terahertz if f"/{_STORED}" in unit else self.per_terahertz

    def rewrite_unit(self, unit: str) -> str:
        """Write a stored unit with this one in place of terahertz.

        Parameters
        ----------
        unit : str
            Such as ``THz Å``; other text may surround it.

        Returns
        -------
        str
            Such as ``cm⁻¹ Å``.
        """
        return unit.replace(_STORED, self.text)


THZ: Final = FrequencyUnit(UnitName.THZ, _STORED, r"\mathrm{THz}")
"""The unit of everything stored."""

UNITS: Final[Mapping[UnitName, FrequencyUnit]] = MappingProxyType(
    {
        unit.name: unit
        for unit in (
            THZ,
            FrequencyUnit(UnitName.INVERSE_CENTIMETRE, "cm⁻¹", r"\mathrm{cm^{-1}}"),
            FrequencyUnit(UnitName.MILLIELECTRONVOLT, "meV", r"\mathrm{meV}"),
        )
    }
)
"""All units by name."""
