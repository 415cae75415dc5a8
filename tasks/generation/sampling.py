"""Wyckoff sequences drawn from a model, under conditions."""

from collections.abc import Iterator

import numpy as np
import torch
from ase.data import atomic_numbers
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

from tasks.crystals.curation import find_charge_balance
from tasks.failures import RemediableError
from tasks.generation.model import SequenceModel
from tasks.generation.network import (
    COMPLETE,
    N_GROUPS,
    Partial,
    Scorer,
    count_atoms,
    find_allowed_positions,
)
from tasks.generation.preferences import Preferences
from tasks.generation.sequences import MAX_ATOMS, N_ELEMENTS, Occupation, WyckoffSequence
from tasks.symmetry import classify_space_group

_TOGETHER = 64  # crystals that are drawn at once
# Draws, for each sequence that is wanted, after which conditions count as too narrow.
_MOST_DRAWS = 200

SOHNCKE = tuple(
    number
    for number in range(1, N_GROUPS + 1)
    if classify_space_group(number).chirality_class == "II"
)
"""The 65 space groups whose crystals are chiral."""


class Conditions(BaseModel):
    """Which sequences are wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    space_groups: tuple[int, ...] = Field(
        SOHNCKE, min_length=1, description="numbers of the space groups; those of chiral crystals"
    )
    elements: tuple[str, ...] | None = Field(
        None, description="symbols of the elements that may occur; all by default"
    )
    min_atoms: int = Field(1, ge=1, description="smallest primitive cell (atoms)")
    max_atoms: int = Field(MAX_ATOMS, ge=1, le=MAX_ATOMS, description="largest primitive cell")
    charge_balance: bool = Field(
        True, description="only compositions whose oxidation states can balance, and alloys"
    )
    independent: bool = Field(
        False, description="draw each site alone, by its frequency: the baseline"
    )
    temperature: float = Field(
        1.0, gt=0, description="below 1: what the model thinks likely; above: what it does less"
    )
    preferences: Preferences = Preferences()

    @field_validator("space_groups")
    @classmethod
    def _require_groups(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        """Refuse what is no number of a space group."""
        if wrong := [number for number in value if not 1 <= number <= N_GROUPS]:
            raise ValueError(f"no space group has the number {wrong[0]}")
        return value

    @field_validator("elements")
    @classmethod
    def _require_elements(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """Refuse what is no symbol of an element."""
        if wrong := [s for s in value or () if not 1 <= atomic_numbers.get(s, 0) <= N_ELEMENTS]:
            raise ValueError(f"no element has the symbol {wrong[0]}")
        return value


def sample_sequences(
    model: SequenceModel, conditions: Conditions, count: int, seed: int
) -> list[WyckoffSequence]:
    """Draw sequences.

    Space groups are drawn as often as known crystals have them, times their factor among the
    preferences. A sequence is kept with a probability in proportion to that of its elements.

    Parameters
    ----------
    model : SequenceModel
        What knows crystals.
    conditions : Conditions
        Which sequences are wanted; the others are drawn anew.
    count : int
        How many.
    seed : int
        Of all draws.

    Returns
    -------
    list of WyckoffSequence
        Not all different.

    Raises
    ------
    RemediableError
        When hardly any sequence meets the conditions, or the model knows none of the elements.
    """
    elements = _find_elements(model, conditions)
    generator = torch.Generator().manual_seed(seed)
    found: list[WyckoffSequence] = []
    for _ in range(0, _MOST_DRAWS * count, _TOGETHER):
        drawn = _draw_together(model, conditions, elements, generator)
        found += [s for s in drawn if _is_wanted(s, conditions, generator)]
        if len(found) >= count:
            return found[:count]
    message = f"{len(found)} of {count} sequences after {_MOST_DRAWS * count} draws"
    raise RemediableError(message, "allow more space groups, elements or atoms")


def _find_elements(model: SequenceModel, conditions: Conditions) -> Tensor:
    """Which elements may be drawn, shape (104,)."""
    known = model.cells.elements
    wanted = conditions.elements
    numbers = known if wanted is None else known & {atomic_numbers[s] for s in wanted}
    if not numbers:
        message = f"the model knows none of the elements {', '.join(wanted or ())}"
        raise RemediableError(message, "allow other elements")
    allowed = torch.zeros(N_ELEMENTS + 1, dtype=torch.bool)
    allowed[sorted(numbers)] = True
    return allowed


def _is_wanted(
    sequence: WyckoffSequence, conditions: Conditions, generator: torch.Generator
) -> bool:
    """Whether charges balance where they must, and chance prefers the elements."""
    if conditions.charge_balance and find_charge_balance(sequence.formula) == "none":
        return False
    if not conditions.preferences.elements:  # a draw would change those that follow
        return True
    share = conditions.preferences.weigh_formula(sequence.formula)
    return float(torch.rand(1, generator=generator)) < share


def _draw_together(
    model: SequenceModel, conditions: Conditions, elements: Tensor, generator: torch.Generator
) -> Iterator[WyckoffSequence]:
    """Draw some sequences, site by site; those that lead nowhere are dropped."""
    weights = torch.from_numpy(model.cells.count_groups() + 1)
    for number, factor in conditions.preferences.groups.items():
        weights[number - 1] *= factor
    wanted = torch.tensor(conditions.space_groups) - 1
    groups = wanted[torch.multinomial(weights[wanted], _TOGETHER, True, generator=generator)]
    size = (_TOGETHER, conditions.max_atoms)
    positions, numbers = torch.zeros(size, dtype=torch.long), torch.zeros(size, dtype=torch.long)
    counts = torch.zeros(_TOGETHER, dtype=torch.long)
    finished, open_ = [], torch.arange(_TOGETHER)
    for place in range(conditions.max_atoms + 1):
        shown = Partial(
            groups[open_],
            positions[open_, :place],
            numbers[open_, :place],
            torch.ones(len(open_), place, dtype=torch.bool),
        )
        choices, elected, alive = _choose_next(model, conditions, elements, shown, generator)
        complete = choices == COMPLETE
        counts[open_] = place
        finished += open_[alive & complete].tolist()
        goes_on = alive & ~complete
        open_ = open_[goes_on]
        if not len(open_):
            break
        positions[open_, place], numbers[open_, place] = choices[goes_on], elected[goes_on]
    for index in sorted(finished):
        pairs = zip(positions[index].tolist(), numbers[index].tolist(), strict=True)
        sites = sorted(Occupation(*pair) for pair in list(pairs)[: int(counts[index])])
        yield WyckoffSequence(int(groups[index]) + 1, tuple(sites))


@torch.no_grad()
def _choose_next(
    model: SequenceModel,
    conditions: Conditions,
    elements: Tensor,
    shown: Partial,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Next position and its element, and whether there is any choice; each of shape (n,)."""
    network: Scorer = model.independent if conditions.independent else model.network
    features = network.encode(shown)
    scores = network.score_positions(features, shown.groups) / conditions.temperature
    allowed = find_allowed_positions(network.tables, shown, conditions.max_atoms)
    may_end = count_atoms(network.tables, shown) >= conditions.min_atoms
    allowed = torch.cat([allowed, may_end[:, None]], dim=1)
    alive = allowed.any(dim=1)
    scores = scores.masked_fill(~allowed & alive[:, None], -np.inf)
    choices = _draw(scores, generator)
    at = choices.clamp(max=COMPLETE - 1)
    of_elements = network.score_elements(features, shown.groups, at) / conditions.temperature
    return choices, _draw(of_elements.masked_fill(~elements, -np.inf), generator), alive


def _draw(scores: Tensor, generator: torch.Generator) -> Tensor:
    """One choice of each row of logarithms of odds."""
    return torch.multinomial(scores.softmax(dim=1), 1, generator=generator)[:, 0]
