"""Costs are counted rightly, follow from what is left to do, and are not far from what it takes."""

import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read

from potentials import Equivariance, PotentialCard, load_potential
from tasks.chirality import analyze_force_constants
from tasks.chirality.brillouin import make_irreducible_mesh
from tasks.crystals.cells import make_phonopy_cell
from tasks.crystals.structures import standardize
from tasks.failures import RemediableError
from tasks.phonons import compute_force_constants, make_phonopy
from tasks.relaxation import relax
from tasks.relaxation.coordinates import find_invariant_displacements, find_invariant_strains
from tasks.screening.classification import classify_record
from tasks.screening.costs import (
    CONSTANTS_FILE,
    StageSeconds,
    count_mode_work,
    count_work,
    estimate_analysis_seconds,
    estimate_seconds,
    read_constants,
)
from tasks.screening.plan import plan_screening
from tasks.screening.planning import STAGE_NAMES
from tasks.screening.settings import ScreenSettings, read_settings
from tasks.sources import read_raw_records
from tasks.symmetry.site_permutations import find_space_group
from tests.crystals import random_crystal, wurtzite
from tests.tasks.alloys import SETTINGS, carry_out, emt, intake_of, write_alloys

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[3] / "data" / "demo"
DEFAULTS = ScreenSettings()
FINER = read_settings(None, {"chirality.mesh_spacing": 0.01 / 20 ** (1 / 3)})


@pytest.fixture(scope="module")
def card() -> PotentialCard:
    return emt().card


def demo(name: str):
    """A crystal of the demo, as the stages get it."""
    return standardize(read(DEMO / f"{name}.cif"), DEFAULTS.symmetry.symprec)


def seconds_of(atoms, card, settings=DEFAULTS) -> StageSeconds:
    return estimate_seconds(count_work(atoms, settings), card)


def test_stages_are_those_of_a_plan():
    assert StageSeconds._fields == STAGE_NAMES
    seconds = StageSeconds(1.0, 10.0, 100.0)
    assert [seconds.of(stage) for stage in STAGE_NAMES] == [1.0, 10.0, 100.0]
    assert [seconds.left(stage) for stage in STAGE_NAMES] == [111.0, 110.0, 100.0]


def test_the_file_has_the_form_that_the_benchmark_writes():
    text = CONSTANTS_FILE.read_text("utf-8")
    assert text == f"{json.dumps(asdict(read_constants()), indent=2)}\n"
    assert all(value > 0 for value in asdict(read_constants()).values())


@pytest.mark.parametrize("number", [1, 4, 19, 31, 82, 98, 152, 161, 176, 186, 198, 216])
def test_free_coordinates_and_q_points_are_counted(number):
    """As many as the relaxation moves, and as the mesh has, whatever the space group."""
    atoms = standardize(random_crystal(number, 3, max_atoms=24), 0.01)
    group = find_space_group(atoms, 0.01)
    moved = len(find_invariant_strains(group)) + len(find_invariant_displacements(group))
    phonon = make_phonopy(make_phonopy_cell(atoms), np.eye(3, dtype=int))
    mesh = make_irreducible_mesh(phonon, DEFAULTS.chirality.mesh_spacing)
    found = count_work(atoms, DEFAULTS)
    assert found.n_coordinates == moved
    assert found.modes.n_stars == pytest.approx(len(mesh.q_points), rel=0.35)
    assert found.is_achiral is group.has_improper


def test_a_slow_potential_costs_in_its_stages_alone(card):
    atoms = wurtzite()
    free, once, thrice = (
        seconds_of(atoms, replace(card, milliseconds_per_atom=n * card.milliseconds_per_atom))
        for n in (0, 1, 3)
    )
    for stage in ("relaxation", "phonons"):
        grown = thrice.of(stage) - free.of(stage)
        assert grown == pytest.approx(3 * (once.of(stage) - free.of(stage)))
        assert free.of(stage) > 0
    assert free.chirality == once.chirality == thrice.chirality


def test_forces_cost_by_the_atoms_of_the_displaced_supercells(card):
    """Zincblende has two displacements; 2 x 2 x 2 cells have 16 atoms, 3 x 3 x 3 have 54."""
    atoms = bulk("ZnO", "zincblende", a=4.6)
    counts = [
        count_work(atoms, read_settings(None, {"phonons.max_atoms": limit})) for limit in (16, 54)
    ]
    assert [one.modes.n_supercell_atoms for one in counts] == [16, 54]
    assert [one.evaluations[Equivariance.O3] for one in counts] == [2, 2]
    costs = [estimate_seconds(one, card).phonons - read_constants().structure for one in counts]
    assert costs[1] / costs[0] == pytest.approx(54 / 16)


def test_low_symmetry_costs_more_in_each_stage(card):
    """Without symmetry each atom is displaced along each axis both ways, and no q-point repeats."""
    high, low = wurtzite(), wurtzite()
    low.rattle(0.05, seed=1)
    settings = read_settings(None, {"phonons.max_atoms": 32})
    counts = [count_work(atoms, settings) for atoms in (high, low)]
    assert counts[1].evaluations[Equivariance.O3] == 6 * len(low)
    assert counts[1].modes.n_stars > 9 * counts[0].modes.n_stars
    costs = [estimate_seconds(one, card) for one in counts]
    assert all(more > less for less, more in zip(*costs, strict=True))


def test_an_average_over_the_inversion_costs_where_no_operation_spares_it(card):
    averaged, bare = (replace(card, averaged=is_averaged) for is_averaged in (True, False))
    twice = [
        seconds_of(atoms, averaged).relaxation / seconds_of(atoms, bare).relaxation
        for atoms in (demo("quartz-154"), wurtzite())
    ]
    assert twice == pytest.approx([2.0, 1.0], abs=0.02)


def test_a_finer_mesh_costs_in_the_last_stage_alone(card):
    """Twenty times the q-points are nearly twenty times the modes, and no force more."""
    usual, finer = (seconds_of(demo("quartz-154"), card, each) for each in (DEFAULTS, FINER))
    assert finer[:2] == usual[:2]
    assert 8 < finer.chirality / usual.chirality < 20


def test_a_finer_mesh_announces_no_more_than_its_analysis(tmp_path):
    """With all forces there, a plan costs what the modes cost, and as much for each structure."""
    source = tmp_path / "source"
    source.mkdir()
    write_alloys(source, "helix", "zincblende")
    carry_out(
        first := plan_screening(intake_of(source, tmp_path / "out")),
        intake_of(source, tmp_path / "out"),
    )
    chirality = SETTINGS.chirality.model_copy(update={"mesh_spacing": 0.09})
    finer = SETTINGS.model_copy(update={"chirality": chirality})
    plan = plan_screening(intake_of(source, tmp_path / "out", finer, run=1))
    assert set(plan.open) == {"chirality"}
    works = {work.material_id: work for work in plan.open["chirality"]}
    assert plan.cost == pytest.approx(sum(work.seconds.chirality for work in works.values()))
    for work in first.open["relaxation"]:
        assert works[work.material_id].seconds.chirality < 1.5 * work.seconds.chirality
    assert plan.cost < first.cost


def test_force_constants_from_elsewhere_cost_their_analysis(card):
    atoms = demo("quartz-154")
    for charged in (False, True):
        counts = count_work(atoms, DEFAULTS, has_charges=charged)
        modes = count_mode_work(
            atoms, counts.modes.n_supercell_atoms, DEFAULTS, has_charges=charged
        )
        assert estimate_analysis_seconds(modes) == estimate_seconds(counts, card).chirality
    ratio = estimate_seconds(counts, card).chirality / seconds_of(atoms, card).chirality
    assert 1.05 < ratio < 3


def test_a_mirror_image_costs_its_analysis():
    seconds = StageSeconds(1.0, 10.0, 0.5)
    image = seconds.for_mirror_image()
    assert image.chirality == seconds.chirality
    assert image.relaxation + image.phonons < 0.2


def test_a_cell_that_is_too_large_has_no_cost():
    with pytest.raises(RemediableError, match="more than the limit of 3"):
        count_work(wurtzite(), read_settings(None, {"phonons.max_atoms": 3}))


@pytest.mark.parametrize("number", [1, 76, 152, 198])
def test_every_crystal_has_a_cost(card, number):
    """It does not depend on what spglib finds in an odd cell."""
    atoms = random_crystal(number, 3, max_atoms=24)
    settings = read_settings(None, {"phonons.max_atoms": 48})
    assert all(0 < seconds < 1e4 for seconds in seconds_of(atoms, card, settings))


def test_the_estimate_is_right_but_for_a_factor():
    """Tellurium with the default potential; a machine may be slower or faster by a few times."""
    atoms, potential = demo("te"), load_potential(DEFAULTS.potential.name)
    expected = seconds_of(atoms, potential.card)
    potential.evaluate([atoms])
    times = [time.process_time()]
    [relaxed] = relax([atoms], potential, DEFAULTS.relaxation)
    times.append(time.process_time())
    found = compute_force_constants(relaxed.atoms, potential, DEFAULTS.phonons)
    times.append(time.process_time())
    analyze_force_constants(found.phonon, DEFAULTS.chirality)
    times.append(time.process_time())
    taken = np.diff(times)
    assert 1 / 5 < sum(expected) / taken.sum() < 5
    assert 1 / 8 < expected.chirality / taken[2] < 8


@pytest.mark.parametrize(("nac", "is_predicted"), [("predicted", True), ("given", False)])
def test_a_plan_counts_the_charges_that_will_be_predicted(tmp_path, nac, is_predicted):
    """Of zinc oxide some; of an alloy of metals none."""
    settings = read_settings(None, {"phonons.nac": nac})
    write_alloys(tmp_path, "helix")
    for path, expected in ((DEMO / "zno.cif", is_predicted), (tmp_path / "helix.cif", False)):
        [raw] = read_raw_records(path)
        modes = classify_record(raw, path, settings).counts.modes
        assert (modes.has_charges, modes.is_predicted) == (expected, expected)
        known = estimate_analysis_seconds(replace(modes, is_predicted=False))
        extra = estimate_analysis_seconds(modes) - known
        assert extra == pytest.approx(expected * read_constants().prediction * modes.n_atoms)
