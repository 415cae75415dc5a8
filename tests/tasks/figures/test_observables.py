"""Pictures of what instruments see show the numbers of the tables."""

import numpy as np
import pytest

from tasks.conditions import Conditions
from tasks.figures.observables import FIGURES
from tasks.observables.moments import measure_magnetic_moments
from tasks.observables.topology import find_nodal_points
from tasks.units import UNITS, UnitName
from tests.crystals import quartz, spring_phonon

pytestmark = pytest.mark.filterwarnings("ignore:Symmetry of Born effective charge")
UNIT = UNITS[UnitName.INVERSE_CENTIMETRE]


def draw(phonon, kind):
    return FIGURES[kind](phonon, Conditions(), "quartz", UNIT)


def test_nodal_points_stand_on_the_bands_with_their_charges():
    phonon = spring_phonon(quartz(), 3)
    axes = draw(phonon, "topology").axes[0]
    bands = np.concatenate([line.get_xydata() for line in axes.lines if len(line.get_xdata()) > 2])
    named = {text.get_text() for text in axes.get_legend().get_texts()}
    nodes = find_nodal_points(phonon)
    charges = {f"{node.charge:+d}".replace("-", "−") for node in nodes if node.charge is not None}
    assert charges <= named <= charges | {"open"}
    assert len(charges) > 1
    shown = np.concatenate([dots.get_offsets() for dots in axes.collections])
    scale = np.ptp(bands, axis=0)
    apart = np.linalg.norm((shown[:, None] - bands) / scale, axis=-1).min(axis=1)
    assert apart.max() < 0.01
    at_gamma = [UNIT.per_terahertz * node.frequency for node in nodes if node.label == "Γ"]
    heights = shown[np.isclose(shown[:, 0], 0), 1]
    np.testing.assert_allclose(np.sort(heights), np.sort(at_gamma), rtol=1e-6)


def test_zeeman_splittings_at_gamma_are_those_of_the_table():
    phonon = spring_phonon(quartz(), 3, born=True)
    above, _ = draw(phonon, "moments").axes
    ends = [np.array(lines.get_segments())[:, 1, 1] for lines in above.collections]
    found = measure_magnetic_moments(phonon, np.zeros((1, 3)))
    largest = found.zeeman[0].max()
    assert largest > 1e-8
    np.testing.assert_allclose(np.array(ends).T, found.zeeman[0], atol=1e-9 * largest)
    assert "meV/T" in above.get_ylabel()
