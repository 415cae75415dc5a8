"""The sum over dipoles is phonopy's, and obeys what holds for dipoles in any crystal."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from phonopy import Phonopy
from phonopy.harmonic.derivative_dynmat import DerivativeOfDynamicalMatrix

from tasks.chirality.axes import find_crystal_operations
from tasks.phonons.dipoles import separate_dipoles
from tasks.phonons.fourier import FourierSeries, make_dynamical_matrices
from tasks.symmetry.zone import move_to_first_zone
from tests.crystals import random_crystal, random_nac, spring_phonon, to_phonopy

Q_POINTS = np.random.default_rng(3).uniform(-0.5, 0.5, (7, 3))
SPECIAL = np.array([[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0.5], [0, 0, 0.2], [1e-3, 0, 0]])
DIRECTION = np.array([0.3, -0.1, 0.7])
# Crystals of the Materials Project with Born charges of DFT.
REAL = pd.read_parquet(Path(__file__).parents[1] / "training" / "data" / "born_charges.parquet")
NAMES = ("AlN", "NaCl", "ZnF2", "KLiS", "KH2N")


def charged_phonon(number, method="gonze"):
    phonon = spring_phonon(random_crystal(number, 0, max_atoms=12))
    phonon.nac_params = random_nac(phonon, np.random.default_rng(1)) | {"method": method}
    return phonon


def dipoles_of(formula):
    """Dipoles of a real crystal alone, and its phonopy object, with charges of DFT."""
    row = REAL.set_index("formula").loc[formula]
    atoms = Atoms(
        row["atomic_numbers"],
        cell=np.reshape(row["lattice"], (3, 3)),
        scaled_positions=np.reshape(row["frac_coords"], (-1, 3)),
    )
    phonon = Phonopy(to_phonopy(atoms), np.eye(3), primitive_matrix=np.eye(3))
    phonon.force_constants = np.zeros((len(atoms), len(atoms), 3, 3))
    born = np.reshape(row["born"], (-1, 3, 3)).astype(float)
    phonon.nac_params = {
        "born": born - born.mean(axis=0),
        "dielectric": np.reshape(row["dielectric"], (3, 3)).astype(float),
        "factor": 14.4,
    }
    return FourierSeries.from_dipoles(separate_dipoles(phonon.dynamical_matrix)[1]), phonon


@pytest.mark.parametrize("method", ["gonze", "wang"])
@pytest.mark.parametrize("number", [1, 19, 146, 186, 216])
@pytest.mark.parametrize("direction", [None, DIRECTION])
def test_matrices_are_those_of_phonopy(number, method, direction):
    """In the first zone; Gamma with and without a direction of approach among them."""
    phonon = charged_phonon(number, method)
    points = move_to_first_zone(np.vstack([Q_POINTS, SPECIAL]), phonon.primitive.cell)
    found = phonon.run_qpoints(points, with_dynamical_matrices=True, nac_q_direction=direction)
    matrices = make_dynamical_matrices(phonon)
    gauge = matrices.compute_phases(points)
    periodic = matrices.compute_periodic_matrices(points, direction)
    here = gauge.conj()[:, :, None] * periodic * gauge[:, None]
    expected = found.dynamical_matrices
    np.testing.assert_allclose(here, expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("method", ["gonze", "wang"])
@pytest.mark.parametrize("number", [1, 146, 216])
def test_gradients_are_those_of_phonopy(number, method):
    phonon = charged_phonon(number, method)
    points = move_to_first_zone(np.vstack([Q_POINTS, SPECIAL]), phonon.primitive.cell)
    gradients = make_dynamical_matrices(phonon).compute_gradients(points)
    derivative = DerivativeOfDynamicalMatrix(phonon.dynamical_matrix)
    for q, found in zip(points, gradients, strict=True):
        derivative.run(q)
        expected = derivative.d_dynamical_matrix
        expected = (expected + expected.conj().swapaxes(1, 2)) / 2
        np.testing.assert_allclose(found, expected, atol=1e-11 * np.abs(expected).max())


def test_many_q_points_are_as_each_by_itself(monkeypatch):
    """More of them than are summed up at a time."""
    phonon = charged_phonon(146)
    matrices = make_dynamical_matrices(phonon)
    whole = matrices.compute_matrices(Q_POINTS), matrices.compute_gradients(Q_POINTS)
    monkeypatch.setattr("tasks.phonons.dipoles._CHUNK_BYTES", 1)
    each = matrices.compute_matrices(Q_POINTS), matrices.compute_gradients(Q_POINTS)
    for one, other in zip(whole, each, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-13 * np.abs(one).max())


def test_every_image_of_the_zone_centre_is_the_zone_centre():
    matrices = make_dynamical_matrices(charged_phonon(186))
    images = np.array([[0, 0, 0], [1, 0, 0], [0, -2, 1], [1, 1, 1]], dtype=float)
    for direction in (None, DIRECTION):
        found = matrices.compute_periodic_matrices(images, direction)
        np.testing.assert_allclose(found, found[:1].repeat(4, axis=0), atol=1e-13)
    _, gradients = matrices.compute_gradient_parts(images)
    np.testing.assert_allclose(gradients, gradients[:1].repeat(4, axis=0), atol=1e-13)


@pytest.mark.parametrize("formula", NAMES)
def test_dipoles_that_move_together_feel_no_force(formula):
    """But for an antisymmetric part on sites of low symmetry, which no diagonal block can hold."""
    dipoles, phonon = dipoles_of(formula)
    n, root = len(phonon.primitive), np.sqrt(phonon.primitive.masses)
    [matrix] = dipoles.compute_matrices(np.zeros((1, 3)))
    forces = np.einsum("kajb,j->kab", matrix.reshape(n, 3, n, 3), root)
    rest = forces if formula != "KH2N" else forces + forces.swapaxes(1, 2)
    assert np.abs(rest).max() < 1e-12 * np.abs(matrix).max()


@pytest.mark.parametrize("formula", NAMES)
def test_reversal_of_time_conjugates_matrices(formula):
    dipoles, _ = dipoles_of(formula)
    there, back = (dipoles.compute_matrices(sign * Q_POINTS) for sign in (1, -1))
    np.testing.assert_allclose(back, there.conj(), atol=1e-13 * np.abs(there).max())
    np.testing.assert_allclose(there, there.conj().swapaxes(1, 2), atol=1e-14)


@pytest.mark.parametrize("formula", NAMES)
def test_matrices_of_a_star_have_the_same_eigenvalues(formula):
    dipoles, phonon = dipoles_of(formula)
    rotations = find_crystal_operations(phonon).rotations
    star = Q_POINTS[0] @ np.linalg.inv(rotations)
    assert len(star) >= 4
    values = np.linalg.eigvalsh(dipoles.compute_matrices(star))
    np.testing.assert_allclose(values, values[:1].repeat(len(star), 0), atol=1e-6 * values.max())


@pytest.mark.parametrize("formula", NAMES)
def test_the_field_at_gamma_is_that_of_the_polarization(formula):
    """What a direction n adds is 4 pi e²/V (n.Z_k)_a (n.Z_k')_b / (n.ε.n) over the masses."""
    dipoles, phonon = dipoles_of(formula)
    matrix, n = phonon.dynamical_matrix, np.array([0.6, 0.0, 0.8])
    q = phonon.primitive.cell @ n
    near, at = (dipoles.compute_matrices(factor * q[None])[0] for factor in (1e-4, 0))
    vector = (n @ matrix.born / np.sqrt(phonon.primitive.masses)[:, None]).ravel()
    expected = np.outer(vector, vector) * matrix.nac_factor / (n @ matrix.dielectric_constant @ n)
    np.testing.assert_allclose(near - at, expected, atol=2e-3 * np.abs(expected).max())
