"""Crystals like one that were compared with density functional theory, with the same potential.

The measure of nearness is plain and is told to readers: a validated crystal counts as near where
its most electronegative element is that of the crystal. Of these, crystals of the same formula come
first, then those that share the largest part of their elements, then those of the same space
group. Nearness of this sort suggests an error and does not bound it.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from tasks.crystals.curation import get_electronegativity, list_elements
from tasks.symmetry import classify_space_group

_REFERENCES: Final = {
    "dfpt_eigenvectors": "linear response (PBEsol), modes along a band path",
    "dft_modes": "DFT force constants, modes at random q-points",
    "pbe_frequencies": "DFT (PBE), frequencies of a mesh",
    "stability": "phonon database (PBEsol), lowest frequency",
}
_FLAGS: Final = {"True": True, "False": False, "": None}


@dataclass(frozen=True)
class ValidatedCrystal:
    """One crystal whose phonons by a potential were compared with a reference.

    Attributes
    ----------
    potential, formula : str
        Potential and reduced formula.
    space_group : int
        Of the reference.
    reference : str
        What it was compared with, in words.
    stability_agrees, leading_sign_agrees : bool or None
        Whether stability, and the sign of the largest helicity, are those of the reference; None
        where it cannot tell.
    frequency_mae : float or None
        Mean absolute error of the frequencies (THz).
    """

    potential: str
    formula: str
    space_group: int
    reference: str
    stability_agrees: bool | None
    leading_sign_agrees: bool | None
    frequency_mae: float | None


def find_nearest_validated(
    formula: str | None, space_group: int | None, potential: str | None, n_most: int = 5
) -> list[ValidatedCrystal]:
    """Find validated crystals that are near one.

    Parameters
    ----------
    formula : str or None
        Of the crystal.
    space_group : int or None
        Its space-group number.
    potential : str or None
        Potential that computed it.
    n_most : int
        Largest number of them.

    Returns
    -------
    list of ValidatedCrystal
        The nearest first; empty where none has the same most electronegative element.
    """
    own = _get_symbols(formula)
    known = [crystal for crystal in read_validated() if crystal.potential == potential]
    same = [other for other in known if own and _get_symbols(other.formula)[-1] == own[-1]]

    def order(other: ValidatedCrystal) -> tuple[bool, float, bool]:
        shared = _compute_overlap(own, _get_symbols(other.formula))
        alike = space_group is not None and _fold(other.space_group) == _fold(space_group)
        return other.formula != formula, -shared, not alike

    return sorted(same, key=order)[:n_most]


def count_validated(potential: str | None) -> int:
    """Crystals that were validated with a potential.

    Parameters
    ----------
    potential : str or None
        Its name.

    Returns
    -------
    int
        Each crystal counts once, whatever it was compared with.
    """
    return len({(c.formula, c.space_group) for c in read_validated() if c.potential == potential})


@cache
def read_validated() -> tuple[ValidatedCrystal, ...]:
    """Read the table that travels with the package."""
    text = (files("chiralscreen_data") / "validated_crystals.csv").read_text("utf-8")
    return tuple(map(_read_crystal, csv.DictReader(text.splitlines())))


def _read_crystal(row: Mapping[str, Any]) -> ValidatedCrystal:
    return ValidatedCrystal(
        potential=row["potential"],
        formula=row["formula"],
        space_group=int(row["space_group"]),
        reference=_REFERENCES[row["reference"]],
        stability_agrees=_FLAGS[row["stability_agrees"]],
        leading_sign_agrees=_FLAGS[row["leading_sign_agrees"]],
        frequency_mae=float(row["frequency_mae"]) if row["frequency_mae"] else None,
    )


@cache
def _get_symbols(formula: str | None) -> tuple[str, ...]:
    """Elements of a formula, the most electronegative last."""
    found = list_elements(formula) if formula else []
    return tuple(str(element) for element in sorted(found, key=get_electronegativity))


def _compute_overlap(first: Sequence[str], second: Sequence[str]) -> float:
    """Shared elements as a fraction of all."""
    return len({*first} & {*second}) / len({*first} | {*second})


def _fold(space_group: int) -> int:
    """One number for the two groups of an enantiomorphic pair."""
    return min(space_group, classify_space_group(space_group).enantiomorphic_partner or space_group)
