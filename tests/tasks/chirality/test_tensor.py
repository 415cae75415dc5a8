"""Velocity-angular-momentum tensor: its form, its transformations and its numbers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.constants import h, k

from tasks.chirality.angular_momentum import angular_momentum, compute_mean_angular_momentum
from tasks.chirality.brillouin import make_irreducible_mesh
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.chirality.tensor import (
    ANGULAR_MOMENTUM_UNIT,
    compute_occupation_derivative,
    compute_velocity_angular_momentum_tensor,
    make_thermal_sample,
)
from tasks.symmetry.classification import classify_space_group
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

# A space group of each of the 18 point groups that allow the tensor, and its number of components.
ALLOWED = {
    1: 9,
    3: 5,
    6: 4,
    16: 3,
    25: 2,
    75: 3,
    81: 2,
    89: 2,
    99: 1,
    111: 1,
    143: 3,
    149: 2,
    156: 1,
    168: 3,
    177: 2,
    183: 1,
    195: 1,
    207: 1,
}
TOLERANCE = 1e-4


def mesh_of(phonon, divisions):
    """Mesh of at least so many divisions along each reciprocal vector."""
    lengths = np.linalg.norm(np.linalg.inv(phonon.primitive.cell), axis=0)
    return make_irreducible_mesh(phonon, lengths.min() / divisions)


def whole_mesh(phonon, divisions=3):
    """Sample of a whole mesh, no symmetry used."""
    modes = compute_modes(phonon, mesh_of(phonon, divisions).full_q_points)
    sets = find_degenerate_sets(modes.frequencies, TOLERANCE)
    return make_thermal_sample(phonon, modes, sets, np.ones(len(modes)), irreducible=False)


def reduced_mesh(phonon, divisions=3):
    mesh = mesh_of(phonon, divisions)
    modes = compute_modes(phonon, mesh.q_points)
    sets = find_degenerate_sets(modes.frequencies, TOLERANCE)
    return make_thermal_sample(
        phonon, modes, sets, mesh.weights, irreducible=True, tolerance=TOLERANCE
    )


def unprojected(sample):
    """Tensors of all frequency windows and temperatures, in which no symmetry was imposed."""
    bare = replace(sample, projector=np.eye(9))
    return compute_velocity_angular_momentum_tensor(bare, window_width=0.5)


@pytest.mark.parametrize("number", ALLOWED)
def test_form_of_the_tensor(number):
    """Sums over a whole mesh span exactly the tensors that the point group allows."""
    basis = classify_space_group(number).tensor_basis.reshape(-1, 9)
    assert len(basis) == ALLOWED[number]
    result = unprojected(whole_mesh(spring_phonon(random_crystal(number, 1))))
    tensors = result.by_window.reshape(-1, 9)
    size = np.linalg.norm(tensors, axis=1).max()
    np.testing.assert_allclose(tensors @ basis.T @ basis, tensors, atol=1e-8 * size)
    singular = np.linalg.svd(tensors, compute_uv=False)
    assert (singular > 1e-4 * singular[0]).sum() == ALLOWED[number]


@pytest.mark.parametrize("number", [1, 3, 6, 81, 99, 143, 168, 195])
def test_violation_of_the_symmetry_is_rounding_noise(number):
    phonon = spring_phonon(random_crystal(number, 1))
    for sample in (whole_mesh(phonon), reduced_mesh(phonon)):
        assert compute_velocity_angular_momentum_tensor(sample).violation.max() < 1e-7


@pytest.mark.parametrize("number", [174, 189, 215, 2, 14])
def test_tensor_vanishes_where_the_point_group_forbids_it(number):
    """-6, -6m2 and -43m have l != 0 at general q and no response; with inversion l is 0 too."""
    sample = whole_mesh(spring_phonon(random_crystal(number, 0)))
    bare, result = unprojected(sample), compute_velocity_angular_momentum_tensor(sample)
    largest = np.abs(compute_mean_angular_momentum(sample.modes.eigenvectors, sample.sets)).max()
    assert (largest > 1e-6) == (number not in {2, 14})
    if largest < 1e-6:
        # 1e-13 of what a mode with l = 1 and v = 10 Å THz contributes at 1/f of 1 THz.
        assert bare.scale.max() < 1e-16
        return
    assert (np.abs(bare.response).max(axis=(1, 2)) < 1e-7 * bare.scale).all()
    assert np.isnan(result.violation).all()


@pytest.mark.parametrize("number", [3, 81, 152, 183, 198])
def test_stars_stand_for_the_whole_mesh(number):
    phonon = spring_phonon(random_crystal(number, 0))
    whole, reduced = (
        compute_velocity_angular_momentum_tensor(sample(phonon))
        for sample in (whole_mesh, reduced_mesh)
    )
    size = np.abs(whole.response).max()
    np.testing.assert_allclose(reduced.response, whole.response, atol=1e-7 * size)
    np.testing.assert_allclose(reduced.by_band, whole.by_band, atol=1e-7 * size)
    np.testing.assert_allclose(reduced.by_window, whole.by_window, atol=1e-7 * size)
    np.testing.assert_allclose(reduced.scale, whole.scale, rtol=1e-6)


@pytest.mark.parametrize("number", [1, 6, 81, 152])
@pytest.mark.parametrize("parity", [1, -1])
def test_tensor_turns_with_the_crystal(number, parity):
    """The rule alpha -> det(R) R alpha R^T; a mirror image has the opposite pseudoscalar part."""
    phonon = spring_phonon(random_crystal(number, 0))
    R = parity * random_rotation(11)
    before, after = (
        compute_velocity_angular_momentum_tensor(reduced_mesh(p))
        for p in (phonon, transformed(phonon, R))
    )
    expected = parity * np.einsum("ac,tcd,bd->tab", R, before.response, R)
    size = np.abs(expected).max()
    np.testing.assert_allclose(after.response, expected, atol=1e-7 * size)
    np.testing.assert_allclose(after.pseudoscalar, parity * before.pseudoscalar, atol=1e-7 * size)
    np.testing.assert_allclose(after.polar_vector, before.polar_vector @ R.T, atol=1e-7 * size)


def test_enantiomorphs_have_opposite_traces():
    """152 and 154, mirror images of each other."""
    phonon = spring_phonon(quartz(152))
    mirror = transformed(phonon, np.diag([-1.0, 1.0, 1.0]))
    left, right = (
        compute_velocity_angular_momentum_tensor(reduced_mesh(p)) for p in (phonon, mirror)
    )
    assert np.abs(left.pseudoscalar).min() > 1e-3 * np.abs(left.response).max()
    np.testing.assert_allclose(left.pseudoscalar, -right.pseudoscalar, rtol=1e-6)


def test_tensor_of_wurtzite_is_antisymmetric():
    """6mm: one component, xy = -yx, the polar vector along c."""
    result = compute_velocity_angular_momentum_tensor(reduced_mesh(spring_phonon(wurtzite())))
    size = np.abs(result.response).max(axis=(1, 2))
    np.testing.assert_allclose(result.polar_vector[:, 2], result.response[:, 0, 1])
    np.testing.assert_allclose(np.abs(result.polar_vector[:, 2]), size)
    symmetric = result.response + result.response.swapaxes(1, 2)
    assert (np.abs(symmetric).max(axis=(1, 2)) < 1e-10 * size).all()


def test_product_of_expectation_values_would_violate_the_symmetry():
    """Sums of l_i v_j over single modes depend on the eigensolver, the trace does not."""
    phonon = spring_phonon(wurtzite())
    sample = whole_mesh(phonon, 4)
    modes = mix(sample.modes, sample.sets)
    mixed = make_thermal_sample(phonon, modes, sample.sets, sample.weights, irreducible=False)
    one, other = (compute_velocity_angular_momentum_tensor(s) for s in (sample, mixed))
    size = np.abs(one.response).max()
    assert (np.diff(sample.sets, axis=1) == 0).any()
    for name in ("response", "by_band", "by_window", "scale"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), atol=1e-8 * size)
    alone = np.broadcast_to(np.arange(sample.modes.n_bands), sample.sets.shape)
    cut = make_thermal_sample(phonon, modes, alone, sample.weights, irreducible=False)
    assert compute_velocity_angular_momentum_tensor(cut).violation.max() > 1e-4


def test_sum_over_modes_written_out():
    """Triclinic crystal without degeneracy: alpha / tau = -(1 / N V) sum l_i v_j df0/dT."""
    phonon = spring_phonon(random_crystal(1, 0))
    mesh = mesh_of(phonon, 3)
    q_points = mesh.full_q_points[mesh.full_q_points.any(axis=1)]
    found = phonon.run_qpoints(q_points, with_eigenvectors=True, with_group_velocities=True)
    x = h * found.frequencies * 1e12 / (k * 300)
    derivative = x / 300 / (4 * np.sinh(x / 2) ** 2)
    angular_momenta = angular_momentum(found.eigenvectors)
    total = np.einsum("qbi,qbj,qb->ij", angular_momenta, found.group_velocities, derivative)
    expected = (
        -h / (2 * np.pi) * 100 * total / (mesh.numbers.prod() * phonon.primitive.volume * 1e-30)
    )
    result = compute_velocity_angular_momentum_tensor(whole_mesh(phonon), [300.0])
    size = np.abs(expected).max()
    np.testing.assert_allclose(result.response[0], expected, atol=1e-6 * size)
    assert result.unit == "J s m^-2 K^-1 per s"
    assert pytest.approx(1.054571817e-34 * 100 / 1e-30) == ANGULAR_MOMENTUM_UNIT


def test_supercell_has_the_same_tensor():
    """A repeated cell on a mesh as much coarser along that axis: same response per volume."""
    phonon = spring_phonon(random_crystal(144, 0))
    size = int(phonon.supercell_matrix[2, 2])
    repeated = transformed(phonon, repeat=(1, 1, size))
    grid = np.stack(np.meshgrid(*[np.arange(n) / n for n in (3, 3, size)]), -1).reshape(-1, 3)
    coarse = grid[grid[:, 2] == 0]
    results = []
    for crystal, points in ((phonon, grid), (repeated, coarse)):
        modes = compute_modes(crystal, points)
        sets = find_degenerate_sets(modes.frequencies, TOLERANCE)
        sample = make_thermal_sample(crystal, modes, sets, np.ones(len(points)), irreducible=False)
        results.append(compute_velocity_angular_momentum_tensor(sample).response)
    np.testing.assert_allclose(results[0], results[1], atol=1e-6 * np.abs(results[0]).max())


@pytest.mark.parametrize("number", [1, 152])
def test_parts_and_shares_add_up(number):
    result = compute_velocity_angular_momentum_tensor(
        reduced_mesh(spring_phonon(random_crystal(number, 0)))
    )
    size = np.abs(result.response).max()
    levi_civita = np.moveaxis(np.cross(np.eye(3)[:, None], np.eye(3)), -1, 0)
    whole = result.pseudoscalar[:, None, None] * np.eye(3) + np.einsum(
        "kij,tk->tij", levi_civita, result.polar_vector
    )
    rest = result.response - whole
    np.testing.assert_allclose(rest, rest.swapaxes(1, 2), atol=1e-12 * size)
    np.testing.assert_allclose(np.trace(rest, axis1=1, axis2=2), 0, atol=1e-12 * size)
    np.testing.assert_allclose(result.by_band.sum(axis=1), result.response, atol=1e-10 * size)
    np.testing.assert_allclose(result.by_window.sum(axis=1), result.response, atol=1e-10 * size)
    assert result.by_window.shape[1] == len(result.window_edges) - 1
    np.testing.assert_allclose(np.diff(result.window_edges), 1.0)


def test_imaginary_modes_are_left_out_and_counted():
    phonon = spring_phonon(quartz())
    stable = compute_velocity_angular_momentum_tensor(reduced_mesh(phonon))
    assert (stable.n_imaginary, stable.imaginary_fraction) == (0, 0.0)
    phonon.force_constants = -phonon.force_constants
    unstable = compute_velocity_angular_momentum_tensor(reduced_mesh(phonon))
    n_q = len(mesh_of(phonon, 3).q_points)
    assert not unstable.response.any()
    assert unstable.n_imaginary == 27 * n_q - 3
    assert 0.9 < unstable.imaginary_fraction < 1


def test_share_of_one_q_point():
    """A single q-point holds the whole response, one of many a part of it."""
    phonon = spring_phonon(random_crystal(1, 0))
    modes = compute_modes(phonon, [[0.2, 0.1, 0.3]])
    sets = find_degenerate_sets(modes.frequencies, TOLERANCE)
    lone = make_thermal_sample(phonon, modes, sets, [1], irreducible=True)
    np.testing.assert_allclose(compute_velocity_angular_momentum_tensor(lone).largest_share, 1)
    shares = compute_velocity_angular_momentum_tensor(whole_mesh(phonon, 5)).largest_share
    assert 1 / 125 < shares.max() < 0.5


def test_broken_force_constants_show_in_the_violation():
    phonon = spring_phonon(quartz())
    noise = np.random.default_rng(0).normal(scale=0.05, size=phonon.force_constants.shape)
    phonon.force_constants = phonon.force_constants + noise
    for sample in (whole_mesh(phonon), reduced_mesh(phonon)):
        assert compute_velocity_angular_momentum_tensor(sample).violation.min() > 1e-3


def test_zincblende_has_angular_momentum_but_no_response():
    sample = whole_mesh(spring_phonon(zincblende()))
    result = compute_velocity_angular_momentum_tensor(sample)
    assert np.abs(angular_momentum(sample.modes.eigenvectors)).max() > 0.01
    assert (np.abs(result.response).max(axis=(1, 2)) < 1e-9 * result.scale).all()


@pytest.mark.parametrize("temperature", [30.0, 300.0, 3000.0])
def test_occupation_derivative_is_that_of_the_bose_function(temperature):
    frequencies = np.array([0.05, 1.0, 8.0, 30.0])
    step = 1e-4 * temperature
    kelvin = np.array([temperature - step, temperature + step])
    occupation = 1 / np.expm1(h * frequencies * 1e12 / (k * kelvin[:, None]))
    expected = (occupation[1] - occupation[0]) / (2 * step)
    found = compute_occupation_derivative(frequencies, np.array([temperature]))
    np.testing.assert_allclose(found[0], expected, rtol=1e-4)


def test_occupation_derivative_has_its_classical_and_quantum_limits():
    """k_B / (h nu) where h nu << k_B T; no overflow where h nu >> k_B T."""
    found = compute_occupation_derivative(np.array([1e-3, 50.0]), np.array([1000.0, 1.0]))
    assert found[0, 0] == pytest.approx(k / (h * 1e9), rel=1e-6)
    assert found[1, 1] == 0.0
