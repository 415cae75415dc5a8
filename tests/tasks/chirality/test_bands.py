"""The band structure: what any force constants obey along the path, and how it is cut up."""

import numpy as np
import pytest

from tasks.chirality.bands import BandStructure, compute_band_structure
from tasks.chirality.settings import ChiralitySettings
from tests.crystals import quartz, spring_phonon, transformed, wurtzite, zincblende

COARSE = ChiralitySettings(path_spacing=0.03)


@pytest.fixture(scope="module")
def left() -> BandStructure:
    return compute_band_structure(spring_phonon(quartz()), COARSE)


@pytest.fixture(scope="module")
def right() -> BandStructure:
    mirrored = transformed(spring_phonon(quartz()), np.diag([1.0, 1.0, -1.0]))
    return compute_band_structure(mirrored, COARSE)


def test_mirror_image_has_the_same_frequencies_and_the_opposite_helicity(left, right):
    assert left.labels == right.labels
    np.testing.assert_allclose(left.frequencies, right.frequencies, atol=1e-5)
    assert np.abs(left.helicity).max() > 0.3
    np.testing.assert_allclose(left.helicity, -right.helicity, atol=2e-3)


def test_angular_momenta_of_all_bands_add_up_to_zero(left):
    np.testing.assert_allclose(left.angular_momentum.sum(axis=1), 0.0, atol=1e-5)


def test_helicity_and_cycloidicity_make_up_the_angular_momentum_inside_the_zone(left):
    inside = np.array([label == "" for label in left.labels])
    # Along Γ-M and Γ-A the points lie inside the zone, where q has one image only.
    chosen = inside & np.isin(left.segments, [0, 3])
    square = left.helicity[chosen] ** 2 + left.cycloidicity[chosen] ** 2
    np.testing.assert_allclose(square, (left.angular_momentum[chosen] ** 2).sum(axis=-1), atol=1e-5)


def test_component_along_z_is_the_helicity_on_the_axis(left):
    rows = left.segment_slices[3]  # Γ-A
    assert left.labels[rows.start] == "Γ"
    assert left.labels[rows.stop - 1] == "A"
    upwards = np.sign(left.q_points[rows.start + 1, 2])
    middle = slice(rows.start + 1, rows.stop - 1)
    np.testing.assert_allclose(
        upwards * left.project_angular_momentum((0, 0, 2))[middle], left.helicity[middle], atol=1e-5
    )


def test_screw_axis_labels_its_segment_and_no_point_beside_it(left):
    rows = left.segment_slices[3]
    assert (left.pam_order[rows] == 3).all()
    assert not np.isnan(left.pam_integer[rows.start + 1 : rows.stop - 1]).any()
    off = left.pam_order == 0
    assert off.any()
    assert np.isnan(left.pam_integer[off]).all()


def test_bands_of_a_set_share_their_numbers():
    bands = compute_band_structure(spring_phonon(wurtzite()), COARSE)
    assert bands.set_sizes.max() >= 2
    same = bands.sets[:, 1:] == bands.sets[:, :-1]
    np.testing.assert_array_equal(
        bands.angular_momentum[:, 1:][same], bands.angular_momentum[:, :-1][same]
    )


def test_ticks_name_both_sides_of_a_jump(left):
    names = [name for _, name in left.ticks]
    assert names[:4] == ["Γ", "M", "K", "Γ"]
    assert "A|L" in names
    distances = [distance for distance, _ in left.ticks]
    assert distances == sorted(distances)
    assert distances[0] == 0


def test_segments_cover_all_rows_once(left):
    covered = np.concatenate([np.arange(rows.start, rows.stop) for rows in left.segment_slices])
    np.testing.assert_array_equal(covered, np.arange(len(left.q_points)))


def test_crystal_without_angular_momentum_on_a_line_shows_none():
    bands = compute_band_structure(spring_phonon(zincblende()), COARSE)
    first = bands.segment_slices[0]  # Γ-X
    np.testing.assert_allclose(bands.angular_momentum[first], 0.0, atol=1e-6)


def test_direction_without_length_is_refused(left):
    with pytest.raises(ValueError, match="direction is zero"):
        left.project_angular_momentum((0, 0, 0))
