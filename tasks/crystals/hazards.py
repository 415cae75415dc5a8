"""Elements that a laboratory handles with care.

*Radioactive*: without a stable isotope (IUPAC, Standard Atomic Weights of the Elements 2021, Pure
Appl. Chem. 94, 573 (2022)); bismuth counts as stable, its half-life is 2e19 years.

*Toxic*: the metals among the World Health Organization's "10 chemicals of public health concern"
(2020: arsenic, cadmium, lead, mercury), and the elements whose compounds, as a group, are fatal
(Acute Tox. 2) or carcinogenic (Carc. 1B) in table 3 of annex VI to Regulation (EC) No 1272/2008:
beryllium, mercury, thallium. Uranium, of which that also holds, is among the radioactive ones.
Compounds of other elements can be as toxic: no name here is no word of safety.
"""

import re
from collections.abc import Mapping
from typing import Final

from pymatgen.core import Element

HAZARDS: Final[Mapping[str, tuple[str, ...]]] = {
    "radioactive": tuple(e.symbol for e in Element if e.is_radioactive),
    "toxic": ("Be", "As", "Cd", "Hg", "Tl", "Pb"),
}
"""Symbols by hazard."""
_SYMBOL: Final = re.compile(r"[A-Z][a-z]?")


def list_hazards(formula: str) -> dict[str, tuple[str, ...]]:
    """List the elements of each hazard in a formula.

    Examples
    --------
    >>> list_hazards("CdAs2")
    {'radioactive': (), 'toxic': ('Cd', 'As')}
    """
    present = dict.fromkeys(_SYMBOL.findall(formula))
    return {
        hazard: tuple(symbol for symbol in present if symbol in symbols)
        for hazard, symbols in HAZARDS.items()
    }
