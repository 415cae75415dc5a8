"""How far the results of a material can be trusted: the only place where a warning is declared.

Each rule gets one row of the catalogue, and of it only what it names in `Rule.reads`:
columns, and settings of the run by dotted names, such as ``score.stability_tolerance``. A threshold
that a setting has already is that setting's. What a warning costs is a judgement, the other
thresholds are measured; docs/trust.md tells both. A *grave* warning means that class, stability or
the sign of the helicity may be wrong; the others concern sizes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from potentials import load_charge_card
from tasks.chirality import ScoreSettings
from tasks.crystals.curation import get_electronegativity, list_elements
from tasks.crystals.metals import is_metal
from tasks.phonons import PhononSettings
from tasks.symmetry import classify_space_group

Row = Mapping[str, Any]

_SOFT: Final = 0.3  # THz
_LARGE_SHIFT: Final = 0.05
_FORBIDDEN: Final = 1e-3  # of the tensor
_SHARE: Final = 0.2  # of the tensor
_VOLUME: Final = 0.05  # of the measured volume
_LARGE_VOLUME: Final = 0.10
_NEAR: Final = 0.05  # of the modes
_DISAGREEMENT: Final = 0.05  # of the highest frequency
_SPREAD: Final = 0.3  # of the quantity
_POLAR: Final = 0.3  # difference of electronegativities (Pauling)
_RARE: Final = 10  # crystals from which an element is known
# Factors on the score: what a warning puts in doubt decides what it costs; least, a single term.
_GRAVE: Final = 0.3
_MARGINAL: Final = 0.6
_SIZE: Final = 0.85
_TENSOR: Final = 0.95
# Groups of `ScreenSettings` that rules may name.
_GROUPS: Final[Mapping[str, type[BaseModel]]] = {"score": ScoreSettings, "phonons": PhononSettings}


@dataclass(frozen=True)
class Rule:
    """One warning.

    Attributes
    ----------
    code : str
        Name in the column ``warnings``.
    reads : tuple of str
        Columns of the catalogue and dotted names of settings that it looks at.
    applies : callable
        Whether a row of these, and of nothing else, deserves it. Columns may be empty.
    factor : float
        What it does to the score, between 0 and 1.
    grave : bool
        Whether class, stability or the sign of the helicity may be wrong.
    text : str
        One or two sentences for readers.
    """

    code: str
    reads: tuple[str, ...]
    applies: Callable[[Row], bool]
    factor: float
    grave: bool
    text: str


@dataclass(frozen=True)
class Trust:
    """What the rules say of one material.

    Attributes
    ----------
    warnings : tuple of str
        Codes, the gravest first.
    factor : float
        Product of the factors of the warnings.
    reliable : bool
        Whether no warning is grave.
    """

    warnings: tuple[str, ...]
    factor: float
    reliable: bool


def assess_reliability(row: Row, settings: Row | None = None) -> Trust:
    """Apply all rules to one material with results.

    Parameters
    ----------
    row : mapping
        The columns `JUDGED` of the catalogue of materials; empty ones warn of nothing.
    settings : mapping, optional
        Settings of the run that the results are of, as `select_rule_settings` gives them; the
        defaults if left out.

    Returns
    -------
    Trust
        Its warnings and what follows from them.

    Raises
    ------
    KeyError
        When a column is missing.
    """
    values = {**row, **(select_rule_settings({}) if settings is None else settings)}
    found = [rule for rule in RULES if rule.applies({name: values[name] for name in rule.reads})]
    return Trust(
        warnings=tuple(rule.code for rule in found),
        factor=math.prod(rule.factor for rule in found),
        reliable=not any(rule.grave for rule in found),
    )


def select_rule_settings(recorded: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Take the settings that rules look at out of those of a run.

    Parameters
    ----------
    recorded : mapping
        Groups of settings, as a run has recorded them.

    Returns
    -------
    dict
        Values by dotted name; the default where the run recorded none.
    """
    found = {}
    for path in (name for name in _list_read_names() if "." in name):
        group, name = path.split(".")
        default = _GROUPS[group].model_fields[name].default
        found[path] = recorded.get(group, {}).get(name, default)
    return found


def get_warning_text(code: str) -> str:
    """Sentence for readers.

    Parameters
    ----------
    code : str
        Name of a warning.

    Returns
    -------
    str
        One or two sentences; the code itself where a newer program wrote it.
    """
    return next((rule.text for rule in RULES if rule.code == code), code)


def may_be_polar(formula: str | None, band_gap: float | None = None) -> bool:
    """Whether modes of a crystal may carry dipoles that split its optical modes.

    Parameters
    ----------
    formula : str or None
        Chemical formula.
    band_gap : float, optional
        That of its record (eV); metals screen all dipoles.

    Returns
    -------
    bool
        True where electronegativities differ by more than 0.3 (Pauling), and the crystal is no
        metal (`tasks.crystals.metals`).
    """
    values = [get_electronegativity(element) for element in list_elements(formula or "")]
    finite = [value for value in values if math.isfinite(value)]
    if not formula or not finite or max(finite) - min(finite) <= _POLAR:
        return False
    return not is_metal(formula, band_gap)


def _has_unsure_charges(row: Row) -> bool:
    """Whether charges are predicted and the model is unsure of the crystal, or new to an element.

    Four crystals in five that it did not see have smaller error bars.
    """
    bar, known = row["charge_uncertainty"], row["charge_crystals"]
    if row["nac_source"] != "predicted" or bar is None or known is None:
        return False
    return bool(bar > load_charge_card().charges.sure or known < _RARE)


def _read_number(row: Row, name: str) -> float:
    """Number of a column, 0 where there is none."""
    value = row[name]
    return 0.0 if value is None else float(value)


def _find_largest(row: Row, name: str) -> float:
    """Largest number of a column of lists, 0 where there is none."""
    values = row[name]
    return max((abs(x) for x in values if x is not None), default=0.0) if values is not None else 0


def _is_uncertain(row: Row, quantity: str) -> bool:
    """Whether a quantity depends on the division among images, or on the potential."""
    own = row[f"{quantity}_spread"]
    # Along axes and temperatures the largest spread counts.
    spreads = own if isinstance(own, Sequence) else [own]
    found = [*spreads, row[f"{quantity}_disagreement"]]
    return any(value is not None and value > _SPREAD for value in found)


def _has_same_class(row: Row) -> bool:
    """Whether the relaxed crystal has class and wave of the input; False where it is unknown."""
    number = row["space_group_number_relaxed"]
    if not number:
        return False
    found = classify_space_group(int(number))
    given = row["chirality_class"], row["helicity_wave"]
    return (found.chirality_class, found.helicity_wave) == given


_GROUP_COLUMNS: Final = (
    "symmetry_changed",
    "space_group_number_relaxed",
    "chirality_class",
    "helicity_wave",
)

RULES: Final = (
    Rule(
        "unstable",
        ("stable",),
        lambda row: row["stable"] is False,
        _GRAVE,
        True,
        "Unstable: there are imaginary modes at q-points that the supercell describes exactly. "
        "Numbers leave these modes out and should not be used.",
    ),
    Rule(
        "class_changed",
        _GROUP_COLUMNS,
        lambda row: row["symmetry_changed"] is True and not _has_same_class(row),
        _GRAVE,
        True,
        "After the relaxation the crystal has another space group, of another chirality class or "
        "helicity wave than the input's.",
    ),
    Rule(
        "symmetry_doubtful",
        ("classes_differ",),
        lambda row: row["classes_differ"] is True,
        _GRAVE,
        True,
        "The chirality class of the input depends on the tolerance of the symmetry search.",
    ),
    Rule(
        "wave_differs",
        ("helicity_wave", "helicity_wave_found"),
        lambda row: None not in row.values() and row["helicity_wave"] != row["helicity_wave_found"],
        _GRAVE,
        True,
        "The helicity has another lowest harmonic than the space group of the input allows: the "
        "relaxed crystal has another symmetry, or its helicity is too small to tell.",
    ),
    Rule(
        "supercell",
        ("boundary_shift",),
        lambda row: _read_number(row, "boundary_shift") > _LARGE_SHIFT,
        _GRAVE,
        True,
        "Force constants are large at the boundary of the supercell: interpolated frequencies "
        "are not converged.",
    ),
    Rule(
        "potentials_disagree",
        ("potentials_disagree",),
        lambda row: row["potentials_disagree"] is True,
        _GRAVE,
        True,
        "Another potential contradicts: in stability, in the helicity wave or in the sign of the "
        "leading helicity.",
    ),
    Rule(
        "volume_far_off",
        ("measured_volume_change",),
        lambda row: abs(_read_number(row, "measured_volume_change")) > _LARGE_VOLUME,
        _GRAVE,
        True,
        "The relaxed volume is off the measured one by more than ten per cent: the potential "
        "describes another crystal.",
    ),
    Rule(
        "soft",
        ("stable", "min_frequency_commensurate"),
        lambda row: (
            row["stable"] is True and _read_number(row, "min_frequency_commensurate") < _SOFT
        ),
        _MARGINAL,
        True,
        "The lowest frequency at the q-points of the supercell is close to zero: a small error "
        "of the potential makes the crystal unstable.",
    ),
    Rule(
        "forbidden_tensor",
        ("tensor_violation",),
        lambda row: _find_largest(row, "tensor_violation") > _FORBIDDEN,
        _MARGINAL,
        False,
        "Before symmetrisation the response tensor has parts that symmetry forbids: q-mesh or "
        "degenerate sets do not resolve the modes that carry it.",
    ),
    Rule(
        "imaginary_between",
        ("stable", "min_frequency", "score.stability_tolerance"),
        lambda row: (
            row["stable"] is True
            and _read_number(row, "min_frequency") < -row["score.stability_tolerance"]
        ),
        _SIZE,
        False,
        "Imaginary modes appear only between the q-points of the supercell, where frequencies are "
        "interpolated; a larger supercell may remove them.",
    ),
    Rule(
        "symmetry_changed",
        _GROUP_COLUMNS,
        lambda row: row["symmetry_changed"] is True and _has_same_class(row),
        _SIZE,
        False,
        "The space group after relaxation is not that of the input; class and helicity wave are.",
    ),
    Rule(
        "boundary",
        ("boundary_shift", "phonons.max_boundary_shift"),
        lambda row: (
            row["phonons.max_boundary_shift"] < _read_number(row, "boundary_shift") <= _LARGE_SHIFT
        ),
        _SIZE,
        False,
        "Force constants are not small at the boundary of the supercell: interpolated "
        "frequencies may change in a larger one.",
    ),
    Rule(
        "volume",
        ("measured_volume_change",),
        lambda row: _VOLUME < abs(_read_number(row, "measured_volume_change")) <= _LARGE_VOLUME,
        _SIZE,
        False,
        "The relaxed volume is off the measured one by more than five per cent: frequencies are "
        "those of another cell, as they are with the functional that the potential learned.",
    ),
    Rule(
        "frequencies_differ",
        ("frequency_disagreement",),
        lambda row: _read_number(row, "frequency_disagreement") > _DISAGREEMENT,
        _SIZE,
        False,
        "Another potential gives frequencies that differ by more than a twentieth of the highest.",
    ),
    Rule(
        "helicity_uncertain",
        ("helicity_spread", "helicity_disagreement"),
        lambda row: _is_uncertain(row, "helicity"),
        _SIZE,
        False,
        "The mean helicity changes by more than three tenths with another division of force "
        "constants among periodic images, or with another potential.",
    ),
    Rule(
        "sum_rules_skipped",
        ("sum_rules_skipped",),
        lambda row: bool(row["sum_rules_skipped"]),
        _SIZE,
        False,
        "The rotational sum rules could not be imposed: sound near Γ may be wrong.",
    ),
    Rule(
        "mesh",
        ("tensor_largest_share",),
        lambda row: _find_largest(row, "tensor_largest_share") > _SHARE,
        _TENSOR,
        False,
        "One star of q-points gives more than a fifth of the response tensor: it is not "
        "converged with the mesh.",
    ),
    Rule(
        "tensor_uncertain",
        ("tensor_spread", "tensor_disagreement"),
        lambda row: _is_uncertain(row, "tensor"),
        _TENSOR,
        False,
        "The response tensor changes by more than three tenths with another division of force "
        "constants among periodic images, or with another potential.",
    ),
    Rule(
        "splitting_uncertain",
        ("splitting_spread", "splitting_disagreement"),
        lambda row: _is_uncertain(row, "splitting"),
        _TENSOR,
        False,
        "A linear splitting changes by more than three tenths with another division of force "
        "constants among periodic images, or with another potential.",
    ),
    Rule(
        "no_born_charges",
        ("nac", "formula", "band_gap"),
        lambda row: row["nac"] is False and may_be_polar(row["formula"], row["band_gap"]),
        _TENSOR,
        False,
        "No Born charges: the splitting of longitudinal and transverse optical modes is missing.",
    ),
    Rule(
        "charges_unsure",
        ("nac_source", "charge_uncertainty", "charge_crystals"),
        _has_unsure_charges,
        _TENSOR,
        False,
        "Born charges are predicted with a large error bar, or an element is known from few "
        "crystals: the splitting of longitudinal and transverse optical modes, and the response "
        "tensor, may be wrong.",
    ),
    Rule(
        "near_degenerate",
        ("near_degenerate_fraction",),
        lambda row: _read_number(row, "near_degenerate_fraction") > _NEAR,
        _SIZE,
        False,
        "More than one mode in twenty lies so close to another set that small changes of the "
        "force constants would mix them.",
    ),
    Rule(
        "volume_unchecked",
        ("measured_volume_change",),
        lambda row: row["measured_volume_change"] is None,
        _TENSOR,
        False,
        "Not checked against experiment: no measured cell of this crystal is known here.",
    ),
)
"""All warnings, the gravest first."""


def _list_read_names() -> tuple[str, ...]:
    """All that rules look at, each once."""
    return tuple(dict.fromkeys(name for rule in RULES for name in rule.reads))


JUDGED: Final = tuple(name for name in _list_read_names() if "." not in name)
"""Columns of the catalogue that the rules look at."""
