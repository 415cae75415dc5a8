"""Angular momentum: sign and size, and the exact laws any force constants obey."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.chirality.angular_momentum import (
    angular_momentum,
    compute_angular_momentum_matrices,
    compute_atomic_angular_momentum,
    compute_circular_polarization,
    compute_mean_angular_momentum,
    find_circular_basis,
    project_spectrum,
)
from tasks.chirality.axes import find_crystal_operations
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tests.crystals import (
    quartz,
    random_crystal,
    random_rotation,
    sampled_groups,
    spring_crystal,
    spring_phonon,
    transformed,
)
from tests.tasks.chirality.mixing import mix

# Two generic points, one small, and points of high symmetry, where modes are degenerate.
Q_POINTS = np.array(
    [[0.13, -0.21, 0.37], [0.41, 0.27, -0.08], [0.01, 0.02, 0.0], [0, 0, 0.27], [0.5, 0, 0]]
)
Z = np.array([0.0, 0.0, 1.0])


def random_vectors(seed, n_atoms=3, n_q=2):
    """Orthonormal complex vectors in columns."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(2, n_q, 3 * n_atoms, 3 * n_atoms))
    return np.linalg.qr(noise[0] + 1j * noise[1])[0]


def momenta(phonon, q_points=Q_POINTS):
    modes = compute_modes(phonon, q_points)
    return compute_mean_angular_momentum(
        modes.eigenvectors, find_degenerate_sets(modes.frequencies)
    )


def test_counter_clockwise_circle_has_plus_one():
    """The motion Re{e exp(-i w t)} with e = (1, i, 0) runs from x to y: l = +1 along z."""
    vector = np.array([1, 1j, 0])[None, :, None] / np.sqrt(2)
    turned = (vector[0, :, 0] * np.exp(-1j * 0.1)).real
    assert turned[1] > 0
    np.testing.assert_allclose(angular_momentum(vector)[0, 0], [0, 0, 1])
    np.testing.assert_allclose(angular_momentum(vector.conj())[0, 0], [0, 0, -1])


@given(seed=st.integers(0, 2**31))
@settings(max_examples=20)
def test_angular_momentum_is_that_of_the_moving_atoms(seed):
    """The time average of sum_k u_k x du_k/dt over a period, in units of w/2, is l."""
    vectors = random_vectors(seed)
    times = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    wave = np.exp(-1j * times)[:, None, None, None]
    atoms = vectors.reshape(2, 3, 3, 9)
    average = np.zeros((2, 9, 3))
    for k in range(3):
        position = (atoms[:, k] * wave).real
        velocity = (-1j * atoms[:, k] * wave).real
        average += np.cross(position, velocity, axis=2).mean(axis=0).swapaxes(1, 2)
    np.testing.assert_allclose(angular_momentum(vectors), 2 * average, atol=1e-12)


@given(seed=st.integers(0, 2**31))
@settings(max_examples=20)
def test_diagonal_of_the_matrices_and_sum_over_atoms_are_the_angular_momentum(seed):
    vectors = random_vectors(seed)
    expected = angular_momentum(vectors)
    matrices = compute_angular_momentum_matrices(vectors)
    np.testing.assert_allclose(matrices, matrices.conj().swapaxes(-1, -2), atol=1e-14)
    diagonal = np.einsum("qamm->qma", matrices)
    np.testing.assert_allclose(diagonal, expected, atol=1e-13)
    per_atom = compute_atomic_angular_momentum(vectors)
    np.testing.assert_allclose(per_atom.sum(axis=1), expected, atol=1e-13)


@given(seed=st.integers(0, 2**31))
@settings(max_examples=20)
def test_matrices_are_those_of_spin_one(seed):
    """[L_x, L_y] = i L_z in a complete basis, and L^2 = 2 on every atom."""
    x, y, z = np.moveaxis(compute_angular_momentum_matrices(random_vectors(seed)), 1, 0)
    np.testing.assert_allclose(x @ y - y @ x, 1j * z, atol=1e-12)
    square = x @ x + y @ y + z @ z
    np.testing.assert_allclose(square, np.broadcast_to(2 * np.eye(9), square.shape), atol=1e-12)


@given(seed=st.integers(0, 2**31))
@settings(max_examples=20)
def test_sizes_are_bounded_by_one(seed):
    vectors = random_vectors(seed)
    polarization = compute_circular_polarization(vectors)
    assert np.linalg.norm(angular_momentum(vectors), axis=-1).max() <= 1 + 1e-12
    assert polarization.min() >= 0
    assert polarization.max() <= 1 + 1e-12


def test_circular_polarization_of_simple_motions():
    """A circle has 1, a line 0, an ellipse of axes a, b has 2ab/(a^2 + b^2), rest has 0."""
    circle, line, ellipse, rest = [1, 1j, 0], [1, 2, 0], [0, 2, 1j], [0, 0, 0]
    vector = np.array([circle, line, ellipse, rest], dtype=complex).reshape(1, 12, 1)
    found = compute_circular_polarization(vector / np.linalg.norm(vector))
    np.testing.assert_allclose(found[0, :, 0], [1, 0, 0.8, 0], atol=1e-12)


def test_rows_that_are_no_atoms_are_refused():
    with pytest.raises(ValueError, match="3 rows per atom"):
        angular_momentum(np.zeros((1, 4, 2), dtype=complex))
    with pytest.raises(ValueError, match="3 rows per atom"):
        compute_atomic_angular_momentum(np.zeros((1, 4, 2), dtype=complex))


@pytest.mark.parametrize("number", sampled_groups())
def test_sum_over_all_bands_vanishes(number):
    assert np.abs(momenta(spring_crystal(number)).sum(axis=1)).max() < 1e-12


@pytest.mark.parametrize("number", sampled_groups())
def test_time_reversal_reverses_it(number):
    """l(-q) = -l(q), so l of every set vanishes at q = -q + G."""
    phonon = spring_crystal(number)
    np.testing.assert_allclose(momenta(phonon, -Q_POINTS), -momenta(phonon), atol=1e-9)
    invariant = np.array([[0, 0, 0], [0.5, 0, 0], [0, 0.5, 0.5], [0.5, 0.5, 0.5]])
    assert np.abs(momenta(phonon, invariant)).max() < 1e-9


@pytest.mark.parametrize("number", sampled_groups())
def test_it_is_an_axial_vector_of_the_space_group(number):
    """l(Rq) = det(R) R l(q) for every operation; with inversion it vanishes everywhere."""
    phonon = spring_crystal(number)
    operations = find_crystal_operations(phonon)
    turned = Q_POINTS[:2] @ np.linalg.inv(operations.rotations)
    found = momenta(phonon, turned.reshape(-1, 3)).reshape(*turned.shape[:2], -1, 3)
    axial = operations.cartesian * np.linalg.det(operations.cartesian)[:, None, None]
    expected = np.einsum("gab,qnb->gqna", axial, momenta(phonon, Q_POINTS[:2]))
    np.testing.assert_allclose(found, expected, atol=1e-8)
    if (np.linalg.det(operations.rotations) * operations.rotations.trace(0, 1, 2) == -3).any():
        assert np.abs(expected).max() < 1e-9


@pytest.mark.parametrize("number", [1, 33, 76, 146, 198])
@pytest.mark.parametrize("det", [1, -1])
def test_rotated_or_reflected_crystal_carries_it_along(number, det):
    """At the same fractional q: l' = det(R) R l."""
    phonon, rotation = spring_crystal(number), det * random_rotation(number)
    expected = det * momenta(phonon) @ rotation.T
    np.testing.assert_allclose(momenta(transformed(phonon, rotation)), expected, atol=1e-8)


@pytest.mark.parametrize("number", [1, 33, 76, 146, 198])
def test_origin_and_order_of_the_atoms_do_not_matter(number):
    phonon = spring_crystal(number)
    order = np.random.default_rng(number).permutation(len(phonon.primitive))
    moved = transformed(phonon, shift=(0.31, 0.17, 0.05), order=order)
    np.testing.assert_allclose(momenta(moved), momenta(phonon), atol=1e-8)


@pytest.mark.parametrize("number", [19, 76, 144])
def test_larger_cell_only_folds_it(number):
    """The bands of a repeated cell at q are those of its q-points, with their l."""
    phonon = spring_crystal(number)
    size = int(phonon.supercell_matrix[0, 0])
    repeated = transformed(phonon, repeat=(1, size, 1))
    q_point = np.array([0.13, 0.21, 0.37])
    shifts = np.arange(size)[:, None] * np.array([0, 1, 0])
    unfolded = compute_modes(phonon, (q_point + shifts) / [1, size, 1])
    order = np.argsort(unfolded.frequencies.ravel())
    expected = angular_momentum(unfolded.eigenvectors).reshape(-1, 3)[order]
    found = angular_momentum(compute_modes(repeated, q_point).eigenvectors)[0]
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize("number", sampled_groups()[::3])
@given(seed=st.integers(0, 2**31))
@settings(max_examples=4, deadline=None)
def test_mixing_inside_the_sets_changes_nothing(number, seed):
    """Traces and projected spectra know nothing of the basis the eigensolver chose."""
    modes = compute_modes(spring_crystal(number), Q_POINTS)
    sets = find_degenerate_sets(modes.frequencies)
    mixed = mix(modes, sets, seed)
    axis = random_rotation(seed % 1000)[0]
    for quantity in (
        lambda m: compute_mean_angular_momentum(m.eigenvectors, sets),
        lambda m: project_spectrum(m.eigenvectors, sets, axis),
    ):
        np.testing.assert_allclose(quantity(mixed), quantity(modes), atol=1e-10)


def test_spectrum_of_a_single_mode_is_its_component():
    modes = compute_modes(spring_crystal(1), Q_POINTS[:2])
    sets = find_degenerate_sets(modes.frequencies, 1e-9)
    axes = random_rotation(3)[:2]
    found = project_spectrum(modes.eigenvectors, sets, axes)
    expected = np.einsum("qna,qa->qn", angular_momentum(modes.eigenvectors), axes)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_spectrum_of_a_doublet_is_symmetric_where_its_trace_vanishes():
    """The E modes of quartz at Gamma: Tr P L_z = 0, but two circular motions +l and -l."""
    modes = compute_modes(spring_phonon(quartz()), [0, 0, 0])
    sets = find_degenerate_sets(modes.frequencies)
    spectrum = project_spectrum(modes.eigenvectors, sets, np.array([0, 0, 1.0]))
    doublets = [label for label in range(1, sets.max() + 1) if (sets[0] == label).sum() == 2]
    assert len(doublets) == 8
    for label in doublets:
        low, high = spectrum[0, sets[0] == label]
        assert low == pytest.approx(-high, abs=1e-10)
        assert high > 0.01


def test_atoms_can_turn_where_the_crystal_does_not():
    """With inversion l = 0, yet atoms off the centre move on ellipses that cancel."""
    modes = compute_modes(spring_phonon(random_crystal(2)), Q_POINTS[:2])
    assert np.abs(angular_momentum(modes.eigenvectors)).max() < 1e-9
    assert compute_circular_polarization(modes.eigenvectors).max() > 0.1


@pytest.fixture(scope="module")
def at_gamma():
    """Modes of quartz, their degenerate sets, the circular basis and its circulation about z."""
    phonon = spring_phonon(quartz(), 3)
    modes = compute_modes(phonon, [0.0, 0.0, 0.0])
    sets = find_degenerate_sets(modes.frequencies)[0]
    return modes, sets, *find_circular_basis(modes.eigenvectors[0], sets, Z)


def test_the_circular_basis_spans_the_same_sets(at_gamma):
    modes, sets, vectors, _ = at_gamma
    for label in np.unique(sets):
        old, new = (m[:, sets == label] for m in (modes.eigenvectors[0], vectors))
        assert np.allclose(old @ old.conj().T, new @ new.conj().T, atol=1e-10)


def test_circulation_is_the_angular_momentum_of_the_motion(at_gamma):
    _, sets, vectors, circulation = at_gamma
    assert np.allclose(angular_momentum(vectors[None])[0] @ Z, circulation, atol=1e-10)
    block = np.einsum("a,amn->mn", Z, compute_angular_momentum_matrices(vectors[None])[0])
    same = sets[:, None] == sets
    assert np.allclose(block * same, np.diag(circulation), atol=1e-10)


def test_partners_circle_in_opposite_senses_at_gamma(at_gamma):
    _, sets, _, circulation = at_gamma
    for label in np.unique(sets):
        assert abs(circulation[sets == label].sum()) < 1e-8
    assert np.abs(circulation).max() > 0.1
