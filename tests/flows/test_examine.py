"""A potential is examined on the command line, and later runs know it."""

import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.result import ScreenResult
from flows.runs import describe_missing_examination, record_run
from potentials import load_card
from tasks.examination import LAWS
from tasks.screening.plan import Plan
from tasks.screening.stages import StageReport
from tasks.storage import Dataset
from tests.tasks.alloys import EMT, intake_of

SPENT = StageReport("relaxation", (), (), 1.0, 1.0)


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    """A folder of the user in which nothing is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")


def test_a_fit_potential_is_found_fit_and_remembered(tmp_path):
    output = tmp_path / "examined"
    command = [sys.executable, "-m", "flows.cli", "examine", "--potential", "facet-aln"]
    done = subprocess.run(
        [*command, "-o", output], capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines()[:-3])) <= 80
    assert "verdict: fit\n" in done.stdout
    table = pd.read_parquet(output / "examination.parquet")
    assert set(table.verdict) == {"fit"}
    assert set(table.law) == set(LAWS) - {"pbe_frequencies", "bare_reflection"}
    page = (output / "examination.md").read_text()
    assert all(title in page for title in table.title)
    [stored] = (tmp_path / "cache").rglob("examinations/*.parquet")
    assert pd.read_parquet(stored).equals(table)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--potential", "no-such-potential"], "unknown potential"),
        (["--potential", "7net-0@cube"], "has no average 'cube'"),
        (["--potential", "ase:ase.calculators.tip3p:TIP3P"], "evaluates none of the crystals"),
        (["--potential", "facet-aln", "--reference", "."], "holds no phonondb103"),
    ],
)
def test_wrong_usage_has_its_own_code(arguments, words):
    result = CliRunner().invoke(app, ["examine", *arguments])
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())


def test_a_potential_that_is_not_fit_ends_with_one():
    """Of the crystals EMT knows aluminium nitride, which it does not hold together."""
    result = CliRunner().invoke(app, ["examine", "--potential", EMT])
    assert result.exit_code == 1
    assert "verdict: unfit" in result.output


def test_a_run_keeps_the_verdict_of_its_potential(tmp_path):
    card = load_card("nequix-oam-1-pft")
    context = intake_of(tmp_path, tmp_path / "out", card=lambda: card)
    record_run(context, ScreenResult(context.run_id, Plan({}, {}, {}, ()), (SPENT,)))
    (row,) = Dataset(tmp_path / "out").read("runs").to_pylist()
    assert row["potential_verdict"] == "second opinion only"
    assert row["potential_examined_at"] is not None
    assert any("te, space group 152 becomes 221" in text for text in row["potential_complaints"])


def test_only_a_potential_that_nobody_examined_is_warned_of():
    assert describe_missing_examination("7net-0", load_card("7net-0")) is None
    warning = describe_missing_examination(EMT, load_card(EMT))
    assert warning == (
        f"the potential {EMT} was never examined: chiralscreen examine --potential {EMT}"
    )
