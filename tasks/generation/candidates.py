"""Candidates: sequences made into crystals, relaxed, and the best try of each kept.

Tries of one sequence differ by cell and free coordinates. They relax inside their space group; the
one of lowest energy is kept. A relaxation cannot lose symmetry, and it may gain some: what gained
an inversion centre, or is in another group, is told and remains a candidate. What collapsed is
none.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from ase import Atoms
from pydantic import BaseModel, ConfigDict, Field

from potentials import Potential
from tasks.crystals.structures import check_crystal
from tasks.failures import RemediableError
from tasks.generation.model import CellStatistics
from tasks.generation.placement import PlacementSettings, place
from tasks.generation.sequences import WyckoffSequence
from tasks.relaxation import Relaxation, RelaxationSettings, relax
from tasks.symmetry import classify_space_group, find_space_group_number
from tasks.tolerances import AS_GIVEN

SAME: Final = "kept its space group"
INVERSION: Final = "gained an inversion centre"
OTHER: Final = "gained symmetry"
COLLAPSED: Final = "collapsed"
NOT_PLACED: Final = "not placed"
NOT_AT_REST: Final = "not at rest"
OUTCOMES: Final = (SAME, OTHER, INVERSION, NOT_AT_REST, COLLAPSED, NOT_PLACED)


class CandidateSettings(BaseModel):
    """How crystals are made of sequences and relaxed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    tries: int = Field(3, ge=1, description="crystals made of one sequence and relaxed")
    placements: int = Field(
        20, ge=1, description="attempts to make them, of which some have atoms too close"
    )
    placement: PlacementSettings = PlacementSettings()
    relaxation: RelaxationSettings = RelaxationSettings(
        max_force=0.02, max_stress=2e-3, max_evaluations=60
    )


@dataclass(frozen=True, eq=False)
class Candidate:
    """What became of a sequence.

    Attributes
    ----------
    sequence : WyckoffSequence
        Its space group is the one that was asked for.
    outcome : str
        One of `OUTCOMES`.
    reason : str
        What happened in detail; empty for a crystal that kept its space group.
    n_tries : int
        Crystals that were relaxed.
    refused : collections.Counter
        Placements that failed, by reason.
    relaxation : Relaxation or None
        Of the try that is kept; None where there is none.
    number : int
        Its space group after the relaxation, at the tolerance for given crystals; 0 without one.
    """

    sequence: WyckoffSequence
    outcome: str
    reason: str
    n_tries: int
    refused: Counter[str]
    relaxation: Relaxation | None = None
    number: int = 0


def make_candidates(
    sequences: Sequence[WyckoffSequence],
    cells: CellStatistics,
    potential: Potential,
    settings: CandidateSettings,
    seeds: Sequence[tuple[int, ...]],
) -> list[Candidate]:
    """Make a crystal of each sequence.

    Parameters
    ----------
    sequences : sequence of WyckoffSequence
        Treated together.
    cells : CellStatistics
        Known volumes and shapes.
    potential : Potential
        An O(3)-invariant potential.
    settings : CandidateSettings
        Tries and limits.
    seeds : sequence of tuple of int
        Of all that is drawn for each sequence, so that its crystal does not depend on the others.

    Returns
    -------
    list of Candidate
        One per sequence, whatever became of it.
    """
    placed = [
        _place_often(sequence, cells, settings, np.random.default_rng(seed))
        for sequence, seed in zip(sequences, seeds, strict=True)
    ]
    tries = [atoms for crystals, _ in placed for atoms in crystals]
    relaxed = iter(relax(tries, potential, settings.relaxation))
    return [
        _judge(sequence, [next(relaxed) for _ in crystals], refused)
        for sequence, (crystals, refused) in zip(sequences, placed, strict=True)
    ]


def make_row(candidate: Candidate) -> dict[str, Any]:
    """Row of a table that is a source of crystals, with what became of the sequence.

    Parameters
    ----------
    candidate : Candidate
        With a relaxed crystal or without.

    Returns
    -------
    dict
        Values by column: ``formula``, ``prototype``, ``space_group_asked``, ``outcome``,
        ``reason``, ``n_tries``; and, None without a crystal, ``space_group_found`` after the
        relaxation, ``lattice`` (nine numbers, Å), ``atomic_numbers``, ``frac_coords``, ``energy``
        (eV/atom, of the potential) and ``max_force`` (eV/Å).
    """
    sequence, found = candidate.sequence, candidate.relaxation
    return {
        "formula": sequence.formula,
        "prototype": sequence.prototype,
        "space_group_asked": sequence.number,
        "outcome": candidate.outcome,
        "reason": candidate.reason,
        "n_tries": candidate.n_tries,
        "space_group_found": candidate.number if found else None,
        "lattice": found and found.atoms.cell.array.ravel(),
        "atomic_numbers": found and found.atoms.numbers,
        "frac_coords": found and found.atoms.get_scaled_positions().ravel(),
        "energy": found and found.energy,
        "max_force": found and found.max_force,
    }


def _place_often(
    sequence: WyckoffSequence,
    cells: CellStatistics,
    settings: CandidateSettings,
    generator: np.random.Generator,
) -> tuple[list[Atoms], Counter[str]]:
    """Crystals of a sequence, and why others were refused."""
    crystals: list[Atoms] = []
    refused = Counter[str]()
    for _ in range(settings.placements):
        placement = place(sequence, cells, settings.placement, generator)
        if placement.atoms is None:
            refused[placement.reason] += 1
        else:
            crystals.append(placement.atoms)
        if len(crystals) == settings.tries:
            break
    return crystals, refused


def _judge(
    sequence: WyckoffSequence, relaxed: Sequence[Relaxation], refused: Counter[str]
) -> Candidate:
    """Keep the lowest of the tries that are crystals."""
    made = Candidate(sequence, NOT_PLACED, "", len(relaxed), refused)
    if not relaxed:
        reason = ", ".join(f"{why} ({count})" for why, count in refused.most_common())
        return replace(made, reason=reason)
    sound = [found for found in relaxed if not _find_collapse(found)]
    if not sound:
        return replace(made, outcome=COLLAPSED, reason=_find_collapse(relaxed[0]))
    best = min(sound, key=lambda found: found.energy)
    number = find_space_group_number(best.atoms, AS_GIVEN)
    outcome, reason = _name_outcome(sequence.number, number, best)
    return replace(made, outcome=outcome, reason=reason, relaxation=best, number=number)


def _find_collapse(found: Relaxation) -> str:
    """Why the end of a relaxation is no crystal; empty where it is one."""
    try:
        check_crystal(found.atoms)
    except RemediableError as error:
        return str(error)
    unfinished = not np.isfinite(found.energy) or "volume" in found.reason
    return found.reason if unfinished else ""


def _name_outcome(asked: int, number: int, found: Relaxation) -> tuple[str, str]:
    """What became of the symmetry, and whether the crystal came to rest."""
    if number == asked:
        return (SAME, "") if found.converged else (NOT_AT_REST, found.reason)
    group = classify_space_group(number) if number else None
    was_centric = classify_space_group(asked).chirality_class == "I"
    gained = group is not None and group.chirality_class == "I" and not was_centric
    reason = f"space group {number} where {asked} was asked for"
    return (INVERSION if gained else OTHER), reason
