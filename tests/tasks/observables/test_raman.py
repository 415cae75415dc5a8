"""Lines of circular Raman scattering split where the crystal has a hand."""

import numpy as np
import pytest

from tasks.chirality.modes import compute_modes
from tasks.observables.raman import compute_raman_lines, estimate_refractive_index
from tasks.phonons.mirror import make_mirror_image
from tests.crystals import quartz, spring_phonon, wurtzite

LASER = (532.0, 1.5)


@pytest.fixture(scope="module")
def phonon():
    return spring_phonon(quartz(), 3)


def test_quartz_shows_a1_in_parallel_and_e_in_crossed_channels(phonon):
    """D3: 4 A1 and 8 E; A2 has no Raman tensor."""
    [lines] = compute_raman_lines(phonon, *LASER)
    sizes = {name: lines.sizes[np.array(lines.channels) == name] for name in set(lines.channels)}
    assert {name: list(found) for name, found in sizes.items()} == {
        "RR LL": [1] * 4,
        "RL LR": [2] * 8,
    }


def test_the_phonon_has_twice_the_wave_vector_of_the_light(phonon):
    [lines] = compute_raman_lines(phonon, *LASER)
    assert lines.wave_number == pytest.approx(2 * 2 * np.pi * 1.5 / 5320)


def test_crossed_lines_split_by_what_the_modes_at_that_wave_vector_differ(phonon):
    [lines] = compute_raman_lines(phonon, *LASER)
    k = lines.wave_number / (2 * np.pi) * lines.axis.direction
    frequencies = compute_modes(phonon, phonon.primitive.cell @ k).frequencies[0]
    for nu, channel, splitting in zip(
        lines.frequencies, lines.channels, lines.splittings, strict=True
    ):
        if channel == "RL LR":
            near = np.sort(frequencies[np.argsort(np.abs(frequencies - nu))[:2]])
            assert near[1] - near[0] == pytest.approx(abs(splitting), rel=1e-3)
        else:
            assert splitting == 0


def test_splittings_turn_round_with_the_hand_and_vanish_without_one(phonon):
    [one], [other] = (
        compute_raman_lines(each, *LASER) for each in (phonon, make_mirror_image(phonon))
    )
    assert np.abs(one.splittings).max() > 1e-3
    np.testing.assert_allclose(one.splittings, -other.splittings, atol=1e-6)
    for lines in compute_raman_lines(spring_phonon(wurtzite(), 1), *LASER):
        assert not lines.splittings.any()


@pytest.mark.filterwarnings("ignore:Symmetry of Born effective charge")
def test_the_refractive_index_is_known_with_charges_only(phonon):
    polar = spring_phonon(quartz(), 3, born=True)
    mean = np.trace(polar.nac_params["dielectric"]) / 3
    assert estimate_refractive_index(polar) == pytest.approx(np.sqrt(mean))
    assert estimate_refractive_index(phonon) is None
