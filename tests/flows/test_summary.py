"""Tables on the terminal."""

import shlex
from io import StringIO
from pathlib import Path

import pandas as pd
from rich.console import Console

from flows.console import Terminal
from flows.result import ScreenResult
from flows.summary import print_candidates, print_screening
from tasks.results import rank_materials
from tasks.results.catalogue import split_by_class
from tasks.screening.plan import Plan
from tests.tasks import alloys

RELEASED = Path(__file__).parents[2] / "data" / "catalogue" / "chirality.parquet"
SMALL = Path(__file__).parents[1] / "docs" / "catalogue" / "chirality.parquet"


def test_the_best_candidates_are_printed_with_whole_names_and_a_word_on_trust():
    """Chiral crystals first, then the others, each list in its order."""
    chirality = pd.read_parquet(RELEASED)
    console = Console(width=120, file=StringIO())
    print_candidates(console, chirality, RELEASED)
    lines = console.file.getvalue().splitlines()
    printed = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    lists = split_by_class(rank_materials(chirality))
    expected = pd.concat([lists[name].head(15) for name in ("chiral", "achiral")])
    assert [cells[0] for cells in printed] == list(expected["material_id"])
    words = [next(cell for cell in cells if cell in {"yes", "no"}) for cells in printed]
    assert words == ["yes" if reliable else "no" for reliable in expected["reliable"]]
    assert max(map(len, lines)) <= 120


def test_candidates_for_one_experiment_are_ranked_by_its_own_score():
    chirality = pd.read_parquet(SMALL)
    console = Console(width=160, file=StringIO())
    print_candidates(console, chirality, RELEASED, purpose="score_thermal")
    text = console.file.getvalue()
    assert "stable chiral crystals by score for thermal response" in text
    best = split_by_class(rank_materials(chirality, "score_thermal"))["chiral"].iloc[0]
    first = next(line for line in text.splitlines() if f" {best['material_id']} " in line)
    assert f"{best['score_thermal']:.3f}" in first


def test_the_last_lines_say_what_can_be_done_with_the_best(tmp_path):
    folder = alloys.screened(tmp_path / "a folder", "helix", "copper").root
    console = Terminal(width=80, file=StringIO())
    plan = Plan({"screen": 1, "skipped": 1}, {}, {}, (), n_finished=1)
    assert print_screening(console, folder, ScreenResult("run", plan)) == 0
    lines = [line.strip() for line in console.file.getvalue().splitlines()]
    assert lines[-4] == "nothing to compute: 1 screened before, 1 skipped"
    name = shlex.quote(str(folder))
    assert [line.split("    (")[0] for line in lines[-3:]] == [
        f"next: chiralscreen plot {name} helix",
        f"chiralscreen report {name}",
        f"chiralscreen catalogue {name} -o site",
    ]
