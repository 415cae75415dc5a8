"""Which crystals of a source are worth a computation, and what is doubtful about them."""

import re
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pymatgen.core import Composition, Element

from tasks.crystals.hazards import HAZARDS
from tasks.crystals.records import Provenance, describe_observation
from tasks.symmetry import classify_space_group, find_space_group_number
from tasks.tolerances import AS_GIVEN, LOOSE

ChargeBalance = Literal["uniform", "mixed", "none", "metallic"]

_SYMBOL: Final = re.compile(r"[A-Z][a-z]?")
CENTROSYMMETRIC: Final = "centrosymmetric: phonons carry no angular momentum"


class CurationSettings(BaseModel):
    """Which crystals are screened; all others are skipped with a reason."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tolerances: tuple[float, ...] = Field(
        (AS_GIVEN, LOOSE),
        description="distance tolerances at which the space group of the crystal as given is "
        "recorded (Å)",
    )
    idealise: float | None = Field(
        None,
        gt=0,
        description="distance tolerance to which crystals are idealised before all else (Å); "
        "symmetry.symprec by default",
    )
    require_agreement: bool = Field(
        False, description="skip crystals whose chirality class differs between the tolerances"
    )
    duplicates: bool = Field(True, description="skip repetitions of a crystal under other names")
    duplicate_distance: float = Field(
        0.1,
        gt=0,
        description="largest mean displacement between repetitions, relative to the cube root of "
        "the volume per atom",
    )
    min_distance: float = Field(0.5, ge=0, description="shortest distance between atoms (Å)")
    elements: tuple[str, ...] | None = Field(
        None, description="symbols of the elements that may occur; all by default"
    )
    excluded_elements: tuple[str, ...] = Field(
        (),
        description="symbols that may not occur; the words radioactive (Tc, Pm, all from Po) and "
        "toxic (Be, As, Cd, Hg, Tl, Pb) stand for several",
    )
    max_atoms: int | None = Field(None, gt=0, description="largest primitive cell (atoms)")
    max_energy_above_hull: float | None = Field(
        None,
        ge=0,
        description="highest energy above the hull (eV/atom): of the source where it states one, "
        "else by the potential after the relaxation, before any phonons",
    )
    observed_only: bool = Field(
        False, description="skip crystals of which the source does not say that they were observed"
    )
    charge_balance: Literal["off", "uniform", "mixed"] = Field(
        "off",
        description="skip compositions without balanced oxidation states, one per element or "
        "mixed ones",
    )

    @field_validator("tolerances")
    @classmethod
    def _require_positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        """Refuse tolerances that are not positive; sort them."""
        if any(tolerance <= 0 for tolerance in value):
            raise ValueError("tolerances must be greater than 0")
        return tuple(sorted(value))

    @field_validator("excluded_elements")
    @classmethod
    def _spell_out(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Replace words by symbols."""
        found = (symbol for name in value for symbol in HAZARDS.get(name, (name,)))
        return tuple(dict.fromkeys(found))

    @field_validator("elements", "excluded_elements")
    @classmethod
    def _require_known(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Refuse what is no symbol of an element."""
        if unknown := [symbol for symbol in value or () if not Element.is_valid_symbol(symbol)]:
            raise ValueError(f"no element has the symbol {unknown[0]}")
        return value


def find_space_groups(atoms: Atoms, tolerances: Sequence[float]) -> list[int]:
    """Find the space group of a crystal at several tolerances.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal as given: an idealised one hides what was doubtful.
    tolerances : sequence of float
        Distances in Å.

    Returns
    -------
    list of int
        Space-group number at each; 0 where none is found.
    """
    return [find_space_group_number(atoms, tolerance) for tolerance in tolerances]


def has_class_disagreement(numbers: Sequence[int]) -> bool:
    """Tell whether the chirality class depends on the tolerance.

    Parameters
    ----------
    numbers : sequence of int
        Space-group number at each tolerance; 0 where none was found.

    Returns
    -------
    bool
        True when two of them belong to different classes.
    """
    return len({classify_space_group(number).chirality_class for number in numbers if number}) > 1


def make_doubt_columns(
    given: Atoms, chirality_class: str, settings: CurationSettings
) -> dict[str, Any]:
    """Columns of ``materials`` that tell how the symmetry depends on the tolerance.

    Parameters
    ----------
    given : ase.Atoms
        The crystal as given.
    chirality_class : str
        Its class at the tolerance of the screening.
    settings : CurationSettings
        Tolerances.

    Returns
    -------
    dict
        Values by column. A centrosymmetric crystal remains so at looser tolerances and is skipped;
        nothing is searched for it.
    """
    if chirality_class == "I" or not settings.tolerances:
        return {}
    numbers = find_space_groups(given, settings.tolerances)
    return {
        "tolerances": list(settings.tolerances),
        "space_groups": numbers,
        "classes_differ": has_class_disagreement(numbers),
    }


def compare_stated_group(stated: int | None, found: int) -> dict[str, Any]:
    """Columns of ``materials`` that compare the space group found with the one a record states.

    Parameters
    ----------
    stated : int or None
        Number that the record states, if any.
    found : int
        Number of the crystal that is screened.

    Returns
    -------
    dict
        Values by column. Enantiomorphic partners differ: one of the two has the other hand.
    """
    return {} if stated is None else {"space_group_differs": stated != found}


def name_prototype(atoms: Atoms, number: int, wyckoff_letters: Sequence[str]) -> str:
    """Name the arrangement of a crystal, whatever its elements.

    Parameters
    ----------
    atoms : ase.Atoms
        Primitive cell.
    number : int
        Space-group number.
    wyckoff_letters : sequence of str
        Letter of each atom.

    Returns
    -------
    str
        Anonymous formula, space group, and for each element, the rarest first, its Wyckoff letters
        with the atoms of the primitive cell on each.

    Examples
    --------
    >>> from ase.build import bulk
    >>> prototype(bulk("ZnS", "zincblende", a=5.4), 216, ("a", "c"))
    'AB_216_a1_c1'
    """
    occupied: dict[int, dict[str, int]] = {}
    for atomic_number, letter in zip(atoms.numbers, wyckoff_letters, strict=True):
        letters = occupied.setdefault(int(atomic_number), {})
        letters[letter] = letters.get(letter, 0) + 1
    labels = sorted(
        (sum(letters.values()), "".join(f"{name}{letters[name]}" for name in sorted(letters)))
        for letters in occupied.values()
    )
    anonymous = Composition(atoms.get_chemical_formula()).anonymized_formula
    return "_".join([anonymous, str(number), *(label for _, label in labels)])


@lru_cache(maxsize=4096)
def find_charge_balance(formula: str) -> ChargeBalance:
    """Look for oxidation states that add up to zero.

    The less electronegative elements of a compound carry the positive states, as in Davies et al.,
    Chem 1, 617 (2016); the states are those common or found in crystals, as pymatgen lists them.

    Parameters
    ----------
    formula : str
        Chemical formula.

    Returns
    -------
    {"uniform", "mixed", "none", "metallic"}
        Whether one state per element suffices, whether atoms of one element need several, or
        nothing fits; metals among themselves need no balance.
    """
    with warnings.catch_warnings(action="ignore"):  # light noble gases have no electronegativity
        amounts = [(Element(e), int(n)) for e, n in Composition(formula).as_reduced_dict().items()]
    if len(amounts) == 1:
        return "uniform"
    if all(element.is_metal for element, _ in amounts):
        return "metallic"
    amounts.sort(key=lambda pair: get_electronegativity(pair[0]))
    for kind in ("uniform", "mixed"):
        if any(_is_balanced(amounts, k, uniform=kind == "uniform") for k in range(1, len(amounts))):
            return "uniform" if kind == "uniform" else "mixed"
    return "none"


def find_skip_reason(
    row: Mapping[str, Any],
    atoms: Atoms,
    provenance: Provenance,
    settings: CurationSettings,
    *,
    include_centrosymmetric: bool,
) -> str | None:
    """Tell why a crystal is not worth a computation.

    Parameters
    ----------
    row : mapping
        Its row of ``materials``.
    atoms : ase.Atoms
        Its primitive cell.
    provenance : Provenance
        What its database says of it.
    settings : CurationSettings
        What is wanted.
    include_centrosymmetric : bool
        Whether crystals without angular momentum are wanted too.

    Returns
    -------
    str or None
        The first reason found, the kind of it before the colon; None for a candidate.
    """
    if row["chirality_class"] == "I" and not include_centrosymmetric:
        return CENTROSYMMETRIC
    reasons = (
        _check_size(atoms, settings),
        _check_elements(atoms, settings),
        _check_distances(atoms, settings),
        _check_hull(provenance, settings),
        _check_observed(provenance, settings),
        _check_charges(row, settings),
        _check_doubt(row, settings),
    )
    return next((reason for reason in reasons if reason), None)


def list_elements(formula: str) -> list[Element]:
    """Elements of a chemical formula, each once; what else a text holds is passed over."""
    symbols = dict.fromkeys(_SYMBOL.findall(formula))
    return [Element(symbol) for symbol in symbols if Element.is_valid_symbol(symbol)]


def get_electronegativity(element: Element) -> float:
    """Pauling's; the light noble gases have none and come last, at infinity."""
    with warnings.catch_warnings(action="ignore"):
        found = float(element.X)
    return found if np.isfinite(found) else np.inf


def _is_balanced(amounts: Sequence[tuple[Element, int]], n_cations: int, *, uniform: bool) -> bool:
    """Whether the first elements can be positive and the others negative, with sum zero."""
    sums = {0}
    for index, (element, amount) in enumerate(amounts):
        sign = 1 if index < n_cations else -1
        known = {*element.icsd_oxidation_states, *element.common_oxidation_states}
        states = [state for state in known if state * sign > 0]
        steps = [[amount * state for state in states]] if uniform else [states] * amount
        for step in steps:
            sums = {total + charge for total in sums for charge in step}
    return 0 in sums


def _check_size(atoms: Atoms, settings: CurationSettings) -> str | None:
    limit = settings.max_atoms
    too_large = limit is not None and len(atoms) > limit
    return f"size: {len(atoms)} atoms, more than the limit of {limit}" if too_large else None


def _check_elements(atoms: Atoms, settings: CurationSettings) -> str | None:
    found = set(atoms.symbols)
    unwanted = found & set(settings.excluded_elements)
    if settings.elements is not None:
        unwanted |= found - set(settings.elements)
    return f"element: {', '.join(sorted(unwanted))} not wanted" if unwanted else None


def _check_distances(atoms: Atoms, settings: CurationSettings) -> str | None:
    if not settings.min_distance:
        return None
    distances = neighbour_list("d", atoms, settings.min_distance)
    if not len(distances):
        return None
    return f"distance: atoms are {distances.min():.3f} Å apart, less than {settings.min_distance} Å"


def _check_hull(provenance: Provenance, settings: CurationSettings) -> str | None:
    limit, energy = settings.max_energy_above_hull, provenance.energy_above_hull
    if limit is None or energy is None or energy <= limit:
        return None
    return f"energy: {energy:.3f} eV/atom above the hull, more than {limit}"


def _check_observed(provenance: Provenance, settings: CurationSettings) -> str | None:
    if not settings.observed_only or provenance.observed:
        return None
    return f"observed: {describe_observation(provenance.observed, provenance.observed_source)}"


def _check_charges(row: Mapping[str, Any], settings: CurationSettings) -> str | None:
    wanted, found = settings.charge_balance, row["charge_balance"]
    unfit = {"off": (), "uniform": ("none", "mixed"), "mixed": ("none",)}[wanted]
    return f"charge: no balanced oxidation states ({found})" if found in unfit else None


def _check_doubt(row: Mapping[str, Any], settings: CurationSettings) -> str | None:
    if not (settings.require_agreement and row.get("classes_differ")):
        return None
    pairs = zip(row["space_groups"], row["tolerances"], strict=True)
    found = ", ".join(f"{number} at {tolerance:g} Å" for number, tolerance in pairs)
    return f"doubtful symmetry: space group {found}"
