"""Mapping over processes gives what mapping in one process gives, whatever single records cost."""

import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import psutil
import pytest

from flows.parallel_map import map_records
from tasks.failures import Failure, RemediableError
from tasks.sources import RawRecord, SourceSettings, make_read_failure
from tests.flows.misbehaviour import behave, grow

LIMITS = SourceSettings(record_seconds=300.0, record_memory=0.5)
Told = tuple[str, int] | Failure
KEPT: list[bytearray] = []


def of_record(record: RawRecord | Failure) -> Told:
    """Text and process of a record; `behave` knows texts that end a process."""
    if isinstance(record, Failure):
        return record
    if record.text == "hang":
        time.sleep(1000)
    if record.text == "keep":
        KEPT.append(bytearray(400 * 2**20))
    if record.text == "grow":
        return str(grow(2)), 0
    return behave(record.text), os.getpid()


def records(*texts: str) -> Iterator[RawRecord]:
    for index, text in enumerate(texts):
        yield RawRecord(f"r{index}", "cif", text, f"file#{index}")


spread_2 = partial(map_records, of_record, workers=2, limits=LIMITS)


@pytest.mark.parametrize(("count", "workers"), [(0, 2), (1, 2), (100, 1), (300, 3)])
def test_order_and_completeness(count, workers):
    texts = [f"t{k}" for k in range(count)]
    found = list(map_records(of_record, records(*texts), workers=workers, limits=LIMITS))
    assert [told[0] for told in found] == texts
    assert len({told[1] for told in found}) <= workers
    assert os.getpid() not in {told[1] for told in found}


def test_one_process_serves_many_records():
    found = list(map_records(of_record, records(*"abcdefgh"), workers=1, limits=LIMITS))
    assert len({told[1] for told in found}) == 1


def test_failures_are_passed_on():
    failure = make_read_failure(RemediableError("wrong", "correct it"), "file#7")
    assert list(spread_2([failure])) == [failure]


def test_a_record_that_ends_its_process_is_one_failure():
    first, died, left, last = spread_2(records("a", "die", "leave", "b"))
    assert (first[0], last[0]) == ("a", "b")
    for failure, place, word in ((died, 1, "SIGSEGV"), (left, 2, "exit code 7")):
        assert failure.source_record == f"file#{place}"
        assert word in failure.message
        assert "source.record_memory" in failure.remedy


def test_a_record_that_hangs_is_one_failure_and_its_process_ends():
    list(spread_2(records("a")))
    limits = SourceSettings(record_seconds=5.0)
    first, hung, last = map_records(of_record, records("a", "hang", "b"), workers=1, limits=limits)
    assert (first[0], last[0]) == ("a", "b")
    assert hung.message == "it took more than 5 s"
    assert not psutil.pid_exists(first[1])


def test_memory_is_bounded_beyond_what_the_interpreter_has():
    """Two GiB do not fit into half of one, though the libraries alone have reserved more."""
    small, large = LIMITS, LIMITS.model_copy(update={"record_memory": 3.0})
    [[found, _]] = map_records(of_record, records("grow"), workers=1, limits=small)
    assert found == "-1"
    [[found, _]] = map_records(of_record, records("grow"), workers=1, limits=large)
    assert found == str(2 * 2**30)


def test_a_record_is_not_charged_with_what_an_earlier_one_has_kept():
    """They travel together, and two together do not fit."""
    found = list(map_records(of_record, records(*["keep"] * 3, "a"), workers=1, limits=LIMITS))
    assert [told[0] for told in found] == ["keep"] * 3 + ["a"]
    assert len({told[1] for told in found}) == 4


def test_an_endless_input_is_taken_as_it_is_needed():
    taken = itertools.count()
    endless = (replace(record, text=f"{next(taken)}") for record in itertools.cycle(records("a")))
    results = spread_2(endless)
    found = list(itertools.islice(results, 50))
    assert [told[0] for told in found] == [str(k) for k in range(50)]
    results.close()
    assert next(taken) < 100
    assert not any(psutil.pid_exists(told[1]) for told in found)
