"""One thing that hangs, dies or eats memory costs the others nothing."""

import os
from functools import partial

import pytest

from flows.isolation import map_isolated
from tasks.failures import Failure, RemediableError
from tasks.screening.external import read_file_rows
from tasks.screening.settings import ScreenSettings
from tests.crystals import spring_phonon, zincblende
from tests.flows.misbehaviour import behave, grow, write_number_and_hang

PRELOAD = ("tasks.screening.external", "tests.flows.misbehaviour")
limited = partial(map_isolated, seconds=300.0, memory=4.0, preload=PRELOAD)


def test_results_come_in_order_and_errors_in_their_place():
    found = list(limited(behave, ["a", "die", "leave", "b"]))
    assert [found[0], found[3]] == ["a", "b"]
    for error, word in zip(found[1:3], ["SIGSEGV", "exit code 7"], strict=True):
        assert isinstance(error, RemediableError)
        assert word in str(error)
        assert error.remedy


def test_a_process_that_hangs_is_ended(tmp_path):
    """The first thing brings the server of processes up, so that the second has all its time."""
    list(limited(behave, ["a"]))
    place = tmp_path / "number"
    [error] = limited(write_number_and_hang, [place], seconds=20.0)
    assert isinstance(error, RemediableError)
    assert "20 s" in str(error)
    with pytest.raises(ProcessLookupError):
        os.kill(int(place.read_text()), 0)


def test_memory_is_bounded():
    assert list(limited(grow, [1, 6])) == [2**30, -1]


def test_a_file_made_to_break_the_parser_costs_one_failure(tmp_path):
    sound, deep = tmp_path / "zns.yaml", tmp_path / "deep.yaml"
    spring_phonon(zincblende(), 1).save(sound, settings={"force_constants": True})
    deep.write_text("x: " + "[" * 100_000)
    files = [(sound, "first"), (deep, "deep"), (sound, "second")]
    first, broken, second = limited(partial(read_file_rows, settings=ScreenSettings()), files)
    assert isinstance(broken, RemediableError)
    assert "SIGSEGV" in str(broken)
    for found, name in ((first, "first"), (second, "second")):
        assert not isinstance(found, Failure | RemediableError)
        assert found["materials"]["material_id"] == name


def test_a_file_that_grows_in_memory_costs_one_failure(tmp_path):
    """Levels of aliases, each ten times the one before: 10^10 numbers in 600 bytes."""
    levels = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 10)]
    text = "\n".join(["l0: &l0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]", *levels])
    bomb = tmp_path / "bomb.yaml"
    bomb.write_text(f"{text}\nsupercell_matrix: *l9\nunit_cell:\n  lattice: *l9\n  points: []\n")
    [found] = limited(partial(read_file_rows, settings=ScreenSettings()), [(bomb, "bomb")])
    assert isinstance(found, Failure | RemediableError)
    assert "memory" in str(found.remedy if isinstance(found, Failure) else found)
