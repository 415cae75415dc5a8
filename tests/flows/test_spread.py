"""Mapping over processes gives what mapping in one process gives, in the same order."""

import itertools
import os

import pytest

from flows.spread import spread


def square(number: int) -> tuple[int, int]:
    return number**2, os.getpid()


@pytest.mark.parametrize(
    ("count", "workers"), [(0, 2), (7, 2), (300, 2), (301, 2), (900, 2), (900, 1)]
)
def test_order_and_completeness(count, workers):
    found = list(spread(square, range(count), workers))
    assert [value for value, _ in found] == [number**2 for number in range(count)]


def test_few_things_stay_in_this_process_and_many_leave_it():
    few, many = (list(spread(square, range(count), 2)) for count in (100, 900))
    assert {pid for _, pid in few} == {os.getpid()}
    assert len({pid for _, pid in many}) > 1


def test_an_endless_input_is_taken_as_it_is_needed():
    results = spread(square, itertools.count(), 2)
    assert [value for value, _ in itertools.islice(results, 500)][-1] == 499**2
    results.close()
