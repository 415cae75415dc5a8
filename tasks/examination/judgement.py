"""From findings to a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from potentials import PotentialCard
from tasks.examination.laws import LAWS, Finding, Grade


class Verdict(StrEnum):
    """What a potential may be used for."""

    FIT = "fit"
    AVERAGED = "fit with the average over the inversion"
    SECOND_OPINION = "second opinion only"
    UNFIT = "unfit"


@dataclass(frozen=True)
class Examination:
    """What was found of a potential.

    Attributes
    ----------
    card : PotentialCard
        Which potential, as a screening would use it.
    dtype : str
        Its precision.
    findings : tuple of Finding
        In the order of `LAWS`.
    """

    card: PotentialCard
    dtype: str
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """What the potential may be used for."""
        return judge(self.findings)

    @property
    def fits_as_it_is(self) -> bool:
        """Whether a screening by the name of the card may rank by it."""
        return _find_worst(self.findings) is Grade.GOOD


def judge(findings: Sequence[Finding]) -> Verdict:
    """Judge a potential by what was found.

    Parameters
    ----------
    findings : sequence of Finding
        Of one potential.

    Returns
    -------
    Verdict
        Unfit where something is bad, a second opinion where something is poor; where mirrors alone
        are at fault, or an average puts them right, fit with that average.
    """
    mirrors = [finding for finding in findings if finding.law.startswith("reflection_")]
    broken = _find_worst(mirrors) is not Grade.GOOD
    worst = _find_worst([f for f in findings if not (broken and _follows_mirrors(f))])
    if worst is Grade.BAD:
        return Verdict.UNFIT
    if worst is Grade.POOR:
        return Verdict.SECOND_OPINION
    return Verdict.AVERAGED if broken or _needs_average(findings) else Verdict.FIT


def _follows_mirrors(finding: Finding) -> bool:
    """Whether a finding may follow from broken mirrors alone, and the average puts it right."""
    return finding.law.startswith(("reflection_", "hands_", "false_", "space_group"))


def _needs_average(findings: Sequence[Finding]) -> bool:
    """Whether the potential inside the average breaks mirrors."""
    forces = LAWS["reflection_forces"]
    return any(
        finding.law == "bare_reflection" and forces.judge(finding.value) is not Grade.GOOD
        for finding in findings
    )


def _find_worst(findings: Sequence[Finding]) -> Grade:
    """Worst of the grades; what is only told does not count."""
    grades = {finding.grade for finding in findings}
    return next((grade for grade in (Grade.BAD, Grade.POOR) if grade in grades), Grade.GOOD)
