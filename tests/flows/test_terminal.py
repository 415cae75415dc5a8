"""Terminals of 80 columns: nothing is cut, and what is left out is named."""

import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len

from tasks.results import rank_materials
from tasks.results.catalogue import split_by_class
from tasks.storage import TABLES
from tests.flows.conftest import DEMO
from tests.flows.terminals import printed_in_terminal
from tests.tasks.storage import samples

RELEASED = Path(__file__).parents[2] / "data" / "catalogue" / "chirality.parquet"
LONG = "mp-1234567-a-name-of-a-candidate-that-a-generator-gave-with-all-its-parameters-0.25-0001"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The released catalogue as a dataset, with failures of two kinds."""
    folder = tmp_path_factory.mktemp("dataset")
    (folder / "receipts").mkdir()
    (folder / "catalog").mkdir()
    shutil.copy(RELEASED, folder / "catalog")
    rows = [
        samples.failure(f"x-{n}", f"k{n}", "read")
        | {"message": f"no lattice in row {n}", "source_record": f"rows.csv#{n}"}
        for n in range(30)
    ]
    rows.append(samples.failure("y", "k", "read") | {"message": "a molecule [no crystal]"})
    table = pa.Table.from_pylist(rows, TABLES["failures"].arrow_schema)
    pq.write_table(table, folder / "catalog" / "failures.parquet")
    return folder


def test_candidates_keep_names_symbols_and_scores_and_the_rest_is_named(folder):
    code, text = printed_in_terminal(folder, "status", ".")
    assert code == 0, text
    lines = text.splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    lists = split_by_class(rank_materials(pd.read_parquet(RELEASED)))
    best = pd.concat([lists[name].head(15) for name in ("chiral", "achiral")])
    assert [row[0] for row in rows] == list(best["material_id"])
    assert {f"{score:.3f}" for score in best["score"]} <= {cell for row in rows for cell in row}
    assert set(best["space_group_symbol"]) <= {cell for row in rows for cell in row}
    assert max(cell_len(line) for line in lines if "│" in line or "━" in line) <= 80
    told = " ".join(text.split())
    left = told.split("left out, terminal too narrow:")[1:]
    assert len(left) == 2
    assert "splitting (meV ħ)" in left[0].split("all columns")[0]
    assert "all columns: catalog/chirality.parquet" in text
    released = pd.read_parquet(RELEASED)
    first, second, third, *others = released["material_id"][released["stable"].eq(False)]
    count = f"unstable: {3 + len(others)} ({first}, {second}, {third} and {len(others)} more)"
    assert count in told
    assert "…" not in text


def test_a_wide_terminal_shows_all_columns(folder):
    _, text = printed_in_terminal(folder, "status", ".", columns=150)
    assert "left out" not in text
    assert "splitting" in text


def test_failures_are_told_by_reason_with_the_file_that_has_all(folder):
    _, text = printed_in_terminal(folder, "status", ".")
    assert "31 failures, by reason:" in text
    assert "30 ×  no lattice in row 0" in text
    assert "rows.csv#0, rows.csv#1, rows.csv#2 and 27 more" in text
    assert "1 ×  a molecule [no crystal]" in text
    assert "all failures: catalog/failures.parquet" in text


def test_one_crystal_is_a_list_of_names_and_values(tmp_path):
    shutil.copy(DEMO / "cdal2s4.cif", tmp_path)
    code, text = printed_in_terminal(tmp_path, "classify", "cdal2s4.cif")
    assert code == 0, text
    found = dict(line.split(maxsplit=1) for line in text.splitlines() if "  " in line)
    assert found["material"] == "cdal2s4"
    assert found["tensor"] == "xx = -yy, xy = yx"
    assert "left out" not in text
    assert "next: chiralscreen screen cdal2s4.cif -o results/first --dry-run" in text


def test_names_that_fill_the_terminal_are_whole(tmp_path):
    for source, name in (("te", LONG), ("zno", "b")):
        shutil.copy(DEMO / f"{source}.cif", tmp_path / f"{name}.cif")
    code, text = printed_in_terminal(tmp_path, "classify", ".")
    assert code == 0, text
    assert LONG in text.replace("\n", "")
    assert "P6_3mc (186)" in text
    _, plan = printed_in_terminal(tmp_path, "screen", ".", "-o", "out", "--dry-run")
    assert LONG in plan.replace("\n", "")
    assert "to compute: 2 structures" in plan
    assert "next: the same command without --dry-run" in plan


def test_the_table_of_a_classification_leaves_out_by_rank(tmp_path):
    for source, name in (("te", LONG[:40]), ("zno", "b")):
        shutil.copy(DEMO / f"{source}.cif", tmp_path / f"{name}.cif")
    _, text = printed_in_terminal(tmp_path, "classify", ".")
    assert f"│ {LONG[:40]} │" in text
    assert "P3_121 (152)" in text
    assert "left out, terminal too narrow: wave, tensor, hand" in text
    assert "all columns: --output FILE.csv" in text
