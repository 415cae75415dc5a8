"""The score and the scores by purpose: the only place where a term is declared.

Each term looks at columns of one row of the catalogue of materials and gives a number between 0 and
1, which goes to zero with the angular momentum. It is left out where its columns are empty, and
where a warning says that they mean nothing, or are known to no better than 30 %.
Nothing here needs the modes: a catalogue is ranked anew from its columns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tasks.chirality import ScoreSettings
from tasks.chirality.thermal import ROOM_TEMPERATURE
from tasks.results.trust import RULES, Trust
from tasks.tables.declarations import EXPERIMENTS
from tasks.thermodynamics.evidence import NO_EVIDENCE, Evidence, weigh_evidence

Row = Mapping[str, Any]

_OTHER_CLASS: Final = "class_changed"
_UNFIT: Final = {"stable": "unstable", "significant": "no significant angular momentum"}


@dataclass(frozen=True)
class Term:
    """A number between 0 and 1 that a score is made of.

    Attributes
    ----------
    name : str
        Its name; that of its weight in the settings is ``<name>_weight``.
    formula : str
        How it follows from the columns.
    reads : tuple of str
        Columns of the catalogue of materials.
    value : callable
        The number, from a row whose columns are filled.
    reason : str
        Why it counts.
    spoiled_by : tuple of str
        Warnings with which the number means nothing.
    """

    name: str
    formula: str
    reads: tuple[str, ...]
    value: Callable[[Row, ScoreSettings], float]
    reason: str
    spoiled_by: tuple[str, ...] = ()

    def evaluate(
        self, row: Row, settings: ScoreSettings, warnings: Sequence[str] = ()
    ) -> float | None:
        """Compute the term.

        Parameters
        ----------
        row : mapping
            Row of the catalogue of materials.
        settings : ScoreSettings
            Scales.
        warnings : sequence of str
            Codes of the warnings of this row.

        Returns
        -------
        float or None
            None where it is left out.
        """
        if set(warnings) & set(self.spoiled_by):
            return None
        if any(_is_empty(row.get(name)) for name in self.reads):
            return None
        return self.value(row, settings)


@dataclass(frozen=True)
class Purpose(Term):
    """A score of its own for one kind of experiment: a single term.

    Attributes
    ----------
    title : str
        The experiment, in words.
    """

    title: str = ""


def compute_score_terms(
    row: Row, settings: ScoreSettings, warnings: Sequence[str] = ()
) -> dict[str, float]:
    """Terms of the score of one material, without those that are left out."""
    found = {term.name: term.evaluate(row, settings, warnings) for term in TERMS}
    return {name: value for name, value in found.items() if value is not None}


def compute_raw_score(
    row: Row, settings: ScoreSettings, warnings: Sequence[str] = ()
) -> float | None:
    """Weighted mean of the terms of the score.

    Parameters
    ----------
    row : mapping
        Row of the catalogue of materials.
    settings : ScoreSettings
        Weights and scales.
    warnings : sequence of str
        Codes of its warnings.

    Returns
    -------
    float or None
        Between 0 and 1; None for unstable and insignificant materials, and where every term with a
        weight is left out.
    """
    if not (row["stable"] and row["significant"]):
        return None
    terms = compute_score_terms(row, settings, warnings)
    weights = {name: getattr(settings, f"{name}_weight") for name in terms}
    total = sum(weights.values())
    return sum(weights[name] * terms[name] for name in terms) / total if total else None


def compute_purpose_scores(
    row: Row, settings: ScoreSettings, warnings: Sequence[str] = ()
) -> dict[str, float | None]:
    """Scores by purpose of one material.

    Parameters
    ----------
    row : mapping
        Row of the catalogue of materials.
    settings : ScoreSettings
        Scales.
    warnings : sequence of str
        Codes of its warnings.

    Returns
    -------
    dict
        Value by name of the purpose; None as for the score, and where its term is left out.
    """
    judged = row["stable"] and row["significant"]
    return {p.name: p.evaluate(row, settings, warnings) if judged else None for p in PURPOSES}


def make_ranking_columns(row: Row, trust: Trust, settings: ScoreSettings) -> dict[str, Any]:
    """Columns of the catalogue that rank one material with results.

    Parameters
    ----------
    row : mapping
        Columns `SCORED` and `EVIDENCE` of the catalogue of materials.
    trust : Trust
        Its warnings.
    settings : ScoreSettings
        Weights, scales and the shortlist.

    Returns
    -------
    dict
        Values by column.
    """
    raw = compute_raw_score(row, settings, trust.warnings)
    evidence = weigh_evidence(row, settings.shortlist_hull)
    obstacle = _find_obstacle(row, raw, trust, settings, evidence)
    ranked = raw is not None and _OTHER_CLASS not in trust.warnings
    scores = {"score": raw} | compute_purpose_scores(row, settings, trust.warnings)
    given = compute_score_terms(row, settings, trust.warnings)
    left_out = [term.name for term in TERMS if term.name not in given]
    return {
        "raw_score": raw,
        "terms_left_out": left_out or None,
        "raw_shortlisted": raw is not None and raw >= settings.shortlist_score,
        "shortlisted": obstacle is None,
        "evidence": evidence.kind,
        "shortlist_reason": obstacle or evidence.reason,
    } | {
        name: value * trust.factor if ranked and value is not None else None
        for name, value in scores.items()
    }


def _find_obstacle(
    row: Row, raw: float | None, trust: Trust, settings: ScoreSettings, evidence: Evidence
) -> str | None:
    """First of the reasons that keep a material from the shortlist; None where there is none."""
    if raw is None:
        unfit = [text for name, text in _UNFIT.items() if not row[name]]
        return unfit[0] if unfit else "no term of the score can be used"
    if raw < settings.shortlist_score:
        return f"raw score {raw:.3f}, below {settings.shortlist_score:g}"
    if not trust.reliable:
        grave = [rule.code for rule in RULES if rule.grave and rule.code in trust.warnings]
        return f"not reliable: {', '.join(grave)}"
    if evidence.kind is None and settings.shortlist_hull is not None:
        return f"{NO_EVIDENCE}: {evidence.reason}"
    return None


def parse_score_settings(recorded: Mapping[str, Any]) -> ScoreSettings:
    """Weights and scales that a run recorded.

    Parameters
    ----------
    recorded : mapping
        All settings of the run, by group.

    Returns
    -------
    ScoreSettings
        The defaults for what the run did not record, or in a way that this program cannot read.
    """
    try:
        return ScoreSettings.model_validate(recorded.get("score", {}))
    except ValueError:
        return ScoreSettings()


def compute_response_norm(row: Row, temperature: float) -> float:
    """Frobenius norm of the velocity-angular-momentum tensor at a temperature.

    Parameters
    ----------
    row : mapping
        With ``temperatures`` (K) and ``tensor``.
    temperature : float
        The one wanted (K); the nearest one stored is taken.

    Returns
    -------
    float
        In J s m^-2 K^-1 per s of relaxation time.
    """
    kelvin = np.asarray(row["temperatures"])
    index = int(np.argmin(np.abs(kelvin - temperature)))
    return float(np.linalg.norm(np.reshape(row["tensor"], (len(kelvin), -1))[index]))


def _is_empty(value: Any) -> bool:  # noqa: ANN401 - a cell of the catalogue
    """Whether a column holds neither a number nor a list of some."""
    return value is None or (isinstance(value, Sequence) and not value)


def _find_largest(row: Row, name: str) -> float:
    """Largest size in a list, 0 for an empty one."""
    return max(map(abs, row[name]), default=0.0)


def _saturate(value: float, scale: float) -> float:
    """A size as a number between 0 and 1: one half at the scale."""
    return value / (value + scale)


def _make_purpose(
    name: str,
    reads: tuple[str, ...],
    value: Callable[[Row, ScoreSettings], float],
    reason: str,
    spoiled_by: tuple[str, ...] = (),
) -> Purpose:
    """Purpose whose column declares its experiment and its formula."""
    title, formula = EXPERIMENTS[name]
    return Purpose(name, formula, reads, value, reason, spoiled_by=spoiled_by, title=title)


TERMS: Final = (
    Term(
        "momentum",
        "mean of |l| over the optical branches, within linewidths",
        ("resolved_angular_momentum",),
        lambda row, _: row["resolved_angular_momentum"],
        "how circular the vibrations are that can be told apart, whatever their direction",
    ),
    Term(
        "helicity",
        "mean of |l.q̂| over the optical branches, within linewidths",
        ("resolved_helicity",),
        lambda row, _: row["resolved_helicity"],
        "how much of it turns about the direction in which the wave travels",
        spoiled_by=("helicity_uncertain",),
    ),
    Term(
        "splitting",
        "mean of |l.q̂| of the optical branches at k = 0.1 1/Å, within linewidths",
        ("long_wave_helicity",),
        lambda row, _: row["long_wave_helicity"],
        "how far opposite hands are split in the long waves that most probes reach",
        spoiled_by=("splitting_uncertain",),
    ),
)
"""Terms of the score."""

PURPOSES: Final = (
    _make_purpose(
        "score_raman",
        ("raman_splitting",),
        lambda row, settings: _saturate(
            _find_largest(row, "raman_splitting"), settings.raman_scale
        ),
        "crossed circular channels see the two partners of a doublet at different shifts",
        spoiled_by=("splitting_uncertain",),
    ),
    _make_purpose(
        "score_scattering",
        ("scattering_angular_momentum",),
        lambda row, _: row["scattering_angular_momentum"],
        "branches of opposite l have to be apart by the resolution of the instrument",
    ),
    _make_purpose(
        "score_resonant",
        ("resonant_helicity",),
        lambda row, _: row["resonant_helicity"],
        "circular dichroism shows l along q of modes clear of the elastic line",
        spoiled_by=("helicity_uncertain",),
    ),
    _make_purpose(
        "score_thermal",
        ("temperatures", "tensor"),
        lambda row, settings: _saturate(
            compute_response_norm(row, ROOM_TEMPERATURE), settings.tensor_scale
        ),
        "a gradient of temperature gives the phonons angular momentum",
        spoiled_by=("mesh", "forbidden_tensor", "tensor_uncertain"),
    ),
)
"""Scores by purpose; the names are those of their columns."""

SCORED: Final = tuple(
    dict.fromkeys(
        name for term in (*TERMS, *PURPOSES) for name in (*term.reads, "stable", "significant")
    )
)
"""Columns of the catalogue that scores look at."""
