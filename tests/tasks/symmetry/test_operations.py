"""Operations from the tables and of crystals: groups, frames, primitive cells."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from phonopy.structure.cells import get_primitive_matrix_by_centring

from tasks.symmetry.operations import (
    PRIMITIVE_MATRICES,
    find_crystal_symmetry,
    find_dataset,
    find_standard_hall_number,
    make_generic_lattice,
    read_database_operations,
)
from tests.crystals import (
    quartz,
    random_crystal,
    random_rotation,
    rocksalt,
    sampled_groups,
    tellurium,
)


def carried_distance(crystal):
    """Largest distance (A) from an image of an atom to the next atom of the same species."""
    operations = crystal.operations
    images = np.einsum("gab,kb->gka", operations.rotations, crystal.positions)
    images += operations.translations[:, None]
    offsets = images[:, :, None] - crystal.positions
    distances = np.linalg.norm((offsets - np.rint(offsets)) @ operations.lattice, axis=-1)
    same = crystal.numbers[:, None] == crystal.numbers
    return np.where(same, distances, np.inf).min(axis=-1).max()


def same_matrices(a, b):
    """Whether two lists of matrices agree as sets."""
    distance = np.abs(a[:, None] - b).max(axis=(-1, -2))
    return len(a) == len(b) and distance.min(axis=1).max() < 1e-6


@pytest.mark.parametrize("number", range(1, 231, 3))
def test_operations_of_the_tables_form_a_group(number):
    """Products are in the list, translations modulo the primitive lattice."""
    operations = read_database_operations(number)
    W, w = operations.rotations, operations.translations
    products = np.einsum("gab,hbc->ghac", W, W)
    shifts = np.einsum("gab,hb->gha", W, w) + w[:, None]
    index = (products[:, :, None] == W).all(axis=(-1, -2)).argmax(axis=-1)
    assert (W[index] == products).all()
    difference = shifts - w[index]
    np.testing.assert_allclose(difference, np.rint(difference), atol=1e-9)
    assert len(np.unique(W, axis=0)) == len(W)


@pytest.mark.parametrize("number", range(1, 231, 3))
def test_cartesian_rotations_carry_the_lattice_onto_itself(number):
    operations = read_database_operations(number)
    R, lattice = operations.cartesian_rotations, operations.lattice
    np.testing.assert_allclose(
        R @ R.transpose(0, 2, 1), np.tile(np.eye(3), (len(R), 1, 1)), atol=1e-12
    )
    carried = np.einsum("gab,vb->gva", R, lattice) @ np.linalg.inv(lattice)
    np.testing.assert_allclose(carried, np.rint(carried), atol=1e-9)


def test_standard_frame_has_a_along_x_and_b_in_the_plane():
    """Tensor labels refer to this frame; a monoclinic group has its axis along y."""
    for number in (1, 3, 16, 75, 143, 195):
        lattice = read_database_operations(number).lattice
        assert np.allclose(lattice[np.triu_indices(3, 1)], 0)
    two_fold = [
        r for r in read_database_operations(3).cartesian_rotations if not np.allclose(r, np.eye(3))
    ]
    np.testing.assert_allclose(two_fold[0], np.diag([-1, 1, -1]), atol=1e-12)


def test_generic_lattice_has_no_accidental_symmetry():
    """No equal lengths or angles in the triclinic one, 120 degrees in the hexagonal one."""
    metric = make_generic_lattice(np.eye(3, dtype=int)[None])
    assert len(np.unique(np.round(metric @ metric.T, 6))) == 6
    hexagonal = read_database_operations(168).lattice
    a, b, c = hexagonal
    assert a @ b / (a @ a) == pytest.approx(-0.5)
    assert np.linalg.norm(c) != pytest.approx(np.linalg.norm(a))


def test_hall_numbers_of_the_standard_settings():
    assert [find_standard_hall_number(n) for n in (1, 2, 3, 146, 230)] == [1, 2, 3, 433, 530]


@pytest.mark.parametrize("number", sampled_groups())
def test_operations_of_a_crystal_carry_atoms_onto_atoms(number):
    atoms = random_crystal(number)
    crystal = find_crystal_symmetry(atoms)
    assert carried_distance(crystal) < 1e-4
    assert len(crystal.operations.rotations) == len(read_database_operations(number).rotations)


def test_primitive_cell_keeps_its_basis():
    """Wave vectors keep their coordinates."""
    atoms = random_crystal(216)
    crystal = find_crystal_symmetry(atoms)
    np.testing.assert_allclose(crystal.operations.lattice, atoms.cell.array)
    np.testing.assert_allclose(crystal.positions, atoms.get_scaled_positions())


@pytest.mark.parametrize("number", [1, 5, 31, 82, 146, 152, 197, 216])
def test_supercell_has_the_operations_of_the_primitive_cell(number):
    """In the crystal's own orientation: a rotated crystal has rotated operations."""
    atoms = random_crystal(number)
    turn = random_rotation(number)
    large = make_supercell(atoms, [[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    large.set_cell(large.cell.array @ turn.T, scale_atoms=True)
    large.positions += [0.3, -1.2, 0.7]
    small, found = find_crystal_symmetry(atoms), find_crystal_symmetry(large, 1e-4)
    assert len(found.positions) == len(atoms)
    assert carried_distance(found) < 1e-4
    expected = turn @ small.operations.cartesian_rotations @ turn.T
    assert same_matrices(found.operations.cartesian_rotations, expected)


def test_left_handed_cell_describes_the_same_crystal():
    """Two exchanged lattice vectors do not mirror the crystal."""
    atoms = quartz(154)
    swap = [1, 0, 2]
    left = Atoms(
        atoms.numbers,
        cell=atoms.cell.array[swap],
        scaled_positions=atoms.get_scaled_positions()[:, swap],
        pbc=True,
    )
    assert find_dataset(left, 1e-4).number == find_dataset(atoms, 1e-4).number == 154
    assert same_matrices(
        find_crystal_symmetry(left, 1e-4).operations.cartesian_rotations,
        find_crystal_symmetry(atoms, 1e-4).operations.cartesian_rotations,
    )


def test_distorted_cell_still_has_orthogonal_rotations():
    """Within a tolerance of 0.1 A the operations are those of the ideal crystal."""
    atoms = rocksalt()
    rng = np.random.default_rng(1)
    atoms.set_cell(atoms.cell.array + rng.normal(scale=5e-3, size=(3, 3)), scale_atoms=True)
    atoms.positions += rng.normal(scale=5e-3, size=(2, 3))
    R = find_crystal_symmetry(atoms, 0.1).operations.cartesian_rotations
    assert len(R) == 48
    np.testing.assert_allclose(R @ R.transpose(0, 2, 1), np.tile(np.eye(3), (48, 1, 1)), atol=1e-12)


def test_coinciding_atoms_are_refused_with_a_remedy():
    atoms = Atoms("H2", cell=np.eye(3) * 3, scaled_positions=[(0, 0, 0), (0, 0, 0)], pbc=True)
    with pytest.raises(ValueError, match=r"H2 \(2 atoms\) at symprec 1e-05.*coincide"):
        find_dataset(atoms, 1e-5)


def test_molecules_are_refused():
    with pytest.raises(ValueError, match="not periodic in three directions"):
        find_dataset(Atoms("H2", positions=[(0, 0, 0), (0, 0, 0.7)]), 1e-5)


def test_isotopes_are_different_species_where_an_element_has_several():
    atoms = tellurium()
    whole = find_dataset(atoms, 1e-5).number
    atoms.set_masses([127.6] * 3)
    assert find_dataset(atoms, 1e-5).number == whole
    atoms.set_masses([255.2, 127.6, 127.6])
    assert find_dataset(atoms, 1e-5).number == 5


def test_primitive_cells_are_those_of_phonopy():
    assert set(PRIMITIVE_MATRICES) == set("PACIFR")
    for centring, matrix in PRIMITIVE_MATRICES.items():
        assert (matrix == get_primitive_matrix_by_centring(centring)).all()
