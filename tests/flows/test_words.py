"""What a newcomer reads at a terminal of 80 columns: what was done, what not, and why."""

import json
import re
import shutil

import pytest
from rich.cells import cell_len

from tasks.results import read_catalog
from tests.flows.conftest import DEMO, told
from tests.flows.faulty import write_crystals
from tests.flows.terminals import printed_in_terminal
from tests.flows.test_faults import settings_of
from tests.flows.test_startup import without_server

FLAGS = ("--displacement", "0.02", "--mesh-spacing", "0.12")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One crystal to compute, one that symmetry excludes, and one file that is no crystal."""
    folder = tmp_path_factory.mktemp("newcomer")
    write_crystals(folder / "source", "GaAs")
    shutil.copy(DEMO / "si.cif", folder / "source")
    (folder / "source" / "broken.cif").write_text("rubbish")
    settings_of(folder)
    return folder


def screen_in(folder, *flags):
    """Screen at a terminal, without a server of the user's."""
    command = ("screen", "source", "-o", "out", "--config", "settings.yaml", "--workers", "1")
    environment = without_server(folder / "home")
    return printed_in_terminal(folder, *command, *flags, environment=environment)


@pytest.fixture(scope="module")
def screened(folder):
    """Exit code of the first run, and what it printed."""
    return screen_in(folder, *FLAGS)


def test_each_moment_has_its_words_and_the_bar_ends_at_100_percent(screened):
    """In the order of the run; spinners and bars write over their lines."""
    _, text = screened
    moments = [
        "starting\r",
        "reading crystals",
        "starting Prefect's server",
        "relaxing 1 of 1",
        "computing forces 1 of 1",
        "analysing modes 1 of 1",
        "writing the catalogue",
        "no candidates",
    ]
    text = re.sub(r"\s*[\r\n]+\s*", "\r", text)
    places = [text.find(moment) for moment in moments]
    assert -1 not in places, moments[places.index(-1)]
    assert places == sorted(places)
    shares = re.findall(r"(\d+) %", text[: places[-2]])
    assert shares[0] == "0"
    assert shares[-1] == "100"


def test_no_line_of_the_bar_is_cut_or_broken(screened):
    bars = [line for line in re.split(r"[\r\n]+", screened[1]) if "━" in line and "%" in line]
    assert bars
    assert max(map(cell_len, bars)) <= 80
    assert not any("…" in line for line in bars)


def test_who_was_skipped_and_who_failed_is_told_with_the_reason(screened):
    code, text = screened
    assert code == 1
    assert "this run: 1 screened, 1 skipped, 1 failed" in text
    skipped = text[text.index("1 skipped, by reason:") :].splitlines()
    assert skipped[1].strip() == "1 ×  centrosymmetric: phonons carry no angular momentum"
    assert skipped[2].strip() == "si"
    failed = text[text.index("1 failure, by reason:") :].splitlines()
    assert "it has no data block" in failed[1]
    assert failed[3].strip() == "read: broken.cif"


def test_flags_of_settings_reach_the_run_and_leave_the_others(screened, folder):
    [run] = read_catalog(folder / "out", "runs")["settings"]
    settings = json.loads(run)
    assert settings["phonons"]["displacement"] == 0.02
    assert settings["chirality"]["mesh_spacing"] == 0.12
    assert settings["phonons"]["min_supercell_length"] == 4.0


def test_nothing_to_compute_says_what_there_is_instead(screened, folder):
    code, text = screen_in(folder, *FLAGS)
    assert code == 1
    expected = "nothing to compute: 1 screened before, 1 skipped, 1 failed; --all computes"
    assert expected in text
    assert "relaxing" not in text
    assert "this run" not in text


def test_a_source_without_candidates_is_not_said_to_be_done(tmp_path):
    shutil.copy(DEMO / "si.cif", tmp_path)
    (tmp_path / "broken.cif").write_text("rubbish")
    for options in (["--dry-run"], []):
        result = told("screen", tmp_path, "-o", tmp_path / "out", *options)
        assert result.returncode == 1, result.stderr
        assert "nothing to compute: 1 skipped, 1 failed" in result.stdout
        assert "centrosymmetric: phonons carry no angular momentum" in result.stdout
        assert "no candidates" in result.stdout or options
        assert "next:" not in result.stdout
