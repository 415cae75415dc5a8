"""Special points, lines and planes: complete, disjoint, and those of the textbooks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.symmetry.operations import read_database_operations
from tasks.symmetry.wave_vectors import diagonalize, find_special_wave_vectors

GRID = 12
# One group of each of the 24 Bravais-lattice and Laue-class pairs, rhombohedral settings included.
LAUE_GROUPS = (2, 10, 12, 47, 65, 69, 71, 83, 87, 123, 139, 147, 148, 162, 164, 166, 175, 191)
CUBIC_LAUE_GROUPS = (200, 202, 204, 221, 225, 229)


def fixed_dimensions(rotations, q_points):
    """Dimension of the displacements of q that keep its little group, time reversal included."""
    inverse = np.linalg.inv(rotations).transpose(0, 2, 1)
    elements = np.unique(np.rint(np.concatenate([inverse, -inverse])), axis=0)
    change = np.einsum("gab,qb->gqa", elements, q_points) - q_points
    fixes = (np.abs(change - np.rint(change)) < 1e-9).all(axis=-1)
    traces = np.trace(elements, axis1=1, axis2=2)
    return np.rint(traces @ fixes / fixes.sum(axis=0)).astype(int)


def grid(dimension):
    axes = np.meshgrid(*[np.arange(GRID) / GRID] * dimension, indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, dimension)


def grid_points_on(wave_vectors):
    """Members of a set on the grid of twelfths."""
    if not wave_vectors.directions:
        return np.array([wave_vectors.offset], dtype=float)
    offset = np.array(wave_vectors.offset, dtype=float)
    return offset + grid(wave_vectors.dimension) @ np.array(wave_vectors.directions)


@pytest.mark.parametrize("number", LAUE_GROUPS + CUBIC_LAUE_GROUPS)
def test_sets_partition_the_brillouin_zone(number):
    """On a 12 x 12 x 12 grid the stars of points, lines and planes hold every special q once."""
    rotations = read_database_operations(number).rotations
    counted = np.zeros(4, dtype=int)
    for wave_vectors in find_special_wave_vectors(rotations):
        dimensions = fixed_dimensions(rotations, grid_points_on(wave_vectors))
        own = (dimensions == wave_vectors.dimension).sum()
        counted[wave_vectors.dimension] += wave_vectors.star * own
    expected = np.bincount(fixed_dimensions(rotations, grid(3)), minlength=4)
    np.testing.assert_array_equal(counted, expected)


@pytest.mark.parametrize("number", range(1, 231, 7))
def test_general_member_has_the_dimension_of_its_set(number):
    rotations = read_database_operations(number).rotations
    for wave_vectors in find_special_wave_vectors(rotations):
        (dimension,) = fixed_dimensions(rotations, wave_vectors.sample()[None])
        assert dimension == wave_vectors.dimension == len(wave_vectors.directions)


def test_special_points_of_the_face_centred_cubic_lattice():
    """Gamma, four L, three X and six W."""
    points = [
        s
        for s in find_special_wave_vectors(read_database_operations(225).rotations)
        if not s.dimension
    ]
    stars = {point.label: point.star for point in points}
    assert stars == {"(0, 0, 0)": 1, "(1/2, 0, 0)": 4, "(1/2, 1/2, 0)": 3, "(-1/4, 1/4, 1/2)": 6}


def test_special_points_and_lines_of_the_hexagonal_lattice():
    """Gamma, A, K, H, M, L; the lines Gamma-A, K-H, M-L and those of the planes k_z = 0, 1/2."""
    sets = find_special_wave_vectors(read_database_operations(191).rotations)
    assert [s.star for s in sets if s.dimension == 0] == [1, 1, 2, 2, 3, 3]
    lines = {s.label for s in sets if s.dimension == 1}
    assert {"(0, 0, u)", "(1/3, 1/3, u)", "(1/2, 0, u)", "(u, 0, 0)", "(u, u, 0)"} < lines
    assert len(lines) == 7


def test_every_group_has_the_time_reversal_invariant_points_and_the_general_position():
    for number in range(1, 231, 5):
        sets = find_special_wave_vectors(read_database_operations(number).rotations)
        invariant = [s for s in sets if not s.dimension and all((2 * x) % 1 == 0 for x in s.offset)]
        assert sum(s.star for s in invariant) == 8
        assert [s.label for s in sets if s.dimension == 3] == ["(u, v, w)"]


@settings(max_examples=100, deadline=None)
@given(arrays(np.int64, st.tuples(st.integers(1, 6), st.just(3)), elements=st.integers(-3, 3)))
def test_diagonalisation_is_unimodular_and_keeps_the_congruences(matrix):
    """V is unimodular, and A q is integer for q = V y exactly where d_i y_i is."""
    divisors, columns = diagonalize(matrix)
    assert round(abs(np.linalg.det(columns))) == 1
    assert len(divisors) == np.linalg.matrix_rank(matrix)
    for i, divisor in enumerate(divisors):
        q = columns[:, i] / divisor
        np.testing.assert_allclose(matrix @ q, np.rint(matrix @ q), atol=1e-9)
    assert not (matrix @ columns[:, len(divisors) :]).any()


def test_diagonalisation_finds_the_index_of_a_sublattice():
    """The product of the divisors is the determinant."""
    rng = np.random.default_rng(5)
    for _ in range(30):
        matrix = rng.integers(-4, 5, size=(3, 3))
        determinant = round(abs(np.linalg.det(matrix)))
        divisors, _ = diagonalize(matrix)
        assert determinant == (np.prod(divisors) if len(divisors) == 3 else 0)
