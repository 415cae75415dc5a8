"""Helicity density of states: read as it is stored, drawn with its sign."""

import numpy as np
import pytest

from tasks.figures.density_of_states import HelicityDos, draw_helicity_dos_figure

ROW = {
    "helicity_bin_width": 0.5,
    "helicity_dos": [0.2, -0.1, 0.0],
    "helicity_dos_absolute": [0.3, 0.2, 0.1],
    "helicity_harmonics": [0.2, 0.1, 0.0, *[0.0] * 3, 0.1, 0.1, 0.1, *[0.0] * 3],
}


@pytest.fixture(scope="module")
def density() -> HelicityDos:
    return HelicityDos.from_row(ROW)


def test_row_is_read_bin_by_bin(density):
    np.testing.assert_allclose(density.edges, [0, 0.5, 1.0, 1.5])
    np.testing.assert_array_equal(density.harmonics[2], [0.1, 0.1, 0.1])


def test_positive_and_negative_parts_are_drawn_apart_and_add_up(density):
    patches = draw_helicity_dos_figure(density).axes[0].patches
    filled = [patch.get_data().values for patch in patches if patch.get_fill()]
    np.testing.assert_allclose(sum(filled), density.chi)
    assert [np.sign(values).sum() for values in filled] == [1, -1]


def test_ratios_are_those_of_the_sums(density):
    axes = draw_helicity_dos_figure(density).axes
    texts = [place.texts[0].get_text() for place in axes[1:]]
    assert "$A_0$ = 0.50" in texts[0]
    assert "$A_2$ = 0" in texts[1]
    assert "$A_4$ = 0.50" in texts[2]


def test_axes_carry_units(density):
    axes = draw_helicity_dos_figure(density).axes
    assert r"\hbar" in axes[0].get_ylabel()
    assert "THz" in axes[-1].get_xlabel()
    assert len({place.get_ylim() for place in axes[1:]}) == 1
