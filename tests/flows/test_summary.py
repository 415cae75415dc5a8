"""Tables on the terminal."""

from io import StringIO
from pathlib import Path

import pandas as pd
from rich.console import Console

from flows.summary import print_candidates
from tasks.catalogue import ranked

RELEASED = Path(__file__).parents[2] / "data" / "catalogue" / "chirality.parquet"


def test_the_best_candidates_are_printed_with_whole_names_and_a_word_on_trust():
    rows = ranked(pd.read_parquet(RELEASED))
    console = Console(width=120, file=StringIO())
    print_candidates(console, rows, RELEASED)
    lines = console.file.getvalue().splitlines()
    printed = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    expected = rows.head(20)
    assert [cells[0] for cells in printed] == list(expected["material_id"])
    assert [cells[-1] for cells in printed] == ["yes" if r else "no" for r in expected["reliable"]]
    assert max(map(len, lines)) <= 120
