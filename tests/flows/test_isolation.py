"""One thing that hangs, dies or eats memory costs the others nothing."""

import os
import signal
import threading
import time
from functools import partial

import pytest

from flows.isolation import map_isolated
from tasks.failures import Failure, RemediableError
from tasks.screening.external import read_file_rows
from tasks.screening.settings import ScreenSettings
from tests.crystals import spring_phonon, zincblende
from tests.flows.conftest import eventually
from tests.flows.misbehaviour import (
    behave,
    grow,
    write_number_and_be_stopped,
    write_number_and_compute,
    write_number_and_hang,
)

PRELOAD = ("tasks.screening.external", "tests.flows.misbehaviour")
limited = partial(map_isolated, seconds=300.0, memory=4.0, preload=PRELOAD)


def test_results_come_in_order_and_errors_in_their_place():
    found = list(limited(behave, ["a", "die", "leave", "b"]))
    assert [found[0], found[3]] == ["a", "b"]
    for error, word in zip(found[1:3], ["SIGSEGV", "exit code 7"], strict=True):
        assert isinstance(error, RemediableError)
        assert word in str(error)
        assert error.remedy


@pytest.mark.parametrize("hang", [write_number_and_hang, write_number_and_compute])
def test_a_process_that_hangs_is_ended(tmp_path, hang):
    """The first thing brings the server of processes up, so that the second has all its time."""
    list(limited(behave, ["a"]))
    place = tmp_path / "number"
    [error] = limited(hang, [place], seconds=5.0)
    assert isinstance(error, RemediableError)
    assert "5 s" in str(error)
    with pytest.raises(ProcessLookupError):
        os.kill(int(place.read_text()), 0)


def test_a_process_that_the_machine_stops_keeps_its_time(tmp_path):
    """As one that a busy machine gives no processor."""
    list(limited(behave, ["a"]))
    place = tmp_path / "number"

    def go_on_late() -> None:
        eventually(lambda: place.exists() and place.read_text())
        time.sleep(6.0)
        os.kill(int(place.read_text()), signal.SIGCONT)

    thread = threading.Thread(target=go_on_late)
    thread.start()
    assert list(limited(write_number_and_be_stopped, [place], seconds=3.0)) == ["went on"]
    thread.join()


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
