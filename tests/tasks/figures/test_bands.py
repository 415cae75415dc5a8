"""Drawn bands: every mode is there, sets are marked, labels stand side by side."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from tasks.chirality.bands import compute_band_structure
from tasks.chirality.modes import compute_frequencies
from tasks.chirality.settings import ChiralitySettings
from tasks.figures.bands import COLOURS, draw_band_structure, draw_charge_bands
from tasks.figures.density_of_states import HelicityDos
from tasks.figures.style import INK, SINGLE_COLUMN
from tests.crystals import quartz, spring_phonon, wurtzite

COARSE = ChiralitySettings(path_spacing=0.03)


@pytest.fixture(scope="module")
def chiral():
    return compute_band_structure(spring_phonon(quartz()), COARSE)


@pytest.fixture(scope="module")
def achiral():
    return compute_band_structure(spring_phonon(wurtzite()), COARSE)


def lines(figure) -> list[LineCollection]:
    return [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]


@pytest.mark.parametrize("colour", COLOURS)
def test_axes_carry_units_at_column_width(chiral, colour):
    figure = draw_band_structure(chiral, colour)
    assert figure.get_figwidth() == SINGLE_COLUMN
    assert figure.axes[0].get_ylabel() == r"Frequency $\nu$ ($\mathrm{THz}$)"
    if colour != "pam":
        assert r"\hbar" in figure.axes[-1].get_ylabel()


def test_every_mode_is_drawn_once_with_its_own_helicity(chiral):
    coloured = [line for line in lines(draw_band_structure(chiral)) if line.get_array() is not None]
    drawn = np.sort(np.concatenate([line.get_array() for line in coloured]))
    np.testing.assert_allclose(drawn, np.sort(chiral.helicity.ravel()))


def test_colour_scale_is_symmetric(chiral):
    [norm] = {
        line.norm for line in lines(draw_band_structure(chiral)) if line.get_array() is not None
    }
    assert norm.vmin == -norm.vmax
    assert norm.vmax >= np.abs(chiral.helicity).max()


def test_degenerate_sets_and_nothing_else_have_rims(achiral):
    ink = [0x22 / 255] * 3
    rims = [line for line in lines(draw_band_structure(achiral)) if line.get_array() is None]
    assert all(np.allclose(line.get_colors()[0][:3], ink) for line in rims if len(line.get_paths()))
    assert INK == "#222222"
    n_rims = sum(len(line.get_paths()) for line in rims)
    assert n_rims == (achiral.set_sizes > 1).sum()


def test_doublet_of_opposite_labels_is_drawn_as_two_strands(achiral):
    figure = draw_band_structure(achiral, "pam")
    axes = figure.axes[0]
    shifts = {
        round(float((line.get_transform() - axes.transData).frozen().transform((0, 0))[1]), 6)
        for line in lines(figure)
        if line.get_transform() is not axes.transData
    }
    shown = {text.get_text() for text in axes.get_legend().get_texts()}
    assert {"$-1$", "$+1$", "$-2$", "$+2$", "none"} <= shown
    assert len(shifts) >= 3


def test_names_of_screw_axes_stand_above_their_segments(achiral):
    texts = [text.get_text() for text in draw_band_structure(achiral, "pam").axes[0].texts]
    assert "$6_{3}$" in texts


def test_limits_hold_all_frequencies(chiral):
    low, high = draw_band_structure(chiral).axes[0].get_ylim()
    # What rounding leaves of the translations at Γ needs no room below zero.
    assert low <= chiral.frequencies.min() + 1e-3
    assert high >= chiral.frequencies.max()


def test_density_shares_the_scale_of_frequency(chiral):
    n_bins = 40
    density = HelicityDos(
        np.linspace(0, 20, n_bins + 1), np.ones(n_bins), np.ones(n_bins), np.ones((4, n_bins))
    )
    bands, beside = draw_band_structure(chiral, density=density).axes[:2]
    assert bands.get_ylim() == beside.get_ylim()
    assert "THz" in beside.get_xlabel()


def test_bands_with_and_without_charges_lie_on_each_other():
    charged = compute_band_structure(spring_phonon(wurtzite(), born=True), COARSE)
    without = compute_frequencies(spring_phonon(wurtzite()), charged.q_points)
    figure = draw_charge_bands(charged, without)
    drawn = figure.axes[0].get_lines()
    for style, frequencies in (("-", charged.frequencies), ("--", without)):
        found = [line.get_ydata() for line in drawn if line.get_linestyle() == style]
        curves = [f for rows in charged.segment_slices for f in frequencies[rows].T]
        assert len(found) >= len(curves)
        for curve in curves:
            assert any(np.array_equal(curve, y) for y in found)
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["with Born charges", "without"]
