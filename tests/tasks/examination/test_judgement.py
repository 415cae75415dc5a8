"""From numbers to grades, and from grades to a verdict."""

import math

import pytest

from tasks.examination import LAWS, Finding, Grade, Verdict
from tasks.examination.judgement import judge

GOOD = [Finding(name, "te", 0.0) for name in LAWS if name != "bare_reflection"]


def with_finding(law: str, value: float) -> list[Finding]:
    """Findings that are all good but one."""
    return [finding for finding in GOOD if finding.law != law] + [Finding(law, "te", value)]


@pytest.mark.parametrize("law", LAWS.values(), ids=lambda law: law.name)
def test_every_law_has_limits_in_order_and_says_what_it_means(law):
    assert law.kept.endswith(".")
    assert law.reason.endswith(".")
    if law.limit is None:
        assert law.bound is None
        assert law.judge(1e9) is Grade.TOLD
        return
    assert law.broken.endswith(".")
    assert law.judge(law.limit) is Grade.GOOD
    above = math.nextafter(law.limit, math.inf)
    assert law.judge(above) is Grade.POOR
    assert law.judge(math.nan) is not Grade.GOOD
    if law.bound is not None:
        assert law.judge(math.nextafter(law.bound, math.inf)) is Grade.BAD
        assert law.judge(math.nan) is Grade.BAD


@pytest.mark.parametrize(
    ("law", "value", "verdict"),
    [
        ("rotation_forces", 0.5, Verdict.SECOND_OPINION),
        ("rotation_forces", 5.0, Verdict.UNFIT),
        ("smoothness", 3.0, Verdict.SECOND_OPINION),
        ("smoothness", 10.0, Verdict.UNFIT),
        ("lost_crystals", 25.0, Verdict.SECOND_OPINION),
        ("fate", math.inf, Verdict.UNFIT),
        ("reflection_forces", 5.0, Verdict.AVERAGED),
        ("space_group", 2.0, Verdict.SECOND_OPINION),
        ("bare_reflection", 5.0, Verdict.AVERAGED),
        ("bare_reflection", 1e-9, Verdict.FIT),
        ("time", 1e9, Verdict.FIT),
    ],
)
def test_one_finding_decides(law, value, verdict):
    assert judge(with_finding(law, value)) is verdict


def test_what_follows_from_broken_mirrors_is_put_right_by_the_average():
    found = [*with_finding("reflection_forces", 5.0), Finding("space_group", "nacl", 20.0)]
    assert judge(found) is Verdict.AVERAGED
    assert judge([*found, Finding("rotation_forces", "te", 20.0)]) is Verdict.UNFIT


def test_a_crystal_that_became_another_is_never_good():
    lost = Finding("fate", "te", 3.0, "space group 152 becomes 221", best=Grade.POOR)
    assert lost.grade is Grade.POOR
    assert lost.meaning == LAWS["fate"].broken
    assert Finding("fate", "te", 3.0).meaning == LAWS["fate"].kept
