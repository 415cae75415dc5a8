"""What a charge model is."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Calibration:
    """How the spread of an ensemble becomes an error bar: scale * spread ** power.

    Attributes
    ----------
    scale, power : float
        Fitted so that 68 % of crystals that were left out err less.
    sure : float
        The surest 80 % of crystals that were left out have smaller bars.
    """

    scale: float
    power: float
    sure: float

    def bar(self, spread: float) -> float:
        """Error bar of a spread."""
        return float(self.scale * spread**self.power)


@dataclass(frozen=True)
class ChargeCard:
    """Identity of a charge model.

    Attributes
    ----------
    name : str
        As `potentials.load_charge_model` takes it.
    digest : str
        SHA-256 (hex) of the file.
    functionals : tuple of str
        Those it can imitate.
    elements : mapping from int to int
        Atomic number, and in how many crystals it was learned from.
    charges, dielectric : Calibration
        Of the Born charges (e, root mean square over components) and of the dielectric tensor
        (relative).
    licence, citation : str
        Terms of the weights, and the works to cite.
    limits : tuple of str
        What to keep in mind, one sentence each.
    """

    name: str
    digest: str
    functionals: tuple[str, ...]
    elements: Mapping[int, int]
    charges: Calibration
    dielectric: Calibration
    licence: str
    citation: str
    limits: tuple[str, ...] = ()

    def rarity(self, numbers: frozenset[int]) -> int:
        """In how many crystals the rarest of some elements was learned from."""
        return min(self.elements.get(number, 0) for number in numbers)
