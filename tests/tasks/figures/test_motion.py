"""Motion of the atoms: its angular momenta are those of the mode, whatever basis was handed in."""

import numpy as np
import pytest

from tasks.chirality.angular_momentum import project_spectrum
from tasks.chirality.bands import compute_band_structure, find_most_chiral_mode
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.figures.collection import draw_material_figures
from tasks.figures.material import read_material_data
from tasks.figures.motion import ModeMotion, compute_mode_motion, draw_motion_figure
from tests.crystals import quartz, spring_phonon, wurtzite
from tests.tasks.alloys import screened

ON_AXIS = (0.0, 0.0, 0.31)


@pytest.fixture(scope="module")
def chiral():
    return spring_phonon(quartz())


def turning(motion: ModeMotion) -> np.ndarray:
    """Sense of each atom's path, counter-clockwise positive."""
    u, v = motion.displacements[:, 0], motion.displacements[:, 1]
    return 2 * (u.conj() * v).imag


@pytest.mark.parametrize("band", [3, 7, 12])
def test_atoms_share_the_angular_momentum_of_the_mode(chiral, band):
    modes = compute_modes(chiral, ON_AXIS)
    spectrum = project_spectrum(
        modes.eigenvectors, find_degenerate_sets(modes.frequencies), np.array([0.0, 0.0, 1.0])
    )
    motion = compute_mode_motion(chiral, ON_AXIS, band, axis=(0, 0, 1))
    assert motion.set_size == 1
    assert motion.angular_momentum.sum() == pytest.approx(spectrum[0, band], abs=1e-9)


def test_paths_turn_in_the_sense_of_the_angular_momentum(chiral):
    motion = compute_mode_motion(chiral, ON_AXIS, 7, axis=(0, 0, 1))
    masses = np.asarray(chiral.primitive.masses)
    share = turning(motion) * masses
    np.testing.assert_allclose(
        share / np.abs(share).max(),
        motion.angular_momentum / np.abs(motion.angular_momentum).max(),
        atol=1e-9,
    )


def test_of_a_degenerate_set_the_mode_is_the_one_a_field_would_split_off():
    phonon = spring_phonon(wurtzite())
    modes = compute_modes(phonon, (0, 0, 0.2))
    sets = find_degenerate_sets(modes.frequencies)
    band = int(np.flatnonzero(np.diff(sets[0]) == 0)[-1])
    largest = np.abs(project_spectrum(modes.eigenvectors, sets, np.array([0.0, 0.0, 1.0]))[0, band])
    motion = compute_mode_motion(phonon, (0, 0, 0.2), band, axis=(0, 0, 1))
    assert motion.set_size == 2
    assert abs(motion.angular_momentum.sum()) == pytest.approx(largest, abs=1e-9)
    assert largest > 0.9
    assert "one of 2 degenerate modes" in draw_motion_figure(motion).axes[0].get_title()


@pytest.mark.slow
def test_the_mode_shown_is_the_one_that_pages_open_with(tmp_path):
    material = read_material_data(screened(tmp_path, "helix"), "helix")
    [(_, figure)] = draw_material_figures(material, ["motion"])
    bands = compute_band_structure(material.crystal, material.settings)
    row, band = find_most_chiral_mode(bands)
    q_text = ", ".join(f"{x:.3g}" for x in bands.q_points[row] + 0.0)
    title = figure.axes[0].get_title()
    assert f"q = ({q_text})" in title
    assert f"band {band + 1}, {bands.frequencies[row, band]:.2f}" in title


def test_band_that_does_not_exist_is_refused(chiral):
    with pytest.raises(ValueError, match="give one from 0 to 26"):
        compute_mode_motion(chiral, ON_AXIS, 27)


def test_figure_tells_lengths_and_angular_momenta_with_units(chiral):
    motion = compute_mode_motion(chiral, ON_AXIS, 7)
    figure = draw_motion_figure(motion, np.full(9, 0.4), title="quartz")
    paths, shares, polarization = figure.axes
    assert r"\AA" in paths.get_xlabel()
    assert r"\hbar" in shares.get_xlabel()
    assert polarization.get_xlim() == (0, 1)
    names = [label.get_text() for label in shares.get_yticklabels()]
    assert sorted(names) == ["O"] * 6 + ["Si"] * 3
