"""An examination is found again by the digest of the potential."""

import math
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from potentials import load_card
from tasks.examination import Examination, Finding, find_examination, make_rows, write_examination
from tasks.examination.records import SHIPPED, list_complaints
from tasks.tables.examination import EXAMINATION

FINDINGS = (
    Finding("rotation_forces", "te", 1e-9),
    Finding("fate", "se", math.inf, "not relaxed: no convergence in 200 evaluations"),
)


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    """A folder of the user in which nothing is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def examination(digest: str) -> Examination:
    card = replace(load_card("nequix-mp-1-pft"), digest=digest)
    return Examination(card, "float64", FINDINGS)


def test_an_examination_is_found_by_its_digest_only():
    rows = make_rows(examination("inversion-average:abc"))
    path = write_examination(rows)
    assert path.parent.name == "examinations"
    assert find_examination("inversion-average:abc") == [
        {name: row[name] for name in EXAMINATION.names} for row in rows
    ]
    assert find_examination("abc") == []


def test_the_users_own_examination_comes_before_the_one_of_the_package():
    shipped = find_examination(load_card("nequix-mp-1-pft").digest)
    assert {row["potential"] for row in shipped} == {"nequix-mp-1-pft"}
    write_examination(make_rows(examination(load_card("nequix-mp-1-pft").digest)))
    assert len(find_examination(load_card("nequix-mp-1-pft").digest)) == len(FINDINGS)


def test_complaints_say_what_is_not_good():
    [complaint] = list_complaints(make_rows(examination("abc")))
    assert complaint.startswith("volume after relaxation, change of: inf % (se, not relaxed")


def test_a_file_has_the_declared_columns(tmp_path):
    path = write_examination(make_rows(examination("abc")), tmp_path / "e.parquet")
    assert pq.read_schema(path).equals(EXAMINATION.arrow_schema, check_metadata=True)


def test_what_is_shipped_was_examined():
    """Every potential that loads without a download has its examination in the package."""
    names = {"nequix-mp-1-pft", "nequix-oam-1-pft", "facet-aln", "facet-tetrahedra"}
    names |= {"facet-aln-attention", "7net-0", "7net-0@bare", "7net-l3i5", "7net-l3i5@bare"}
    for name in names:
        rows = find_examination(load_card(name).digest)
        assert {row["potential"] for row in rows} == {name}
        assert {row["verdict"] for row in rows} != {"unfit"}
    assert set(pq.read_table(SHIPPED)["potential"].to_pylist()) == names
