"""Which crystals come first when time is limited: those of the largest expected value per second.

The value of a crystal is a judgement, not a measurement; it orders work and enters no result.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tasks.screening.planning import WorkItem

# Symmetry lets the helicity begin with this harmonic: the lower, the larger it may be near Γ.
_WAVES: Final = {"s": 1.0, "d": 0.5, "g": 0.3, "i": 0.3, "none": 0.2}
_UNREALISED = 0.05
_DOUBTFUL = 0.5
_UNBALANCED = 0.5
_HULL = 0.1  # eV/atom; far above the hull few crystals have been made
_UNKNOWN_HULL = 0.05  # eV/atom


def estimate_value(row: Mapping[str, Any]) -> float:
    """Judge a candidate before any force is computed.

    Parameters
    ----------
    row : mapping
        Its row of ``materials``.

    Returns
    -------
    float
        Between 0 and 1: a chiral crystal on the hull, of balanced charge and undoubted symmetry,
        has 1.
    """
    energy = row.get("energy_above_hull")
    value = _WAVES[row["helicity_wave"]]
    value *= math.exp(-max(_UNKNOWN_HULL if energy is None else energy, 0.0) / _HULL)
    value *= _UNREALISED if row.get("realised") is False else 1.0
    value *= _DOUBTFUL if row.get("classes_differ") else 1.0
    return value * (_UNBALANCED if row.get("charge_balance") == "none" else 1.0)


def select_affordable(
    opened: Mapping[str, Sequence[WorkItem]], values: Mapping[str, float], seconds: float
) -> dict[str, tuple[WorkItem, ...]]:
    """Choose what to compute within some time.

    Parameters
    ----------
    opened : mapping from str to sequence of WorkItem
        Structures by the first stage that has something left to do.
    values : mapping from str to float
        Expected value of each structure.
    seconds : float
        Time on one CPU thread.

    Returns
    -------
    dict
        As `opened`: those of the largest value per second, as long as their estimated costs fit. A
        mirror image is chosen only with its original, or when that is finished.
    """
    costs = {w.material_id: w.seconds.left(s) for s, works in opened.items() for w in works}
    everything = [work for works in opened.values() for work in works]
    waiting = {work.keys[0] for work in everything if work.image_keys is None}
    ranked = sorted(
        everything,
        key=lambda w: (bool(w.image_keys), -values[w.material_id] / costs[w.material_id]),
    )
    chosen: set[str] = set()
    for work in ranked:
        original = work.image_keys[0] if work.image_keys else None
        ready = original not in waiting
        if ready and costs[work.material_id] <= seconds:
            seconds -= costs[work.material_id]
            chosen.add(work.material_id)
            waiting.discard(work.keys[0])
    picked = {s: tuple(w for w in works if w.material_id in chosen) for s, works in opened.items()}
    return {stage: works for stage, works in picked.items() if works}
