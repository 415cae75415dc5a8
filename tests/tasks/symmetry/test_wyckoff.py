"""Wyckoff positions of all space groups; crystals described by them and made again."""

import string
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read
from moyopy import MoyoDataset
from moyopy.interface import MoyoAdapter

from tasks.crystals.structures import standardize
from tasks.symmetry import find_space_group_number, read_database_operations
from tasks.symmetry.wyckoff import (
    Site,
    WyckoffCrystal,
    list_wyckoff_positions,
    make_orbit,
    read_wyckoff_crystal,
)

DEMO = Path(__file__).parents[3] / "data" / "demo"
ALL_GROUPS = range(1, 231)
LETTERS = f"{string.ascii_lowercase}A"
POINT = np.array([0.1337, 0.2719, 0.4043])
CELL_SIZE = 12.0  # Å per unit of a generic lattice


def make_crystal(number: int) -> WyckoffCrystal:
    """Crystal with an element on every position and two more on general ones."""
    positions = list_wyckoff_positions(number)
    sites = [Site(z, p, p.space.project(POINT)) for z, p in enumerate(positions, 1)]
    for z, point in ((40, [0.3119, 0.0537, 0.1271]), (41, [0.0713, 0.4391, 0.1729])):
        sites.append(Site(z, positions[-1], np.array(point)))
    return WyckoffCrystal(
        number, tuple(sites), CELL_SIZE * read_database_operations(number).lattice
    )


def are_same(first: Atoms, second: Atoms, tolerance: float = 1e-5) -> bool:
    """Whether two descriptions in one cell have the same atoms at the same points."""
    apart = first.get_scaled_positions()[:, None] - second.get_scaled_positions()
    distance = np.abs(apart - np.rint(apart)).max(axis=-1)
    partners = distance.argmin(axis=1)
    return (
        len(first) == len(second) == len(set(partners))
        and np.allclose(first.cell, second.cell, atol=tolerance)
        and distance.min(axis=1).max() < tolerance
        and np.array_equal(first.numbers, second.numbers[partners])
    )


@pytest.mark.parametrize("number", ALL_GROUPS)
def test_positions_are_those_of_the_tables(number):
    """Letters without a gap, the general position last; another program finds each one too."""
    positions = list_wyckoff_positions(number)
    assert "".join(p.letter for p in positions) == LETTERS[: len(positions)]
    general = positions[-1]
    assert general.multiplicity == len(read_database_operations(number).rotations)
    assert general.space.dimension == 3
    crystal = make_crystal(number)
    found = MoyoDataset(MoyoAdapter.from_atoms(crystal.make_atoms()), symprec=1e-4)
    assert found.number == number
    symbols = [
        site.position.site_symmetry
        for site in crystal.sites
        for _ in range(site.position.multiplicity)
    ]
    assert sorted(symbols) == sorted(found.site_symmetry_symbols)


@pytest.mark.parametrize("number", ALL_GROUPS)
def test_a_crystal_is_the_same_after_it_was_described(number):
    """In exactly its group, whichever of its equivalent descriptions is found."""
    atoms = make_crystal(number).make_atoms()
    assert find_space_group_number(atoms, 1e-5) == number
    described = read_wyckoff_crystal(atoms, 1e-3)
    assert described.number == number
    assert are_same(described.make_atoms(), standardize(atoms, 1e-3))


@pytest.mark.parametrize("path", sorted(DEMO.glob("*.cif")), ids=lambda path: path.stem)
def test_known_crystals_are_the_same_after_they_were_described(path):
    atoms = read(path)
    described = read_wyckoff_crystal(atoms)
    assert described.number == find_space_group_number(atoms, 0.01)
    assert are_same(described.make_atoms(), standardize(atoms, 0.01))


def test_quartz_occupies_the_positions_of_the_literature():
    """Silicon on the twofold axes (3a), oxygen on the general position (6c)."""
    sites = read_wyckoff_crystal(read(DEMO / "quartz-152.cif")).sites
    assert {(s.atomic_number, s.position.letter, s.position.multiplicity) for s in sites} in (
        {(14, "a", 3), (8, "c", 6)},
        {(14, "b", 3), (8, "c", 6)},
    )


def test_a_site_symmetry_is_numbered_where_it_occurs_more_than_once():
    """The eight inversion centres of P-1."""
    positions = list_wyckoff_positions(2)
    assert [p.enumeration for p in positions if p.site_symmetry == "-1"] == list(range(8))
    assert [p.is_fixed for p in positions] == [True] * 8 + [False]


def test_a_point_with_more_symmetry_than_its_position_is_refused():
    general = list_wyckoff_positions(2)[-1]
    with pytest.raises(ValueError, match="1 images and not the 2 of position i"):
        make_orbit(read_database_operations(2), general, np.zeros(3))


@pytest.mark.parametrize("number", [0, 231])
def test_there_are_230_space_groups(number):
    with pytest.raises(ValueError, match="no space group has the number"):
        list_wyckoff_positions(number)
