"""Which space groups and elements are worth more draws, by what came of earlier crystals.

The measure is score per hour. Every group and every element begins with some crystals of average
score and cost, so that few results change little, and its factor has limits, so that none is given
up: multiplicative weights with a prior.
"""

from collections.abc import Collection
from typing import Final

import pandas as pd
from ase.data import atomic_numbers
from ase.formula import Formula
from pydantic import BaseModel, ConfigDict, Field, field_validator

from tasks.failures import RemediableError
from tasks.generation.sequences import N_ELEMENTS
from tasks.symmetry import classify_space_group

_PRIOR: Final = 10  # crystals of average score and cost
_LIMITS: Final = (0.2, 5.0)  # of a factor


class Preferences(BaseModel):
    """How much more often than known crystals have them space groups and elements are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    groups: dict[int, float] = Field(
        default_factory=dict, description="factor by number of the space group; 1 for others"
    )
    elements: dict[str, float] = Field(
        default_factory=dict,
        description="factor by symbol; a sequence counts as the mean of its elements",
    )

    @field_validator("groups", "elements")
    @classmethod
    def _require_factors(cls, value: dict[int | str, float]) -> dict[int | str, float]:
        """Refuse what is no factor, or of nothing that there is."""
        for name, factor in value.items():
            known = name in range(1, 231) or 1 <= atomic_numbers.get(name, 0) <= N_ELEMENTS
            if not known or factor <= 0:
                raise ValueError(f"{name}: {factor} is no factor above 0 of a group or element")
        return value

    def weigh_formula(self, formula: str) -> float:
        """Mean factor of the elements of a formula, as a share of the largest of all."""
        factors = [self.elements.get(symbol, 1.0) for symbol in Formula(formula).count()]
        return sum(factors) / len(factors) / max([1.0, *self.elements.values()])


def learn_preferences(earnings: pd.DataFrame, groups: Collection[int]) -> Preferences:
    """Learn from the score per hour of crystals.

    Parameters
    ----------
    earnings : pandas.DataFrame
        One row per crystal: ``formula``, ``space_group_number``, ``score`` (zero where it was worth
        nothing) and ``hours``.
    groups : collection of int
        Space groups that are wanted; crystals of others do not count.

    Returns
    -------
    Preferences
        Score per hour of each group and element over that of all crystals together. Two groups that
        are mirror images of each other count as one.

    Raises
    ------
    RemediableError
        When no such crystal has a score.
    """
    counted = earnings[earnings["space_group_number"].isin(groups)]
    if not counted["score"].sum() > 0:
        message = f"none of {len(counted)} crystals in the wanted space groups has a score"
        raise RemediableError(message, "screen more crystals, or generate without --learn-from")
    mean = counted[["score", "hours"]].mean()
    pairs = counted["space_group_number"].map(_name_pair)
    of_pair = _compute_factors(counted.assign(kind=pairs), mean)
    kinds = {number: _name_pair(number) for number in groups}
    symbols = counted.assign(kind=counted["formula"].map(lambda f: list(Formula(f).count())))
    return Preferences(
        groups={number: of_pair[kind] for number, kind in kinds.items() if kind in of_pair},
        elements=_compute_factors(symbols.explode("kind"), mean),
    )


def _compute_factors(earnings: pd.DataFrame, mean: "pd.Series[float]") -> dict[object, float]:
    """Factor of each kind, the prior included."""
    total = earnings.groupby("kind")[["score", "hours"]].sum() + _PRIOR * mean
    factors = total["score"] / total["hours"] / (mean["score"] / mean["hours"])
    return {kind: float(x) for kind, x in factors.clip(*_LIMITS).round(3).items()}


def _name_pair(number: int) -> int:
    """Number of a space group, or that of its mirror image if it is lower."""
    return min(number, classify_space_group(number).enantiomorphic_partner or number)
