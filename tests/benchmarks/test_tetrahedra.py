"""Which crystals a student learns from."""

import pytest
from ase.build import bulk

from benchmarks.tetrahedra import (
    choose,
    demo_crystals,
    fingerprint,
    in_family,
    is_tetrahedral,
    named,
    neighbours,
    replaced,
)
from tests.crystals import quartz

ZINC_SULFIDE = named(bulk("ZnS", "wurtzite", a=3.8, c=6.2), "mp-1")


@pytest.mark.parametrize(
    ("atoms", "expected"),
    [
        (ZINC_SULFIDE, True),
        (quartz(), True),
        (bulk("Si"), True),
        (bulk("ZnO", "rocksalt", a=4.3), False),
        (bulk("ZnTe", "zincblende", a=6.1), False),
        (bulk("ZnP", "zincblende", a=5.5), False),
    ],
    ids=["wurtzite", "quartz", "diamond", "six neighbours", "other element", "electrons"],
)
def test_tetrahedra_of_known_elements_are_kept(atoms, expected):
    assert is_tetrahedral(atoms) is expected


def test_families_have_one_anion():
    assert in_family({"Zn", "Si", "P"})
    assert in_family({"Al", "P", "O"})
    assert in_family({"Ge"})
    assert not in_family({"Ga", "N", "O"})
    assert not in_family({"Si", "S"})


def test_replaced_crystals_keep_their_bonds_in_covalent_radii():
    made = list(replaced(ZINC_SULFIDE))
    formulas = {atoms.get_chemical_formula(empirical=True) for atoms in made}
    assert formulas == {"OZn", "SeZn", "CdO", "CdS", "CdSe"}
    before = neighbours(ZINC_SULFIDE)[2].min()
    assert all(neighbours(atoms)[2].min() == pytest.approx(before, rel=0.02) for atoms in made)


def test_demo_crystals_and_mirror_images_are_left_out():
    """The demo has zincblende ZnS and both hands of quartz, not wurtzite ZnS."""
    other_hand = named(quartz(154), "mp-2")
    sphalerite = named(bulk("ZnS", "zincblende", a=5.5), "mp-3")
    kept = choose([ZINC_SULFIDE, other_hand, sphalerite])
    assert [atoms.info["material_id"] for atoms in kept] == ["mp-1"]
    held_out = {fingerprint(atoms)[:2] for atoms in demo_crystals()}
    assert {("O2Si", "152"), ("SZn", "216")} <= held_out
