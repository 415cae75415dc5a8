"""A plan decides once on each record of a source, by symmetry first, and never twice the same."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from ase.build import bulk
from ase.io import write

from potentials import load_potential
from tasks.crystals.curation import CENTROSYMMETRIC
from tasks.results import read_catalog
from tasks.results.building import build_catalog
from tasks.screening.plan import plan_screening
from tasks.screening.settings import ScreenSettings, read_settings
from tasks.storage import Dataset
from tests.bad_inputs import (
    LIMIT_RECORDS,
    REASONS,
    SOUND_RECORDS,
    TRAVERSAL_RECORDS,
    write_bad_inputs,
)
from tests.tasks.alloys import SETTINGS, carry_out, intake_of, no_card, write_alloys

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[3] / "data" / "demo"
ALL = SETTINGS.model_copy(update={"include_centrosymmetric": True})
OTHER_MESH = read_settings(
    None, {**SETTINGS.model_dump(exclude_defaults=True), "chirality.mesh_spacing": 0.15}
)


def seven_net():
    """Card of a potential that does not know every element."""
    return load_potential("7net-0").card


def catalogue(dataset: Dataset, table: str = "chirality") -> pd.DataFrame:
    """Build the catalogue and read one of its tables."""
    build_catalog(dataset)
    return read_catalog(dataset.root, table)


def copied(folder: Path, *names: str) -> Path:
    """Some crystals of the demo."""
    for name in names:
        shutil.copy(DEMO / f"{name}.cif", folder)
    return folder


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Three sound crystals of the three classes among defective files, planned and committed."""
    folder = tmp_path_factory.mktemp("mixed")
    write_bad_inputs(folder)
    copied(folder, "si", "zno", "quartz-152")
    for formula in ("OgS", "EsO"):
        write(folder / f"{formula}.cif", bulk(formula, "zincblende", a=6.0))
    context = intake_of(folder, tmp_path_factory.mktemp("dataset"), card=seven_net)
    return context, plan_screening(context)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A dataset in which all stages of some alloys have run."""
    source = write_alloys(tmp_path_factory.mktemp("alloys"), "zincblende", "wurtzite", "copper")
    context = intake_of(source, tmp_path_factory.mktemp("dataset"))
    carry_out(plan_screening(context), context)
    return context


@pytest.fixture
def again(finished, tmp_path):
    """A copy of the finished dataset, an hour later, with other settings."""

    def start(settings: ScreenSettings = SETTINGS, run: int = 1):
        if not (tmp_path / "copy").exists():
            shutil.copytree(finished.dataset.root, tmp_path / "copy")
        return intake_of(finished.source, tmp_path / "copy", settings, run=run)

    return start


def test_every_record_gets_one_decision(mixed):
    _, plan = mixed
    n_records = len({*REASONS, *SOUND_RECORDS, *TRAVERSAL_RECORDS}) + 3 + 2
    assert sum(plan.outcomes.values()) == n_records
    assert set(plan.outcomes) == {"screen", "skipped", "failed"}
    assert plan.outcomes["failed"] == len(plan.failures)


def test_crystals_without_inversion_are_open_at_their_first_stage(mixed):
    _, plan = mixed
    assert set(plan.open) == {"relaxation"}
    assert {work.material_id for work in plan.open["relaxation"]} == {"quartz-152", "zno"}
    assert plan.n_open == plan.outcomes["screen"] == 2
    assert plan.cost == pytest.approx(sum(sum(work.seconds) for work in plan.open["relaxation"]))


def test_classes_count_all_crystals_that_could_be_read(mixed):
    """Class II: quartz and the rattled cell; class III: zinc oxide and four salts."""
    _, plan = mixed
    assert (plan.classes["II"], plan.classes["III"]) == (2, 5)
    assert sum(plan.classes.values()) == len(SOUND_RECORDS) + len(LIMIT_RECORDS) + 2 + 3 + 2


def test_skipped_and_failed_records_say_why(mixed):
    context, plan = mixed
    found = catalogue(context.dataset).set_index("material_id")
    assert found["outcome"].value_counts()["failed"] == plan.outcomes["failed"]
    assert found.loc["si", ["outcome", "chirality_class"]].tolist() == ["skipped", "I"]
    assert "centrosymmetric" in found.loc["si", "reason"]
    assert found.loc[["zno", "quartz-152"], "outcome"].tolist() == ["pending"] * 2
    assert found.loc[found["outcome"] == "failed", "reason"].str.len().gt(0).all()


@pytest.mark.parametrize(
    ("record", "word"),
    [
        ("OgS.cif", "7net-0 does not know the element Og"),
        ("EsO.cif", "7net-0 does not know the element Es"),
        ("huge.cif", "500 atoms, more than the limit of 32"),
        *(
            (record, REASONS[record])
            for record in sorted(set(REASONS) - {*LIMIT_RECORDS, *TRAVERSAL_RECORDS})
        ),
    ],
)
def test_each_defect_is_a_failure_with_reason_and_remedy(mixed, record, word):
    [failure] = [f for f in mixed[1].failures if f.source_record == record]
    assert word.lower() in failure.message.lower()
    assert failure.remedy
    assert failure.stage == ("plan" if record in {"OgS.cif", "EsO.cif", "huge.cif"} else "read")


def test_symmetry_of_a_refused_crystal_is_kept(mixed):
    """A crystal the potential cannot treat is still classified."""
    found = catalogue(mixed[0].dataset).set_index("material_id")
    row = found.loc["OgS"]
    assert (row["outcome"], row["space_group_number"], row["chirality_class"]) == (
        "failed",
        216,
        "III",
    )


def test_committed_materials_hold_what_was_read(mixed):
    materials = mixed[0].dataset.read("materials").to_pandas().set_index("material_id")
    row = materials.loc["quartz-152"]
    assert (row["formula"], row["n_atoms"], row["space_group_number"]) == ("SiO2", 9, 152)
    assert (row["hand"], row["helicity_wave"]) == ("right", "s")
    assert row["source_record"] == "quartz-152.cif"
    assert pd.isna(materials.loc["zno", "hand"])
    assert bool(materials.loc["zno", "allowed"])
    assert not materials.loc["si", "allowed"]


def test_no_name_of_a_file_leaves_the_dataset(mixed):
    root = mixed[0].dataset.root
    assert not [path for path in root.parent.rglob("*") if "escaped" in path.name]
    assert mixed[0].dataset.verify() == []


def test_centrosymmetric_crystals_need_no_potential(tmp_path):
    source = copied(tmp_path, "si", "tio2-rutile")
    plan = plan_screening(intake_of(source, tmp_path / "out", card=no_card))
    assert plan.outcomes == {"skipped": 2}
    assert plan.n_open == 0


def test_a_potential_that_cannot_be_loaded_ends_the_planning(tmp_path):
    """That is a wrong setting, not a defect of the crystals."""
    context = intake_of(
        copied(tmp_path, "zno"), tmp_path / "out", card=lambda: bad_potential().card
    )
    with pytest.raises(ValueError, match="unknown potential"):
        plan_screening(context)


def bad_potential():
    return load_potential("7net-9")


def test_all_crystals_are_screened_when_asked(tmp_path):
    source = copied(tmp_path, "si", "zno")
    plan = plan_screening(intake_of(source, tmp_path / "out", ALL))
    assert plan.outcomes == {"screen": 2}
    assert {work.material_id for work in plan.open["relaxation"]} == {"si", "zno"}


def test_limits_of_potential_and_run_hold_for_centrosymmetric_crystals_too(tmp_path):
    write_bad_inputs(tmp_path)
    context = intake_of(tmp_path, tmp_path / "out", ALL, card=seven_net)
    reasons = {f.source_record: f.message for f in plan_screening(context, commit=False).failures}
    for record in LIMIT_RECORDS:
        assert REASONS[record] in reasons[record]


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_limit_counts_crystals_with_something_to_do(tmp_path, limit):
    """Reading stops with the last of them: skipped ones do not count."""
    source = copied(tmp_path, "gaas", "mgo", "si", "wc", "zno")
    plan = plan_screening(intake_of(source, tmp_path / "out"), limit=limit)
    assert plan.n_open == min(limit, 3)
    assert sum(plan.outcomes.values()) == {1: 1, 2: 4, 5: 5}[limit]


def test_progress_is_told_batch_by_batch(mixed, tmp_path):
    counts = []
    context = replace(mixed[0], dataset=Dataset(tmp_path / "out"))
    plan = plan_screening(context, on_read=counts.append)
    assert counts[-1] == sum(plan.outcomes.values())
    assert counts == sorted(counts)


def test_a_dry_run_writes_nothing_and_plans_the_same(mixed, tmp_path):
    context = replace(mixed[0], dataset=Dataset(tmp_path / "out"))
    plan = plan_screening(context, commit=False)
    assert not (tmp_path / "out").exists()
    assert plan == mixed[1]


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_unusable_source_ends_the_planning(tmp_path, name):
    with pytest.raises((FileNotFoundError, ValueError), match=r"no such file|no structure file"):
        plan_screening(intake_of(tmp_path / name, tmp_path / "out", card=no_card))


def test_planning_again_before_any_stage_ran_leaves_the_same_open(mixed, tmp_path):
    context = replace(mixed[0], dataset=Dataset(tmp_path / "out"))
    assert plan_screening(context) == plan_screening(context)
    assert len(catalogue(context.dataset, "plan")) == sum(mixed[1].outcomes.values())


def test_after_all_stages_nothing_is_open(again):
    """Neither what has a result nor what failed for good."""
    context = again()
    plan = plan_screening(context)
    assert plan.n_open == 0
    assert plan.outcomes == {"screen": 2, "skipped": 1}


def test_results_and_failures_of_earlier_runs_are_counted_apart(again):
    """The alloy that loses its symmetry failed, and the other one has results."""
    context = again()
    plan = plan_screening(context)
    assert (plan.n_finished, plan.n_given_up) == (1, 1)
    assert plan.skipped == (("copper", CENTROSYMMETRIC),)
    outcomes = Counter(catalogue(context.dataset)["outcome"])
    assert outcomes == {"screened": 1, "failed": 1, "skipped": 1}


def test_failures_are_open_again_when_asked(again):
    plan = plan_screening(again(), retry_failures=True)
    assert [work.material_id for work in plan.open["relaxation"]] == ["wurtzite"]
    assert plan.n_open == 1


def test_another_mesh_opens_the_last_stage_only(again):
    """Of what failed on the way to it, nothing."""
    plan = plan_screening(again(OTHER_MESH))
    assert {stage: [w.material_id for w in works] for stage, works in plan.open.items()} == {
        "chirality": ["zincblende"]
    }


def test_a_changed_structure_is_screened_anew(again, tmp_path):
    source = write_alloys(tmp_path, "zincblende")
    write(source / "zincblende.cif", bulk("CuAu", "zincblende", a=5.8))
    context = replace(again(), source=source)
    assert [w.material_id for w in plan_screening(context).open["relaxation"]] == ["zincblende"]


def test_symmetry_lost_in_the_relaxation_is_no_obstacle_to_screening_all(again):
    """It failed because centrosymmetric crystals were unwanted; now they are wanted."""
    context = again(ALL)
    plan = plan_screening(context)
    opened = {work.material_id for works in plan.open.values() for work in works}
    assert opened == {"copper", "wurtzite"}
    reports = carry_out(plan, context)
    assert "wurtzite" in reports["chirality"].succeeded


def test_the_newest_plan_holds_after_switching_settings_back(again):
    """A, B, A: the catalogue shows the mesh of A, although B was computed last."""
    first = again()
    plan_screening(first)
    meshes = [catalogue(first.dataset).set_index("material_id").loc["zincblende", "n_q_points"]]
    for run, settings in ((2, OTHER_MESH), (3, SETTINGS)):
        context = again(settings, run)
        carry_out(plan_screening(context), context)
        table = catalogue(context.dataset).set_index("material_id")
        assert table["run_id"].eq(f"run-{run}").all()
        meshes.append(table.loc["zincblende", "n_q_points"])
    assert meshes[0] == meshes[2] > meshes[1]


def test_plan_has_one_row_per_material_after_many_runs(again):
    for run, settings in enumerate((SETTINGS, OTHER_MESH, SETTINGS, ALL), start=1):
        context = again(settings, run)
        plan_screening(context)
    for table in ("plan", "materials", "chirality"):
        assert Counter(catalogue(context.dataset, table)["material_id"]) == {
            "copper": 1,
            "wurtzite": 1,
            "zincblende": 1,
        }


def test_a_skipped_crystal_may_be_screened_later_and_skipped_again(again):
    outcomes = []
    for run, settings in enumerate((SETTINGS, ALL, SETTINGS), start=1):
        context = again(settings, run)
        plan_screening(context)
        outcomes.append(
            catalogue(context.dataset).set_index("material_id").loc["copper", "outcome"]
        )
    assert outcomes == ["skipped", "pending", "skipped"]


@pytest.mark.parametrize(
    "names",
    [
        ("a/b.cif", "a_b.cif"),
        ("é.cif", "ü.cif", "ö.cif"),
        ("x" * 130 + "1.cif", "x" * 130 + "2.cif"),
    ],
    ids=["folder", "letters", "length"],
)
def test_no_failure_hides_another_one(tmp_path, names):
    """Records whose names differ only where an identifier cannot are told apart all the same."""
    for name in names:
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("no crystal")
    context = intake_of(tmp_path / "source", tmp_path / "out", card=no_card)
    assert len(plan_screening(context).failures) == len(names)
    assert set(catalogue(context.dataset, "failures")["source_record"]) == set(names)
    assert len(catalogue(context.dataset)) == len(names)
