"""First Brillouin zone, meshes and the band path."""

from itertools import pairwise, product

import numpy as np
import pytest
import spglib
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.brillouin import (
    choose_mesh_numbers,
    compute_cycloidicity,
    compute_helicity,
    compute_helicity_size,
    compute_inscribed_radius,
    find_special_points,
    make_band_path,
    make_irreducible_mesh,
)
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.symmetry.zone import find_zone_images
from tests.crystals import (
    honeycomb,
    quartz,
    random_rotation,
    rocksalt,
    sampled_groups,
    spring_crystal,
    spring_phonon,
    symmetry_operations,
    transformed,
    wurtzite,
)

FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
HEXAGONAL = np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1.3]])


def momenta(phonon, q_points):
    modes = compute_modes(phonon, q_points)
    return compute_mean_angular_momentum(
        modes.eigenvectors, find_degenerate_sets(modes.frequencies)
    )


@given(
    cell=arrays(float, (3, 3), elements=st.floats(-2, 2)).filter(
        lambda c: abs(np.linalg.det(c)) > 0.3
    ),
    q_point=arrays(float, 3, elements=st.floats(-2, 2)),
)
@settings(max_examples=60, deadline=None)
def test_no_equivalent_point_is_closer_to_gamma(cell, q_point):
    """Images in the Wigner-Seitz cell are the shortest of all q + G, also for oblique cells."""
    reciprocal = np.linalg.inv(cell).T
    images = find_zone_images(q_point[None], cell)
    used = images.vectors[0][images.weights[0] > 0]
    shifts = np.linalg.solve(reciprocal.T, used.T).T - q_point
    np.testing.assert_allclose(shifts, np.rint(shifts), atol=1e-7)
    near = np.rint(q_point + shifts[0]) - np.rint(q_point)
    around = np.array(list(product(range(-4, 5), repeat=3))) + near
    all_images = (q_point + np.rint(shifts[0]) + around) @ reciprocal
    shortest = np.linalg.norm(all_images, axis=1).min()
    assert np.linalg.norm(used, axis=1).max() <= shortest + 2e-4 * np.linalg.norm(reciprocal)


def test_phonopy_wrap_is_not_the_zone_of_an_oblique_cell():
    """(0.4, 0.4, 0) of a cell with a 60 degree reciprocal angle has a shorter image."""
    cell = np.array([[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1.0]])
    reciprocal = np.linalg.inv(cell).T
    image = find_zone_images([[0.4, 0.4, 0.0]], cell).vectors[0, 0]
    assert np.linalg.norm(image) < np.linalg.norm([0.4, 0.4, 0] @ reciprocal) - 0.05


@pytest.mark.parametrize(
    ("cell", "q_point", "count"),
    [
        (FCC, [0.5, 0.5, 0], 2),
        (FCC, [0.5, 0.5, 0.5], 2),
        (FCC, [0.5, 0.25, 0.75], 4),
        (HEXAGONAL, [1 / 3, 1 / 3, 0], 3),
        (HEXAGONAL, [0.5, 0, 0], 2),
        (HEXAGONAL, [1 / 3, 1 / 3, 0.5], 6),
        (HEXAGONAL, [0.1, 0.2, 0.3], 1),
        (np.eye(3), [0.5, 0.5, 0.5], 8),
    ],
)
def test_number_of_images_of_points_on_the_boundary(cell, q_point, count):
    """X and L of fcc lie on one face, W on two of them; K and H of hexagonal on edges."""
    assert (find_zone_images([q_point], cell).weights[0] > 0).sum() == count


def test_directions_have_length_one_and_gamma_has_none():
    images = find_zone_images([[0, 0, 0], [0.1, 0.2, 0.3]], HEXAGONAL)
    np.testing.assert_array_equal(images.directions[0], 0)
    np.testing.assert_allclose(np.linalg.norm(images.directions[1, 0]), 1)
    np.testing.assert_allclose(images.weights.sum(axis=1), 1)


def test_helicity_and_cycloidicity_are_the_parts_of_angular_momentum():
    """|l|^2 = h^2 + |P|^2 inside the zone; h is the component along q."""
    q_points = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 3))
    images = find_zone_images(q_points, HEXAGONAL)
    angular_momentum = np.random.default_rng(1).normal(size=(20, 4, 3))
    h, across = (
        compute_helicity(angular_momentum, images),
        compute_cycloidicity(angular_momentum, images),
    )
    np.testing.assert_allclose(h**2 + across**2, (angular_momentum**2).sum(axis=-1))
    along = np.einsum("qna,qa->qn", angular_momentum, images.directions[:, 0])
    np.testing.assert_allclose(h, along)
    np.testing.assert_allclose(compute_helicity_size(angular_momentum, images), np.abs(along))


def test_helicity_on_the_boundary_is_averaged():
    """At M of a hexagonal zone q and -q are images: l along q has no helicity, |P| = 0."""
    images = find_zone_images([[0.5, 0, 0]], HEXAGONAL)
    along, across = images.directions[0, 0], np.array([0, 0, 1.0])
    angular_momentum = np.stack([along, across])[None]
    np.testing.assert_allclose(compute_helicity(angular_momentum, images), 0, atol=1e-12)
    np.testing.assert_allclose(
        compute_helicity_size(angular_momentum, images), [[1, 0]], atol=1e-12
    )
    np.testing.assert_allclose(compute_cycloidicity(angular_momentum, images), [[0, 1]], atol=1e-12)


@pytest.mark.parametrize("number", sampled_groups()[::2])
def test_helicity_is_a_pseudoscalar_even_in_q(number):
    """h(Rq) = det(R) h(q), h(-q) = h(q), and |q x l| has the full symmetry."""
    phonon = spring_crystal(number)
    operations = symmetry_operations_of(phonon)
    q_point = np.array([0.31, -0.12, 0.43])
    star = np.concatenate([q_point @ np.linalg.inv(operations), [-q_point]])
    angular_momentum, images = momenta(phonon, star), find_zone_images(star, phonon.primitive.cell)
    sign = np.append(np.linalg.det(operations), 1.0)
    expected = sign[:, None] * compute_helicity(angular_momentum, images)[-1]
    np.testing.assert_allclose(compute_helicity(angular_momentum, images), expected, atol=1e-8)
    across = compute_cycloidicity(angular_momentum, images)
    np.testing.assert_allclose(across, np.broadcast_to(across[0], across.shape), atol=1e-8)


def symmetry_operations_of(phonon):
    return np.asarray(phonon.primitive_symmetry.symmetry_operations["rotations"])


@pytest.mark.parametrize("number", sampled_groups())
def test_mesh_is_invariant_and_reduced_as_spglib_does(number):
    phonon = spring_crystal(number)
    mesh = make_irreducible_mesh(phonon, 0.06)
    primitive = phonon.primitive
    cell = (primitive.cell, primitive.scaled_positions, primitive.numbers)
    mapping, _ = spglib.get_ir_reciprocal_mesh(mesh.numbers, cell)
    assert len(mesh.q_points) == len(np.unique(mapping))
    assert sorted(mesh.weights) == sorted(np.unique(mapping, return_counts=True)[1])
    full = set(map(tuple, np.rint(mesh.full_q_points * mesh.numbers).astype(int) % mesh.numbers))
    for rotation in symmetry_operations_of(phonon):
        turned = mesh.full_q_points @ np.linalg.inv(rotation) * mesh.numbers
        assert np.abs(turned - np.rint(turned)).max() < 1e-9
        assert set(map(tuple, np.rint(turned).astype(int) % mesh.numbers)) == full


@pytest.mark.parametrize("number", sampled_groups()[::2])
def test_stars_expand_to_the_angular_momentum_of_the_whole_mesh(number):
    phonon = spring_crystal(number)
    mesh = make_irreducible_mesh(phonon, 0.15)
    expanded = mesh.expand(momenta(phonon, mesh.q_points))
    np.testing.assert_allclose(expanded, momenta(phonon, mesh.full_q_points), atol=1e-8)
    np.testing.assert_array_equal(np.bincount(mesh.star), mesh.weights)


@pytest.mark.parametrize("number", [1, 5, 88, 146, 152, 216])
def test_mesh_is_as_fine_as_asked(number):
    """No more volume per point than asked for, hardly less, and Gamma is on the mesh."""
    phonon = spring_crystal(number)
    for spacing in (0.1, 0.04):
        mesh = make_irreducible_mesh(phonon, spacing)
        per_point = 1 / (phonon.primitive.volume * mesh.numbers.prod())
        assert per_point <= spacing**3 * (1 + 1e-5)
        assert per_point >= spacing**3 * ((mesh.numbers - 1) / mesh.numbers).prod() / 2
        assert (mesh.q_points == 0).all(axis=1).any()
    symmetry = phonon.primitive_symmetry.symmetry_operations["rotations"]
    assert (choose_mesh_numbers(phonon.primitive.cell, symmetry, 1e3) == 1).all()


def test_divisions_are_tied_only_where_an_operation_mixes_the_axes():
    cell = np.diag([1.0, 2.0, 4.0])
    identity = np.eye(3, dtype=int)[None]
    np.testing.assert_array_equal(choose_mesh_numbers(cell, identity, 0.1), [10, 5, 3])
    swap = np.array([np.eye(3), [[0, 1, 0], [1, 0, 0], [0, 0, -1]]]).astype(int)
    np.testing.assert_array_equal(choose_mesh_numbers(cell, swap, 0.1), [10, 10, 3])
    chain = np.array([np.eye(3), [[0, 1, 0], [0, 0, 1], [1, 0, 0]]]).astype(int)
    np.testing.assert_array_equal(choose_mesh_numbers(cell, chain, 0.1), [10, 10, 10])


@pytest.mark.parametrize("number", sampled_groups())
def test_special_points_have_more_symmetry_than_their_surroundings(number):
    """Each named end point is kept by more operations of the lattice than the points near it."""
    phonon = spring_crystal(number)
    points, segments = find_special_points(phonon.primitive)
    assert "Γ" in points
    np.testing.assert_array_equal(points["Γ"], 0)
    lattice = (phonon.primitive.cell, [[0, 0, 0]], [1])
    group = np.linalg.inv(spglib.get_symmetry_dataset(lattice).rotations)
    nearby = np.array([0.0123, 0.0371, -0.0234])
    for name in {name for segment in segments for name in segment}:
        kept = [
            int((np.abs(shift - np.rint(shift)).max(axis=-1) < 1e-6).sum())
            for shift in (q @ group - q for q in (points[name], points[name] + nearby))
        ]
        assert kept[0] > kept[1], name


def test_special_points_of_familiar_zones():
    """Coordinates are exact fractions in the basis of the given cell."""
    hexagonal, _ = find_special_points(spring_phonon(wurtzite()).primitive)
    assert {"Γ", "M", "K", "A", "L", "H"} <= set(hexagonal)
    np.testing.assert_array_equal(np.sort(np.abs(hexagonal["A"])), [0, 0, 0.5])
    fcc, segments = find_special_points(spring_phonon(rocksalt()).primitive)
    assert {"Γ", "X", "L", "W", "K", "U"} <= set(fcc)
    np.testing.assert_array_equal(np.sort(np.abs(fcc["X"])), [0, 0.5, 0.5])
    assert ("Γ", "X") in segments


@pytest.mark.parametrize("number", [5, 43, 146, 155, 198])
def test_path_turns_with_the_crystal_and_follows_the_basis(number):
    """The same points, Cartesian and turned, whatever cell and orientation describe the crystal."""
    phonon = spring_crystal(number)
    rotation = random_rotation(number)
    turned = transformed(phonon, rotation)
    (points, segments), (others, again) = (
        find_special_points(p.primitive) for p in (phonon, turned)
    )
    assert segments == again
    operations = symmetry_operations_of(phonon)
    reciprocal = np.linalg.inv(phonon.primitive.cell).T
    for name, q_point in points.items():
        star = np.concatenate([operations, -operations])
        images = q_point @ np.linalg.inv(star)
        shift = images - others[name]
        assert (np.abs(shift - np.rint(shift)).max(axis=1) < 1e-6).any(), name
        lengths = [np.linalg.norm(q @ reciprocal) for q in (q_point, others[name])]
        assert lengths[0] == pytest.approx(lengths[1], abs=1e-6)


def test_path_is_sampled_evenly_from_end_to_end():
    phonon = spring_phonon(honeycomb())
    path = make_band_path(phonon, 0.02)
    points, segments = find_special_points(phonon.primitive)
    reciprocal = np.linalg.inv(phonon.primitive.cell).T
    assert len(set(path.segments)) == len(segments)
    for index, (start, end) in enumerate(segments):
        rows = np.flatnonzero(path.segments == index)
        assert (path.labels[rows[0]], path.labels[rows[-1]]) == (start, end)
        assert {path.labels[row] for row in rows[1:-1]} <= {"path"}
        np.testing.assert_allclose(path.q_points[rows[[0, -1]]], [points[start], points[end]])
        steps = np.linalg.norm(np.diff(path.q_points[rows], axis=0) @ reciprocal, axis=1)
        np.testing.assert_allclose(np.diff(path.distances[rows]), steps, atol=1e-12)
        assert steps.max() <= 0.02 + 1e-9
        np.testing.assert_allclose(steps, steps[0])
    ends = [path.distances[path.segments == s][[0, -1]] for s in range(len(segments))]
    assert all(first[1] == pytest.approx(second[0]) for first, second in pairwise(ends))
    assert path.is_labelled.sum() == 2 * len(segments)


def test_operations_of_the_test_crystals_are_those_of_phonopy():
    """The helper of the tests and phonopy agree on the group of the primitive cell."""
    found = symmetry_operations(quartz()).rotations
    expected = symmetry_operations_of(spring_phonon(quartz()))
    assert {r.tobytes() for r in found} == {r.astype(np.int64).tobytes() for r in expected}


@pytest.mark.parametrize("cell", [np.diag([2.0, 3.0, 4.0]), [[2, 0, 0], [9, 3, 0], [1, -8, 4]]])
def test_inscribed_sphere_does_not_depend_on_the_basis(cell):
    integers = np.array(list(product(range(-12, 13), repeat=3)))
    lengths = np.linalg.norm(integers @ np.linalg.inv(cell).T, axis=1)
    assert compute_inscribed_radius(cell) == pytest.approx(lengths[lengths > 0].min() / 2)


def test_inscribed_sphere_of_a_face_centred_lattice_touches_the_hexagons():
    assert compute_inscribed_radius(FCC) == pytest.approx(np.sqrt(3) / 2)
