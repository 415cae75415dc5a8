"""Symmetry record of a crystal: what is found, what is allowed, what is realised."""

import time

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell

from tasks.symmetry import analyze_symmetry, classify_space_group, find_tensor_basis
from tests.crystals import (
    honeycomb,
    quartz,
    random_crystal,
    random_rotation,
    rocksalt,
    sampled_groups,
    tellurium,
    wurtzite,
    zincblende,
)


@pytest.mark.parametrize("number", sampled_groups())
def test_record_repeats_the_class_of_its_space_group(number):
    record, group = analyze_symmetry(random_crystal(number)), classify_space_group(number)
    for name in (
        "number", "symbol", "point_group", "crystal_system", "chirality_class", "helicity_wave",
        "polar", "enantiomorphic_partner", "n_tensor_components", "tensor_components",
    ):  # fmt: skip
        assert getattr(record, name) == getattr(group, name)
    assert record.allowed == record.realised == group.allows_angular_momentum
    assert (record.hand != 0) == (group.chirality_class == "II")


@pytest.mark.parametrize(
    ("atoms", "letters", "sites"),
    [
        (rocksalt(), "ab", ("m-3m", "m-3m")),
        (zincblende(), "ac", ("-43m", "-43m")),
        (wurtzite(), "bbbb", ("3m.",) * 4),
        (tellurium(), "aaa", (".2.",) * 3),
    ],
)
def test_occupied_positions_of_textbook_crystals(atoms, letters, sites):
    record = analyze_symmetry(atoms, 1e-4)
    assert len(record.wyckoff_letters) == len(letters)
    assert len(set(record.wyckoff_letters)) == len(set(letters))
    assert sorted(s.replace(".", "") for s in record.site_symmetries) == sorted(
        s.replace(".", "") for s in sites
    )


def test_orbits_name_their_first_atom():
    record = analyze_symmetry(quartz(154), 1e-4)
    assert record.equivalent_atoms == (0, 0, 0, 3, 3, 3, 3, 3, 3)
    assert record.n_operations == 6


@pytest.mark.parametrize("number", [1, 29, 82, 152, 198, 216])
def test_supercell_turned_and_shifted_gives_the_same_record(number):
    atoms = random_crystal(number)
    large = make_supercell(atoms, [[1, 0, 0], [0, 2, 0], [1, 0, 1]])
    large.set_cell(large.cell.array @ random_rotation(3).T, scale_atoms=True)
    large.positions += [0.1, 0.2, 0.3]
    small, found = analyze_symmetry(atoms), analyze_symmetry(large, 1e-4)
    for name in ("number", "hand", "realised", "n_operations", "n_atoms_primitive"):
        assert getattr(small, name) == getattr(found, name)
    assert found.handedness == pytest.approx(small.handedness, rel=1e-6, abs=1e-12)


def test_rotations_are_in_the_crystals_own_frame():
    """The tensor of a turned wurtzite is that of wurtzite, turned."""
    atoms, turn = wurtzite(), random_rotation(8)
    (before,) = find_tensor_basis(analyze_symmetry(atoms).rotations)
    atoms.set_cell(atoms.cell.array @ turn.T, scale_atoms=True)
    (after,) = find_tensor_basis(analyze_symmetry(atoms, 1e-4).rotations)
    expected = turn @ before @ turn.T
    assert abs((expected * after).sum()) == pytest.approx(1.0)


def test_stated_group_allows_what_the_sites_do_not_realise():
    """4a and 4b of group 216 with two species: rocksalt, which has an inversion centre."""
    sites = [(0, 0, 0), (0.5, 0.5, 0.5)]
    atoms = Atoms("ZnS", cell=zincblende().cell.array, scaled_positions=sites, pbc=True)
    record = analyze_symmetry(atoms, stated_number=216)
    assert (record.number, record.chirality_class) == (225, "I")
    assert record.allowed
    assert not record.realised


def test_stated_group_may_also_allow_less():
    """Zincblende stated as rocksalt."""
    record = analyze_symmetry(zincblende(), stated_number=225)
    assert not record.allowed
    assert record.realised


def test_mirror_images_have_opposite_hands_and_partner_groups():
    atoms = quartz(154)
    scaled = atoms.get_scaled_positions()
    mirrored = Atoms(atoms.numbers, cell=-atoms.cell.array, scaled_positions=scaled, pbc=True)
    right, left = analyze_symmetry(mirrored, 1e-4), analyze_symmetry(atoms, 1e-4)
    assert (
        (right.number, left.number)
        == (152, 154)
        == (
            left.enantiomorphic_partner,
            right.enantiomorphic_partner,
        )
    )
    assert right.hand == -left.hand == 1


def test_tolerance_decides_on_a_distorted_crystal():
    """0.02 A off zincblende is P1 at 1e-3 and zincblende at 0.1 A."""
    atoms = zincblende()
    atoms.positions[1] += [0.02, 0.013, 0.007]
    assert analyze_symmetry(atoms, 1e-3).number == 1
    loose = analyze_symmetry(atoms, 0.1)
    assert (loose.number, loose.symprec) == (216, 0.1)


def test_record_is_comparable_and_frozen():
    record = analyze_symmetry(honeycomb())
    assert record == analyze_symmetry(honeycomb())
    with pytest.raises(AttributeError):
        record.hand = 1  # type: ignore[misc]


def test_failure_names_the_crystal_and_the_remedy():
    atoms = Atoms("Na2", cell=np.eye(3) * 4, scaled_positions=[(0, 0, 0), (0, 0, 0)], pbc=True)
    with pytest.raises(ValueError, match=r"Na2 .*smaller symprec"):
        analyze_symmetry(atoms)
    with pytest.raises(ValueError, match="from 1 to 230"):
        analyze_symmetry(rocksalt(), stated_number=231)


def test_takes_milliseconds():
    """One crystal of 20 atoms in less than a quarter second, tables included before."""
    atoms = random_crystal(61, max_atoms=24)
    analyze_symmetry(atoms)
    start = time.perf_counter()
    analyze_symmetry(atoms)
    assert time.perf_counter() - start < 0.25
