"""Helicity over directions: its nodes and signs are those the point group asks for."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.chirality.brillouin import compute_inscribed_radius
from tasks.figures.texture import (
    compute_sphere_texture,
    compute_zone_cut,
    draw_cut_figure,
    draw_sphere_figure,
    find_main_axis,
    make_plane_frame,
)
from tests.crystals import (
    quartz,
    random_crystal,
    rocksalt,
    spring_phonon,
    transformed,
    wurtzite,
)

pytestmark = pytest.mark.slow

# Space groups of point groups -4, -4m2 (d waves), 3m (g) and 6mm (i).
ACHIRAL = (81, 115, 156, 183)


@pytest.fixture(scope="module")
def chiral():
    return spring_phonon(quartz())


def sign_changes(ring: np.ndarray) -> int:
    """Number of times the sign changes along a closed ring, the last point being the first."""
    signs = np.sign(ring[:-1])
    return int((signs != np.roll(signs, 1)).sum())


def test_s_wave_some_bands_keep_their_sign_over_the_sphere(chiral):
    h = compute_sphere_texture(chiral).helicity
    low, high = h.min(axis=(0, 1)), h.max(axis=(0, 1))
    assert ((low > 0) | (high < 0)).any()


def test_s_wave_of_the_mirror_image_is_the_opposite(chiral):
    mirrored = transformed(chiral, np.diag([1.0, 1.0, -1.0]))
    here, there = (compute_sphere_texture(phonon).mean for phonon in (chiral, mirrored))
    assert np.abs(here).max() > 0.05
    np.testing.assert_allclose(here, -there, atol=2e-3)


@pytest.mark.parametrize("number", ACHIRAL)
def test_no_band_of_an_achiral_crystal_keeps_its_sign(number):
    texture = compute_sphere_texture(spring_phonon(random_crystal(number, 1), 1))
    largest = np.abs(texture.helicity).max(axis=(0, 1))
    assert largest.max() > 1e-2
    np.testing.assert_allclose(texture.mean, 0.0, atol=5e-3 * largest.max())
    for band in np.flatnonzero(largest > 1e-3):
        assert texture.helicity[..., band].min() < 0 < texture.helicity[..., band].max()


def test_d_wave_has_four_nodes_around_its_axis_and_i_wave_twelve():
    fourfold = compute_sphere_texture(spring_phonon(random_crystal(115, 1), 1), axis=(0, 0, 1))
    sixfold = compute_sphere_texture(spring_phonon(wurtzite()), axis=(0, 0, 1))
    for texture, nodes in ((fourfold, 4), (sixfold, 12)):
        ring = texture.helicity[20]
        strongest = ring[:, np.abs(ring).max(axis=0).argmax()]
        assert sign_changes(strongest) >= nodes
        assert sign_changes(strongest) % nodes == 0


def test_centrosymmetric_crystal_has_no_helicity_anywhere():
    phonon = spring_phonon(rocksalt())
    assert np.abs(compute_sphere_texture(phonon).helicity).max() < 1e-6
    assert np.nanmax(np.abs(compute_zone_cut(phonon).angular_momentum)) < 1e-6


def test_sphere_has_the_radius_asked_for(chiral):
    texture = compute_sphere_texture(chiral, fraction=0.25)
    assert texture.radius == pytest.approx(0.25 * compute_inscribed_radius(chiral.primitive.cell))
    np.testing.assert_allclose(np.linalg.norm(texture.directions, axis=-1), 1.0)
    # The pole is along c, and all directions are in its hemisphere.
    np.testing.assert_allclose(texture.axis, (0, 0, 1), atol=1e-9)
    assert (texture.directions @ texture.axis > -1e-9).all()


def test_mean_over_the_sphere_counts_equal_areas(chiral):
    texture = compute_sphere_texture(chiral)
    cosine = texture.directions @ texture.axis
    probe = replace(texture, helicity=cosine[..., None] ** 2)
    assert probe.mean[0] == pytest.approx(1 / 3, abs=2e-3)


def test_cut_across_a_sixfold_axis_is_a_regular_hexagon():
    cut = compute_zone_cut(spring_phonon(wurtzite()))
    assert len(cut.boundary) == 6
    np.testing.assert_allclose(np.linalg.norm(cut.boundary, axis=1), 2 / 3 / 3.25)


def test_cut_obeys_time_reversal(chiral):
    cut = compute_zone_cut(chiral)
    np.testing.assert_array_equal(cut.inside, cut.inside[::-1, ::-1])
    np.testing.assert_allclose(cut.angular_momentum, -cut.angular_momentum[::-1, ::-1], atol=1e-5)
    np.testing.assert_allclose(cut.helicity, cut.helicity[::-1, ::-1], atol=1e-5)


def test_rashba_like_texture_of_wurtzite_turns_around_the_axis():
    cut = compute_zone_cut(spring_phonon(wurtzite()))
    q = np.stack(np.meshgrid(cut.q, cut.q), axis=-1) @ np.array([cut.across, cut.up])
    near = cut.inside & (np.linalg.norm(q, axis=-1) < 0.5 * np.abs(cut.boundary).max())
    radial = np.einsum("pa,pba->pb", q[near], cut.angular_momentum[near])
    turning = np.einsum("pa,pba->pb", np.cross(cut.normal, q[near]), cut.angular_momentum[near])
    band = np.abs(turning.mean(axis=0)).argmax()
    assert np.abs(radial[:, band]).max() < 0.3 * np.abs(turning[:, band]).max()


@pytest.mark.parametrize("normal", [(0, 0, 1), (1, 0, 0), (1, 1, 1), (-0.2, 3, 0.1)])
def test_frame_of_a_plane_is_right_handed(normal):
    frame = make_plane_frame(normal)
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(frame) == pytest.approx(1)
    np.testing.assert_allclose(frame[2], np.array(normal) / np.linalg.norm(normal))


def test_main_axis_of_a_crystal_without_axis_is_z():
    np.testing.assert_array_equal(find_main_axis(spring_phonon(random_crystal(1, 1), 1)), (0, 0, 1))


def test_figures_have_a_panel_for_each_band_asked_for(chiral):
    sphere = draw_sphere_figure(compute_sphere_texture(chiral), [0, 4, 5, 6, 8], title="quartz")
    drawn = [axes for axes in sphere.axes if axes.get_title().startswith("band")]
    assert [axes.get_title().split(",")[0] for axes in drawn] == [
        "band 1",
        "band 5",
        "band 6",
        "band 7",
        "band 9",
    ]
    assert r"\hbar" in drawn[0].get_title()
    cut = draw_cut_figure(compute_zone_cut(chiral), [0], title="quartz")
    assert r"\AA" in cut.axes[0].get_xlabel()
    assert r"\AA" in cut.axes[0].get_ylabel()
    assert "normal to (0 0 1)" in cut.get_suptitle()
