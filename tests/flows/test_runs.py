"""A run keeps the card of its potential, so that nobody has to look it up again."""

from pathlib import Path

import pytest

import potentials
from flows.result import ScreenResult
from flows.runs import record_run
from potentials import load_potential
from tasks.screening.plan import Plan
from tasks.screening.stages import StageReport
from tasks.storage import Dataset
from tests.tasks.alloys import EMT, intake_of, no_card

SHIPPED = Path(potentials.__file__).parent / "checkpoints" / "nequix-mp-1-pft.nqx"
NOTHING = Plan({}, {}, {}, ())


def report(seconds: float) -> StageReport:
    """A relaxation that took so many seconds of the potential."""
    return StageReport("relaxation", (), (), 1.0, seconds)


@pytest.mark.parametrize(
    "name", ["nequix-mp-1-pft", f"nequix:{SHIPPED}", "7net-0", "facet-aln", EMT]
)
def test_a_run_keeps_the_card_of_its_potential(tmp_path, name):
    card = load_potential(name).card
    context = intake_of(tmp_path, tmp_path / "out", card=lambda: card)
    record_run(context, ScreenResult(context.run_id, NOTHING, (report(1.0),)))
    (row,) = Dataset(tmp_path / "out").read("runs").to_pylist()
    assert row["potential"] == card.name
    assert row["potential_citation"] == card.citation != ""
    assert row["potential_licence"] == card.licence != ""
    assert tuple(row["potential_limits"]) == card.limits != ()
    assert row["potential_symmetry"] == "O(3)"
    assert row["potential_averaged"] == name.startswith(("7net", "ase"))
    assert row["potential_cost"] == card.milliseconds_per_atom


def test_a_run_without_a_potential_keeps_no_card(tmp_path):
    context = intake_of(tmp_path, tmp_path / "out", card=no_card)
    record_run(context, ScreenResult(context.run_id, NOTHING, (report(0.0),)))
    (row,) = Dataset(tmp_path / "out").read("runs").to_pylist()
    card_columns = [name for name in row if name.startswith("potential_")]
    assert len(card_columns) == 10
    assert {row[name] for name in card_columns if name != "potential_times"} == {None}
