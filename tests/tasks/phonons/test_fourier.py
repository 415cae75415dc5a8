"""The Fourier series gives phonopy's dynamical matrices and their derivatives."""

import numpy as np
import pytest
from phonopy import Phonopy
from phonopy.harmonic.derivative_dynmat import DerivativeOfDynamicalMatrix

from tasks.phonons.fourier import make_dynamical_matrices
from tests.crystals import random_crystal, spring_crystal, spring_phonon, to_phonopy

Q_POINTS = np.random.default_rng(3).uniform(-1, 1, (7, 3))


@pytest.mark.parametrize("number", [1, 9, 19, 82, 152, 198, 216])
def test_matrices_are_those_of_phonopy(number):
    phonon = spring_crystal(number)
    expected = phonon.run_qpoints(Q_POINTS, with_dynamical_matrices=True).dynamical_matrices
    found = make_dynamical_matrices(phonon).compute_matrices(Q_POINTS)
    np.testing.assert_allclose(found, expected, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("number", [1, 152, 216])
def test_gradients_are_those_of_phonopy(number):
    phonon = spring_crystal(number)
    derivative = DerivativeOfDynamicalMatrix(phonon.dynamical_matrix)
    for q, found in zip(
        Q_POINTS, make_dynamical_matrices(phonon).compute_gradients(Q_POINTS), strict=True
    ):
        derivative.run(q)
        expected = derivative.d_dynamical_matrix
        expected = (expected + expected.conj().swapaxes(1, 2)) / 2
        np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("full", [True, False])
def test_force_constants_of_a_skew_supercell_without_exchange_symmetry(full):
    """Phonopy takes the Hermitian part, and so does the series; compact or full does not matter."""
    atoms = random_crystal(4, seed=2, max_atoms=6)
    phonon = Phonopy(to_phonopy(atoms), [[2, 0, 1], [0, 2, 0], [-1, 0, 2]], primitive_matrix="P")
    sites = len(phonon.supercell)
    rng = np.random.default_rng(0)
    phonon.force_constants = rng.normal(
        size=(sites if full else len(phonon.primitive), sites, 3, 3)
    )
    expected = phonon.run_qpoints(Q_POINTS, with_dynamical_matrices=True).dynamical_matrices
    found = make_dynamical_matrices(phonon).compute_matrices(Q_POINTS)
    np.testing.assert_allclose(found, expected, atol=1e-13 * np.abs(expected).max())


def test_series_follows_the_force_constants():
    """It is kept, but not beyond the force constants it was made of."""
    phonon = spring_phonon(random_crystal(19))
    before = make_dynamical_matrices(phonon)
    assert make_dynamical_matrices(phonon) is before
    phonon.force_constants = 2 * phonon.force_constants
    after = make_dynamical_matrices(phonon)
    np.testing.assert_allclose(after.coefficients, 2 * before.coefficients)
