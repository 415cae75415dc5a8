"""What people read: tables of the catalogue, the ranking, and failures as objects."""

from dataclasses import asdict

import pandas as pd
import pytest

from tasks.building import build_catalog
from tasks.catalogue import failures_in, ranked, read_catalog
from tasks.failures import Failure
from tasks.storage import CATALOG_TABLES, Dataset
from tests.tasks.storage import samples

# Score and linear splittings by material; material 4 has no score, 5 no verdict at all.
VERDICTS = {
    1: (0.2, [0.1, -0.7]),
    2: (0.9, []),
    3: (0.2, [3.0]),
    4: (None, [9.0]),
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    """Verdicts of four materials; a fifth one failed."""
    found = Dataset(tmp_path_factory.mktemp("dataset"))
    samples.commit_plan(found, [samples.plan_row(number) for number in (*VERDICTS, 5)])
    samples.commit(found, "classification", [*VERDICTS, 5])
    rows = [
        samples.row(
            "chirality",
            number,
            material_id=samples.material(number),
            key=samples.key("chirality", number),
            **samples.SOUND,
            score=score,
            splitting_linear=splittings,
        )
        for number, (score, splittings) in VERDICTS.items()
    ]
    found.commit("chirality", {"chirality": rows}, [row["key"] for row in rows])
    samples.commit(found, "relaxation", [5], failures=[asdict(failure())])
    build_catalog(found)
    return found


def failure() -> Failure:
    return Failure(
        material_id=samples.material(5),
        key=samples.key("relaxation", 5),
        stage="relaxation",
        error_class="ValueError",
        message="it broke",
        remedy="mend it",
        transient=True,
        source_record="five.cif",
    )


@pytest.mark.parametrize("table", CATALOG_TABLES)
def test_every_table_is_read_with_its_columns(dataset, table):
    assert tuple(read_catalog(dataset.root, table).columns) == CATALOG_TABLES[table].names


def test_ranking_holds_scored_materials_best_first(dataset):
    """Equal scores come in the order of their names, so that the ranking is always the same."""
    found = ranked(read_catalog(dataset.root, "chirality"))
    assert found["material_id"].tolist() == [samples.material(n) for n in (2, 1, 3)]
    assert found["score"].tolist() == [0.9, 0.2, 0.2]


def test_ranking_tells_the_largest_splitting_of_either_sign(dataset):
    found = ranked(read_catalog(dataset.root, "chirality")).set_index("material_id")
    expected = {2: 0.0, 1: 0.7, 3: 3.0}
    assert found["largest_splitting"].to_dict() == {
        samples.material(number): value for number, value in expected.items()
    }


def test_ranking_tells_reasons_and_warnings(dataset):
    table = read_catalog(dataset.root, "chirality")
    warned = table.assign(
        warnings=[None if w is None else ["mesh", "volume"] for w in table["warnings"]]
    )
    plain, told = ranked(table)["reasons"].iloc[0], ranked(warned)["reasons"].iloc[0]
    assert told == f"{plain}; warnings: mesh, volume"
    assert ranked(table.drop(columns="warnings"))["reasons"].iloc[0] == plain


def test_ranking_leaves_the_catalogue_as_it_is(dataset):
    table = read_catalog(dataset.root, "chirality")
    before = table.copy()
    ranked(table)
    pd.testing.assert_frame_equal(table, before)


def test_nothing_is_ranked_where_nothing_has_a_score(tmp_path):
    dataset = Dataset(tmp_path)
    samples.commit_plan(dataset, [samples.plan_row(1)])
    samples.commit(dataset, "classification", [1])
    build_catalog(dataset)
    found = ranked(read_catalog(tmp_path, "chirality"))
    assert len(found) == 0
    assert "largest_splitting" in found.columns


def test_failures_come_back_as_they_were_recorded(dataset):
    assert failures_in(read_catalog(dataset.root, "failures")) == [failure()]


def test_no_failures_are_an_empty_list(tmp_path):
    build_catalog(samples.screened(tmp_path, [1]))
    assert failures_in(read_catalog(tmp_path, "failures")) == []


def test_a_catalogue_never_built_is_told_by_its_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="chirality"):
        read_catalog(tmp_path, "chirality")
