"""The same crystal under another name is recognised; its mirror image is another crystal."""

import gc
import hashlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

from potentials import invert
from tasks.crystals.duplicates import (
    Duplicates,
    find_relaxed_originals,
    select_possible_repetitions,
)
from tasks.crystals.structures import compute_structure_hash, standardize
from tasks.screening.plan import plan_screening
from tasks.sources.materials import read_materials
from tasks.symmetry import analyze_symmetry
from tests.crystals import random_crystal
from tests.tasks.alloys import SETTINGS, intake_of, write_alloys
from tests.tasks.traps import CINNABAR

DEMO = Path(__file__).parents[3] / "data" / "demo"
SYMPREC = 0.01


def other_description(atoms: Atoms) -> Atoms:
    """The same crystal turned, moved, scaled, with its atoms in another order."""
    rng = np.random.default_rng(3)
    other = atoms[rng.permutation(len(atoms))]
    other.set_cell(other.cell * 1.01, scale_atoms=True)
    other.positions += [0.7, 0.2, 0.4]
    other.rotate(73, (1, 2, 3), rotate_cell=True)
    return other


def remember(known: Duplicates, name: str, atoms: Atoms) -> str | None:
    """Name of the crystal that a crystal repeats."""
    cell = standardize(atoms, SYMPREC)
    symmetry = analyze_symmetry(cell, SYMPREC)
    return known.find_original(
        name,
        compute_structure_hash(cell),
        cell,
        symmetry.number,
        symmetry.wyckoff_letters,
        chiral=symmetry.chirality_class == "II",
    )


@pytest.mark.parametrize("number", [4, 19, 82, 96, 152, 173, 186, 198, 216])
def test_another_description_of_a_crystal_repeats_it(number):
    atoms, known = random_crystal(number, 1), Duplicates(0.1)
    assert remember(known, "first", atoms) is None
    assert remember(known, "second", other_description(atoms)) == "first"
    assert remember(known, "third", atoms) == "first"


@pytest.mark.parametrize("number", [4, 19, 173, 198])
def test_a_mirror_image_in_the_same_space_group_is_no_repetition(number):
    """In these groups left and right crystals have the same space group."""
    atoms, known = random_crystal(number, 1), Duplicates(0.1)
    assert remember(known, "right", atoms) is None
    assert remember(known, "left", invert(atoms)) is None
    assert remember(known, "left again", other_description(invert(atoms))) == "left"


def test_left_and_right_quartz_are_two_crystals():
    known = Duplicates(0.1)
    items = {item.material_id: item for item in read_materials(DEMO, SYMPREC)}
    found = [remember(known, name, items[name].atoms) for name in ("quartz-152", "quartz-154")]
    assert found == [None, None]


def fesi_type(x: float) -> Atoms:
    """Space group P2_13 with both elements on threefold axes; iron silicide has 0.842."""
    sites = [(0.137, 0.137, 0.137), (x, x, x)]
    return crystal(["Fe", "Si"], sites, spacegroup=198, cellpar=[4.5, 4.5, 4.5, 90, 90, 90])


@pytest.mark.parametrize(("x", "expected"), [(0.845, "first"), (0.83, "first"), (0.70, None)])
def test_small_displacements_make_no_other_crystal_and_large_ones_do(x, expected):
    """Functionals differ by less than 0.1 Å; 1 Å along the axis is another structure."""
    known = Duplicates(0.1)
    assert remember(known, "first", fesi_type(0.842)) is None
    assert remember(known, "second", fesi_type(x)) == expected


def test_elements_matter():
    known = Duplicates(0.1)
    assert remember(known, "zns", bulk("ZnS", "zincblende", a=5.4)) is None
    assert remember(known, "cds", bulk("CdS", "zincblende", a=5.4)) is None


def test_a_candidate_takes_less_than_a_kilobyte():
    """What is remembered of 10^6 candidates has to fit into the memory of a laptop."""
    known, n_known = Duplicates(0.1), 80
    crystals = {}
    for number in range(1, n_known + 2):
        atoms = CINNABAR.copy()
        atoms.numbers[:3] = number
        crystals[f"mp-{number}"] = (atoms, hashlib.sha256(bytes([number])).hexdigest())
    letters = ("a",) * len(CINNABAR)
    for name, (atoms, digest) in crystals.items():
        if name == "mp-2":  # the first one fills the caches of libraries
            tracemalloc.start()
        assert known.find_original(name, digest, atoms, 152, letters, chiral=True) is None
    gc.collect()
    ours = tracemalloc.Filter(inclusive=True, filename_pattern="*/tasks/*.py")
    traces = tracemalloc.take_snapshot().filter_traces([ours]).traces
    tracemalloc.stop()
    # What other tests of this process left running allocates as well.
    assert 100 < sum(trace.size for trace in traces) / n_known < 1000


@pytest.fixture
def twice(tmp_path):
    """An alloy, and its supercell under another name."""
    (tmp_path / "source").mkdir()
    source = write_alloys(tmp_path / "source", "zincblende")
    (bulk("CuAu", "zincblende", a=5.74) * (2, 1, 1)).write(source / "zz-again.cif")
    return source


def test_a_repetition_is_skipped_and_names_its_original(twice, tmp_path):
    plan = plan_screening(intake_of(twice, tmp_path / "out"))
    assert plan.outcomes == {"screen": 1, "skipped": 1}
    assert [work.material_id for work in plan.open["relaxation"]] == ["zincblende"]


def test_repetitions_are_computed_when_wanted(twice, tmp_path):
    curation = SETTINGS.curation.model_copy(update={"duplicates": False})
    settings = SETTINGS.model_copy(update={"curation": curation})
    assert plan_screening(intake_of(twice, tmp_path / "out", settings)).outcomes == {"screen": 2}


def relaxed(name: str, atoms: Atoms, energy: float = -5.0, **given: object) -> dict[str, object]:
    """Row of ``relaxations`` as far as repetitions are concerned."""
    cell = standardize(atoms, SYMPREC)
    row = {
        "material_id": name,
        "numbers": cell.numbers.tolist(),
        "cell": cell.cell.array.ravel().tolist(),
        "positions": cell.get_scaled_positions().ravel().tolist(),
        "masses": None,
        "energy": energy,
        "space_group_number_final": analyze_symmetry(cell, SYMPREC).number,
        "checkpoint_digest": "one",
        "symmetry_changed": False,
        "volume_change": 0.01,
        "key": f"key of {name}",
    }
    return row | given


def turned(atoms: Atoms) -> Atoms:
    """The same crystal in another description, of the same volume but for what is left."""
    other = other_description(atoms)
    other.set_cell(other.cell * 1.001 / 1.01, scale_atoms=True)
    return other


@pytest.mark.parametrize("number", [4, 82, 152, 198, 216])
def test_crystals_that_relax_into_one_are_named_by_the_first(number):
    atoms = random_crystal(number, 1)
    rows = [
        relaxed("a", atoms),
        relaxed("b", turned(atoms), energy=-5.0005),
        relaxed("c", random_crystal(number, 2)),
        relaxed("d", atoms),
    ]
    assert find_relaxed_originals(rows) == {"b": "a", "d": "a"}


@pytest.mark.parametrize(
    "difference",
    [
        {"energy": -4.99},
        {"masses": [28.0, 29.0]},
        {"checkpoint_digest": "another"},
        {"space_group_number_final": 0},
    ],
)
def test_another_minimum_isotope_or_potential_is_another_crystal(difference):
    atoms = random_crystal(152, 1)
    assert find_relaxed_originals([relaxed("a", atoms), relaxed("b", atoms, **difference)]) == {}


def test_an_expanded_crystal_is_another_one_although_its_shape_is_the_same():
    atoms = random_crystal(152, 1)
    larger = atoms.copy()
    larger.set_cell(atoms.cell * 1.02, scale_atoms=True)
    assert find_relaxed_originals([relaxed("a", atoms), relaxed("b", larger)]) == {}


def test_relaxed_mirror_images_are_two_crystals():
    atoms = random_crystal(198, 1)
    assert find_relaxed_originals([relaxed("a", atoms), relaxed("b", invert(atoms))]) == {}


def test_the_least_changed_crystal_stands_for_the_others():
    atoms = random_crystal(152, 1)
    rows = [
        relaxed("a", atoms, symmetry_changed=True, volume_change=0.0),
        relaxed("b", atoms, volume_change=-0.03),
        relaxed("c", atoms, volume_change=0.02),
    ]
    assert find_relaxed_originals(rows) == {"a": "c", "b": "c"}


def test_only_crystals_of_the_same_elements_energy_and_group_are_compared():
    atoms, other = random_crystal(152, 1), random_crystal(198, 1)
    replaced = atoms.copy()
    replaced.numbers[:] = 34
    rows = [
        relaxed("a", atoms),
        relaxed("b", atoms, energy=-5.001),
        relaxed("c", atoms, energy=-5.1),
        relaxed("d", other, energy=-5.0),
        relaxed("e", replaced, energy=-5.0),
    ]
    assert sorted(select_possible_repetitions(rows)) == ["key of a", "key of b"]
    assert select_possible_repetitions([]) == []
