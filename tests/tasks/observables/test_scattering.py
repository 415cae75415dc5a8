"""One-phonon scattering is phonopy's, and only circular light tells two hands apart."""

import numpy as np
import pytest
from phonopy.physical_units import get_physical_units
from scipy.constants import angstrom, h, tera

from tasks.chirality.brillouin import make_irreducible_mesh
from tasks.observables.scattering import (
    Probe,
    compute_circular_proxy,
    compute_displacement_tensors,
    compute_one_phonon,
    compute_scattering_factors,
)
from tasks.phonons.mirror import make_mirror_image
from tests.crystals import quartz, rutile, spring_phonon, transformed, wurtzite, zincblende

Q_LINE = np.array([2.0, 1.0, 1.0]) + np.linspace(0, 1, 7)[1:-1, None] * [0.3, 0.1, 0.45]
LENGTHS = {"Si": 4.1491, "O": 5.803}
SPACING = 0.1


@pytest.fixture(scope="module")
def phonon():
    return spring_phonon(quartz(), 3)


@pytest.mark.parametrize("temperature", [10.0, 300.0])
def test_displacement_tensors_are_those_of_phonopy(phonon, temperature):
    found = compute_displacement_tensors(phonon, temperature, SPACING)
    _run_mesh(phonon)
    phonon.run_thermal_displacement_matrices(temperatures=[temperature], freq_min=0.01)
    expected = phonon.thermal_displacement_matrices.thermal_displacement_matrices[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_intensities_are_those_of_phonopy(phonon):
    """Those of phonopy are per unit of action, in m^2/J for b in Å."""
    _run_mesh(phonon)
    phonon.init_dynamic_structure_factor(
        Q_LINE, 300.0, scattering_lengths=LENGTHS, freq_min=0.01, freq_max=None
    )
    theirs = phonon.dynamic_structure_factor
    theirs.run()
    unit = h * tera / angstrom**2
    tensors = compute_displacement_tensors(phonon, 300.0, SPACING)
    found = compute_one_phonon(phonon, Q_LINE, 300.0, displacements=tensors)
    expected = theirs.dynamic_structure_factors * unit
    np.testing.assert_allclose(found.modes.frequencies, theirs.frequencies, atol=1e-6)
    np.testing.assert_allclose(found.intensities, expected, rtol=1e-3, atol=1e-6 * expected.max())
    assert get_physical_units().THz == tera


def test_form_factors_are_the_electrons_at_zero_and_fall(phonon):
    momenta = np.array([[0, 0, 0], [0, 0, 4.0], [0, 0, 8.0]])
    factors = compute_scattering_factors(["Si", "O", "Te1"], momenta, Probe.X_RAY)
    np.testing.assert_allclose(factors[0], [14, 8, 52])
    assert (np.diff(factors, axis=0) < 0).all()
    neutrons = compute_scattering_factors(["Si", "O"], momenta, Probe.NEUTRON)
    np.testing.assert_allclose(neutrons, np.tile([4.1491, 5.803], (3, 1)))


def test_a_map_holds_what_its_lines_hold(phonon):
    found = compute_one_phonon(phonon, Q_LINE, 100.0, Probe.X_RAY)
    grid = np.linspace(-5, found.modes.frequencies.max() + 5, 4000)
    total = found.compute_map(grid, 0.5).sum(axis=1) * (grid[1] - grid[0])
    np.testing.assert_allclose(total, found.intensities.sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize("probe", list(Probe))
def test_unpolarised_scattering_cannot_tell_two_hands_apart(phonon, probe):
    one, other = (
        compute_one_phonon(each, Q_LINE, 300.0, probe)
        for each in (phonon, make_mirror_image(phonon))
    )
    np.testing.assert_allclose(one.intensities, other.intensities, rtol=1e-5, atol=1e-9)


def test_circular_proxy_turns_round_with_the_hand_and_with_the_wave_vector(phonon):
    for element in ("Si", "O"):
        one, other = (
            compute_circular_proxy(each, Q_LINE, element, 300.0).intensities
            for each in (phonon, make_mirror_image(phonon))
        )
        back = compute_circular_proxy(phonon, -Q_LINE, element, 300.0).intensities
        largest = np.abs(one).max()
        assert largest > 1e-6
        np.testing.assert_allclose(one, -other, atol=1e-5 * largest)
        # The sense about Q stays, Q and l turn round: helicity is even.
        np.testing.assert_allclose(one, back, atol=1e-5 * largest)


def test_circular_proxy_needs_no_origin(phonon):
    one, other = (
        compute_circular_proxy(each, Q_LINE, "O", 300.0).intensities
        for each in (phonon, transformed(phonon, shift=(0.1, 0.2, 0.3)))
    )
    np.testing.assert_allclose(one, other, atol=1e-6 * np.abs(one).max())


def test_of_one_atom_the_proxy_is_its_helicity_in_the_first_zone():
    """In zincblende one atom of an element circles: |e_L*.e|^2 - |e_R*.e|^2 = l_k . Q / |Q|."""
    crystal = spring_phonon(zincblende(), 1)
    q = np.array([[0.21, 0.34, 0.05]])
    found = compute_circular_proxy(crystal, q, "S", 0.0, np.zeros((2, 3, 3)))
    vectors = found.modes.eigenvectors[0].reshape(2, 3, 6)[1]
    n = q[0] @ np.linalg.inv(crystal.primitive.cell).T
    turning = 2 * np.cross(vectors.real, vectors.imag, axis=0).T @ n / np.linalg.norm(n)
    ratio = found.intensities[0] * found.modes.frequencies[0]
    np.testing.assert_allclose(ratio / ratio.max(), turning / turning.max(), atol=1e-9)


def test_with_inversion_or_in_a_mirror_plane_the_proxy_is_zero():
    centred = compute_circular_proxy(spring_phonon(rutile(), 1), Q_LINE, "O", 300.0)
    assert np.abs(centred.intensities).max() < 1e-9
    # Gamma-M-L-A is a mirror plane of wurtzite.
    plane = compute_circular_proxy(spring_phonon(wurtzite(), 1), [[0.3, 0, 0.2]], "Zn", 300.0)
    assert np.abs(plane.intensities).max() < 1e-9


@pytest.mark.filterwarnings("ignore:Symmetry of Born effective charge")
def test_at_a_lattice_vector_a_line_has_the_modes_of_its_neighbourhood():
    """Along c the A2 modes of quartz are longitudinal; without a direction they would jump."""
    polar = spring_phonon(quartz(), 3, born=True)
    line = np.array([[0, 0, 1 - 1e-3], [0, 0, 1]])
    tensors = np.zeros((9, 3, 3))
    for compute in (
        lambda direction: compute_one_phonon(polar, line, 0.0, Probe.NEUTRON, tensors, direction),
        lambda direction: compute_circular_proxy(polar, line, "O", 0.0, tensors, direction),
    ):
        near, at = compute((0, 0, 1)).modes.frequencies[:, 3:]
        np.testing.assert_allclose(at, near, atol=0.02)
        near, at = compute(None).modes.frequencies[:, 3:]
        assert np.abs(at - near).max() > 0.1


def test_what_is_not_in_the_crystal_is_told(phonon):
    with pytest.raises(ValueError, match="holds O, Si"):
        compute_circular_proxy(phonon, Q_LINE, "Te", 300.0)
    with pytest.raises(ValueError, match="Q is zero"):
        compute_circular_proxy(phonon, np.zeros((1, 3)), "O", 300.0)


def _run_mesh(phonon):
    """The mesh of ours, without symmetry, in phonopy."""
    numbers = make_irreducible_mesh(phonon, SPACING).numbers
    phonon.run_mesh(numbers, with_eigenvectors=True, is_mesh_symmetry=False, is_gamma_center=True)
