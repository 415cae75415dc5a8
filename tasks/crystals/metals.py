"""Which crystals are metals: by the band gap of their record, else by a rule of their elements.

`benchmarks.metals` measures the errors of the rule; docs/born-charges.md tells them.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from pymatgen.core import Element

from tasks.crystals.curation import (
    ChargeBalance,
    find_charge_balance,
    get_electronegativity,
    list_elements,
)

_LEAST_GAP: Final = 0.05  # eV; below it a calculated gap is a matter of the q-points
# On Pauling's scale. With an open shell of d or f electrons nine compounds in ten are metals where
# no anion is stronger than tellurium, hydrogen or phosphorus; nearly all are where it is carbon, or
# where an element has two oxidation states and no oxygen, fluorine or chlorine holds them apart.
_WEAK_ANION: Final = 2.3
_BINDING_ANION: Final = 3.1
_CLOSED_SHELLS: Final = frozenset(("Cu", "Ag", "Au", "Zn", "Cd", "Hg"))


def is_metal(formula: str, band_gap: float | None = None) -> bool:
    """Tell whether a crystal is a metal, which screens all dipoles.

    Parameters
    ----------
    formula : str
        Chemical formula; no other text is one of a metal.
    band_gap : float, optional
        That of its record (eV), which decides.

    Returns
    -------
    bool
        Without a band gap: whether its elements are all metals, no oxidation states add up to
        zero, or a transition metal, lanthanoid or actinoid has no strong anion beside it.
    """
    if band_gap is not None and band_gap == band_gap:  # noqa: PLR0124 - tables have NaN for none
        return band_gap < _LEAST_GAP
    return _is_probably_metal(formula)


@lru_cache(maxsize=4096)
def _is_probably_metal(formula: str) -> bool:
    """Judge by the elements alone."""
    elements = list_elements(formula)
    try:
        balance = find_charge_balance(formula)
    except ValueError:
        return False
    if all(element.is_metal for element in elements) or balance == "none":
        return True
    return any(map(_has_open_shell, elements)) and _has_weak_anion(elements, balance)


def _has_weak_anion(elements: Sequence[Element], balance: ChargeBalance) -> bool:
    """Whether no element takes the electrons of an open shell for itself."""
    strongest = max(elements, key=get_electronegativity)
    affinity = get_electronegativity(strongest)
    if affinity < _WEAK_ANION or strongest.symbol == "C":
        return True
    return balance == "mixed" and affinity < _BINDING_ANION


def _has_open_shell(element: Element) -> bool:
    """Whether an element brings d or f electrons of an open shell."""
    inner = element.is_transition_metal or element.is_lanthanoid or element.is_actinoid
    return bool(inner and element.symbol not in _CLOSED_SHELLS)
