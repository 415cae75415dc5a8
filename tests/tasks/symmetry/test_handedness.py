"""Handedness: odd under inversion, blind to the description of the crystal, and continuous."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.spacegroup import crystal
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.symmetry import classify_space_group, find_handedness
from tasks.symmetry.handedness import compute_mean_dihedral_sine, find_screw_sign
from tests.crystals import (
    CHIRAL_PAIRS,
    diamond,
    quartz,
    random_crystal,
    random_rotation,
    rutile,
    sampled_groups,
    tellurium,
    wurtzite,
    zincblende,
)

SOHNCKE = [n for n in range(1, 231) if classify_space_group(n).chirality_class == "II"]
RIGHT_SCREWS = {76, 91, 92, 144, 151, 152, 169, 171, 178, 180, 213}


def cubic(symbols, sites, number, a):
    return crystal(symbols, sites, spacegroup=number, cellpar=[a, a, a, 90, 90, 90])


def iron_silicide():
    return cubic(["Fe", "Si"], [(0.137,) * 3, (0.842,) * 3], 198, 4.48)


def strontium_disilicide():
    return cubic(["Sr", "Si"], [(0.125,) * 3, (0.4228,) * 3], 212, 6.53)


def sodium_chlorate():
    sites = [(0.067,) * 3, (0.418,) * 3, (0.303, 0.592, 0.506)]
    return cubic(["Na", "Cl", "O"], sites, 198, 6.57)


def inverted(atoms):
    scaled = -atoms.get_scaled_positions()
    return Atoms(atoms.numbers, cell=atoms.cell.array, scaled_positions=scaled, pbc=True)


def helix(sense, radius=1.3, rise=1.9):
    """Separate threefold helices of carbon along z; sense +1 is right-handed."""
    steps = np.arange(3)
    angle = sense * 2 * np.pi * steps / 3
    xyz = np.stack([radius * np.cos(angle), radius * np.sin(angle), rise * steps], axis=1)
    return Atoms("C3", positions=xyz, cell=[12, 12, 3 * rise], pbc=True)


def test_screws_tell_the_hand_of_the_22_groups_alone():
    """3_1, 4_1, 6_1 and 6_2 are right-handed; 4_1 32 is 213."""
    left = {*CHIRAL_PAIRS, *CHIRAL_PAIRS.values()} - RIGHT_SCREWS
    found = {number: find_screw_sign(number) for number in range(1, 231)}
    assert {number for number, sign in found.items() if sign > 0} == RIGHT_SCREWS
    assert {number for number, sign in found.items() if sign < 0} == left


@pytest.mark.parametrize("number", SOHNCKE)
def test_every_sohncke_type_has_two_hands(number):
    """The hand is decided and the mirror image has the other, with the opposite value."""
    atoms = random_crystal(number)
    found, mirrored = find_handedness(atoms), find_handedness(inverted(atoms))
    assert found.sign == -mirrored.sign != 0
    assert found.value == pytest.approx(-mirrored.value, rel=1e-6)
    assert abs(found.value) > 1e-6
    paired = classify_space_group(number).enantiomorphic_partner is not None
    assert found.criterion == ("screw" if paired else "structure")


@pytest.mark.parametrize(
    "make", [lambda: quartz(154), tellurium, iron_silicide, strontium_disilicide, sodium_chlorate]
)
def test_hands_of_known_crystals(make):
    """Also where the number is the same for both hands (FeSi, NaClO3: 198)."""
    right, left = find_handedness(make(), 1e-4), find_handedness(inverted(make()), 1e-4)
    assert {right.sign, left.sign} == {-1, 1}
    assert abs(right.value) > 1e-3
    assert right.value == pytest.approx(-left.value, rel=1e-6)


def test_quartz_of_both_space_groups():
    """P3_121 is the right-handed screw, P3_221 the left-handed one."""
    left = find_handedness(quartz(154), 1e-4)
    right = find_handedness(inverted(quartz(154)), 1e-4)
    assert (right.sign, left.sign) == (1, -1)
    assert right.criterion == left.criterion == "screw"


def test_right_handed_helix_is_positive():
    """The chain of dihedral angles of a right-handed helix turns clockwise along it."""
    assert compute_mean_dihedral_sine(helix(1)) > 0.5
    assert compute_mean_dihedral_sine(helix(-1)) == pytest.approx(
        -compute_mean_dihedral_sine(helix(1))
    )
    assert find_handedness(tellurium(), 1e-4).value > 0.1


@pytest.mark.parametrize("number", [n for n in sampled_groups() if n not in SOHNCKE])
def test_crystals_with_improper_operations_have_no_hand(number):
    atoms = random_crystal(number)
    found = find_handedness(atoms)
    assert (found.sign, found.value, found.criterion) == (0, 0.0, "none")
    assert abs(compute_mean_dihedral_sine(atoms)) < 1e-12


@pytest.mark.parametrize("make", [diamond, zincblende, wurtzite, rutile])
def test_achiral_crystals_have_no_hand(make):
    assert find_handedness(make()).sign == 0
    assert abs(compute_mean_dihedral_sine(make())) < 1e-12


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([1, 4, 18, 90, 143, 152, 173, 198]), st.integers(0, 10_000))
def test_description_of_the_crystal_does_not_matter(number, seed):
    """Turned, shifted, reordered, repeated in another cell and scaled: the same value."""
    atoms = random_crystal(number)
    rng = np.random.default_rng(seed)
    large = make_supercell(atoms, [[1, 0, 0], [rng.integers(-1, 2), 1, 0], [0, 1, 2]])
    large = large[rng.permutation(len(large))]
    large.positions += rng.normal(size=3)
    scale = rng.uniform(0.5, 2.0)
    large.set_cell(scale * large.cell.array @ random_rotation(seed).T, scale_atoms=True)
    large.wrap()
    assert compute_mean_dihedral_sine(large) == pytest.approx(
        compute_mean_dihedral_sine(atoms), rel=1e-8
    )


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(SOHNCKE), st.integers(0, 10_000))
def test_value_is_continuous(number, seed):
    """Moving the atoms a tenth as far changes the value about a tenth as much."""
    atoms = random_crystal(number)
    step = np.random.default_rng(seed).normal(size=(len(atoms), 3))
    changes = []
    for size in (1e-4, 1e-5):
        moved = atoms.copy()
        moved.positions += size * step
        changes.append(compute_mean_dihedral_sine(moved) - compute_mean_dihedral_sine(atoms))
    assert abs(changes[0]) < 1e-2
    assert abs(changes[0] - 10 * changes[1]) < 1e-5


def test_value_vanishes_on_the_way_to_an_achiral_crystal():
    """FeSi deformed into rocksalt, which B20 is a distortion of, loses its hand continuously."""
    start = iron_silicide()
    ideal = cubic(["Fe", "Si"], [(0.25,) * 3, (0.75,) * 3], 198, 4.48)
    offset = ideal.get_scaled_positions() - start.get_scaled_positions()
    offset -= np.rint(offset)
    values = []
    for fraction in (0.0, 0.9, 0.99, 1.0):
        atoms = start.copy()
        atoms.set_scaled_positions(start.get_scaled_positions() + fraction * offset)
        values.append(abs(compute_mean_dihedral_sine(atoms)))
    assert values[0] > values[1] > values[2] > values[3]
    assert values[3] < 1e-12


def test_species_alone_can_make_a_crystal_chiral():
    """Squares of four species stacked along z: the positions have mirrors, the species not.

    Each square is turned by 90 degrees against the one below, so that every species winds about z.
    """
    square = [(0.3, 0.3), (0.7, 0.3), (0.7, 0.7), (0.3, 0.7)]
    sites = [(x, y, k / 4) for k in range(4) for x, y in square]
    species = [(1, 9, 35, 80)[(n - k) % 4] for k in range(4) for n in range(4)]
    cell = np.diag([5.0, 5.0, 9.0])
    wound = Atoms(species, cell=cell, scaled_positions=sites, pbc=True)
    plain = Atoms([9] * 16, cell=cell, scaled_positions=sites, pbc=True)
    assert find_handedness(plain).sign == 0
    assert find_handedness(wound).sign == -find_handedness(inverted(wound)).sign != 0
    assert abs(find_handedness(wound).value) > 1e-3
