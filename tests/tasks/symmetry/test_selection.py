"""Selection rules: brute force for every set of every group, textbook cases, realised or not."""

import numpy as np
import pytest
from ase import Atoms

from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.brillouin import compute_helicity, find_special_points
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.symmetry import (
    classify_space_group,
    find_allowed_angular_momentum,
    find_crystal_symmetry,
    find_realised_angular_momentum,
    is_helicity_allowed,
    is_realised,
    list_crystal_selection_rules,
    list_selection_rules,
    read_database_operations,
)
from tasks.symmetry.zone import find_zone_images
from tests.crystals import (
    diamond,
    honeycomb,
    random_crystal,
    rocksalt,
    rutile,
    sampled_groups,
    spring_crystal,
    wurtzite,
    zincblende,
)

CELLS = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), axis=-1).reshape(-1, 3)


def random_fields(operations, q_point, n_fields=5):
    """Values at q of random periodic fields with l(Rq) = det(R) R l(q) and l(-q) = -l(q).

    Each field is an odd Fourier series with random vector coefficients, averaged over the group.
    """
    rng = np.random.default_rng(7)
    cells = rng.choice(CELLS, size=30, replace=False)
    coefficients = rng.normal(size=(n_fields, len(cells), 3))
    waves = np.sin(2 * np.pi * q_point @ operations.rotations @ cells.T)
    series = np.tensordot(waves, coefficients, axes=(1, 1))
    R = operations.cartesian_rotations
    axial = np.linalg.det(R)[:, None, None] * R
    return np.tensordot(series, axial, axes=([0, 2], [0, 2])) / len(R)


def averaged_direction(operations, q_point):
    """Mean unit vector of the equivalent shortest images of q."""
    images = (q_point + CELLS) @ np.linalg.inv(operations.lattice).T
    lengths = np.linalg.norm(images, axis=1)
    shortest = images[lengths < lengths.min() + 1e-9]
    return (shortest / max(lengths.min(), 1e-12)).mean(axis=0)


def rank(vectors):
    return int((np.linalg.svd(vectors, compute_uv=False) > 1e-8).sum())


@pytest.mark.parametrize("number", range(1, 231))
def test_rules_hold_for_random_fields_and_are_exhausted_by_them(number):
    """On every point, line and plane the random fields span exactly the allowed space."""
    operations = read_database_operations(number)
    for rule in list_selection_rules(number):
        fields = random_fields(operations, rule.wave_vectors.sample())
        basis = rule.angular_momentum
        np.testing.assert_allclose(fields - fields @ basis.T @ basis, 0, atol=1e-9)
        assert rank(fields) == len(basis), rule.wave_vectors.label


@pytest.mark.parametrize("number", range(1, 231))
def test_helicity_rule_against_the_averaged_direction(number):
    """With h = l . <q/|q|> over the shortest images, of the same random fields."""
    operations = read_database_operations(number)
    for rule in list_selection_rules(number):
        q_point = rule.wave_vectors.sample()
        helicity = random_fields(operations, q_point) @ averaged_direction(operations, q_point)
        assert rule.helicity_allowed == bool(np.abs(helicity).max() > 1e-7)


@pytest.mark.parametrize("number", range(1, 231, 2))
def test_general_position_tells_the_class(number):
    """Class I forbids l everywhere; the others allow all of l and h in general position."""
    general = list_selection_rules(number)[-1]
    allowed = classify_space_group(number).allows_angular_momentum
    assert len(general.angular_momentum) == 3 * allowed
    assert general.helicity_allowed == allowed
    if not allowed:
        assert not any(len(rule.angular_momentum) for rule in list_selection_rules(number))


@pytest.mark.parametrize("number", sampled_groups())
def test_nothing_at_time_reversal_invariant_points(number):
    corners = np.stack(np.meshgrid(*[(0, 0.5)] * 3), axis=-1).reshape(-1, 3)
    operations = read_database_operations(number)
    assert not any(len(find_allowed_angular_momentum(operations, q)) for q in corners)


def test_mirror_plane_leaves_its_normal_and_no_helicity():
    """Group Pm, axis along y: in the planes q_b = 0 and 1/2 l is along y."""
    operations = read_database_operations(6)
    for q_b in (0, 0.5):
        q_point = (0.21, q_b, 0.37)
        np.testing.assert_allclose(find_allowed_angular_momentum(operations, q_point), [[0, 1, 0]])
        assert not is_helicity_allowed(operations, q_point)


@pytest.mark.parametrize("number", [144, 76, 169, 152, 180])
def test_rotation_axis_of_a_chiral_crystal_leaves_l_along_q(number):
    operations = read_database_operations(number)
    np.testing.assert_allclose(find_allowed_angular_momentum(operations, (0, 0, 0.3)), [[0, 0, 1]])
    assert is_helicity_allowed(operations, (0, 0, 0.3))


def test_two_fold_axis_with_time_reversal_confines_l_to_the_plane_across_it():
    """Group P2: C_2 carries q = (u, 0, v) to -q, so l_y = 0 there."""
    basis = find_allowed_angular_momentum(read_database_operations(3), (0.21, 0, 0.37))
    np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(basis[:, 1], 0, atol=1e-12)


def test_honeycomb_at_its_corner():
    """At K of hBN l is along the layer normal and the helicity zero: a valley mode."""
    crystal = find_crystal_symmetry(honeycomb())
    rules = list_crystal_selection_rules(crystal)
    (corner,) = [r for r in rules if r.wave_vectors.label == "(1/3, 1/3, 0)"]
    np.testing.assert_allclose(corner.angular_momentum, [[0, 0, 1]], atol=1e-12)
    assert not corner.helicity_allowed


def test_zincblende_lines():
    """No angular momentum on Gamma-X and Gamma-L."""
    operations = find_crystal_symmetry(zincblende()).operations
    to_fractional = operations.lattice @ np.diag([1, 1, 1]) / np.abs(operations.lattice).max() / 2
    for direction in ((0.31, 0, 0), (0.17, 0.17, 0.17)):
        q_point = to_fractional @ np.array(direction)
        assert len(find_allowed_angular_momentum(operations, q_point)) == 0


def test_wurtzite_lines():
    """No l on Gamma-A; on Gamma-M and Gamma-K l is in the plane, normal to q."""
    operations = find_crystal_symmetry(wurtzite()).operations
    assert len(find_allowed_angular_momentum(operations, (0, 0, 0.2))) == 0
    for q_point in ((0.2, 0, 0), (0.15, 0.15, 0)):
        (normal,) = find_allowed_angular_momentum(operations, q_point)
        q_cartesian = q_point @ np.linalg.inv(operations.lattice).T
        assert abs(normal[2]) < 1e-9
        assert abs(normal @ q_cartesian) < 1e-9
        assert not is_helicity_allowed(operations, q_point)


@pytest.mark.parametrize("make", [rocksalt, diamond, rutile])
def test_centrosymmetric_crystals_realise_nothing(make):
    crystal = find_crystal_symmetry(make())
    assert not is_realised(crystal)
    assert len(find_realised_angular_momentum(crystal, (0.11, 0.23, 0.31))) == 0


@pytest.mark.parametrize("make", [zincblende, wurtzite, honeycomb])
def test_crystals_without_inversion_centre_realise_angular_momentum(make):
    assert is_realised(find_crystal_symmetry(make()))


def test_sites_of_a_group_without_inversion_may_realise_nothing():
    """Zincblende with one species is diamond; with both sites of rocksalt it is rocksalt."""
    atoms = zincblende()
    atoms.numbers[:] = 6
    assert not is_realised(find_crystal_symmetry(atoms))
    cell = zincblende().cell.array
    moved = Atoms("ZnS", cell=cell, scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.5)], pbc=True)
    assert not is_realised(find_crystal_symmetry(moved))


@pytest.mark.parametrize("number", sampled_groups()[::2])
def test_modes_of_spring_models_obey_the_rules(number):
    """Tr(P M) of every degenerate set of a spring model lies in the allowed space."""
    phonon = spring_crystal(number)
    crystal = find_crystal_symmetry(random_crystal(number))
    for rule in list_crystal_selection_rules(crystal):
        q_point = rule.wave_vectors.sample()
        basis = rule.angular_momentum
        totals = set_totals(phonon, q_point)
        np.testing.assert_allclose(totals - totals @ basis.T @ basis, 0, atol=1e-6)
        assert (np.abs(totals).max() > 1e-6) == (len(basis) > 0), rule.wave_vectors.label


def set_totals(phonon, q_point):
    """Angular momentum of each degenerate set of modes at q, shape (n_sets, 3)."""
    result = phonon.run_qpoints([q_point], with_eigenvectors=True)
    frequencies, vectors = result.frequencies[0], result.eigenvectors[0]
    e = vectors.reshape(-1, 3, len(frequencies))
    angular_momenta = np.imag(np.cross(e.conj(), e, axis=1)).sum(axis=0).T
    starts = np.flatnonzero(np.diff(frequencies, prepend=-np.inf) > 1e-5)
    return np.add.reduceat(angular_momenta, starts, axis=0)


# Groups whose three-fold rotation allows l along c at K and H; those of sixfold crystals do not.
TRIGONAL = (143, 144, 145, 149, 151, 153)


@pytest.mark.parametrize("number", TRIGONAL)
@pytest.mark.parametrize("height", [0, 0.5])
def test_corners_of_trigonal_zones_have_angular_momentum_along_c_and_no_helicity(number, height):
    """At K the wave vector is normal to c; at H images above and below are equally short."""
    operations = read_database_operations(number)
    corner = (1 / 3, 1 / 3, height)
    np.testing.assert_allclose(
        find_allowed_angular_momentum(operations, corner), [[0, 0, 1]], atol=1e-12
    )
    assert not is_helicity_allowed(operations, corner)
    assert is_helicity_allowed(operations, (1 / 3, 1 / 3, 0.3))


def test_corners_of_the_zone_of_a_cubic_crystal_have_angular_momentum_and_no_helicity():
    """At W of F23 l is along a cubic axis, and the images of W lie on both sides."""
    operations, corner = read_database_operations(196), (-0.5, -0.25, 0.25)
    assert len(find_allowed_angular_momentum(operations, corner)) == 1
    assert not is_helicity_allowed(operations, corner)
    modes = compute_modes(spring_crystal(196), corner)
    assert (
        np.abs(
            compute_mean_angular_momentum(modes.eigenvectors, np.arange(modes.n_bands)[None])
        ).max()
        > 0.1
    )


@pytest.mark.parametrize("number", sorted({*sampled_groups(), *TRIGONAL, 196}))
def test_helicity_at_named_points_is_what_random_force_constants_have(number):
    """At every special point of the band path, and halfway between the ends of its segments."""
    phonon = spring_crystal(number)
    operations = find_crystal_symmetry(random_crystal(number)).operations
    points, segments = find_special_points(phonon.primitive)
    q_points = [*points.values(), *((points[a] + points[b]) / 2 for a, b in segments)]
    modes = compute_modes(phonon, q_points)
    angular_momentum = compute_mean_angular_momentum(
        modes.eigenvectors, find_degenerate_sets(modes.frequencies, tolerance=1e-4)
    )
    found = compute_helicity(angular_momentum, find_zone_images(q_points, phonon.primitive.cell))
    for q_point, l_modes, values in zip(q_points, angular_momentum, found, strict=True):
        allowed, seen = is_helicity_allowed(operations, q_point), np.abs(values).max() > 1e-6
        # Springs may be too short to realise an l that is allowed (one line of one group of 230).
        too_short = np.abs(l_modes).max() < 1e-9
        assert seen == allowed or (allowed and too_short), q_point
