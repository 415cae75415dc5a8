"""Crystals that nearly obey their space group are made to, where they stand."""

import numpy as np
import pytest

from tasks.crystals.idealisation import idealize
from tasks.symmetry import find_dataset
from tests.crystals import random_crystal

TOLERANCE = 0.02
NUMBERS = [1, 4, 19, 76, 152, 155, 161, 173, 198, 227]


def distorted(number):
    """Crystal in any orientation, its cell strained and its atoms moved by 1e-3 Å."""
    rng = np.random.default_rng(number)
    atoms = random_crystal(number, 2, max_atoms=24)
    atoms.rotate(33, (1, 2, 3), rotate_cell=True)
    strain = 2e-4 * rng.standard_normal((3, 3))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.positions += 1e-3 * rng.standard_normal(atoms.positions.shape)
    return atoms


@pytest.mark.parametrize("number", NUMBERS)
def test_the_space_group_is_obeyed_exactly(number):
    given = distorted(number)
    assert find_dataset(given, 1e-5).number == 1
    assert find_dataset(idealize(given, TOLERANCE), 1e-7).number == number


@pytest.mark.parametrize("number", NUMBERS)
def test_cell_orientation_and_order_stay(number):
    given = distorted(number)
    found = idealize(given, TOLERANCE)
    assert (found.numbers == given.numbers).all()
    assert np.abs(found.positions - given.positions).max() < TOLERANCE
    strain = np.linalg.solve(given.cell.array, found.cell.array)
    assert strain == pytest.approx(strain.T, abs=1e-9), "the cell was turned"


def test_an_exact_crystal_stays_as_it_is():
    given = random_crystal(152, 2)
    assert idealize(given, TOLERANCE).positions == pytest.approx(given.positions, abs=1e-9)
