"""Verdict and score: which materials deserve a closer look, and why.

Three questions are never mixed: whether the space group *allows* phonon angular momentum, whether
the occupied Wyckoff positions *realise* it (both in `tasks.symmetry`), and whether it is
*significant* in numbers, which is answered here.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.chirality.record import ChiralityRecord
from tasks.chirality.thermal import ROOM_TEMPERATURE
from tasks.tolerances import NOISE

FloatArray = NDArray[np.float64]


class ScoreSettings(BaseModel):
    """Thresholds of the verdict and weights of the score."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    stability_tolerance: float = Field(
        NOISE, ge=0, description="imaginary frequencies smaller than this are taken as noise (THz)"
    )
    stiffness_tolerance: float = Field(
        0.5, ge=0, description="negative elastic constants smaller than this are noise (GPa)"
    )
    significance: float = Field(
        1e-3, gt=0, description="mean |l| above which angular momentum is significant (ħ)"
    )
    shortlist_score: float = Field(
        0.25, ge=0, le=1, description="score from which a stable material is on the shortlist"
    )
    momentum_weight: float = Field(1.0, ge=0, description="weight of the optical mean of |l|")
    helicity_weight: float = Field(1.0, ge=0, description="weight of the optical mean of |h|")
    isolation_weight: float = Field(0.5, ge=0, description="weight of isolation between bands")
    splitting_weight: float = Field(1.0, ge=0, description="weight of the splitting of hands")
    tensor_weight: float = Field(0.5, ge=0, description="weight of the response tensor")
    splitting_scale: float = Field(
        2.0, gt=0, description="linear splitting of hands that counts half (THz Å, k with 2π)"
    )
    tensor_scale: float = Field(
        3e-6, gt=0, description="response at 300 K that counts half (J s m^-2 K^-1 per s)"
    )

    @model_validator(mode="after")
    def _require_weight(self) -> Self:
        """Refuse weights that are all zero, of which no mean can be taken."""
        weights = [value for name, value in self if name.endswith("_weight")]
        if not any(weights):
            raise ValueError("all weights of the score are zero; give one of them a weight")
        return self


def _stored(unit: str, description: str) -> dict[str, str]:
    """Metadata of a field."""
    return {"unit": unit, "description": description}


@dataclass(frozen=True)
class Verdict:
    """What the numbers say of one material; units and meaning stand in the metadata."""

    min_frequency_commensurate: float = field(
        metadata=_stored(
            "THz", "Lowest frequency at the q-points of the supercell, negative if imaginary."
        )
    )
    n_imaginary_commensurate: int = field(
        metadata=_stored("", "Modes there below minus the stability tolerance.")
    )
    least_stiffness: float | None = field(
        metadata=_stored(
            "GPa",
            "Smallest eigenvalue of the elastic constants, for strains of unit length; empty for "
            "force constants without response to strain.",
        )
    )
    stable: bool = field(
        metadata=_stored("", "Whether there are no such modes and no strain lowers the energy.")
    )
    significant: bool = field(
        metadata=_stored("", "Whether the mean |l| exceeds the significance threshold.")
    )
    score: float | None = field(
        metadata=_stored("", "Rank of stable, significant materials, 0 to 1; empty for others.")
    )
    shortlisted: bool = field(metadata=_stored("", "Whether the score reaches the shortlist."))
    explanation: str = field(metadata=_stored("", "The verdict in words."))


def judge(
    record: ChiralityRecord,
    commensurate_frequencies: FloatArray,
    settings: ScoreSettings,
    least_stiffness: float | None = None,
) -> Verdict:
    """Judge one material by the numbers of the chirality stage.

    Parameters
    ----------
    record : ChiralityRecord
        Means over the Brillouin zone, splittings and response.
    commensurate_frequencies : ndarray
        Frequencies at the q-points of the supercell, translations left out (THz).
    settings : ScoreSettings
        Thresholds and weights.
    least_stiffness : float, optional
        Smallest eigenvalue of the elastic constants (GPa), where they are known.

    Returns
    -------
    Verdict
        With the reasons in words.
    """
    n_imaginary = int(np.sum(commensurate_frequencies < -settings.stability_tolerance))
    soft = least_stiffness is not None and least_stiffness < -settings.stiffness_tolerance
    stable = n_imaginary == 0 and not soft
    significant = record.mean_angular_momentum > settings.significance
    score = score_of(record, settings) if significant and stable else None
    return Verdict(
        min_frequency_commensurate=float(commensurate_frequencies.min()),
        n_imaginary_commensurate=n_imaginary,
        least_stiffness=least_stiffness,
        stable=stable,
        significant=significant,
        score=score,
        shortlisted=score is not None and score >= settings.shortlist_score,
        explanation=_explanation(
            record, n_imaginary, least_stiffness if soft else None, significant=significant
        ),
    )


def score_terms(record: ChiralityRecord, settings: ScoreSettings) -> dict[str, float]:
    """Terms of the score, each between 0 and 1.

    The largest |l| is not among them: near Γ it is 1 in every crystal with a three-, four- or
    six-fold axis. Neither is the largest splitting, which on a screw axis is a band width. The
    largest linear splitting s and the tensor norm t enter as s / (s + s0) and t / (t + t0).

    Parameters
    ----------
    record : ChiralityRecord
        Numbers of the chirality stage.
    settings : ScoreSettings
        Scales s0 and t0.

    Returns
    -------
    dict
        Value by name of the term: ``momentum``, ``helicity``, ``isolation``, ``splitting``,
        ``tensor``.
    """
    splitting = max(map(abs, record.splitting_linear), default=0.0)
    response = response_norm(record, ROOM_TEMPERATURE)
    return {
        "momentum": record.mean_optical_angular_momentum,
        "helicity": record.mean_optical_helicity,
        "isolation": max(0.0, 1 - record.near_degenerate_fraction - record.degenerate_fraction),
        "splitting": splitting / (splitting + settings.splitting_scale),
        "tensor": response / (response + settings.tensor_scale),
    }


def score_of(record: ChiralityRecord, settings: ScoreSettings) -> float:
    """Weighted mean of the terms of the score.

    Parameters
    ----------
    record : ChiralityRecord
        Numbers of the chirality stage.
    settings : ScoreSettings
        Weights and scales.

    Returns
    -------
    float
        Between 0 and 1.
    """
    terms = score_terms(record, settings)
    weights = {name: getattr(settings, f"{name}_weight") for name in terms}
    return float(sum(weights[name] * terms[name] for name in terms) / sum(weights.values()))


def response_norm(record: ChiralityRecord, temperature: float) -> float:
    """Frobenius norm of the velocity-angular-momentum tensor at a temperature.

    Parameters
    ----------
    record : ChiralityRecord
        With the tensor at several temperatures.
    temperature : float
        The one wanted (K); the nearest one stored is taken.

    Returns
    -------
    float
        In J s m^-2 K^-1 per s of relaxation time.
    """
    index = int(np.argmin(np.abs(np.array(record.temperatures) - temperature)))
    return float(np.linalg.norm(np.reshape(record.tensor, (-1, 9))[index]))


def _explanation(
    record: ChiralityRecord, n_imaginary: int, softness: float | None, *, significant: bool
) -> str:
    """The verdict in words."""
    if not significant:
        return f"no significant angular momentum: mean |l| {record.mean_angular_momentum:.1e} ħ"
    parts = [
        f"mean optical |l| {record.mean_optical_angular_momentum:.3f} ħ",
        f"mean optical |h| {record.mean_optical_helicity:.3f} ħ",
        f"helicity wave {record.helicity_wave_found}",
    ]
    if record.splitting_linear:
        slope = max(map(abs, record.splitting_linear))
        size = f"{slope:.2f} THz Å (k with 2π)"
        parts.append(f"hands of optical doublets split by up to {size} along an axis")
    if n_imaginary:
        parts.append(f"unstable: {n_imaginary} imaginary modes at commensurate q-points")
    if softness is not None:
        parts.append(f"elastically unstable: a strain of negative stiffness, {softness:.1f} GPa")
    return "; ".join(parts)
