"""The result of a run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tasks.screening.decisions import Kind
from tasks.screening.plan import Plan
from tasks.screening.planning import STAGE_NAMES
from tasks.screening.stages import StageReport


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
    kind : {"screen", "analyze"}
        What the run does with crystals.
    """

    run_id: str
    plan: Plan
    reports: tuple[StageReport, ...] = ()
    lost: tuple[str, ...] = ()
    kind: Kind = "screen"

    @property
    def n_screened(self) -> int:
        """Structures that got the results of the last stage in this run."""
        last = (report for report in self.reports if report.stage == STAGE_NAMES[-1])
        return sum(len(report.succeeded) for report in last)

    @property
    def summary(self) -> str:
        """What became of the records of the source, such as "6 screened, 1 skipped"."""
        verb = {"screen": "screened", "analyze": "analysed"}[self.kind]
        plan, failed = self.plan, sum(len(report.failures) for report in self.reports)
        counts = {
            verb: self.n_screened,
            f"{verb} before": plan.n_finished,
            "skipped": plan.outcomes.get("skipped", 0),
            "failed": plan.outcomes.get("failed", 0) + failed,
            "failed before": plan.n_given_up,
            "left to later runs": plan.n_open + plan.n_postponed - self.n_screened - failed,
        }
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def sum_stage_seconds(
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
