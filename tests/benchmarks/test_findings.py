"""The released tables hold what was found, and no paths of the machine."""

import pandas as pd
import pytest

from benchmarks.findings import outcomes, read, sections, written
from tasks.results.release import write_release
from tasks.screening.plan import plan_screening
from tasks.screening.planning import STAGE_VERSIONS
from tests.tasks.alloys import carry_out, intake_of, write_alloys


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Release of a screening: one stable crystal, one unstable, one failed, one skipped."""
    root = tmp_path_factory.mktemp("release")
    source = root / "source"
    source.mkdir()
    context = intake_of(
        write_alloys(source, "helix", "zincblende", "wurtzite", "copper"), root / "d"
    )
    carry_out(plan_screening(context), context)
    run = {"run_id": context.run_id, "started_at": context.started_at, "versions": "{}"}
    run |= {"settings": context.settings.model_dump_json(), "source": str(source), "host": "here"}
    context.dataset.commit("run", {"runs": [run]}, [context.run_id])
    write_release(context.dataset, root / "out", STAGE_VERSIONS)
    return root / "out"


def test_every_material_taken_up_has_a_row_and_skipped_ones_have_none(folder):
    tables = read(folder)
    assert set(tables["chirality"]["material_id"]) == {"helix", "zincblende", "wurtzite"}
    assert set(tables["materials"]["material_id"]) == {"helix", "zincblende", "wurtzite"}
    assert tables["failures"]["material_id"].tolist() == ["wurtzite"]
    assert tables["candidates"]["material_id"].tolist() == ["helix"]
    assert tables["candidates"]["rank"].tolist() == [1]
    assert tables["candidates"]["rank_of_class"].tolist() == [1]


def test_neither_paths_nor_force_constants_off_the_shortlist_are_released(folder):
    tables = read(folder)
    assert tables["force_constants"].empty
    assert not tables["chirality"]["shortlisted"].any()
    for name, table in tables.items():
        assert not {"source", "host"} & set(table.columns), name
        charges = [c for c in table.columns if c in {"born_charges", "dielectric_tensor"}]
        assert table[charges].isna().all(axis=None), name
        assert not table.astype(str).apply(lambda c: c.str.contains(str(folder.parent))).any().any()


def test_modes_are_those_at_named_points_of_ranked_materials(folder):
    modes = read(folder)["modes"]
    assert set(modes["material_id"]) == {"helix"}
    assert "Γ" in set(modes["q_label"])
    assert not {"mesh", "path"} & set(modes["q_label"])


def test_counts_of_the_findings_add_up(folder):
    table = outcomes(read(folder)["chirality"]).set_index("helicity_wave")
    assert table["all"].sum() == 3
    assert table.loc["s", "stable"] == 1
    assert table["failed"].sum() == 1


def test_tables_of_a_page_are_written_anew_and_its_text_stays(folder):
    page = "before\n<!-- table: Totals -->\nold\n<!-- end -->\nafter\n"
    for heading, table in sections(read(folder)):
        page = written(page, heading, table)
    assert page.startswith("before\n<!-- table: Totals -->\n")
    assert page.endswith("<!-- end -->\nafter\n")
    assert "old" not in page
    assert "| shortlisted" in page
    again = written(page, "Totals", pd.DataFrame({"a": [1]}))
    assert "shortlisted" not in again
