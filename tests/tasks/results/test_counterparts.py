"""Crystals of two datasets find each other by what they are, or it is said why not."""

import shutil

import pytest

from tasks.failures import RemediableError
from tasks.phonons.mirror import make_mirror_image
from tasks.results.agreement import compare_pair
from tasks.results.counterparts import (
    CrystalPair,
    Unmatched,
    align_overviews,
    pair_crystals,
    read_screened_rows,
)
from tasks.results.stored_crystals import read_stored_phonon
from tasks.storage import Dataset
from tests.crystals import random_rotation, spring_phonon, transformed, wurtzite
from tests.tasks import alloys
from tests.tasks.crystals.test_alignment import OTHER_VECTORS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def screened(tmp_path_factory):
    """The chiral crystal and the unstable one, screened from CIF files."""
    folder = tmp_path_factory.mktemp("screened")
    return alloys.screened(folder, "helix", "zincblende", "copper")


@pytest.fixture(scope="module")
def helix(screened):
    """Its force constants as another program may give them: other axes, origin and vectors."""
    [row] = [row for row in read_screened_rows(screened) if row["material_id"] == "helix"]
    found = read_stored_phonon(screened, row)
    return transformed(found, random_rotation(2), shift=(0.2, 0.0, 0.1), lattice=OTHER_VECTORS)


@pytest.fixture
def analysed(tmp_path_factory):
    """Makes datasets of phonopy files."""
    return lambda **phonons: alloys.analysed(tmp_path_factory.mktemp("dft"), **phonons)


def test_the_same_structures_are_pairs_whatever_else_there_is(screened, tmp_path):
    shutil.copytree(screened.root, tmp_path / "copy")
    pairs, unmatched = pair_crystals(screened, Dataset(tmp_path / "copy"))
    assert [pair.here["material_id"] for pair in pairs] == ["helix", "zincblende"]
    assert {pair.found_by for pair in pairs} == {"structure"}
    assert unmatched == []


def test_a_crystal_is_found_by_formula_and_symmetry_and_its_modes_agree(screened, helix, analysed):
    """The reference has another name, other axes, another origin and other lattice vectors."""
    reference = analysed(**{"POSCAR-unit": helix})
    [pair], [alone] = pair_crystals(screened, reference)
    assert pair.here["material_id"] == "helix"
    assert pair.there["material_id"] == "POSCAR-unit"
    assert (pair.found_by, pair.mirrored) == ("formula and symmetry", False)
    assert alone == Unmatched("zincblende", "no CuAu there")
    row = compare_pair(screened, reference, pair)
    assert row["other_material_id"] == "POSCAR-unit"
    assert row["other_potential"] is None
    assert row["frequency_disagreement"] < 1e-3
    assert row["sign_agreement"] == 1.0
    assert not row["potentials_disagree"]


def test_the_mirror_image_of_the_other_hand_is_compared(screened, helix, analysed):
    reference = analysed(left=make_mirror_image(helix))
    [pair], _ = pair_crystals(screened, reference)
    assert {pair.here["space_group_number"], pair.there["space_group_number"]} == {152, 154}
    assert pair.mirrored
    row = compare_pair(screened, reference, pair)
    assert row["other_mirrored"]
    assert row["sign_agreement"] == 1.0
    assert row["frequency_disagreement"] < 1e-3


def test_the_same_hand_goes_before_the_other_one(screened, helix, analysed):
    pairs, _ = pair_crystals(screened, analysed(left=make_mirror_image(helix), right=helix))
    assert [(pair.there["material_id"], pair.mirrored) for pair in pairs] == [("right", False)]


def test_of_several_like_it_the_namesake_is_taken_and_otherwise_none(screened, helix, analysed):
    softer = helix.replicate()
    softer.force_constants = 0.9 * helix.force_constants
    [pair], _ = pair_crystals(screened, analysed(helix=helix, softer=softer))
    assert (pair.there["material_id"], pair.found_by) == ("helix", "name")
    with pytest.raises(RemediableError, match="helix: 2 are like it: one, other"):
        pair_crystals(screened, analysed(one=helix, other=softer))


def test_a_namesake_that_is_another_crystal_is_none(screened, analysed):
    """The name says helix, the atoms say zinc blende."""
    [row] = [row for row in read_screened_rows(screened) if row["material_id"] == "zincblende"]
    reference = analysed(helix=read_stored_phonon(screened, row))
    pairs, unmatched = pair_crystals(screened, reference)
    assert [pair.here["material_id"] for pair in pairs] == ["zincblende"]
    assert unmatched == [Unmatched("helix", "no Cu3Au there")]


def test_a_comparison_of_nothing_says_why(screened, helix, analysed, tmp_path):
    reference = analysed(helix=helix)
    with pytest.raises(RemediableError, match="no screened crystal to compare: 1 skipped"):
        pair_crystals(screened, alloys.screened(tmp_path / "copper", "copper"))
    with pytest.raises(RemediableError, match="zincblende: no CuAu there") as told:
        pair_crystals(alloys.screened(tmp_path / "blende", "zincblende"), reference)
    assert "by formula, space group and arrangement" in told.value.remedy


def test_a_polymorph_is_told_as_what_comes_nearest(screened, helix, analysed):
    polymorph = wurtzite()
    polymorph.symbols = ["Cu" if symbol == "Zn" else "Au" for symbol in polymorph.symbols]
    _, [alone] = pair_crystals(screened, analysed(helix=helix, w=spring_phonon(polymorph, 1)))
    assert alone.material_id == "zincblende"
    assert "(F-43m, 2 atoms), but there it is w (P6_3mc, 4 atoms)" in alone.reason


def test_overviews_of_pairs_stand_row_by_row_under_one_name(screened, helix, analysed):
    pairs, _ = pair_crystals(screened, analysed(reference=helix))
    here, there = align_overviews(pairs)
    assert isinstance(pairs[0], CrystalPair)
    assert list(here["material_id"]) == list(there["material_id"]) == ["helix"]
    assert there["max_frequency"].item() == pytest.approx(here["max_frequency"].item(), rel=0.01)
