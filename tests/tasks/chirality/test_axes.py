"""Rotation and screw axes: their order, screw part, sense and centre follow from the crystal."""

import numpy as np
import pytest
from phonopy import Phonopy

from tasks.chirality.axes import (
    find_crystal_operations,
    find_rotation_axes,
    is_on_axis,
    rotate_modes,
    select_principal_axes,
)
from tests.crystals import (
    honeycomb,
    primitive_group,
    random_crystal,
    random_rotation,
    spring_phonon,
    to_phonopy,
    transformed,
    zincblende,
)


def without_forces(atoms):
    """Phonopy object that knows the crystal and nothing else."""
    return Phonopy(to_phonopy(atoms), np.eye(3), primitive_matrix=np.eye(3))


# The n_m of the principal axis, read off the symbols P4, P4_1, ... of the space groups.
SCREWS = {
    75: (4, 0),
    76: (4, 1),
    77: (4, 2),
    78: (4, 3),
    79: (4, 0),
    80: (4, 1),
    143: (3, 0),
    144: (3, 1),
    145: (3, 2),
    146: (3, 0),
    168: (6, 0),
    169: (6, 1),
    170: (6, 5),
    171: (6, 2),
    172: (6, 4),
    173: (6, 3),
    198: (3, 0),
    212: (4, 3),
    213: (4, 1),
}


@pytest.mark.parametrize("number", SCREWS)
def test_screw_part_is_that_of_the_space_group_symbol(number):
    phonon = without_forces(random_crystal(number, 1))
    best = find_rotation_axes(phonon)[0]
    assert (best.order, best.screw) == SCREWS[number]


@pytest.mark.parametrize(("number", "count"), [(1, 0), (3, 1), (16, 3), (152, 4), (195, 7)])
def test_number_of_axes(number, count):
    """One for each direction and order: 23 has three of order 2 and four of order 3."""
    assert len(find_rotation_axes(without_forces(random_crystal(number, 0)))) == count


def test_symmetry_equal_directions_count_once():
    """Zincblende has four three-fold axes, all equal, and no axis of order 4 or 6."""
    axes = select_principal_axes(without_forces(zincblende()))
    assert [axis.order for axis in axes] == [3]


@pytest.mark.parametrize("number", [76, 144, 169, 197, 214, 80, 146])
def test_operation_turns_counter_clockwise_and_advances_by_the_screw_part(number):
    phonon = without_forces(random_crystal(number, 2))
    for axis in find_rotation_axes(phonon):
        turned = np.linalg.matrix_power(axis.cartesian, axis.order)
        np.testing.assert_allclose(turned, np.eye(3), atol=1e-10)
        start = np.cross(axis.direction, [0.3, 0.5, 0.7])
        angle = np.arctan2(
            np.cross(start, axis.cartesian @ start) @ axis.direction,
            start @ axis.cartesian @ start,
        )
        assert angle == pytest.approx(2 * np.pi / axis.order) or axis.order == 2
        total = sum(np.linalg.matrix_power(axis.rotation, p) for p in range(axis.order))
        np.testing.assert_allclose(
            total @ axis.translation, axis.screw * axis.lattice_vector, atol=1e-6
        )


@pytest.mark.parametrize("number", [75, 80, 143, 152, 173, 196])
def test_centre_lies_on_the_axis(number):
    """Its operation moves the centre along the axis only, by the screw part."""
    phonon = without_forces(random_crystal(number, 3))
    columns = phonon.primitive.cell.T
    for axis in find_rotation_axes(phonon):
        image = axis.cartesian @ axis.centre + columns @ axis.translation
        step = axis.screw / axis.order * columns @ axis.lattice_vector
        np.testing.assert_allclose(image - axis.centre, step, atol=1e-5)
        assert abs(axis.centre @ axis.direction) < 1e-5


@pytest.mark.parametrize("number", [76, 152, 169, 196])
def test_axis_maps_atoms_onto_their_images(number):
    phonon = without_forces(random_crystal(number, 0))
    for axis in find_rotation_axes(phonon):
        moved = axis.positions @ axis.rotation.T + axis.translation - axis.positions[axis.sites]
        np.testing.assert_allclose(moved, np.rint(moved), atol=1e-6)


def test_heavier_atom_of_a_honeycomb_holds_the_rotation_centre():
    """About N the other sublattice's lighter B makes the least moment of inertia."""
    phonon = without_forces(honeycomb())
    axis = next(a for a in find_rotation_axes(phonon) if a.order == 3)
    nitrogen = phonon.primitive.positions[phonon.primitive.symbols.index("N")]
    difference = np.linalg.solve(phonon.primitive.cell.T, nitrogen - axis.centre)
    np.testing.assert_allclose(difference[:2], np.rint(difference[:2]), atol=1e-6)


@pytest.mark.parametrize("number", [143, 157, 187, 75])
def test_centre_is_chosen_by_the_atoms_and_not_by_the_origin(number):
    """The moment of inertia about the chosen centre is the same after a shift of the origin."""
    phonon = spring_phonon(random_crystal(number, 4))
    moved = transformed(phonon, shift=(0.21, 0.34, 0.0))
    for before, after in zip(find_rotation_axes(phonon), find_rotation_axes(moved), strict=True):
        expected = pytest.approx(_moment(phonon, before), rel=1e-4)
        assert _moment(moved, after) == expected


def _moment(phonon, axis):
    images = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), axis=-1).reshape(-1, 3)
    vectors = (phonon.primitive.scaled_positions[:, None] + images) @ phonon.primitive.cell
    across = np.cross(vectors - axis.centre, axis.direction)
    return phonon.primitive.masses @ (across**2).sum(axis=-1).min(axis=1)


@pytest.mark.parametrize("number", [76, 146, 178, 213])
def test_axes_turn_with_the_crystal(number):
    phonon = spring_phonon(random_crystal(number, 0))
    R = random_rotation(7)
    turned = find_rotation_axes(transformed(phonon, R))
    for before, after in zip(find_rotation_axes(phonon), turned, strict=True):
        assert (before.order, before.screw) == (after.order, after.screw)
        np.testing.assert_allclose(after.direction, R @ before.direction, atol=1e-8)
        np.testing.assert_allclose(after.cartesian, R @ before.cartesian @ R.T, atol=1e-8)


def test_gamma_is_on_every_axis_and_a_general_point_on_none():
    axes = find_rotation_axes(without_forces(random_crystal(195, 0)))
    q_points = np.array([[0, 0, 0], [0.11, 0.23, 0.37]])
    assert [is_on_axis(axis, q_points).tolist() for axis in axes] == [[True, False]] * len(axes)


def test_hexagonal_k_point_is_on_the_three_fold_axis_only():
    axes = find_rotation_axes(without_forces(random_crystal(168, 0)))
    found = {axis.order: is_on_axis(axis, np.array([[1 / 3, 1 / 3, 0.2]]))[0] for axis in axes}
    assert found == {6: False, 3: True, 2: False}


@pytest.mark.parametrize("number", [76, 80, 146, 170, 182, 198])
def test_rotation_of_modes_commutes_with_the_dynamical_matrix(number):
    """T(g) D(q) T(g)^+ = D(q) at every q the axis keeps, those with R q = q + G included."""
    phonon = spring_phonon(random_crystal(number, 0))
    halves = np.stack(np.meshgrid(*[(0, 0.5)] * 3), axis=-1).reshape(-1, 3)
    thirds = np.array([[1 / 3, 1 / 3, 0], [1 / 3, 1 / 3, 0.5], [-1 / 3, 2 / 3, 1 / 3]])
    for axis in find_rotation_axes(phonon):
        reciprocal = phonon.primitive.cell @ axis.direction
        line = np.outer([0.03, 0.11], reciprocal)
        points = np.vstack([halves, thirds, line])
        points = points[is_on_axis(axis, points)]
        D = phonon.run_qpoints(points, with_dynamical_matrices=True).dynamical_matrices
        unit = np.broadcast_to(np.eye(D.shape[-1], dtype=complex), D.shape)
        T = rotate_modes(axis, points, unit)
        np.testing.assert_allclose(T @ D, D @ T, atol=1e-8 * np.abs(D).max())
        np.testing.assert_allclose(T @ T.conj().swapaxes(1, 2), unit, atol=1e-10)
        phase = np.exp(-2j * np.pi * axis.screw * (points @ axis.lattice_vector))
        power = np.linalg.matrix_power(T, axis.order)
        np.testing.assert_allclose(power, phase[:, None, None] * unit, atol=1e-8)


def test_operations_are_those_of_the_group():
    """As many as the tables list, orthogonal, and each a permutation of the atoms."""
    phonon = without_forces(random_crystal(213, 0))
    operations = find_crystal_operations(phonon)
    assert len(operations.rotations) == len(primitive_group(213).rotations)
    products = operations.cartesian @ operations.cartesian.swapaxes(1, 2)
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-10)
    ordered = np.sort(operations.sites, axis=1)
    assert (ordered == np.arange(len(phonon.primitive))).all()
