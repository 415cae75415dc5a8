"""Velocity and angular-momentum operators between states of degenerate sets."""

import numpy as np
import pytest

from tasks.chirality.angular_momentum import (
    compute_angular_momentum_matrices,
    compute_mean_angular_momentum,
)
from tasks.chirality.axes import find_crystal_operations
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.chirality.velocity import (
    compute_angular_momentum_elements,
    compute_axial_elements,
    compute_block_traces,
    compute_dynamical_matrix_gradient,
    compute_group_velocities,
    compute_velocity_elements,
)
from tests.crystals import (
    quartz,
    random_crystal,
    random_rotation,
    spring_phonon,
    transformed,
    wurtzite,
    zincblende,
)
from tests.tasks.chirality.mixing import mix

TOLERANCE = 1e-4
Q_POINTS = np.array([[0.1, 0.23, 0.31], [0, 0, 0.2], [0.5, 0, 0], [0, 0, 0], [0.37, 0.11, 0]])


def sampled(phonon, q_points=Q_POINTS):
    modes = compute_modes(phonon, q_points)
    return modes, find_degenerate_sets(modes.frequencies, TOLERANCE)


@pytest.mark.parametrize("born", [False, True])
def test_gradient_is_the_difference_quotient_of_the_dynamical_matrix(born):
    """Also with the non-analytical term, which is even in q and drops out at Gamma."""
    phonon = spring_phonon(wurtzite(), born=born)
    step = 1e-5
    shifts = step * phonon.primitive.cell.T
    found = compute_dynamical_matrix_gradient(phonon, Q_POINTS)
    for j in range(3):
        ahead, behind = (
            phonon.run_qpoints(Q_POINTS + s * shifts[j], with_dynamical_matrices=True)
            for s in (1, -1)
        )
        quotient = (ahead.dynamical_matrices - behind.dynamical_matrices) / (2 * step)
        np.testing.assert_allclose(found[:, j], quotient, atol=1e-6 * np.abs(found).max())


@pytest.mark.parametrize("born", [False, True])
def test_velocity_is_the_slope_of_the_frequencies(born):
    phonon = spring_phonon(random_crystal(76, 0), born=born)
    modes, sets = sampled(phonon, Q_POINTS[:1])
    velocity = compute_group_velocities(compute_velocity_elements(phonon, modes, sets), sets)[0]
    step = 1e-5 * phonon.primitive.cell.T
    for j in range(3):
        ends = phonon.run_qpoints([Q_POINTS[0] + step[j], Q_POINTS[0] - step[j]]).frequencies
        np.testing.assert_allclose(velocity[:, j], (ends[0] - ends[1]) / 2e-5, atol=1e-4)


def test_velocity_agrees_with_phonopy():
    phonon = spring_phonon(quartz())
    modes, sets = sampled(phonon, Q_POINTS[:1])
    expected = phonon.run_qpoints(Q_POINTS[:1], with_group_velocities=True).group_velocities
    found = compute_group_velocities(compute_velocity_elements(phonon, modes, sets), sets)
    np.testing.assert_allclose(found, expected, atol=1e-8)


def test_sum_over_a_star_of_velocities_vanishes():
    """V is a polar vector: v(Rq) = R v(q), so in 222 the star of q adds up to zero."""
    phonon = spring_phonon(random_crystal(16, 0))
    operations = find_crystal_operations(phonon)
    star = Q_POINTS[0] @ np.linalg.inv(operations.rotations)
    modes, sets = sampled(phonon, star)
    velocity = compute_group_velocities(compute_velocity_elements(phonon, modes, sets), sets)
    turned = np.einsum("gab,nb->gna", operations.cartesian, velocity[0])
    first = np.argmin(np.abs(operations.rotations - np.eye(3)).sum(axis=(1, 2)))
    assert first == 0
    np.testing.assert_allclose(velocity, turned, atol=1e-8)
    np.testing.assert_allclose(velocity.sum(axis=0), 0, atol=1e-8)


def test_velocity_is_odd_in_q():
    phonon = spring_phonon(random_crystal(144, 0))
    there, back = (sampled(phonon, sign * Q_POINTS) for sign in (1, -1))
    one, other = (
        compute_group_velocities(compute_velocity_elements(phonon, *x), x[1]) for x in (there, back)
    )
    np.testing.assert_allclose(one, -other, atol=1e-7)


def test_blocks_are_those_of_the_whole_matrices():
    """Against the full matrices E^+ L E cut to the sets."""
    modes, sets = sampled(spring_phonon(zincblende()))
    elements = compute_angular_momentum_elements(modes.eigenvectors, sets)
    matrices = compute_angular_momentum_matrices(modes.eigenvectors)
    matrices = matrices * (sets[:, None, :, None] == sets[:, None, None, :])
    assert len(elements) == 3
    for d, diagonal in enumerate(elements):
        expected = np.diagonal(matrices, offset=d, axis1=2, axis2=3)
        kept = diagonal[:, : modes.n_bands - d]
        np.testing.assert_allclose(np.moveaxis(kept, -1, 1), expected, atol=1e-12)
    means = compute_mean_angular_momentum(modes.eigenvectors, sets)
    sums = np.array([(elements[0].real * (sets == s)[..., None]).sum(axis=1) for s in range(6)])
    expected = np.array([(means * (sets == s)[..., None]).sum(axis=1) for s in range(6)])
    np.testing.assert_allclose(sums, expected, atol=1e-12)


@pytest.mark.parametrize("crystal", [zincblende(), wurtzite(), random_crystal(198, 0)])
def test_unitary_mixing_inside_degenerate_sets_changes_no_trace(crystal):
    phonon = spring_phonon(crystal)
    modes, sets = sampled(phonon, np.vstack([Q_POINTS, [[0.2, 0.2, 0.2], [0.5, 0.5, 0.0]]]))
    mixed = mix(modes, sets)
    assert (np.diff(sets, axis=1) == 0).any()
    results = []
    for each in (modes, mixed):
        velocity = compute_velocity_elements(phonon, each, sets)
        angular_momentum = compute_angular_momentum_elements(each.eigenvectors, sets)
        results.append(
            (
                compute_block_traces(angular_momentum, velocity, sets),
                compute_group_velocities(velocity, sets),
            )
        )
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9 * np.abs(one).max())


def test_trace_of_products_is_not_the_product_of_the_traces():
    """On the axis of wurtzite every pair has l = 0 on average, yet Tr[P L_z P V_z P] need not."""
    phonon = spring_phonon(random_crystal(198, 0))
    modes, sets = sampled(phonon, np.array([[0.5, 0.5, 0.5], [0, 0, 0.5]]))
    angular_momentum = compute_angular_momentum_elements(modes.eigenvectors, sets)
    velocity = compute_velocity_elements(phonon, modes, sets)
    means = compute_mean_angular_momentum(modes.eigenvectors, sets)
    np.testing.assert_allclose(means, 0, atol=1e-8)
    assert np.abs(compute_block_traces(angular_momentum, velocity, sets)).max() > 1e-2


def test_weights_of_the_atoms_enter_linearly():
    modes, sets = sampled(spring_phonon(quartz()))
    one, two = (np.random.default_rng(s).normal(size=(9, 3, 3)) for s in (0, 1))
    parts = [compute_axial_elements(modes.eigenvectors, sets, A) for A in (one, two, 2 * one - two)]
    np.testing.assert_allclose(parts[2], 2 * parts[0] - parts[1], atol=1e-12)


def test_imaginary_modes_have_no_velocity():
    phonon = spring_phonon(quartz())
    phonon.force_constants = -phonon.force_constants
    modes, sets = sampled(phonon, Q_POINTS[:2])
    assert (modes.frequencies < 0).all()
    assert not compute_velocity_elements(phonon, modes, sets).any()


def test_velocities_turn_with_the_crystal():
    phonon = spring_phonon(random_crystal(144, 0))
    R = random_rotation(4)
    one, other = (sampled(p) for p in (phonon, transformed(phonon, R)))
    before = compute_group_velocities(compute_velocity_elements(phonon, *one), one[1])
    after = compute_group_velocities(
        compute_velocity_elements(transformed(phonon, R), *other), other[1]
    )
    np.testing.assert_allclose(after, before @ R.T, atol=1e-7)
