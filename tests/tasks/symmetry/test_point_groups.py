"""Point groups as lists of rotations: helicity harmonics and tensors in any orientation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import sph_harm_y

from tasks.symmetry.operations import read_database_operations
from tasks.symmetry.point_groups import (
    count_helicity_harmonics,
    find_chirality_class,
    find_invariant_basis,
    find_tensor_basis,
    make_tensor_projector,
)
from tests.crystals import random_rotation, sampled_groups

numbers = st.integers(1, 230)
seeds = st.integers(0, 2**16)


def count_harmonics(rotations, order):
    """Dimension of the pseudoscalar functions of order L, from averaged spherical harmonics."""
    q = np.random.default_rng(order).normal(size=(4 * order + 6, 3))
    q /= np.linalg.norm(q, axis=1)[:, None]
    images = q @ np.linalg.inv(rotations).transpose(0, 2, 1)
    theta, phi = (
        np.arccos(np.clip(images[..., 2], -1, 1)),
        np.arctan2(images[..., 1], images[..., 0]),
    )
    harmonics = [sph_harm_y(order, m, theta, phi) for m in range(-order, order + 1)]
    averaged = np.einsum("g,mgq->mq", np.linalg.det(rotations), harmonics) / len(rotations)
    return int((np.linalg.svd(averaged, compute_uv=False) > 1e-8).sum())


@pytest.mark.parametrize("number", sampled_groups())
def test_multiplicity_counts_the_harmonics_that_survive_averaging(number):
    """n_L is the dimension of the functions f(Rq) = det(R) f(q) of order L."""
    rotations = read_database_operations(number).cartesian_rotations
    for order in (0, 2, 4, 6, 8):
        assert count_helicity_harmonics(rotations, order) == count_harmonics(rotations, order)


@pytest.mark.parametrize("order", [1, 3, -2])
def test_helicity_has_even_harmonics_only(order):
    with pytest.raises(ValueError, match="must be 0, 2, 4"):
        count_helicity_harmonics(np.eye(3)[None], order)


@settings(max_examples=40, deadline=None)
@given(numbers, seeds)
def test_tensor_form_turns_with_the_crystal(number, seed):
    """P' = (Q x Q) P (Q x Q)^T for a crystal rotated by Q; a reflected one has the same form."""
    rotations = read_database_operations(number).cartesian_rotations
    for turn in (random_rotation(seed), -random_rotation(seed)):
        both = np.kron(turn, turn)
        expected = both @ make_tensor_projector(rotations) @ both.T
        np.testing.assert_allclose(
            make_tensor_projector(turn @ rotations @ turn.T), expected, atol=1e-12
        )


@settings(max_examples=40, deadline=None)
@given(numbers, seeds)
def test_projected_tensor_obeys_every_operation(number, seed):
    """Projecting gives det(R) R alpha R^T = alpha, and a second projection changes nothing."""
    rotations = read_database_operations(number).cartesian_rotations
    projector = make_tensor_projector(rotations)
    alpha = (projector @ np.random.default_rng(seed).normal(size=9)).reshape(3, 3)
    images = np.linalg.det(rotations)[:, None, None] * (
        rotations @ alpha @ rotations.transpose(0, 2, 1)
    )
    np.testing.assert_allclose(images, np.broadcast_to(alpha, images.shape), atol=1e-12)
    np.testing.assert_allclose(projector @ alpha.ravel(), alpha.ravel(), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(numbers, seeds)
def test_counts_do_not_depend_on_the_orientation(number, seed):
    rotations = read_database_operations(number).cartesian_rotations
    turn = random_rotation(seed)
    turned = turn @ rotations @ turn.T
    assert find_chirality_class(turned) == find_chirality_class(rotations)
    assert len(find_tensor_basis(turned)) == len(find_tensor_basis(rotations))
    assert count_helicity_harmonics(turned, 4) == count_helicity_harmonics(rotations, 4)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(0, 6))
def test_invariant_basis_spans_the_range_of_the_projector(seed, rank):
    frame, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))
    projector = frame[:, :rank] @ frame[:, :rank].T
    basis = find_invariant_basis(projector)
    np.testing.assert_allclose(basis @ basis.T, np.eye(rank), atol=1e-10)
    np.testing.assert_allclose(basis.T @ basis, projector, atol=1e-7)
