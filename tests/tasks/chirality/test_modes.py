"""Modes: phase convention, normalisation, imaginary frequencies, and refusals."""

import numpy as np
import pytest
from phonopy import Phonopy

from tasks.chirality.modes import Modes, compute_modes
from tests.crystals import (
    random_crystal,
    spring_crystal,
    spring_phonon,
    to_phonopy,
    transformed,
    wurtzite,
    zincblende,
)

Q_POINTS = np.array([[0.11, -0.23, 0.37], [0.5, 0.5, 0.0], [0.02, 0.0, 0.01]])


def dynamical_matrix(phonon, q_point):
    """D of the definition, atom by atom, with r(l'k') - r(0k) of the shortest image."""
    primitive, supercell = phonon.primitive, phonon.supercell
    vectors, multiplicities = primitive.get_smallest_vectors()
    wave = 2 * np.pi * q_point
    n = len(primitive)
    matrix = np.zeros((n, 3, n, 3), dtype=complex)
    for k in range(n):
        for site in range(len(supercell)):
            other = primitive.p2p_map[primitive.s2p_map[site]]
            count, start = multiplicities[site, k]
            phase = np.exp(1j * vectors[start : start + count] @ wave).mean()
            mass = np.sqrt(primitive.masses[k] * primitive.masses[other])
            matrix[k, :, other] += phonon.force_constants[k, site] * phase / mass
    return matrix.reshape(3 * n, 3 * n)


@pytest.mark.parametrize("number", [1, 76, 198])
def test_eigenvectors_solve_the_dynamical_matrix_of_the_stated_convention(number):
    """Positions stand in the phase with exp(+i q.(r' - r)): the sign of l hangs on it."""
    phonon = spring_crystal(number)
    modes = compute_modes(phonon, Q_POINTS)
    factor = phonon.unit_conversion_factor
    for q_point, frequencies, vectors in zip(
        Q_POINTS, modes.frequencies, modes.eigenvectors, strict=True
    ):
        matrix = dynamical_matrix(phonon, q_point) * factor**2
        residual = matrix @ vectors - vectors * (frequencies * np.abs(frequencies))
        assert np.abs(residual).max() < 1e-8 * np.abs(matrix).max()


def test_eigenvectors_are_orthonormal():
    vectors = compute_modes(spring_crystal(19), Q_POINTS).eigenvectors
    overlaps = vectors.conj().swapaxes(1, 2) @ vectors
    np.testing.assert_allclose(overlaps, np.broadcast_to(np.eye(24), overlaps.shape), atol=1e-12)


def test_imaginary_frequencies_are_negative():
    """Reversing all force constants makes every mode imaginary, of the same size."""
    atoms = wurtzite()
    stable = spring_phonon(atoms)
    unstable = Phonopy(to_phonopy(atoms), stable.supercell_matrix, primitive_matrix=np.eye(3))
    unstable.force_constants = -stable.force_constants
    expected = -compute_modes(stable, Q_POINTS).frequencies[:, ::-1]
    np.testing.assert_allclose(compute_modes(unstable, Q_POINTS).frequencies, expected, atol=1e-9)


@pytest.mark.parametrize("make", [zincblende, wurtzite, lambda: random_crystal(146, 0)])
def test_with_charges_modes_are_those_of_any_image_of_their_wave_vector(make):
    """Phonopy's sum over dipoles is not periodic: far from Gamma it is off by 0.01 THz and more."""
    phonon = spring_phonon(make(), born=True)
    shifts = np.array([[1, 0, 0], [0, 2, -1], [1, 1, 1]])
    here, there = compute_modes(phonon, Q_POINTS), compute_modes(phonon, Q_POINTS + shifts)
    np.testing.assert_allclose(there.frequencies, here.frequencies, atol=1e-9)
    phases = np.exp(-2j * np.pi * shifts @ phonon.primitive.scaled_positions.T).repeat(3, axis=1)
    np.testing.assert_allclose(
        projectors(there), phases[:, :, None] * projectors(here) * phases.conj()[:, None], atol=1e-8
    )
    straight = phonon.run_qpoints(Q_POINTS + shifts).frequencies
    assert np.abs(straight - here.frequencies).max() > 1e-3


def projectors(modes):
    """Dynamical matrices up to unit and power: they do not depend on the basis of doublets."""
    vectors = modes.eigenvectors
    return vectors * modes.frequencies[:, None] @ vectors.conj().swapaxes(1, 2)


def test_direction_of_approach_splits_the_polar_modes_at_gamma():
    """With charges the limit q -> 0 depends on the direction, and is the limit of small q."""
    phonon = spring_phonon(wurtzite(), born=True)
    without = compute_modes(phonon, [0, 0, 0]).frequencies
    for direction in np.eye(3)[[0, 2]]:
        limit = compute_modes(phonon, [0, 0, 0], nac_direction=direction).frequencies
        near = compute_modes(phonon, 1e-4 * direction).frequencies
        np.testing.assert_allclose(limit[:, 3:], near[:, 3:], atol=1e-3)
        assert limit.max() > without.max() - 1e-9
        assert np.abs(limit - without).max() > 0.01


def test_a_single_q_point_and_a_selection():
    phonon = spring_crystal(19)
    modes = compute_modes(phonon, Q_POINTS)
    assert len(modes) == 3
    assert modes.n_bands == 3 * len(phonon.primitive)
    np.testing.assert_array_equal(modes[1:2].frequencies[0], modes.frequencies[1])
    np.testing.assert_allclose(
        compute_modes(phonon, Q_POINTS[1]).frequencies, modes[[1]].frequencies, atol=1e-10
    )


def test_missing_force_constants_are_refused():
    phonon = Phonopy(to_phonopy(wurtzite()), np.eye(3), primitive_matrix=np.eye(3))
    with pytest.raises(ValueError, match="no force constants"):
        compute_modes(phonon, Q_POINTS)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_force_constants_that_are_no_numbers_are_refused(bad):
    """The compiled eigensolver would end in a panic that no handler of exceptions catches."""
    phonon = spring_phonon(wurtzite())
    broken = np.array(phonon.force_constants)
    broken[0, 0, 0, 0] = bad
    phonon.force_constants = broken
    with pytest.raises(ValueError, match="NaN or infinite"):
        compute_modes(phonon, Q_POINTS)


def test_charges_in_a_left_handed_cell_are_refused():
    """Without charges the hand of the cell does not matter; with them phonopy loses the dipoles."""
    charges = spring_phonon(wurtzite(), born=True).nac_params
    mirrored = transformed(spring_phonon(wurtzite()), np.diag([1.0, 1.0, -1.0]))
    assert compute_modes(mirrored, Q_POINTS).frequencies.min() > 0
    mirrored.nac_params = charges
    with pytest.raises(ValueError, match="exchange two lattice vectors"):
        compute_modes(mirrored, Q_POINTS)


def test_arrays_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match=r"eigenvectors \(nq, 3n, 3n\)"):
        Modes(np.zeros((2, 3)), np.zeros((2, 6)), np.zeros((2, 6, 5), dtype=complex))
