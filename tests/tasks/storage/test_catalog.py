"""The catalogue of a dataset."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.results.building import build_catalog
from tasks.storage import CATALOG_TABLES, Dataset, catalog, column_info, ordering
from tasks.tables.declarations import UNDECIDED_COLUMNS
from tests.tasks.storage import samples


def catalogue(dataset: Dataset, table: str = "chirality") -> list[dict[str, Any]]:
    """Build the catalogue and read one of its files."""
    rows: list[dict[str, Any]] = pq.read_table(build_catalog(dataset)[table]).to_pylist()
    return rows


def outcomes(dataset: Dataset) -> dict[str, tuple[str, str | None]]:
    """Outcome and reason of each material."""
    return {r["material_id"]: (r["outcome"], r["reason"]) for r in catalogue(dataset)}


def test_catalogue_has_every_table_with_its_schema(tmp_path: Path) -> None:
    """Each file obeys the declared schema, units included."""
    files = build_catalog(samples.screened(tmp_path, [1, 2, 3]))
    assert {path.stem for path in (tmp_path / "catalog").iterdir()} == set(CATALOG_TABLES)
    for name, path in files.items():
        expected = CATALOG_TABLES[name].arrow_schema
        assert pq.read_schema(path).equals(expected, check_metadata=True)


def test_every_file_is_sorted_by_space_group(tmp_path: Path) -> None:
    """The materials of all files come in the order of their space groups."""
    numbers = [3, 1, 5, 2, 4]
    files = build_catalog(samples.screened(tmp_path, numbers))
    expected = [samples.material(n) for n in (5, 4, 3, 2, 1)]
    for name in ("plan", "materials", "relaxations", "phonons", "force_constants", "chirality"):
        assert pq.read_table(files[name])["material_id"].to_pylist() == expected
    modes = pq.read_table(files["modes"])
    assert modes["material_id"].unique().to_pylist() == expected
    assert modes["band"].to_pylist() == list(range(samples.BANDS)) * len(numbers)


def test_finished_material_shows_its_numbers(tmp_path: Path) -> None:
    """The row of a finished material joins all stages."""
    [row] = catalogue(samples.screened(tmp_path, [4]))
    [material] = samples.rows_of("materials", "classification", 4)
    [phonons] = samples.rows_of("phonons", "phonons", 4)
    [relaxation] = samples.rows_of("relaxations", "relaxation", 4)
    assert (row["outcome"], row["reason"]) == ("screened", None)
    assert row["space_group_number"] == material["space_group_number"]
    assert row["tensor_components"] == material["tensor_components"]
    assert row["relaxation_converged"] == relaxation["converged"]
    assert row["space_group_number_relaxed"] == relaxation["space_group_number_final"]
    assert row["n_displacements"] == phonons["n_displacements"]


def test_chirality_numbers_are_there_or_empty(tmp_path: Path) -> None:
    """Every chirality column is filled for finished materials only."""
    dataset = samples.screened(tmp_path, [1])
    samples.commit_plan(dataset, [samples.plan_row(2)])
    rows = {row["material_id"]: row for row in catalogue(dataset)}
    [expected] = samples.rows_of("chirality", "chirality", 1)
    renamed, undecided = {"n_atoms": "n_atoms_primitive"}, {c.name for c in UNDECIDED_COLUMNS}
    for name in expected.keys() - {"material_id", "key"} - undecided:
        shown = renamed.get(name, name)
        assert rows["mp-1"][shown] == expected[name]
        assert rows["mp-2"][shown] is None


def test_every_planned_material_has_one_row_whatever_happened(tmp_path: Path) -> None:
    """Finished, skipped, failed and unfinished materials are all listed once, with a reason."""
    dataset = samples.screened(tmp_path, [1])
    none = dict.fromkeys(("relaxation_key", "phonon_key", "chirality_key"))
    skipped = {"outcome": "skipped", "reason": "centrosymmetric", **none}
    unread = {"outcome": "failed", "reason": "cannot be read", "material_key": None, **none}
    samples.commit_plan(
        dataset,
        [
            samples.plan_row(2, **skipped),
            samples.plan_row(3),
            samples.plan_row(4),
            samples.plan_row(5, **unread),
        ],
    )
    broken = [samples.failure("mp-3", "r3", "relaxation")]
    samples.commit(dataset, "relaxation", [3], failures=broken)
    assert outcomes(dataset) == {
        "mp-1": ("screened", None),
        "mp-2": ("skipped", "centrosymmetric"),
        "mp-3": ("failed", "relaxation: it broke"),
        "mp-4": ("pending", None),
        "mp-5": ("failed", "cannot be read"),
    }


def test_failure_before_classification_shows_under_the_plan_key(tmp_path: Path) -> None:
    """A record that could not be read is listed with its failure, after the classified ones."""
    dataset = samples.screened(tmp_path, [9])
    names = dict.fromkeys(samples.KEY_COLUMNS.values())
    planned = samples.plan_row(1, outcome="failed", **names)
    broken = samples.failure("mp-1", planned["key"], "reading")
    dataset.commit("plan", {"plan": [planned], "failures": [broken]}, [planned["key"]])
    assert [(r["material_id"], r["reason"]) for r in catalogue(dataset)] == [
        ("mp-9", None),
        ("mp-1", "reading: it broke"),
    ]
    assert [row["stage"] for row in catalogue(dataset, "failures")] == ["reading"]


def test_newer_plan_hides_but_keeps_older_rows(tmp_path: Path) -> None:
    """After a plan with another q-mesh its rows are shown, and the old ones stay in the parts."""
    dataset = samples.screened(tmp_path, [1, 2])
    samples.commit_plan(dataset, [samples.plan_row(n, 1, "fine") for n in (1, 2)])
    samples.commit(dataset, "chirality", [1], "fine", seed=40)
    assert {m: outcome for m, (outcome, _) in outcomes(dataset).items()} == {
        "mp-1": "screened",
        "mp-2": "pending",
    }
    assert {row["key"] for row in catalogue(dataset, "modes")} == {"c1fine"}
    assert set(dataset.read("modes")["key"].to_pylist()) == {"c1", "c2", "c1fine"}


def test_going_back_to_an_older_plan_shows_its_rows_again(tmp_path: Path) -> None:
    """The newest plan row decides, whatever was computed last."""
    dataset = samples.screened(tmp_path, [1])
    samples.commit_plan(dataset, [samples.plan_row(1, 1, "fine")])
    samples.commit(dataset, "chirality", [1], "fine")
    samples.commit_plan(dataset, [samples.plan_row(1, 2)])
    assert {row["key"] for row in catalogue(dataset, "modes")} == {"c1"}
    assert [row["chirality_key"] for row in catalogue(dataset)] == ["c1"]


def test_plans_of_different_sources_add_up(tmp_path: Path) -> None:
    """A run over other materials does not hide the first run's."""
    dataset = samples.screened(tmp_path, [1])
    samples.commit_plan(dataset, [samples.plan_row(2, 1)])
    assert outcomes(dataset).keys() == {"mp-1", "mp-2"}


def test_only_failures_of_the_newest_plan_are_shown_once(tmp_path: Path) -> None:
    """Overtaken failures and those of older settings are not listed; repeated ones are once."""
    dataset = Dataset(tmp_path)
    samples.commit_plan(dataset, [samples.plan_row(n) for n in (1, 2, 3)])
    passing = [samples.failure("mp-1", "c1", "chirality", transient=True)]
    samples.commit(dataset, "chirality", [1], failures=passing)
    samples.commit(dataset, "chirality", [1])
    for seed in (1, 2):
        broken = samples.failure("mp-2", "c2", "chirality") | {"remedy": f"try {seed}"}
        samples.commit(dataset, "chirality", [2], failures=[broken])
    older = [samples.failure("mp-3", "c3", "chirality")]
    samples.commit(dataset, "chirality", [3], failures=older)
    samples.commit_plan(dataset, [samples.plan_row(3, 1, "fine")])
    shown = catalogue(dataset, "failures")
    assert [(row["material_id"], row["remedy"]) for row in shown] == [("mp-2", "try 2")]


def test_rows_beside_a_failure_are_shown_with_it(tmp_path: Path) -> None:
    """A relaxation that did not converge is a failure, and its numbers can be looked at."""
    dataset = Dataset(tmp_path)
    samples.commit_plan(dataset, [samples.plan_row(1)])
    tables = {
        "relaxations": samples.rows_of("relaxations", "relaxation", 1),
        "failures": [samples.failure("mp-1", "r1", "relaxation")],
    }
    dataset.commit("relaxation", tables, ["r1"])
    [row] = catalogue(dataset)
    assert (row["outcome"], row["reason"]) == ("failed", "relaxation: it broke")
    assert row["relaxation_converged"] is True
    assert len(catalogue(dataset, "failures")) == 1


def test_catalogue_depends_on_content_only(tmp_path: Path) -> None:
    """Other chunks, repeated commits and leftovers give the same rows; a rebuild the same bytes."""
    numbers = [1, 2, 3, 4, 5]
    first = samples.screened(tmp_path / "first", numbers)
    second = samples.screened(tmp_path / "second", numbers[::-1], chunk=3)
    samples.commit(second, "chirality", [2, 4])
    files, others = build_catalog(first), build_catalog(second)
    for name in CATALOG_TABLES:
        assert pq.read_table(files[name]).equals(pq.read_table(others[name]))
    content = {name: path.read_bytes() for name, path in files.items()}
    assert {name: path.read_bytes() for name, path in build_catalog(first).items()} == content


def test_small_batches_give_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order and rows do not depend on how much fits into memory."""
    dataset = samples.screened(tmp_path, [1, 2, 3, 4, 5])
    tables = {name: pq.read_table(path) for name, path in build_catalog(dataset).items()}
    monkeypatch.setattr(ordering, "_BATCH_BYTES", 1)
    monkeypatch.setattr(catalog, "_MATERIALS_AT_ONCE", 2)
    files = build_catalog(dataset)
    assert pq.read_metadata(files["modes"]).num_row_groups == 5
    assert {name: pq.read_table(path) for name, path in files.items()} == tables


def test_empty_dataset_has_an_empty_catalogue(tmp_path: Path) -> None:
    """Before the first plan there are files with columns and no rows."""
    files = build_catalog(Dataset(tmp_path))
    assert all(pq.read_metadata(path).num_rows == 0 for path in files.values())


def test_pandas_reads_it_and_column_info_explains_it(tmp_path: Path) -> None:
    """The promised one-liner works, and every column has a description."""
    build_catalog(samples.screened(tmp_path, [1, 2]))
    frame = pd.read_parquet(tmp_path / "catalog/chirality.parquet")
    info = column_info("chirality")
    assert list(frame.columns) == list(info.index)
    assert frame["material_id"].is_unique
    assert info.loc["max_frequency", "unit"] == "THz"
    assert info["description"].str.len().min() > 0


def with_numbers(root: Path, **numbers: Any) -> dict[str, Any]:
    """Catalogue row of a sound material but for some numbers of its chirality."""
    dataset = Dataset(root)
    samples.commit_plan(dataset, [samples.plan_row(1)])
    for stage in ("classification", "phonons"):
        samples.commit(dataset, stage, [1])
    terms = dict.fromkeys(samples.TERMS, 0.5)
    given = {"material_id": "mp-1", "key": "c1", **samples.SOUND, **terms, **numbers}
    dataset.commit("chirality", {"chirality": [samples.row("chirality", 1, **given)]}, ["c1"])
    [row] = catalogue(dataset)
    return row


def test_warnings_lower_the_score_and_end_the_shortlist(tmp_path: Path) -> None:
    """What the stage found stays beside it."""
    [phonons] = samples.rows_of("phonons", "phonons", 1)
    assert phonons["boundary_shift"] > 0.05
    row = with_numbers(tmp_path)
    assert "supercell" in row["warnings"]
    assert row["reliable"] is row["shortlisted"] is False
    assert (row["raw_score"], row["raw_shortlisted"]) == (0.5, True)
    assert row["score"] == pytest.approx(0.5 * row["trust"])


def test_the_shortlist_names_its_evidence_and_a_laboratory_finds_density_and_hazards(
    tmp_path: Path,
) -> None:
    dataset = Dataset(tmp_path)
    samples.commit_plan(dataset, [samples.plan_row(1)])
    given = {"formula": "CdAs2", "observed": True, "observed_source": "COD, 2001"}
    names = {"material_id": "mp-1", "key": "m1", "classes_differ": False}
    material = samples.row("materials", 1, **names, **given)
    dataset.commit("classification", {"materials": [material]}, ["m1"])
    cell = {"numbers": [48], "masses": None}
    relaxed = samples.row("relaxations", 1, material_id="mp-1", key="r1", **cell)
    dataset.commit("relaxation", {"relaxations": [relaxed]}, ["r1"])
    terms = dict.fromkeys(samples.TERMS, 0.5)
    numbers = {"material_id": "mp-1", "key": "c1", **samples.SOUND, **terms}
    dataset.commit("chirality", {"chirality": [samples.row("chirality", 1, **numbers)]}, ["c1"])
    [row] = catalogue(dataset)
    assert row["evidence"] == "observed"
    assert row["shortlist_reason"]
    assert (row["toxic_elements"], row["radioactive_elements"]) == ("Cd, As", None)
    assert row["density"] == pytest.approx(112.414 * 1.66054 / 4.0**3)


def test_the_parts_hold_no_score_and_the_catalogue_one(tmp_path: Path) -> None:
    """Whatever an older program put there: the score is decided in the catalogue."""
    row = with_numbers(tmp_path, score=0.9, shortlisted=False)
    assert row["raw_score"] == pytest.approx(0.5)
    assert row["raw_shortlisted"] is True
    assert row["score"] == pytest.approx(0.5 * row["trust"])


def test_scores_follow_the_settings_that_the_run_recorded(tmp_path: Path) -> None:
    """New weights need no new computation."""
    with_numbers(tmp_path, resolved_helicity=0.8)
    dataset = Dataset(tmp_path)
    settings = json.dumps({"score": {"helicity_weight": 2.0, "shortlist_score": 0.7}})
    run = samples.row("runs", run_id="run-0", settings=settings)
    dataset.commit("run", {"runs": [run]}, ["run-0"])
    [row] = catalogue(dataset)
    assert row["raw_score"] == pytest.approx((0.5 + 2 * 0.8 + 0.5) / 4)
    assert row["raw_shortlisted"] is False


def test_terms_that_are_empty_are_named(tmp_path: Path) -> None:
    row = with_numbers(tmp_path, long_wave_helicity=None)
    assert row["terms_left_out"] == ["splitting"]
    assert row["raw_score"] == pytest.approx(0.5)


def relaxed_pair(root: Path, **difference: Any) -> dict[str, dict[str, Any]]:
    """Catalogue rows of two materials that relaxed into one crystal but for some columns."""
    dataset = samples.screened(root, [1, 2, 3])
    same = {
        "numbers": [5, 7],
        "cell": 3.0 * (np.ones((3, 3)) - np.eye(3)),
        "positions": 3 * [0.0] + 3 * [0.25],
        "masses": None,
        "energy": -3.0,
        "space_group_number_final": 216,
        "checkpoint_digest": "one",
    }
    changes = {1: {"volume_change": 0.2}, 2: {"volume_change": -0.1, **difference}}
    rows = [
        samples.row("relaxations", 1, material_id=f"mp-{n}", key=f"r{n}", **same | given)
        for n, given in changes.items()
    ]
    dataset.commit("relaxation", {"relaxations": rows}, ["r1", "r2"])
    return {row["material_id"]: row for row in catalogue(dataset)}


def test_crystals_that_became_one_name_the_one_that_changed_least(tmp_path: Path) -> None:
    rows = relaxed_pair(tmp_path)
    found = {name: row["same_crystal_as"] for name, row in rows.items()}
    assert found == {"mp-1": "mp-2", "mp-2": None, "mp-3": None}


def test_crystals_of_other_energies_are_two(tmp_path: Path) -> None:
    assert relaxed_pair(tmp_path, energy=-3.1)["mp-1"]["same_crystal_as"] is None


def test_forbidden_parts_of_the_tensor_cost_rank(tmp_path: Path) -> None:
    """A tensor that breaks the symmetry of its crystal is told, and lowers the score."""
    sound = with_numbers(tmp_path / "sound")
    broken = with_numbers(tmp_path / "broken", tensor_violation=[0.3])
    assert set(broken["warnings"]) - set(sound["warnings"]) == {"forbidden_tensor"}
    assert broken["score"] < sound["score"]


def test_warnings_follow_the_settings_of_the_run_that_decided(tmp_path: Path) -> None:
    """Imaginary modes that the settings of a run call noise are no reason for a warning."""
    plain = with_numbers(tmp_path, min_frequency=-0.2)
    settings = json.dumps({"score": {"stability_tolerance": 0.3}})
    run = samples.row("runs", run_id=plain["run_id"], settings=settings)
    dataset = Dataset(tmp_path)
    dataset.commit("run", {"runs": [run]}, [run["run_id"]])
    [row] = catalogue(dataset)
    assert set(plain["warnings"]) - set(row["warnings"]) == {"imaginary_between"}


def test_disagreement_of_potentials_reaches_the_catalogue(tmp_path: Path) -> None:
    """A comparison that was committed for these very results warns; for older ones it does not."""
    dataset = samples.screened(tmp_path, [1, 3])
    rows = [samples.row("agreement", n, material_id=f"mp-{n}", key=f"c{n}") for n in (1, 3)]
    stale = samples.row("agreement", 1, material_id="mp-3", key="c3older")
    dataset.commit("comparison", {"agreement": [rows[0], stale]}, ["c1", "c3older"])
    found = {row["material_id"]: row for row in catalogue(dataset)}
    assert "potentials_disagree" in found["mp-1"]["warnings"]
    assert found["mp-1"]["frequency_disagreement"] == rows[0]["frequency_disagreement"]
    assert found["mp-3"]["frequency_disagreement"] is None
    assert "potentials_disagree" not in found["mp-3"]["warnings"]


def test_failed_build_leaves_the_old_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error on the way changes no file and leaves no temporary ones."""
    dataset = samples.screened(tmp_path, [1])
    content = {name: path.read_bytes() for name, path in build_catalog(dataset).items()}

    def refuse(*_: object) -> pa.Table:
        raise RuntimeError("no")

    samples.commit_plan(dataset, [samples.plan_row(2)])
    monkeypatch.setattr(catalog, "_list_outcomes", refuse)
    with pytest.raises(RuntimeError, match="no"):
        build_catalog(dataset)
    kept = {path.stem: path.read_bytes() for path in (tmp_path / "catalog").iterdir()}
    assert kept == content
