"""Circular Raman visibility and the splitting of opposite hands."""

from collections import Counter

import numpy as np
import pytest

from tasks.chirality.axes import find_rotation_axes, select_principal_axes
from tasks.chirality.modes import compute_modes
from tasks.chirality.pam import compute_pseudo_angular_momentum
from tasks.chirality.raman import (
    CHANNELS,
    find_raman_visibility,
    measure_branch_splitting,
    measure_branch_splittings,
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

NAMES = ["".join(channel) for channel in CHANNELS]


def channels(raman, mode):
    return {NAMES[c] for c in np.flatnonzero(raman.visible[mode])}


def test_quartz_shows_a1_in_parallel_and_e_in_crossed_channels():
    """Gamma of alpha-quartz: 4 A1 + 4 A2 + 8 E optical; A2 is silent, E splits into RL and LR."""
    (raman,) = find_raman_visibility(spring_phonon(quartz()))
    seen = Counter(frozenset(channels(raman, mode)) for mode in range(27))
    expected = {
        frozenset({"RR", "LL"}): 4,
        frozenset({"RL"}): 8,
        frozenset({"LR"}): 8,
        frozenset(): 4 + 3,
    }
    assert seen == expected
    doublets = np.diff(raman.frequencies) < 1e-6
    for mode in np.flatnonzero(doublets & (raman.frequencies[1:] > 1)):
        assert {frozenset(channels(raman, m)) for m in (mode, mode + 1)} == {
            frozenset({"RL"}),
            frozenset({"LR"}),
        }


@pytest.mark.parametrize(
    ("number", "rules"),
    [
        (75, {0: {"RR", "LL"}, 1: set(), -1: set(), 2: {"RL", "LR"}}),
        (143, {0: {"RR", "LL"}, 1: {"RL"}, -1: {"LR"}}),
        (168, {0: {"RR", "LL"}, 1: set(), -1: set(), 2: {"LR"}, -2: {"RL"}, 3: set()}),
    ],
)
def test_selection_by_pseudo_angular_momentum(number, rules):
    """C3 shows E, C4 shows B, C6 shows E2; in these groups nothing else restricts the tensor."""
    (raman,) = find_raman_visibility(spring_phonon(random_crystal(number, 0)))
    optical = raman.frequencies > 0.1
    assert optical.sum() == len(optical) - 3
    for mode in np.flatnonzero(optical):
        assert channels(raman, mode) == rules[int(raman.pam[mode])]
        assert {NAMES[c] for c in np.flatnonzero(raman.selected[mode])} == rules[
            int(raman.pam[mode])
        ]


@pytest.mark.parametrize(("number", "born"), [(152, True), (157, False), (187, True), (75, True)])
def test_translations_are_never_visible(number, born):
    for raman in find_raman_visibility(spring_phonon(random_crystal(number, 0), born=born)):
        assert not raman.visible[np.argsort(np.abs(raman.frequencies))[:3]].any()


def test_longitudinal_mode_of_zincblende_along_its_axis():
    """With charges the F2 mode splits: LO (label 0) is seen by RR, LL; TO (+-1) by RL, LR."""
    (raman,) = find_raman_visibility(spring_phonon(zincblende(), born=True))
    assert raman.axis.order == 3
    shown = [channels(raman, mode) for mode in np.argsort(raman.frequencies)]
    assert shown[-1] == {"RR", "LL"}
    assert sorted(map(sorted, shown[3:5])) == [["LR"], ["RL"]]
    assert raman.frequencies.max() > np.sort(raman.frequencies)[-2] + 1e-3


def test_visibility_turns_with_the_crystal():
    phonon = spring_phonon(random_crystal(143, 1))
    (before,) = find_raman_visibility(phonon)
    (after,) = find_raman_visibility(transformed(phonon, random_rotation(2)))
    np.testing.assert_array_equal(before.pam, after.pam)
    np.testing.assert_array_equal(before.visible, after.visible)


def test_crystal_without_an_axis_of_order_three_or_more():
    phonon = spring_phonon(random_crystal(16, 0))
    assert find_raman_visibility(phonon) == ()
    assert measure_branch_splittings(phonon) == ()


@pytest.mark.parametrize("number", [76, 144, 152, 169, 178, 198])
def test_doublets_split_linearly_and_acoustic_pair_quadratically(number):
    """Signed coefficients against the modes at one small q, told apart by their labels."""
    phonon = spring_phonon(random_crystal(number, 0))
    for split in measure_branch_splittings(phonon):
        k = 1.5e-3
        q = phonon.primitive.cell @ split.axis.direction * k / (2 * np.pi)
        modes = compute_modes(phonon, q)
        alone = np.arange(modes.n_bands)[None]
        labels = compute_pseudo_angular_momentum(modes, split.axis, alone).integer[0]
        frequencies = modes.frequencies[0]
        for start, label, slope in zip(split.frequencies, split.labels, split.linear, strict=True):
            plus, minus = (_nearest(frequencies[labels == s * label], start) for s in (1, -1))
            assert plus - minus == pytest.approx(slope * k, rel=2e-2, abs=2e-5)
        plus, minus = (frequencies[:3][labels[:3] == sign] for sign in (1, -1))
        assert plus - minus == pytest.approx(split.acoustic_quadratic * k**2, rel=3e-2)


def _nearest(values, target):
    return values[np.abs(values - target).argmin()]


def test_splitting_scales_with_q():
    """Halving q halves the splitting of a doublet and quarters that of the acoustic pair."""
    phonon = spring_phonon(quartz())
    cell = phonon.primitive.cell
    q_points = np.outer([0.004, 0.002], cell @ [0, 0, 1.0])
    frequencies = phonon.run_qpoints(q_points).frequencies
    acoustic = frequencies[:, 1] - frequencies[:, 0]
    assert acoustic[0] / acoustic[1] == pytest.approx(4, rel=1e-2)
    (split,) = measure_branch_splittings(phonon)
    start = split.frequencies[np.abs(split.linear).argmax()]
    nearest = np.sort(np.argsort(np.abs(frequencies - start), axis=1)[:, :2], axis=1)
    pair = np.take_along_axis(frequencies, nearest, axis=1)
    gap = pair[:, 1] - pair[:, 0]
    assert gap[0] / gap[1] == pytest.approx(2, rel=1e-2)


@pytest.mark.parametrize("number", [76, 152, 169, 198])
def test_mirror_image_splits_the_other_way(number):
    phonon = spring_phonon(random_crystal(number, 1))
    mirror = transformed(phonon, np.diag([1.0, 1.0, -1.0]))
    for one, other in zip(
        measure_branch_splittings(phonon), measure_branch_splittings(mirror), strict=True
    ):
        assert one.maximum == pytest.approx(other.maximum, abs=1e-8)
        np.testing.assert_allclose(one.linear, -other.linear, atol=1e-5)
        assert one.acoustic_quadratic == pytest.approx(-other.acoustic_quadratic, abs=1e-4)


@pytest.mark.parametrize("number", [152, 169])
def test_rotation_of_the_crystal_changes_no_splitting(number):
    phonon = spring_phonon(random_crystal(number, 0))
    for R in (random_rotation(1), np.diag([1.0, -1.0, -1.0])):
        (one,), (other,) = (
            measure_branch_splittings(phonon),
            measure_branch_splittings(transformed(phonon, R)),
        )
        assert one.maximum == pytest.approx(other.maximum, abs=1e-8)
        np.testing.assert_allclose(one.linear, other.linear, atol=1e-5)
        assert one.acoustic_quadratic == pytest.approx(other.acoustic_quadratic, abs=1e-4)


@pytest.mark.parametrize("phonon", [spring_phonon(wurtzite()), spring_phonon(zincblende())])
def test_mirror_planes_through_the_axis_forbid_any_splitting(phonon):
    (axis,) = select_principal_axes(phonon)
    split = measure_branch_splitting(phonon, axis)
    assert split.maximum < 1e-7
    np.testing.assert_allclose(split.linear, 0, atol=1e-5)
    assert measure_branch_splittings(phonon) == ()


def test_horizontal_mirror_forbids_it_too():
    """In -6 the mirror across the axis carries (q, l) to (-q, l), time reversal on to (q, -l)."""
    phonon = spring_phonon(random_crystal(174, 0))
    (axis,) = select_principal_axes(phonon)
    assert measure_branch_splitting(phonon, axis).maximum < 1e-7


def test_two_fold_axis_is_refused():
    phonon = spring_phonon(random_crystal(3, 0))
    with pytest.raises(ValueError, match="two-fold"):
        measure_branch_splitting(phonon, find_rotation_axes(phonon)[0])
