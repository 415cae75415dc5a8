"""Verdict: whether a material is stable, and its angular momentum significant.

Three questions are never mixed: whether the space group *allows* phonon angular momentum, whether
the occupied Wyckoff positions *realise* it (both in `tasks.symmetry`), and whether it is
*significant* in numbers, which is answered here. The score, `tasks.results.ranking`, comes later:
it needs columns of other stages.
"""

from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.tables.chirality import ChiralityRecord, Verdict
from tasks.tolerances import NOISE

FloatArray = NDArray[np.float64]

VERDICT_SETTINGS: Final = ("stability_tolerance", "stiffness_tolerance", "significance")
"""Settings of the group that the chirality stage needs; the others rank what it found."""
_RETIRED: Final = frozenset(("isolation_weight", "splitting_scale", "tensor_weight"))


class ScoreSettings(BaseModel):
    """Thresholds of the verdict, weights and scales of the scores."""

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
        0.12, ge=0, le=1, description="raw score from which a material is on the shortlist"
    )
    shortlist_hull: float | None = Field(
        0.05,
        ge=0,
        description="distance from the hull (eV/atom) within which a crystal that is not known to "
        "be observed is on the shortlist; null lists crystals without evidence as well",
    )
    momentum_weight: float = Field(1.0, ge=0, description="weight of the optical mean of |l|")
    helicity_weight: float = Field(1.0, ge=0, description="weight of the optical mean of |h|")
    splitting_weight: float = Field(
        1.0, ge=0, description="weight of the optical mean of |h| that a linewidth leaves"
    )
    raman_scale: float = Field(
        0.05, gt=0, description="splitting that counts half for circular Raman (meV)"
    )
    tensor_scale: float = Field(
        3e-6, gt=0, description="response at 300 K that counts half (J s m^-2 K^-1 per s)"
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_retired(cls, given: Any) -> Any:  # noqa: ANN401 - whatever a file holds
        """Accept settings of older programs whose terms the score no longer has."""
        if isinstance(given, dict):
            return {name: value for name, value in given.items() if name not in _RETIRED}
        return given

    @model_validator(mode="after")
    def _require_weight(self) -> Self:
        """Refuse weights that are all zero, of which no mean can be taken."""
        weights = [value for name, value in self if name.endswith("_weight")]
        if not any(weights):
            raise ValueError("all weights of the score are zero; give one of them a weight")
        return self


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
    return Verdict(
        min_frequency_commensurate=float(commensurate_frequencies.min()),
        n_imaginary_commensurate=n_imaginary,
        least_stiffness=least_stiffness,
        stable=stable,
        significant=significant,
        explanation=_explain(
            record, n_imaginary, least_stiffness if soft else None, significant=significant
        ),
    )


def _explain(
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
    if record.circular_splitting:
        energy = max(map(abs, record.circular_splitting))
        parts.append(f"circular splitting up to {energy:.2f} meV ħ along an axis")
    if n_imaginary:
        parts.append(f"unstable: {n_imaginary} imaginary modes at commensurate q-points")
    if softness is not None:
        parts.append(f"elastically unstable: a strain of negative stiffness, {softness:.1f} GPa")
    return "; ".join(parts)
