"""Stages turn rows into rows; what one structure does wrong costs the others nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import spglib
from ase import Atoms
from ase.build import bulk
from ase.io import write
from ase.spacegroup import crystal
from phonopy import Phonopy

from potentials import Evaluation, Potential, PotentialCard, load_potential
from tasks.chirality import analyze_force_constants
from tasks.crystals.rows import make_structure_columns, read_atoms
from tasks.failures import Failure
from tasks.phonons import compute_commensurate_frequencies
from tasks.phonons.elasticity import GPA, compute_elastic_constants, make_voigt_matrix
from tasks.phonons.rows import (
    interpolate_row,
    make_phonon_columns,
    read_phonon,
    read_strain_response,
)
from tasks.phonons.sum_rules import OTHER_WEIGHTS, impose_sum_rules
from tasks.results import read_catalog
from tasks.results.building import build_catalog
from tasks.screening.plan import plan_screening
from tasks.screening.planning import STAGE_NAMES
from tasks.screening.settings import ScreenSettings
from tasks.screening.stages import TOLERANCES, StageReport, run_stage
from tasks.storage import Dataset, DatasetError
from tasks.symmetry import find_space_group_number
from tests.crystals import random_nac, spring_phonon, tellurium, zincblende
from tests.potentials.crystals import trigonal_tellurium
from tests.tasks.alloys import (
    SETTINGS,
    carry_out,
    emt,
    face_centred_phonon,
    intake_of,
    write_alloys,
)

pytestmark = pytest.mark.slow

SUCCEEDED = ("helix", "zincblende")
Q_POINTS = [[0.1, 0.2, 0.3], [0.5, 0.0, 0.0], [0.02, 0.0, 0.01]]


@dataclass(frozen=True)
class Exhausted:
    """A potential for which large crystals do not fit into memory."""

    potential: Potential
    largest: int

    @property
    def card(self) -> PotentialCard:
        return self.potential.card

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        if any(len(atoms) > self.largest for atoms in structures):
            raise MemoryError("no memory left")
        return self.potential.evaluate(structures)


@pytest.fixture(scope="module")
def screened(tmp_path_factory):
    """All alloys, all stages: the intake, the plan and the reports."""
    source = write_alloys(tmp_path_factory.mktemp("alloys"))
    context = intake_of(source, tmp_path_factory.mktemp("dataset"))
    plan = plan_screening(context)
    reports = carry_out(plan, context)
    build_catalog(context.dataset)
    return context, plan, reports


@pytest.fixture(scope="module")
def dataset(screened) -> Dataset:
    return screened[0].dataset


@pytest.fixture(scope="module")
def chirality(dataset) -> pd.DataFrame:
    return read_catalog(dataset.root, "chirality").set_index("material_id")


def rows(dataset: Dataset, table: str) -> dict[str, dict]:
    """Rows of a table by material."""
    return {row["material_id"]: row for row in dataset.read(table).to_pylist()}


def only_failure(report: StageReport) -> Failure:
    [failure] = report.failures
    return failure


def relaxed_alone(
    tmp_path, name: str, atoms: Atoms, settings: ScreenSettings, load=emt, ending="cif"
):
    """Plan one crystal and run its relaxation: the dataset and the report."""
    (tmp_path / "source").mkdir()
    write(tmp_path / "source" / f"{name}.{ending}", atoms)
    context = intake_of(tmp_path / "source", tmp_path / "out", settings, card=lambda: load().card)
    reports = carry_out(plan_screening(context), context, load)
    return context.dataset, reports


def test_each_stage_reports_what_it_did(screened):
    reports = screened[2]
    assert tuple(reports) == STAGE_NAMES
    assert {f.material_id for f in reports["relaxation"].failures} == {"carbide", "wurtzite"}
    for stage, report in reports.items():
        assert report.stage == stage
        assert set(report.succeeded) == set(SUCCEEDED)
        assert report.wall_time >= report.potential_time
        assert (report.potential_time > 0) == (stage != "chirality")


def test_every_structure_has_one_row_with_its_outcome(chirality):
    assert chirality.index.is_unique
    assert chirality["outcome"].to_dict() == {
        "helix": "screened",
        "zincblende": "screened",
        "wurtzite": "failed",
        "carbide": "failed",
        "copper": "skipped",
    }


def test_a_stable_chiral_crystal_gets_a_score(chirality):
    """Space group 152 allows angular momentum everywhere; the potential holds this one together."""
    row = chirality.loc["helix"]
    assert row["stable"]
    assert row["significant"]
    assert row["mean_angular_momentum"] > 0.05
    assert 0 < row["score"] < 1
    assert row["chirality_class"] == "II"
    assert row["helicity_wave_found"] == "s"
    assert row["explanation"].startswith("mean optical |l|")


def test_an_unstable_crystal_has_numbers_and_no_score(chirality):
    row = chirality.loc["zincblende"]
    assert row["min_frequency_commensurate"] < -0.1
    assert not row["stable"]
    assert np.isnan(row["score"])
    assert "unstable" in row["explanation"]
    assert row["mean_angular_momentum"] > 0.05


def test_what_the_potential_refuses_costs_the_others_nothing(screened, dataset):
    """Silicon is unknown to the potential, which the chunk's other crystals do not notice."""
    [failure] = [f for f in screened[2]["relaxation"].failures if f.material_id == "carbide"]
    assert "Si" in failure.message
    assert "line " in failure.message
    assert failure.stage == "relaxation"
    assert not failure.transient
    assert "carbide" not in rows(dataset, "relaxations")


def test_lost_symmetry_is_a_failure_beside_the_relaxed_crystal(screened, dataset):
    [failure] = [f for f in screened[2]["relaxation"].failures if f.material_id == "wurtzite"]
    assert "186" in failure.message
    assert "194" in failure.message
    row = rows(dataset, "relaxations")["wurtzite"]
    assert row["converged"]
    assert row["symmetry_changed"]
    assert (row["space_group_number_initial"], row["space_group_number_final"]) == (186, 194)
    assert "wurtzite" not in rows(dataset, "phonons")


def test_relaxed_crystal_is_at_a_minimum_of_the_potential(dataset):
    """Energy, forces and stress of the row are those of the stored crystal."""
    row = rows(dataset, "relaxations")["helix"]
    found = emt().evaluate([read_atoms(row)])
    assert row["energy"] == pytest.approx(found.energies[0] / 12, abs=1e-9)
    assert np.abs(found.forces[0]).max() < 2e-4
    assert np.abs(found.stresses[0]).max() < 2e-5
    assert row["reason"] == "converged"


def test_relaxation_keeps_the_space_group_at_every_tolerance(dataset):
    row = rows(dataset, "relaxations")["helix"]
    assert row["tolerances"] == pytest.approx(TOLERANCES)
    assert row["space_groups"] == [152] * len(TOLERANCES)
    assert not row["symmetry_changed"]
    assert 1e-4 < abs(row["c_over_a_change"]) < 1e-2


def test_volume_change_is_relative_to_the_input(dataset):
    before, after = (read_atoms(rows(dataset, t)["helix"]) for t in ("materials", "relaxations"))
    change = after.get_volume() / before.get_volume() - 1
    assert rows(dataset, "relaxations")["helix"]["volume_change"] == pytest.approx(change)


def test_phonons_are_those_of_the_stored_force_constants(dataset):
    """Anybody can redo the numbers from the dataset alone."""
    for name in SUCCEEDED:
        row, constants = (rows(dataset, table)[name] for table in ("phonons", "force_constants"))
        phonon = read_phonon(constants)
        frequencies = compute_commensurate_frequencies(phonon)
        assert row["min_frequency_commensurate"] == pytest.approx(frequencies.min(), abs=1e-9)
        assert row["max_frequency"] == pytest.approx(frequencies.max(), abs=1e-9)
        assert row["n_supercell_atoms"] == len(phonon.supercell) <= 32
        assert np.abs(phonon.force_constants.sum(axis=1)).max() < 1e-9
        assert not row["nac"]


def test_force_constants_belong_to_the_relaxed_crystal(dataset):
    relaxed, constants = (rows(dataset, table) for table in ("relaxations", "force_constants"))
    for name in SUCCEEDED:
        here, there = constants[name], relaxed[name]
        assert here["numbers"] == there["numbers"]
        np.testing.assert_allclose(here["cell"], there["cell"], atol=1e-12)
        apart = np.subtract(here["positions"], there["positions"])
        np.testing.assert_allclose(apart - np.rint(apart), 0, atol=1e-12)


def test_modes_are_rows_of_each_q_point_and_band(dataset, chirality):
    modes = dataset.read("modes").to_pandas()
    for name in SUCCEEDED:
        mine = modes[modes["material_id"] == name]
        n_bands = 3 * int(chirality.loc[name, "n_atoms_primitive"])
        assert sorted(mine["band"].unique()) == list(range(n_bands))
        assert len(mine) % n_bands == 0
        assert np.linalg.norm(mine[["l_x", "l_y", "l_z"]], axis=1).max() <= 1 + 1e-5
    assert set(modes["material_id"]) == set(SUCCEEDED)


def test_rows_carry_the_keys_of_the_plan(screened, dataset):
    works = {work.material_id: work for work in screened[1].open["relaxation"]}
    for name in SUCCEEDED:
        work = works[name]
        assert rows(dataset, "materials")[name]["key"] == work.material_key
        for table, key in zip(("relaxations", "phonons", "chirality"), work.keys, strict=True):
            assert rows(dataset, table)[name]["key"] == key
        modes = dataset.read("modes", material_ids=[name], columns=["key"])
        assert set(modes["key"].to_pylist()) == {work.keys[2]}


def test_times_of_a_structure_are_a_part_of_its_chunk(screened, dataset):
    for table, stage in (("relaxations", "relaxation"), ("phonons", "phonons")):
        found = rows(dataset, table).values()
        assert all(0 < row["potential_time"] <= row["wall_time"] for row in found)
        assert sum(row["wall_time"] for row in found) <= screened[2][stage].wall_time


def test_potential_and_checkpoint_are_recorded(dataset):
    for table in ("relaxations", "phonons"):
        row = rows(dataset, table)["helix"]
        assert (row["potential"], row["checkpoint_digest"]) == (
            emt().card.name,
            emt().card.digest,
        )


def test_elastic_constants_are_those_of_the_stored_response(dataset, chirality):
    """Three constants of the cubic alloy; its verdict knows the softest strain."""
    row, constants = (rows(dataset, t)["zincblende"] for t in ("phonons", "force_constants"))
    C = np.reshape(row["elastic_constants"], (6, 6))
    expected = np.diag([C[0, 0] - C[0, 1]] * 3 + [C[3, 3]] * 3)
    expected[:3, :3] += C[0, 1]
    assert np.allclose(C, expected, atol=1e-6)
    response = read_strain_response(constants)
    found = compute_elastic_constants(read_phonon(constants), response)
    assert np.allclose(C, GPA * make_voigt_matrix(found), rtol=1e-12)
    assert chirality.loc["zincblende", "least_stiffness"] == pytest.approx(
        min(C[0, 0] - C[0, 1], C[0, 0] + 2 * C[0, 1], 2 * C[3, 3])
    )


def test_angular_momentum_is_that_of_force_constants_that_obey_the_sum_rules(dataset, chirality):
    row = rows(dataset, "force_constants")["helix"]
    rules = interpolate_row(row)
    assert chirality.loc["helix", "rotational_violation"] == rules.rotational_before > 1e-3
    assert pd.isna(chirality.loc["helix", "sum_rules_skipped"])
    found = analyze_force_constants(rules.phonon, SETTINGS.chirality).record
    assert chirality.loc["helix", "mean_angular_momentum"] == found.mean_angular_momentum


def test_the_other_division_is_what_a_computation_of_its_own_gives(dataset, chirality):
    """Splittings are exact; the mesh is so coarse here that all its points are compared."""
    row, found = rows(dataset, "force_constants")["helix"], chirality.loc["helix"]
    phonon, response = read_phonon(row), read_strain_response(row)
    other = impose_sum_rules(phonon, response).distribute(OTHER_WEIGHTS).phonon
    expected = analyze_force_constants(other, SETTINGS.chirality).record
    assert found["splitting_other"] == pytest.approx(expected.splitting_linear, rel=1e-6)
    assert found["helicity_other"] == pytest.approx(expected.mean_optical_helicity, rel=1e-6)
    least = 1e-5 * np.abs(expected.tensor).max()
    np.testing.assert_allclose(found["tensor_other"], expected.tensor, atol=least)
    assert found["helicity_spread"] > 1e-3
    assert min(found["tensor_spread"]) > 1e-2


def test_running_a_chunk_again_changes_nothing(screened, chirality):
    """As after a crash between the commit and the report, or by two workers at once."""
    context, plan, _ = screened
    before = {stage: context.dataset.list_done_keys(stage) for stage in STAGE_NAMES}
    reports = carry_out(plan, context)
    assert {stage: context.dataset.list_done_keys(stage) for stage in STAGE_NAMES} == before
    assert set(reports["chirality"].succeeded) == set(SUCCEEDED)
    assert context.dataset.verify() == []
    build_catalog(context.dataset)
    after = read_catalog(context.dataset.root, "chirality").set_index("material_id")
    pd.testing.assert_frame_equal(after, chirality)
    for table in ("relaxations", "phonons", "force_constants", "chirality"):
        names = context.dataset.read(table)["material_id"].to_pylist()
        assert len(names) == len(set(names))


def test_a_chunk_divided_gives_the_same_rows(screened, tmp_path):
    """The company of a structure does not matter, so that chunks may be cut in any way."""
    context, plan, _ = screened
    alone = intake_of(context.source, tmp_path / "out")
    plan_screening(alone)
    for work in plan.open["relaxation"]:
        single = replace(plan, open={"relaxation": (work,)})
        carry_out(single, alone)
    for name in SUCCEEDED:
        together, apart = (rows(d, "chirality")[name] for d in (context.dataset, alone.dataset))
        assert apart["mean_angular_momentum"] == pytest.approx(together["mean_angular_momentum"])
        assert apart["max_frequency"] == pytest.approx(together["max_frequency"])


def test_unconverged_relaxation_is_kept_and_goes_no_further(tmp_path):
    settings = SETTINGS.model_copy(
        update={"relaxation": SETTINGS.relaxation.model_copy(update={"max_evaluations": 2})}
    )
    atoms = bulk("CuAu", "zincblende", a=6.2)
    dataset, reports = relaxed_alone(tmp_path, "stretched", atoms, settings)
    failure = only_failure(reports["relaxation"])
    assert failure.message == "not relaxed: no convergence in 2 evaluations"
    assert "relaxation.max_evaluations" in failure.remedy
    assert not failure.transient
    row = rows(dataset, "relaxations")["stretched"]
    assert not row["converged"]
    assert row["n_evaluations"] == 2
    assert row["max_stress"] > settings.relaxation.max_stress
    assert set(reports) == {"relaxation"}
    assert rows(dataset, "phonons") == {}


def test_a_crystal_far_above_the_hull_gets_no_phonons(tmp_path):
    """Magnesium oxide is rock salt; as zinc blende it lies more than 0.05 eV/atom higher."""
    limit = SETTINGS.curation.model_copy(update={"max_energy_above_hull": 0.05})
    settings = ScreenSettings(curation=limit)
    dataset, reports = relaxed_alone(
        tmp_path,
        "blende",
        bulk("MgO", "zincblende", a=4.6),
        settings,
        lambda: load_potential("nequix-mp-1-pft"),
    )
    failure = only_failure(reports["relaxation"])
    assert failure.message.startswith("energy: 0.")
    assert "MgO (mp-" in failure.message
    assert "curation.max_energy_above_hull, 0.05" in failure.remedy
    assert rows(dataset, "relaxations")["blende"]["converged"]
    assert rows(dataset, "phonons") == {}


def test_tellurium_of_the_small_potential_is_a_failure_that_names_both_groups(tmp_path):
    """Known of 7net-0: trigonal tellurium, group 152, turns into the simple cubic 221."""
    settings = SETTINGS.model_copy(
        update={"potential": SETTINGS.potential.model_copy(update={"name": "7net-0"})}
    )
    dataset, reports = relaxed_alone(
        tmp_path,
        "te",
        trigonal_tellurium(),
        settings,
        lambda: load_potential("7net-0", dtype="float32"),
    )
    failure = only_failure(reports["relaxation"])
    assert "152" in failure.message
    assert "221" in failure.message
    assert failure.remedy
    assert rows(dataset, "relaxations")["te"]["converged"]


def test_crystal_that_gains_symmetry_is_relaxed_on_inside_its_new_group(tmp_path):
    """P3_1 with atoms a little off the places of P3_121, where the potential wants them."""
    places = [(0.82, 0, 1 / 3), (0.33, 0, 1 / 3), (0.326, 0.502, 0.342), (0.502, 0.326, -0.342)]
    off = np.random.default_rng(0).normal(scale=0.005, size=(4, 3))
    atoms = crystal(
        ["Au", "Cu", "Cu", "Cu"],
        places + off,
        spacegroup=144,
        cellpar=[5.25, 5.25, 6.46, 90, 90, 120],
    )
    charges = np.where(atoms.numbers == 79, 1.0, -1 / 3)[:, None] * np.eye(3).ravel()
    atoms.set_array("born_charges", charges)
    atoms.info = {"dielectric_tensor": 3 * np.eye(3)}
    limit = SETTINGS.relaxation.model_copy(update={"max_force": 0.01})
    settings = SETTINGS.model_copy(update={"relaxation": limit})
    dataset, _ = relaxed_alone(tmp_path, "helix", atoms, settings, ending="xyz")
    row = rows(dataset, "relaxations")["helix"]
    assert (row["space_group_number_initial"], row["space_group_number_final"]) == (144, 152)
    assert row["space_groups"] == [152] * len(TOLERANCES)
    assert row["max_force"] < 0.01
    is_gold = np.array(row["numbers"]) == 79
    kept = np.reshape(row["born_charges"], (-1, 3, 3))
    assert kept == pytest.approx(np.where(is_gold, 1, -1 / 3)[:, None, None] * np.eye(3))
    assert rows(dataset, "phonons")["helix"]["nac"]


def test_c_over_a_is_that_of_the_conventional_cell(tmp_path):
    """The primitive vectors of a body-centred lattice are equally long whatever c/a is."""
    atoms = crystal(
        ["Cu", "Al"],
        [(0, 0, 0), (0, 0, 1 / 3)],
        spacegroup=139,
        cellpar=[3.1, 3.1, 9.0, 90, 90, 90],
    )
    settings = SETTINGS.model_copy(update={"include_centrosymmetric": True})
    dataset, _ = relaxed_alone(tmp_path, "body-centred", atoms, settings)
    ratios = []
    for table in ("materials", "relaxations"):
        found = read_atoms(rows(dataset, table)["body-centred"])
        cell = (found.cell.array, found.get_scaled_positions(), found.numbers)
        lattice, _, _ = spglib.standardize_cell(cell, to_primitive=False, symprec=1e-3)
        ratios.append(lattice[2, 2] / lattice[0, 0])
    change = ratios[1] / ratios[0] - 1
    assert abs(change) > 0.01
    stored = rows(dataset, "relaxations")["body-centred"]["c_over_a_change"]
    assert stored == pytest.approx(change, rel=1e-3)


def test_exhausted_memory_is_another_chance(tmp_path):
    """A chunk is treated in halves; a crystal that does not fit alone comes up again."""
    source = write_alloys(tmp_path, "helix", "zincblende")
    context = intake_of(source, tmp_path / "out")
    works = plan_screening(context).open["relaxation"]
    small = lambda: Exhausted(emt(), largest=8)  # noqa: E731
    report = run_stage("relaxation", works, context.dataset, context.settings, small)
    assert only_failure(report).transient
    assert report.succeeded == ("zincblende",)
    later = replace(context, run_id="later", started_at=context.started_at + timedelta(hours=1))
    plan = plan_screening(later)
    assert [work.material_id for work in plan.open["relaxation"]] == ["helix"]
    assert [work.material_id for work in plan.open["phonons"]] == ["zincblende"]
    for stage in ("relaxation", "phonons", "chirality"):
        ready = works if stage != "relaxation" else plan.open["relaxation"]
        run_stage(stage, ready, later.dataset, later.settings, emt)
    build_catalog(later.dataset)
    assert set(read_catalog(later.dataset.root, "chirality")["outcome"]) == {"screened"}
    assert len(read_catalog(later.dataset.root, "failures")) == 0


def test_the_last_stage_needs_no_potential(screened):
    context, plan, _ = screened
    works = [w for w in plan.open["relaxation"] if w.material_id in SUCCEEDED]

    def load() -> Potential:
        raise AssertionError("the potential was asked for")

    report = run_stage("chirality", works, context.dataset, context.settings, load)
    assert set(report.succeeded) == set(SUCCEEDED)


def test_missing_files_of_the_dataset_end_the_chunk(tmp_path):
    """That is no property of a structure: nothing is committed, and the work remains."""
    source = write_alloys(tmp_path, "zincblende")
    context = intake_of(source, tmp_path / "out")
    plan = plan_screening(context)
    for path in (tmp_path / "out" / "parts" / "materials").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match="materials"):
        carry_out(plan, context)
    assert context.dataset.list_done_keys("relaxation") == frozenset()


def stored(dataset: Dataset, columns: dict) -> dict:
    """Write a row of force constants and read it back."""
    identity = {"material_id": "x", "key": "k"}
    dataset.commit("phonons", {"force_constants": [identity | columns]}, ["k"])
    [row] = dataset.read("force_constants").to_pylist()
    return row


def neutral_phonon() -> Phonopy:
    return spring_phonon(zincblende(), 1)


def phonon_with_atoms_outside() -> Phonopy:
    """Coordinates beyond the cell, on its faces, and a rounding error below them."""
    atoms = tellurium()
    shift = [[-1.0, 0.0, 1.0], [0.0, -2.0, -1e-17], [1.0 - 1e-16, 0.0, 0.0]]
    atoms.set_scaled_positions(atoms.get_scaled_positions(wrap=False) + shift)
    return spring_phonon(atoms, 1)


@pytest.mark.parametrize("method", [None, "gonze", "wang"])
@pytest.mark.parametrize("make", [neutral_phonon, face_centred_phonon, phonon_with_atoms_outside])
def test_force_constants_survive_the_dataset(tmp_path, make, method):
    """Frequencies between the mesh points are the same, charges and primitive cell included."""
    phonon = make()
    if method:
        nac = random_nac(phonon, np.random.default_rng(3))
        phonon.nac_params = nac | {"method": method}
    found = read_phonon(stored(Dataset(tmp_path), make_phonon_columns(phonon)))
    np.testing.assert_allclose(
        found.run_qpoints(Q_POINTS).frequencies,
        phonon.run_qpoints(Q_POINTS).frequencies,
        atol=1e-9,
    )
    assert len(found.primitive) == len(phonon.primitive)
    assert found.force_constants.shape == phonon.force_constants.shape
    assert (found.nac_params is None) == (method is None)


def test_isotopes_survive_the_dataset(tmp_path):
    phonon = spring_phonon(zincblende(), 1)
    phonon.masses = [70.0, 36.0]
    found = read_phonon(stored(Dataset(tmp_path), make_phonon_columns(phonon)))
    assert found.primitive.masses == pytest.approx([70.0, 36.0])
    np.testing.assert_allclose(
        found.run_qpoints(Q_POINTS).frequencies, phonon.run_qpoints(Q_POINTS).frequencies
    )


def test_crystals_survive_their_columns():
    atoms = trigonal_tellurium()
    found = read_atoms(make_structure_columns(atoms))
    np.testing.assert_allclose(found.positions, atoms.positions, atol=1e-12)
    np.testing.assert_allclose(found.cell, atoms.cell)
    assert found.pbc.all()


def test_no_space_group_is_zero():
    """Two atoms at one point are no crystal; the search must not end the stage."""
    atoms = Atoms("Cu2", cell=[4, 4, 4], positions=[[0, 0, 0], [0, 0, 1e-7]], pbc=True)
    assert find_space_group_number(atoms, 1e-5) == 0
