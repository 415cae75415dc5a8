"""A crystal and its mirror image share all results; only one of them is computed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.io import write

from potentials import invert
from tasks.chirality import angular_momentum
from tasks.crystals.enantiomorphs import EnantiomorphIndex, are_enantiomorphs
from tasks.crystals.structures import standardize
from tasks.failures import Failure
from tasks.phonons.mirror import make_mirror_image
from tasks.results import read_catalog
from tasks.results.building import build_catalog
from tasks.screening.costs import StageSeconds
from tasks.screening.decisions import RunContext
from tasks.screening.plan import Plan, plan_screening
from tasks.screening.planning import WorkItem
from tasks.screening.stages import run_stage
from tasks.storage import Dataset
from tasks.symmetry import classify_space_group
from tests.crystals import random_crystal, spring_phonon
from tests.tasks.alloys import SETTINGS, carry_out, emt, intake_of, write_alloys

pytestmark = pytest.mark.slow

SYMPREC = 0.01
SOHNCKE = [n for n in range(1, 231) if classify_space_group(n).chirality_class == "II"]


def turned(atoms, rng):
    """The same crystal in another orientation, origin and order."""
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    other = atoms[rng.permutation(len(atoms))]
    other.set_cell(np.asarray(other.cell) @ rotation, scale_atoms=True)
    other.set_scaled_positions(other.get_scaled_positions() + rng.random(3))
    return standardize(other, SYMPREC)


@pytest.mark.parametrize("number", SOHNCKE)
def test_mirror_images_are_told_from_copies(number):
    """In all 65 Sohncke groups, whatever the orientation, origin and order of the atoms."""
    rng = np.random.default_rng(number)
    atoms = standardize(random_crystal(number, 1), SYMPREC)
    assert are_enantiomorphs(atoms, turned(invert(atoms), rng), SYMPREC)
    assert not are_enantiomorphs(atoms, turned(atoms, rng), SYMPREC)


def test_similar_crystals_of_other_hand_are_not_the_same():
    atoms = standardize(random_crystal(152, 1), SYMPREC)
    moved = invert(atoms)
    moved.set_cell(1.01 * np.asarray(moved.cell), scale_atoms=True)
    assert are_enantiomorphs(atoms, invert(atoms), SYMPREC)
    assert not are_enantiomorphs(atoms, moved, SYMPREC)
    other = invert(standardize(random_crystal(152, 2), SYMPREC))
    assert not are_enantiomorphs(atoms, other, SYMPREC)


def work(name: str) -> WorkItem:
    return WorkItem(name, f"{name}-key", ("r", "p", "c"), StageSeconds(1.0, 1.0, 1.0))


def test_a_gallery_knows_the_first_of_each_chiral_crystal():
    enantiomorphs = EnantiomorphIndex(SYMPREC)
    left, other = (standardize(random_crystal(n, 1), SYMPREC) for n in (152, 19))
    right = standardize(invert(left), SYMPREC)
    assert enantiomorphs.find_mirror_image(work("left"), left, 152) is None
    assert enantiomorphs.find_mirror_image(work("other"), other, 19) is None
    assert enantiomorphs.find_mirror_image(work("right"), right, 154) == work("left")
    assert enantiomorphs.find_mirror_image(work("right again"), right, 154) == work("left")


def test_achiral_crystals_have_no_enantiomorph():
    enantiomorphs = EnantiomorphIndex(SYMPREC)
    atoms = standardize(random_crystal(186, 1), SYMPREC)
    assert enantiomorphs.find_mirror_image(work("first"), atoms, 186) is None
    assert (
        enantiomorphs.find_mirror_image(work("second"), standardize(invert(atoms), SYMPREC), 186)
        is None
    )


@pytest.mark.parametrize("number", [1, 4, 19, 76, 146, 152, 173, 198])
def test_mirrored_force_constants_give_the_spectrum_and_the_opposite_angular_momentum(number):
    """At every q: inversion carries (q, l) to (-q, l), time reversal (-q, l) to (q, -l)."""
    phonon = spring_phonon(random_crystal(number, 3), 1)
    q_points = np.random.default_rng(number).uniform(-0.5, 0.5, (20, 3))
    found = []
    for crystal in (phonon, make_mirror_image(phonon)):
        modes = crystal.run_qpoints(q_points, with_eigenvectors=True)
        found.append((modes.frequencies, angular_momentum(modes.eigenvectors)))
    (here, l_here), (there, l_there) = found
    np.testing.assert_allclose(there, here, atol=1e-8)
    np.testing.assert_allclose(l_there, -l_here, atol=1e-6)
    assert np.abs(l_here).max() > 0.1


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunContext, Plan]:
    """A chiral alloy, its mirror image, and what follows of it."""
    source = write_alloys(tmp_path_factory.mktemp("pair"), "helix")
    with_image(source)
    context = intake_of(source, tmp_path_factory.mktemp("dataset"))
    plan = plan_screening(context)
    carry_out(plan, context)
    build_catalog(context.dataset)
    return context, plan


def with_image(source: Path) -> None:
    """Add the mirror image of the chiral alloy."""
    from ase.io import read

    write(source / "helix_image.cif", invert(read(source / "helix.cif")))


def opened(plan: Plan) -> dict[str, list[str]]:
    return {stage: [work.material_id for work in works] for stage, works in plan.open.items()}


def test_one_of_two_enantiomorphs_is_computed(pair):
    context, plan = pair
    [original, image] = sorted(plan.open["relaxation"], key=lambda w: bool(w.image_keys))
    assert image.image_keys == original.keys
    relaxations = context.dataset.read("relaxations").to_pandas().set_index("key")
    assert relaxations.loc[original.keys[0], "n_evaluations"] > 0
    assert relaxations.loc[image.keys[0], "n_evaluations"] == 0
    assert relaxations.loc[image.keys[0], "potential_time"] == 0


def test_both_have_all_results_and_the_catalogue_says_whose_they_are(pair):
    found = read_catalog(pair[0].dataset.root, "chirality").set_index("material_id")
    assert found["outcome"].tolist() == ["screened", "screened"]
    assert found["enantiomorph_of"].dropna().tolist() == ["helix"]
    assert found.loc["helix", "score"] == pytest.approx(found.loc["helix_image", "score"], rel=1e-4)
    assert pair[0].dataset.verify() == []


def test_taken_over_results_are_those_of_a_computation(pair, tmp_path):
    """The same lowest and highest frequency as when the image is computed itself."""
    both = SETTINGS.model_copy(update={"both_hands": True})
    context = intake_of(pair[0].source, tmp_path, both)
    plan = plan_screening(context)
    assert all(work.image_keys is None for work in plan.open["relaxation"])
    carry_out(plan, context)
    build_catalog(context.dataset)
    names = ["min_frequency_commensurate", "mean_optical_angular_momentum", "volume_change"]
    here, there = (
        read_catalog(root, "chirality").set_index("material_id")[names].sort_index()
        for root in (pair[0].dataset.root, tmp_path)
    )
    np.testing.assert_allclose(here, there, atol=2e-4)


def test_the_screening_again_has_nothing_to_do(pair):
    assert plan_screening(pair[0]).n_open == 0


def test_an_image_waits_for_its_original(pair, tmp_path):
    """Its stages leave it as it is; nothing is committed for it, and it stays open."""
    context = replace(pair[0], dataset=Dataset(tmp_path))
    plan = plan_screening(context)
    images = [w for w in plan.open["relaxation"] if w.image_keys]
    report = run_stage("relaxation", images, context.dataset, context.settings, emt)
    assert (report.succeeded, report.failures) == ((), ())
    assert sorted(opened(plan_screening(context))["relaxation"]) == ["helix", "helix_image"]


def test_an_image_shares_the_failure_of_its_original(tmp_path):
    source = write_alloys(tmp_path, "helix")
    with_image(source)
    impatient = SETTINGS.model_copy(
        update={"relaxation": SETTINGS.relaxation.model_copy(update={"max_evaluations": 1})}
    )
    context = intake_of(source, tmp_path / "out", impatient)
    reports = carry_out(plan_screening(context), context, stages=["relaxation"])
    failures: dict[str, Failure] = {f.material_id: f for f in reports["relaxation"].failures}
    assert failures["helix_image"].message == f"its mirror image helix: {failures['helix'].message}"
    assert plan_screening(context).n_open == 0
