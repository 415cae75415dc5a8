"""Rates of a generator: counted on known crystals that were rattled, repeated and spoilt."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write

from potentials import invert, load_potential
from tasks.generation.assessment import (
    STABILITY,
    AssessmentSettings,
    assess_source,
    is_structure_valid,
)
from tasks.generation.metrics import Profile, compare_profiles
from tests.tasks.crystals.test_dielectric import described_otherwise

DEMO = Path(__file__).parents[3] / "data" / "demo"
SETTINGS = AssessmentSettings()


def rattled(atoms: Atoms, amplitude: float, seed: int = 1) -> Atoms:
    """Crystal whose atoms are displaced by so much on average (Å)."""
    noise = np.random.default_rng(seed).normal(size=atoms.positions.shape)
    atoms = atoms.copy()
    atoms.positions += amplitude * noise / np.linalg.norm(noise, axis=1).mean()
    return atoms


def demo(name: str) -> Atoms:
    return read(DEMO / f"{name}.cif")


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """What a generator may give: one crystal of each kind of trouble."""
    folder = tmp_path_factory.mktemp("generated")
    quartz, rutile = demo("quartz-152"), demo("tio2-rutile")
    close = quartz.copy()
    close.positions[0] = close.positions[1] + [0.3, 0, 0]
    crystals = {
        "quartz": quartz,
        "quartz-rattled": rattled(quartz, 0.02),
        "quartz-described-otherwise": described_otherwise(quartz),
        "quartz-of-the-other-hand": invert(quartz),
        "rutile-rattled": rattled(rutile, 0.02),
        "new-alloy": bulk("CuAu", "zincblende", a=5.74),
        "unbalanced": bulk("NeF", "zincblende", a=5.0),
        "too-close": close,
    }
    for name, atoms in crystals.items():
        write(folder / f"{name}.xyz", atoms, format="extxyz")
    (folder / "broken.cif").write_text("no crystal")
    return folder


@pytest.fixture(scope="module")
def found(generated):
    return assess_source(generated, DEMO, SETTINGS)


def test_validity_is_of_all_records(found):
    counts, rates = found.counts, found.rates
    assert (counts["records"], counts["unreadable"]) == (9, 1)
    assert rates["structure_valid"] == pytest.approx(7 / 9)
    assert rates["composition_valid"] == pytest.approx(7 / 9)
    assert rates["valid"] == pytest.approx(6 / 9)


def test_repetitions_are_counted_once_whatever_their_description(found):
    """Quartz four times, in both hands, rutile and an alloy: three crystals."""
    assert found.counts["unique"] == 3
    assert found.rates["unique"] == pytest.approx(3 / 6)


def test_only_what_the_reference_lacks_is_novel(found):
    assert found.counts["novel"] == 1
    assert found.rates["novel"] == pytest.approx(1 / 3)


def test_noise_makes_crystals_chiral_and_a_loose_tolerance_finds_their_parents(found):
    """Rutile is centrosymmetric; displaced by 0.02 Å it has no symmetry, hence a hand."""
    assert (found.counts["p1"], found.counts["symmetrised"]) == (2, 2)
    assert found.classes == {("II", "II"): 4, ("II", "I"): 1, ("III", "III"): 1}
    assert found.space_groups[136] == 1
    assert found.space_groups[152] + found.space_groups[154] == 4


def test_without_a_reference_novelty_is_unknown(generated):
    found = assess_source(generated, None, SETTINGS)
    assert found.rates["novel"] is None
    assert found.counts["unique"] == 3


def test_displacements_beyond_the_tolerance_leave_p1(tmp_path):
    """The rate of symmetrisation can fail: 0.3 Å hide the symmetry of rutile at 0.1 Å."""
    write(tmp_path / "x.xyz", rattled(demo("tio2-rutile"), 0.3), format="extxyz")
    found = assess_source(tmp_path, None, SETTINGS)
    assert (found.counts["p1"], found.counts["symmetrised"]) == (1, 0)
    assert found.rates["symmetrised"] == 0


@pytest.mark.parametrize(("distance", "expected"), [(0.49, False), (0.51, True)])
def test_atoms_are_too_close_below_half_an_angstrom(distance, expected):
    atoms = Atoms("H2", positions=[[0, 0, 0], [distance, 0, 0]], cell=[5, 5, 5], pbc=True)
    assert is_structure_valid(atoms, 0.5) is expected


def test_periodic_images_count_as_atoms():
    assert not is_structure_valid(Atoms("H", cell=[0.4, 5, 5], pbc=True), 0.5)
    assert not is_structure_valid(Atoms("H", cell=[5, 5, 0.001], pbc=True), 0.5)


def test_groups_of_chiral_crystals_are_counted(found):
    """Quartz three times, rattled quartz and rattled rutile in P1; the alloy is achiral."""
    assert found.counts["sohncke"] == 5
    assert found.rates["p1"] == pytest.approx(2 / 6)


def test_known_crystals_are_at_no_distance_from_themselves():
    found = assess_source(DEMO, DEMO, SETTINGS)
    known = Counter(profile.number for profile in found.known_profiles)
    assert known[152] == 4
    assert len(found.known_profiles) == found.counts["records"]
    valid = [profile for profile in found.known_profiles if profile in found.profiles]
    assert compare_profiles(valid, valid) == {
        "density": 0.0,
        "n_elements": 0.0,
        "space_groups": 0.0,
    }


def test_distances_are_those_of_distributions():
    """Half of the crystals 2 g/cm³ denser: 1 on average; no common group: 2."""
    first = [Profile(152, 2.0, 2), Profile(152, 2.0, 2)]
    second = [Profile(154, 2.0, 2), Profile(198, 4.0, 3)]
    assert compare_profiles(first, second) == pytest.approx(
        {"density": 1.0, "n_elements": 0.5, "space_groups": 2.0}
    )
    third = [Profile(152, 2.0, 2), Profile(198, 4.0, 3)]
    # A sixth of the common group, a half of the other.
    assert compare_profiles(first, third)["space_groups"] == pytest.approx(2 / 3)


def test_density_is_that_of_the_tables():
    assert Profile.read(demo("si"), 227).density == pytest.approx(2.33, abs=0.02)


@pytest.mark.slow
def test_stable_crystals_are_those_on_the_hull(tmp_path):
    """Rock salt, quartz, and zinc oxide in the structure of CsCl, which is far above the hull."""
    crystals = {
        "nacl": demo("nacl"),
        "quartz": demo("quartz-152"),
        "zno": bulk("ZnO", "cesiumchloride", a=2.7),
    }
    for name, atoms in crystals.items():
        write(tmp_path / f"{name}.xyz", atoms, format="extxyz")
    found = assess_source(tmp_path, None, SETTINGS, potential=load_potential("nequix-mp-1-pft"))
    assert found.counts["judged"] == 3
    assert found.counts["stable"] >= 1
    assert found.counts["symmetric"] == found.counts["stable"]
    assert found.counts["stable"] <= found.counts["metastable"] == 2
    assert found.rates["stable"] == pytest.approx(found.counts["stable"] / 3)
    assert found.report["rates"]["metastable"] is not None


def test_without_a_potential_stability_is_unknown(found):
    assert {found.rates[name] for name in STABILITY} == {None}


def test_the_report_is_json(found):
    report = json.loads(json.dumps(found.report))
    assert report["counts"]["records"] == 9
    assert report["classes"]["II to I"] == 1
    assert report["rates"]["valid"] == pytest.approx(6 / 9)
