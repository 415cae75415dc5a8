"""Pseudo-angular momentum: eigenvalues of T(g), whatever basis the eigensolver chose."""

import numpy as np
import pytest

from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.axes import find_rotation_axes, is_on_axis, rotate_modes
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.chirality.pam import (
    compute_label_weights,
    compute_pseudo_angular_momentum,
    label_modes,
    list_label_values,
)
from tests.crystals import (
    honeycomb,
    quartz,
    random_crystal,
    random_rotation,
    spring_phonon,
    transformed,
    wurtzite,
)
from tests.tasks.chirality.mixing import mix

TOLERANCE = 1e-4


def on_axis(phonon, axis, fractions=(0.0, 0.07, 0.21, 0.5)):
    """q-points along the axis, at fractions of the inverse of its lattice vector."""
    length = np.linalg.norm(axis.lattice_vector @ phonon.primitive.cell)
    return np.outer(fractions, phonon.primitive.cell @ axis.direction / length)


def labelled(phonon, q_points):
    modes = compute_modes(phonon, q_points)
    sets = find_degenerate_sets(modes.frequencies, TOLERANCE)
    return modes, sets, label_modes(phonon, modes, sets)


@pytest.mark.parametrize("number", [3, 4, 76, 80, 144, 146, 169, 173, 198])
def test_labels_add_up_to_the_trace_of_the_operation(number):
    """Sum over bands of exp(-2 pi i l_ph / n) = Tr T(q), and l_ph - m q_z is an integer mod n."""
    phonon = spring_phonon(random_crystal(number, 0))
    for axis in find_rotation_axes(phonon):
        q_points = on_axis(phonon, axis)
        modes = compute_modes(phonon, q_points)
        sets = find_degenerate_sets(modes.frequencies, TOLERANCE)
        labels = compute_pseudo_angular_momentum(modes, axis, sets)
        assert labels.purity.min() > 1 - 1e-6
        T = rotate_modes(
            axis, q_points, np.broadcast_to(np.eye(modes.n_bands), modes.eigenvectors.shape)
        )
        found = np.exp(-2j * np.pi * labels.raw / axis.order).sum(axis=1)
        np.testing.assert_allclose(found, np.trace(T, axis1=1, axis2=2), atol=1e-6)
        shift = axis.screw * (q_points @ axis.lattice_vector)[:, None]
        turns = (labels.raw - labels.integer - shift) / axis.order
        np.testing.assert_allclose(turns, np.rint(turns), atol=1e-8)


@pytest.mark.parametrize("number", [76, 152, 169, 198])
def test_label_of_a_single_mode_is_the_phase_of_its_rotation(number):
    """Measured on the mode, with no knowledge of m: l_ph = -(n / 2 pi) arg <e|T|e>."""
    phonon = spring_phonon(random_crystal(number, 1))
    axis = find_rotation_axes(phonon)[0]
    modes = compute_modes(phonon, on_axis(phonon, axis, (0.07, 0.21, 0.33)))
    sets = find_degenerate_sets(modes.frequencies, TOLERANCE)
    labels = compute_pseudo_angular_momentum(modes, axis, sets)
    turned = rotate_modes(axis, modes.q_points, modes.eigenvectors)
    expectation = (modes.eigenvectors.conj() * turned).sum(axis=1)
    alone = np.abs(expectation) > 1 - 1e-6
    measured = -axis.order / (2 * np.pi) * np.angle(expectation)
    turns = (measured - labels.raw) / axis.order
    assert alone.mean() > 0.5
    np.testing.assert_allclose(turns[alone], np.rint(turns[alone]), atol=1e-6)


@pytest.mark.parametrize("number", [75, 99, 147, 157, 183, 215])
def test_unitary_mixing_inside_degenerate_sets_changes_no_label(number):
    phonon = spring_phonon(random_crystal(number, 0))
    q_points = np.vstack([np.zeros(3), on_axis(phonon, find_rotation_axes(phonon)[0])])
    modes, sets, labels = labelled(phonon, q_points)
    mixed = label_modes(phonon, mix(modes, sets), sets)
    assert (np.diff(sets, axis=1) == 0).any()
    np.testing.assert_array_equal(mixed.integer, labels.integer)
    np.testing.assert_allclose(mixed.raw, labels.raw, atol=1e-8)
    np.testing.assert_allclose(mixed.purity, labels.purity, atol=1e-8)


def test_pairs_on_the_axis_of_wurtzite_are_plus_and_minus():
    """Mirrors through the six-fold axis pair +l with -l: doublets are {1, -1} or {2, -2}."""
    phonon = spring_phonon(wurtzite())
    q_points = on_axis(phonon, find_rotation_axes(phonon)[0], (0.1, 0.2))
    _, sets, labels = labelled(phonon, q_points)
    assert (labels.order == 6).all()
    for q in range(2):
        for label in np.unique(sets[q]):
            members = sorted(labels.integer[q, sets[q] == label])
            assert members in ([-2.0, 2.0], [-1.0, 1.0], [0.0], [3.0])


def test_cut_set_is_flagged():
    """Half of a mixed doublet has no label: purity below 1, and NaN where it is below 0.9."""
    phonon = spring_phonon(wurtzite())
    modes = compute_modes(phonon, on_axis(phonon, find_rotation_axes(phonon)[0], (0.1,)))
    sets = find_degenerate_sets(modes.frequencies, TOLERANCE)
    alone = np.arange(modes.n_bands)[None]
    labels = label_modes(phonon, mix(modes, sets), alone)
    paired = (sets[0][:, None] == sets[0]).sum(axis=0) == 2
    assert labels.purity[0, paired].max() < 1 - 1e-4
    assert labels.purity[0, paired].min() < 0.9
    np.testing.assert_array_equal(np.isnan(labels.integer), labels.purity < 0.9)
    assert np.isfinite(labels.integer[0, ~paired]).all()


@pytest.mark.parametrize("number", [76, 152, 169, 187])
def test_label_changes_sign_with_q(number):
    """Time reversal: l_ph(-q) = -l_ph(q) (mod n), band by band off the special points."""
    phonon = spring_phonon(random_crystal(number, 2))
    q_points = on_axis(phonon, find_rotation_axes(phonon)[0], (0.07, 0.21))
    _, sets, there = labelled(phonon, q_points)
    back = labelled(phonon, -q_points)[2]
    single = np.ones(sets.shape, dtype=bool)
    single[:, 1:] &= np.diff(sets) > 0
    single[:, :-1] &= np.diff(sets) > 0
    turns = (there.raw + back.raw)[single] / there.order[0]
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-6)


@pytest.mark.parametrize("number", [144, 152, 168, 187])
def test_rotation_shift_and_order_of_the_atoms_change_no_label(number):
    """K-like points included: the rotation centre is tied to the atoms, not to the origin."""
    phonon = spring_phonon(random_crystal(number, 1))
    order = np.random.default_rng(0).permutation(len(phonon.primitive))
    new = transformed(phonon, random_rotation(3), shift=(0.13, 0.29, 0.41), order=order)
    q_points = np.array([[0, 0, 0.2], [1 / 3, 1 / 3, 0.13], [0, 0, 0], [0.5, 0, 0.5]])
    before, after = (labelled(p, q_points)[2] for p in (phonon, new))
    np.testing.assert_array_equal(before.order, after.order)
    np.testing.assert_array_equal(before.screw, after.screw)
    np.testing.assert_array_equal(before.integer, after.integer)
    np.testing.assert_allclose(before.raw, after.raw, atol=1e-8)


@pytest.mark.parametrize("seed", range(2))
def test_mirror_image_has_the_opposite_labels(seed):
    """A mirror through the axis turns l into -l and the screw m into n - m at the same q.

    So l_ph + l_ph' = n q_z (mod n): the two screws add up to a lattice vector.
    """
    phonon = spring_phonon(quartz(), seed)
    mirror = transformed(phonon, np.diag([-1.0, 1.0, 1.0]))
    q_points = np.array([[0, 0, 0.1], [0, 0, 0.31]])
    one, other = (labelled(p, q_points)[2] for p in (phonon, mirror))
    assert set(one.screw) == {1}
    assert set(other.screw) == {2}
    np.testing.assert_array_equal(one.integer, -other.integer)
    turns = (one.raw + other.raw) / 3 - q_points[:, 2:]
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-6)


@pytest.mark.parametrize("number", [75, 143, 152, 168])
def test_transverse_acoustic_modes_turn_as_their_label_says(number):
    """As q -> 0 on the axis the TA modes are rigid circles: l = +-1 along it, and so is l_ph."""
    phonon = spring_phonon(random_crystal(number, 0))
    axis = find_rotation_axes(phonon)[0]
    modes = compute_modes(phonon, on_axis(phonon, axis, (0.01,)))
    sets = np.arange(modes.n_bands)[None]
    labels = compute_pseudo_angular_momentum(modes, axis, sets)
    angular_momentum = (
        compute_mean_angular_momentum(modes.eigenvectors, sets)[0, :3] @ axis.direction
    )
    np.testing.assert_allclose(sorted(angular_momentum), [-1, 0, 1], atol=0.01)
    np.testing.assert_allclose(labels.integer[0, :3], angular_momentum, atol=0.01)


def test_atom_at_the_rotation_centre_keeps_its_own_label_at_k():
    """Honeycomb at K: where only the centre's atom N moves, l_ph is its l_z; K' is the opposite."""
    phonon = spring_phonon(honeycomb())
    nitrogen = 3 * phonon.primitive.symbols.index("N")
    for sign in (1, -1):
        modes, sets, labels = labelled(phonon, [[sign / 3, sign / 3, 0]])
        weight = (np.abs(modes.eigenvectors[0, nitrogen : nitrogen + 3]) ** 2).sum(axis=0)
        angular_momentum = compute_mean_angular_momentum(modes.eigenvectors, sets)[0, :, 2]
        alone = np.flatnonzero((weight > 1 - 1e-8) & (np.abs(angular_momentum) > 0.5))
        assert len(alone) == 1
        assert labels.order[0] == 3
        assert labels.integer[0, alone[0]] == pytest.approx(angular_momentum[alone[0]], abs=1e-6)


def test_general_point_has_no_label():
    phonon = spring_phonon(random_crystal(152, 0))
    labels = labelled(phonon, [[0.11, 0.23, 0.31], [0, 0, 0.2]])[2]
    assert labels.order.tolist() == [0, 3]
    assert np.isnan(labels.raw[0]).all()
    assert np.isfinite(labels.raw[1]).all()
    assert not labels.axis[0].any()


def test_crystal_without_axes_has_no_labels():
    labels = labelled(spring_phonon(random_crystal(1, 0)), [[0, 0, 0]])[2]
    assert labels.order.tolist() == [0]
    assert np.isnan(labels.integer).all()


def test_axis_along_q_is_preferred_among_equals():
    """At X-like points of 222 all three two-fold axes keep q; the one along q gives the label."""
    phonon = spring_phonon(random_crystal(16, 0))
    labels = labelled(phonon, 0.5 * np.eye(3))[2]
    np.testing.assert_allclose(np.abs(np.einsum("qa,qa->q", labels.axis, np.eye(3))), 1, atol=1e-8)


def test_columns_of_the_mode_table():
    labels = labelled(spring_phonon(random_crystal(169, 0)), [[0, 0, 0.2], [0, 0, 0]])[2]
    columns = labels.columns
    assert list(columns) == ["pam_raw", "pam_integer", "pam_order", "pam_screw"]
    assert {c.shape for c in columns.values()} == {labels.raw.shape}
    assert (columns["pam_order"] == 6).all()
    assert (columns["pam_screw"] == 1).all()


@pytest.mark.parametrize("order", [2, 3, 4, 6])
def test_label_values(order):
    values = list_label_values(order)
    assert len(values) == order
    assert values.max() <= order / 2
    assert values.min() > -order / 2


def test_weights_of_all_labels_add_up_to_one():
    phonon = spring_phonon(random_crystal(169, 0))
    axis = find_rotation_axes(phonon)[0]
    modes = compute_modes(phonon, on_axis(phonon, axis))
    weights = compute_label_weights(modes, axis)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-10)
    assert weights.min() > -1e-10


def test_q_point_off_the_axis_is_refused():
    phonon = spring_phonon(random_crystal(169, 0))
    axis = find_rotation_axes(phonon)[0]
    modes = compute_modes(phonon, [[0.1, 0.2, 0.3]])
    assert not is_on_axis(axis, modes.q_points)[0]
    with pytest.raises(ValueError, match="not on the 6-fold axis"):
        compute_label_weights(modes, axis)
