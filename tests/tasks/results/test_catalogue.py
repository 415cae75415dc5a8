"""What people read: tables of the catalogue, the ranking, and failures as objects."""

from dataclasses import asdict

import pandas as pd
import pytest

from tasks.failures import Failure
from tasks.results import rank_materials, read_catalog
from tasks.results.building import build_catalog
from tasks.results.catalogue import (
    NO_RESTRICTION,
    Restriction,
    read_failures,
    split_by_class,
    summarize_shortlist,
)
from tasks.results.trust import RULES
from tasks.storage import CATALOG_TABLES, Dataset
from tasks.thermodynamics.evidence import NO_EVIDENCE
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
            **dict.fromkeys(samples.TERMS, score),
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
    found = rank_materials(read_catalog(dataset.root, "chirality"))
    assert found["material_id"].tolist() == [samples.material(n) for n in (2, 1, 3)]
    # No measured volume is known of any.
    [unchecked] = [rule.factor for rule in RULES if rule.code == "volume_unchecked"]
    assert found["score"].tolist() == pytest.approx([unchecked * x for x in (0.9, 0.2, 0.2)])


def test_ranking_tells_the_largest_splitting_of_either_sign(dataset):
    found = rank_materials(read_catalog(dataset.root, "chirality")).set_index("material_id")
    expected = {2: 0.0, 1: 0.7, 3: 3.0}
    assert found["largest_splitting"].to_dict() == {
        samples.material(number): value for number, value in expected.items()
    }


def test_ranking_tells_reasons_and_warnings(dataset):
    table = read_catalog(dataset.root, "chirality")
    warned = table.assign(
        warnings=[None if w is None else ["mesh", "volume"] for w in table["warnings"]]
    )
    plain, told = (
        rank_materials(table)["reasons"].iloc[0],
        rank_materials(warned)["reasons"].iloc[0],
    )
    assert plain.endswith("; warnings: volume_unchecked")
    assert told == plain.replace("volume_unchecked", "mesh, volume")
    without = rank_materials(table.drop(columns="warnings"))["reasons"].iloc[0]
    assert without == plain.removesuffix("; warnings: volume_unchecked")


def test_ranking_tells_the_distance_from_the_hull(dataset):
    table = read_catalog(dataset.root, "chirality")
    told = rank_materials(table.assign(energy_above_hull=-1e-5))["reasons"].iloc[0]
    assert "; 0.000 eV/atom above the hull" in told
    unknown = table.assign(energy_above_hull=None)
    assert "hull" not in rank_materials(unknown)["reasons"].iloc[0]


EVIDENCE = {
    1: (True, 0.2, "observed"),
    2: (None, -0.01, "hull"),
    3: (None, None, None),
}


@pytest.fixture
def listed(dataset) -> pd.DataFrame:
    """Catalogue with an observed crystal, one near the hull, and one of which nothing is known."""
    table = read_catalog(dataset.root, "chirality").set_index("material_id", drop=False)
    for column in ("observed", "energy_above_hull", "evidence", "shortlist_reason"):
        table[column] = pd.Series([None] * len(table), index=table.index, dtype=object)
    for number, (observed, above, kind) in EVIDENCE.items():
        reason = "fine" if kind else f"{NO_EVIDENCE}: nothing is known"
        told = [observed, above, kind, reason, kind is not None]
        columns = ["observed", "energy_above_hull", "evidence", "shortlist_reason", "shortlisted"]
        table.loc[samples.material(number), columns] = told
    return table.reset_index(drop=True)


@pytest.mark.parametrize(
    ("restriction", "numbers"),
    [
        (NO_RESTRICTION, [2, 1, 3]),
        (Restriction(observed=True), [1]),
        (Restriction(distance=0.05), [2]),
        (Restriction(distance=0.3), [2, 1]),
        (Restriction(observed=True, distance=0.05), []),
    ],
)
def test_lists_are_restricted_to_what_is_known(listed, restriction, numbers):
    found = restriction.select(rank_materials(listed))
    assert found["material_id"].tolist() == [samples.material(number) for number in numbers]


def test_a_restriction_is_told_in_words():
    assert str(Restriction(True, 0.05)) == "observed, within 0.05 eV/atom of the hull"
    assert not str(NO_RESTRICTION)


def test_the_shortlist_is_summed_up_by_its_evidence(listed):
    assert summarize_shortlist(listed) == (
        "2 (1 observed, 1 near the hull); 1 more have the score, but nothing says that they exist"
    )
    older = listed.drop(columns=["evidence", "shortlist_reason"])
    assert summarize_shortlist(older) == "2"


def test_reasons_name_the_evidence_or_the_lack_of_it(listed):
    told = rank_materials(listed).set_index("material_id")["reasons"]
    assert "; on the shortlist: it was observed" in told[samples.material(1)]
    assert "; 0.010 eV/atom below the hull" in told[samples.material(2)]
    assert "; on the shortlist: it lies near the hull" in told[samples.material(2)]
    assert f"; not on the shortlist: {NO_EVIDENCE}" in told[samples.material(3)]


def test_ranking_tells_whether_a_crystal_was_observed(dataset):
    table = read_catalog(dataset.root, "chirality")
    best = rank_materials(table)["material_id"].iloc[0]
    seen = table.assign(observed=True, observed_source="ICSD, 2020")
    assert "; observed (ICSD, 2020)" in rank_materials(seen)["reasons"].iloc[0]
    others = seen["material_id"] != best
    partly = seen.assign(observed=seen["observed"].astype(object).where(others, None))
    assert "; not known whether it was made" in rank_materials(partly)["reasons"].iloc[0]
    # Said of no crystal of a catalogue that knows it of none, an older one for example.
    older = table.drop(columns=["observed", "observed_source"])
    for unknown in (table.assign(observed=None, observed_source=None), older):
        told = rank_materials(unknown)["reasons"].iloc[0]
        assert "observed" not in told
        assert "made" not in told


def test_ranking_tells_the_circular_splitting_and_nothing_where_there_is_none(dataset):
    table = read_catalog(dataset.root, "chirality")
    sizes = {1: [0.1, -0.7], 2: [], 3: None}
    names = [samples.material(number) for number in sizes]
    told = table.set_index("material_id", drop=False).loc[names]
    told["circular_splitting"] = pd.Series(list(sizes.values()), index=names, dtype=object)
    found = rank_materials(told.reset_index(drop=True)).set_index("material_id")["circular"]
    assert found[names].fillna(-1).tolist() == [0.7, -1, -1]


def test_crystals_that_became_one_are_one_row_with_the_others_named(dataset):
    table = read_catalog(dataset.root, "chirality")
    first, second, third = (samples.material(number) for number in (2, 1, 3))
    table["same_crystal_as"] = table["material_id"].map({second: first, third: first})
    found = rank_materials(table)
    assert found["material_id"].tolist() == [first]
    assert found["reasons"].iloc[0].endswith(f"; the same crystal: {second}, {third}")


def test_rankings_of_a_purpose_hold_what_has_its_score(dataset):
    table = read_catalog(dataset.root, "chirality")
    purpose = {samples.material(1): 0.1, samples.material(3): 0.3}
    table["score_raman"] = table["material_id"].map(purpose)
    found = rank_materials(table, "score_raman")
    assert found["material_id"].tolist() == [samples.material(3), samples.material(1)]
    assert rank_materials(table.drop(columns="score_raman"), "score_raman").empty


def test_chiral_and_achiral_crystals_are_lists_of_their_own(dataset):
    table = read_catalog(dataset.root, "chirality")
    chiral = samples.material(1)
    table["chirality_class"] = ["II" if name == chiral else "III" for name in table["material_id"]]
    lists = split_by_class(rank_materials(table))
    assert lists["chiral"]["material_id"].tolist() == [chiral]
    assert lists["achiral"]["material_id"].tolist() == [samples.material(n) for n in (2, 3)]


def test_ranking_leaves_the_catalogue_as_it_is(dataset):
    table = read_catalog(dataset.root, "chirality")
    before = table.copy()
    rank_materials(table)
    pd.testing.assert_frame_equal(table, before)


def test_nothing_is_ranked_where_nothing_has_a_score(tmp_path):
    dataset = Dataset(tmp_path)
    samples.commit_plan(dataset, [samples.plan_row(1)])
    samples.commit(dataset, "classification", [1])
    build_catalog(dataset)
    found = rank_materials(read_catalog(tmp_path, "chirality"))
    assert len(found) == 0
    assert "largest_splitting" in found.columns


def test_failures_come_back_as_they_were_recorded(dataset):
    assert read_failures(read_catalog(dataset.root, "failures")) == [failure()]


def test_no_failures_are_an_empty_list(tmp_path):
    build_catalog(samples.screened(tmp_path, [1]))
    assert read_failures(read_catalog(tmp_path, "failures")) == []


def test_a_catalogue_never_built_is_told_by_its_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="chirality"):
        read_catalog(tmp_path, "chirality")
