"""What a run gives back."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tasks.intake import Plan
from tasks.planning import STAGE_NAMES
from tasks.stages import StageReport


@dataclass(frozen=True)
class ScreenResult:
    """What a run did.

    Attributes
    ----------
    run_id : str
        Name of the run in the table ``runs``.
    plan : Plan
        Decisions on the source.
    reports : tuple of StageReport
        One per chunk and stage.
    lost : tuple of str
        Chunks that failed as a whole; their structures remain to be done.
    """

    run_id: str
    plan: Plan
    reports: tuple[StageReport, ...] = ()
    lost: tuple[str, ...] = ()


def stage_seconds(
    reports: Iterable[StageReport], which: Literal["wall_time", "potential_time"]
) -> dict[str, float]:
    """Sum a time over the chunks of each stage.

    Parameters
    ----------
    reports : iterable of StageReport
        What the chunks reported.
    which : {"wall_time", "potential_time"}
        The time.

    Returns
    -------
    dict
        Seconds by stage, summed over workers.
    """
    totals = dict.fromkeys(STAGE_NAMES, 0.0)
    for report in reports:
        totals[report.stage] += getattr(report, which)
    return totals
