"""Supercells are the smallest ones that keep symmetry and distance."""

import itertools

import numpy as np
import pytest
import spglib
from ase.build import bulk
from ase.geometry import minkowski_reduce

from tasks.crystals.cells import make_phonopy_cell
from tasks.failures import RemediableError
from tasks.phonons import make_phonopy
from tasks.phonons.supercells import (
    _list_invariant_sublattices,
    _list_sublattices,
    choose_sublattice,
    choose_supercell,
    find_nearest_image_distance,
)
from tasks.symmetry import find_dataset
from tasks.symmetry.site_permutations import find_space_group
from tests.crystals import random_crystal, sampled_groups

GROUPS = [1, 2, 5, 8, 19, 38, 82, 99, 122, 144, 152, 161, 186, 198, 212, 216]
NO_ROTATION = np.eye(3, dtype=np.int64)[None]


def random_lattice(seed: int, volume: float) -> np.ndarray:
    """Lattice without symmetry, neither flat nor long."""
    lattice = np.eye(3) + 0.2 * np.random.default_rng(seed).normal(size=(3, 3))
    return lattice * (volume / abs(np.linalg.det(lattice))) ** (1 / 3)


@pytest.mark.parametrize("number", GROUPS)
def test_supercell_keeps_the_point_group_and_the_distance(number):
    atoms = random_crystal(number, seed=4)
    matrix = choose_supercell(atoms, min_length=9.0, max_atoms=2000)
    supercell = matrix.T @ atoms.cell.array
    assert find_nearest_image_distance(supercell) >= 9.0
    for rotation in find_space_group(atoms).rotations:
        image = supercell @ rotation.T @ np.linalg.inv(supercell)
        assert np.allclose(image, np.rint(image), atol=1e-6)


@pytest.mark.parametrize("number", GROUPS)
def test_no_smaller_invariant_sublattice_would_do(number):
    """Checked one by one over all sublattices of smaller index."""
    atoms = random_crystal(number, seed=1)
    lattice, rotations = atoms.cell.array, find_dataset(atoms, 1e-5).rotations
    matrix = choose_sublattice(lattice, rotations, 7.0, 40)
    for index in range(1, round(np.linalg.det(matrix))):
        bases, _ = _list_sublattices(index)
        images = np.linalg.inv(bases)[:, None] @ rotations @ bases[:, None]
        invariant = np.abs(images - np.rint(images)).max(axis=(1, 2, 3)) < 1e-6
        assert all(
            find_nearest_image_distance(basis.T @ lattice) < 7.0 - 1e-6
            for basis in bases[invariant]
        )


@pytest.mark.parametrize("number", sampled_groups())
def test_phonopy_finds_the_whole_space_group_in_the_supercell(number):
    atoms = random_crystal(number, seed=2)
    matrix = choose_supercell(atoms, min_length=6.0, max_atoms=300)
    phonon = make_phonopy(make_phonopy_cell(atoms), matrix)
    n_cells = round(np.linalg.det(matrix))
    assert len(phonon.supercell) == n_cells * len(atoms)
    n_operations = len(find_space_group(atoms).rotations)
    assert len(phonon.symmetry.symmetry_operations["rotations"]) == n_cells * n_operations
    found = spglib.get_spacegroup_type(phonon.symmetry.dataset.hall_number).number
    assert found == number


@pytest.mark.parametrize(("index", "count"), [(1, 1), (2, 7), (6, 91), (8, 155), (12, 455)])
def test_number_of_sublattices(index, count):
    """Sum over a c f = index of c f^2."""
    found = _list_invariant_sublattices(NO_ROTATION.astype(np.int8).tobytes(), index)
    assert len({sublattice.tobytes() for sublattice in found}) == len(found) == count


def test_sublattices_of_a_composite_index_are_those_of_the_normal_form():
    """The lattice vectors in each are those of some Hermite normal form, and all forms occur."""
    vectors = np.array(list(itertools.product(range(6), repeat=3))).T
    _, forms = _list_sublattices(6)
    wanted = {(~((form @ vectors) % 6).any(axis=0)).tobytes() for form in forms}
    found = _list_invariant_sublattices(NO_ROTATION.astype(np.int8).tobytes(), 6)
    assert {(~((one @ vectors) % 6).any(axis=0)).tobytes() for one in found} == wanted


def test_cubic_groups_keep_the_three_cubic_lattices_only():
    """The primitive, face- and body-centred lattices have index n^3, 2 n^3 or 4 n^3."""
    rotations = np.unique(find_dataset(bulk("Po", "sc", a=3.3), 1e-5).rotations, axis=0)
    key = rotations.astype(np.int8).tobytes()
    occurring = [index for index in range(1, 41) if len(_list_invariant_sublattices(key, index))]
    assert occurring == [1, 2, 4, 8, 16, 27, 32]


def test_silicon_needs_27_cells():
    matrix = choose_supercell(bulk("Si"), min_length=10.0, max_atoms=200)
    assert np.array_equal(matrix, 3 * np.eye(3))


def test_diagonal_multiples_are_larger_where_the_lattice_is_flat():
    """Wurtzite: 3 x 3 x 2 cells are too small, 12 cells of the lattice turned by 30 degrees do."""
    atoms = bulk("ZnO", "wurtzite", a=3.25, c=5.2)
    matrix = choose_supercell(atoms, min_length=10.0, max_atoms=200)
    assert round(np.linalg.det(matrix)) == 24
    assert find_nearest_image_distance(np.diag([3, 3, 2]) @ atoms.cell.array) < 10.0
    assert find_nearest_image_distance(np.diag([4, 4, 2]) @ atoms.cell.array) >= 10.0


@pytest.mark.parametrize("seed", range(6))
def test_basis_is_reduced_and_keeps_the_hand(seed):
    lattice = random_lattice(seed, volume=40.0)
    matrix = choose_sublattice(lattice, NO_ROTATION, 10.0, 60)
    assert np.linalg.det(matrix) > 0.5
    lengths = np.linalg.norm(matrix.T @ lattice, axis=1)
    reduced, _ = minkowski_reduce(matrix.T @ lattice)
    assert np.allclose(np.sort(lengths), np.sort(np.linalg.norm(reduced, axis=1)))


def test_without_rotations_the_packing_is_nearly_dense():
    """Some of the many sublattices of a triclinic crystal is close to close packing."""
    lattice = random_lattice(1, volume=60.0)
    matrix = choose_sublattice(lattice, NO_ROTATION, 10.0, 100)
    assert np.linalg.det(matrix) < 1.4 * 10.0**3 / (np.sqrt(2) * 60.0)


def test_bound_on_atoms_holds_and_gives_the_largest_distance():
    matrix = choose_supercell(bulk("Si"), min_length=30.0, max_atoms=64)
    assert np.array_equal(matrix, choose_supercell(bulk("Si"), min_length=11.5, max_atoms=64))
    assert 2 * round(np.linalg.det(matrix)) <= 64


@pytest.mark.parametrize("number", [5, 82, 99, 152, 216])
def test_no_smaller_supercell_has_the_largest_distance(number):
    """Where the wanted distance is out of reach, atoms that gain none are spared."""
    atoms = random_crystal(number, seed=1)
    lattice, rotations = atoms.cell.array, find_dataset(atoms, 1e-5).rotations
    matrix = choose_sublattice(lattice, rotations, 100.0, 20)
    index = round(np.linalg.det(matrix))
    smaller = choose_sublattice(lattice, rotations, 100.0, max(index - 1, 1))
    distances = [find_nearest_image_distance(m.T @ lattice) for m in (smaller, matrix)]
    assert distances[0] < distances[1] - 1e-6 or index == 1


def test_the_choice_does_not_depend_on_rounding():
    atoms = random_crystal(152, seed=3)
    shaken = atoms.copy()
    shaken.set_cell(atoms.cell.array * (1 + 1e-12), scale_atoms=True)
    shaken.positions += 1e-11
    matrices = [choose_supercell(a, min_length=9.0, max_atoms=300) for a in (atoms, shaken)]
    assert np.array_equal(*matrices)


def test_index_beyond_all_enumeration_is_passed_over():
    """No sublattice of index 257 is looked at; that of 256 is as good as any."""
    lattice = random_lattice(2, volume=20.0)
    length = (np.sqrt(2) * 256.5 * 20.0) ** (1 / 3)
    matrix = choose_sublattice(lattice, NO_ROTATION, length, 257)
    assert round(np.linalg.det(matrix)) < 257


def test_too_large_a_primitive_cell_is_refused_with_a_remedy():
    with pytest.raises(RemediableError, match="8 atoms, more than the limit of 6") as caught:
        choose_supercell(bulk("Si", cubic=True), min_length=10.0, max_atoms=6)
    assert "--max-atoms" in caught.value.remedy
