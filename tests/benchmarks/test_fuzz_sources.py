"""Damaged files end as the right crystal or as a failure, and noise ends nothing else."""

from collections import Counter

import pytest

from benchmarks.fuzz_sources import Verdict, judge, originals, verdicts

NUMBER, SEED, LIMIT = 240, 7, 30.0


@pytest.fixture(scope="module")
def found() -> list[Verdict]:
    return list(verdicts(NUMBER, SEED, LIMIT))


@pytest.mark.parametrize("name", originals())
def test_the_sound_file_is_accepted(tmp_path, name):
    verdict = judge(tmp_path, name, "none", originals()[name], LIMIT)
    assert verdict.outcome == "same", verdict.told


def test_nothing_crashes_hangs_or_gets_lost(found):
    assert len(found) == NUMBER
    assert [v for v in found if v.outcome in {"crash", "hang", "lost"}] == []


def test_damage_never_gives_another_composition(found):
    assert [v for v in found if v.outcome == "other" and not v.is_noise] == []


def test_both_outcomes_occur(found):
    """A reader that refuses everything, or nothing, would prove nothing."""
    counts = Counter(v.outcome for v in found)
    assert min(counts["same"], counts["refused"]) > NUMBER / 10


def test_messages_speak_to_people(found):
    words = ("Error", "NoneType", "object is not", "could not convert", "Traceback", "<class")
    told = [v.told for v in found if v.outcome == "refused"]
    assert [message for message in told if any(word in message for word in words)] == []
