"""Exported modes are motions of the crystal, and the one shown first carries angular momentum."""

import json

import numpy as np
import pytest
import yaml
from ase.io import read
from phonopy.harmonic.force_constants import compact_fc_to_full_fc

from tasks.chirality import ChiralitySettings
from tasks.chirality.bands import compute_band_structure, find_most_chiral_mode
from tasks.failures import RemediableError
from tasks.phonons.mirror import make_mirror_image
from tasks.results.building import build_catalog
from tasks.results.export import ModeChoice, export_for_euphonic, export_modes
from tasks.results.export_modes import make_moving_mode, write_animation, write_displaced
from tasks.screening.plan import plan_screening
from tests.crystals import quartz, spring_phonon, wurtzite
from tests.tasks.alloys import carry_out, intake_of, write_alloys

pytestmark = pytest.mark.slow

SETTINGS = ChiralitySettings(path_spacing=0.05)


@pytest.fixture(scope="module")
def phonon():
    return spring_phonon(quartz(), 3)


def test_forces_along_a_mode_are_those_of_its_frequency(phonon):
    """F = -M w^2 u: in the supercell of the force constants, where they act on every atom."""
    size = int(phonon.supercell_matrix[0, 0])
    mode = make_moving_mode(phonon, [1 / size, 0, 1 / size], 7, amplitude=1e-3)
    supercell = phonon.supercell
    at_rest = mode.atoms.copy()
    here = at_rest.cell.scaled_positions(supercell.positions) * [1, size, 1]
    there = at_rest.get_scaled_positions(wrap=False) * [1, size, 1]
    apart = here[:, None] - there
    image = np.abs(apart - np.rint(apart)).max(axis=-1)
    order = image.argmin(axis=1)
    assert image.min(axis=1).max() < 1e-8
    u = (mode.displace(0.3).positions - at_rest.positions)[order]
    constants = compact_fc_to_full_fc(phonon.primitive, phonon.force_constants)
    forces = -np.einsum("ijab,jb->ia", constants, u)
    squared = (mode.frequency / phonon.unit_conversion_factor) ** 2
    np.testing.assert_allclose(forces, -squared * supercell.masses[:, None] * u, atol=1e-9)


def test_the_mode_shown_first_carries_helicity_and_its_mirror_image_the_opposite(phonon):
    bands = compute_band_structure(phonon, SETTINGS)
    row, band = find_most_chiral_mode(bands)
    assert band > 2
    assert np.abs(bands.helicity[row, band]) == pytest.approx(np.abs(bands.helicity[:, 3:]).max())
    assert np.abs(bands.helicity[row, band]) > 0.3
    one, other = (
        make_moving_mode(each, bands.q_points[row], band)
        for each in (phonon, make_mirror_image(phonon))
    )
    assert one.frequency == pytest.approx(other.frequency, abs=1e-6)
    assert one.circulation == pytest.approx(bands.helicity[row, band], abs=1e-6)
    assert other.circulation == pytest.approx(-one.circulation, abs=1e-6)


def test_where_mirror_planes_forbid_helicity_the_largest_angular_momentum_is_shown():
    bands = compute_band_structure(spring_phonon(wurtzite(), 1), SETTINGS)
    row, band = find_most_chiral_mode(bands)
    size = np.linalg.norm(bands.angular_momentum[:, 3:], axis=-1)
    assert np.abs(bands.helicity[:, 3:]).max() < 1e-3
    assert size[row, band - 3] == pytest.approx(size.max(), abs=1e-6)


def test_an_animation_is_one_period_and_starts_with_the_displaced_crystal(phonon, tmp_path):
    mode = make_moving_mode(phonon, [0, 0, 1 / 3], 5)
    frames = read(write_animation(mode, tmp_path / "mode.xyz"), ":")
    displaced = read(write_displaced(mode, tmp_path / "mode.vasp"))
    assert len(frames[0]) == len(displaced) == 3 * len(phonon.primitive)
    np.testing.assert_allclose(displaced.cell, frames[0].cell, atol=1e-6)
    for symbol in ("Si", "O"):
        one, other = (atoms.positions[atoms.symbols == symbol] for atoms in (frames[0], displaced))
        assert np.linalg.norm(one[:, None] - other, axis=-1).min(axis=1).max() < 1e-6
    mean = np.mean([frame.positions for frame in frames], axis=0)
    np.testing.assert_allclose(mean, mode.atoms.positions, atol=1e-6)
    largest = max(np.linalg.norm(f.positions - mean, axis=1).max() for f in frames)
    assert 0.2 < largest < 0.31
    assert frames[0].info["frequency_THz"] == pytest.approx(mode.frequency)


@pytest.mark.parametrize(
    ("q_point", "band"), [((0, 0, 0.12345), 4), ((1 / 3, 0, 0), 27), ((0.01, 0.013, 0.5), 4)]
)
def test_what_no_supercell_holds_is_refused_with_advice(phonon, q_point, band):
    with pytest.raises(RemediableError) as raised:
        make_moving_mode(phonon, q_point, band)
    assert raised.value.remedy.startswith("give")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    source = write_alloys(tmp_path_factory.mktemp("alloys"), "helix")
    context = intake_of(source, tmp_path_factory.mktemp("dataset"))
    carry_out(plan_screening(context), context)
    build_catalog(context.dataset)
    return context.dataset


def test_files_of_a_screened_crystal_show_all_bands_of_the_path(dataset, tmp_path):
    mode, paths = export_modes(dataset, "helix", tmp_path / "out")
    assert abs(mode.circulation) > 0.3
    assert [path.name for path in paths] == [
        "helix-mode.xyz",
        "helix-mode.vasp",
        "helix-phononwebsite.json",
    ]
    website = json.loads(paths[2].read_text())
    assert np.shape(website["vectors"])[:2] == np.shape(website["eigenvalues"])
    choice = ModeChoice((0.0, 0.0, 0.25), 4)
    chosen, _ = export_modes(dataset, "helix", tmp_path / "out", choice)
    assert (chosen.band, tuple(chosen.q_point)) == (4, (0.0, 0.0, 0.25))
    with pytest.raises(RemediableError, match="no material"):
        export_modes(dataset, "helis", tmp_path / "out")


def test_euphonic_finds_whole_cells_of_the_supercell(dataset, tmp_path):
    """It takes atoms in supercell fractions times the matrix for those in primitive fractions."""
    path = export_for_euphonic(dataset, "helix", tmp_path)
    content = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    matrix = np.array(content["supercell_matrix"])
    atoms = content["supercell"]["points"]
    places = np.array([atom["coordinates"] for atom in atoms]) @ matrix
    first = np.array([atom["reduced_to"] - 1 for atom in atoms])
    apart = places - places[first]
    assert np.abs(apart - np.rint(apart)).max() < 1e-6
    assert np.array(content["force_constants"]["elements"]).size == 9 * len(set(first)) * len(first)
