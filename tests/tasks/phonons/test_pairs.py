"""Force constants from forces, and their symmetries, are those that phonopy and symfc find."""

import numpy as np
import pytest
from phonopy import Phonopy

from tasks.phonons.pairs import PairGroup
from tests.crystals import random_crystal, spring_crystal, to_phonopy, zincblende


def crystal(number):
    atoms = zincblende() if number == 216 else random_crystal(number, seed=1, max_atoms=12)
    return to_phonopy(atoms)


def phonon_of(number, matrix=(2, 2, 2)):
    return Phonopy(crystal(number), np.diag(matrix), primitive_matrix=np.eye(3))


@pytest.mark.parametrize("number", [1, 4, 9, 19, 82, 152, 186, 216])
def test_projection_is_that_of_symfc(number):
    phonon = phonon_of(number)
    shape = (len(phonon.primitive), len(phonon.supercell), 3, 3)
    constants = np.random.default_rng(number).normal(size=shape)
    found = PairGroup(phonon).symmetrize(constants)
    phonon.force_constants = constants.copy()
    phonon.symmetrize_force_constants(use_symfc_projector=True, show_drift=False)
    np.testing.assert_allclose(found, phonon.force_constants, atol=1e-11)
    assert np.abs(found - constants).max() > 0.1


@pytest.mark.filterwarnings("ignore:Warning. Point group symmetries")
def test_projection_in_a_supercell_that_lacks_operations_of_the_crystal():
    phonon = phonon_of(152, (3, 2, 1))
    shape = (len(phonon.primitive), len(phonon.supercell), 3, 3)
    constants = np.random.default_rng(0).normal(size=shape)
    assert len(PairGroup(phonon)._operations) < len(phonon.primitive_symmetry.atomic_permutations)
    phonon.force_constants = constants.copy()
    phonon.symmetrize_force_constants(use_symfc_projector=True, show_drift=False)
    found = PairGroup(phonon).symmetrize(constants)
    np.testing.assert_allclose(found, phonon.force_constants, atol=1e-11)


def test_force_constants_of_a_spring_model_stay():
    """Also where the unit cell is not primitive and the supercell is skew."""
    phonon = spring_crystal(4)
    doubled = Phonopy(phonon.primitive, np.diag([2, 1, 1]), primitive_matrix=np.eye(3)).supercell
    skew = Phonopy(
        doubled, [[1, 0, 1], [0, 2, 0], [0, 0, 2]], primitive_matrix=np.diag([0.5, 1, 1])
    )
    shape = (len(skew.primitive), len(skew.supercell), 3, 3)
    once = PairGroup(skew).symmetrize(np.random.default_rng(1).normal(size=shape))
    np.testing.assert_allclose(PairGroup(skew).symmetrize(once), once, atol=1e-12)
    whole = PairGroup(phonon).symmetrize(phonon.force_constants)
    scale = np.abs(whole).max()
    np.testing.assert_allclose(whole, phonon.force_constants, atol=1e-10 * scale)


@pytest.mark.parametrize("number", [1, 4, 19, 152, 186, 216])
def test_force_constants_from_forces_are_those_of_phonopy(number):
    phonon = phonon_of(number)
    phonon.generate_displacements(distance=0.01, is_plusminus=False)
    moves = phonon.dataset["first_atoms"]
    shape = (len(moves), len(phonon.supercell), 3)
    forces = np.random.default_rng(number).normal(size=shape)
    sites = np.array([move["number"] for move in moves])
    vectors = np.array([move["displacement"] for move in moves])
    found = PairGroup(phonon).solve(sites, vectors, forces)
    phonon.forces = forces
    phonon.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
    scale = np.abs(found).max()
    np.testing.assert_allclose(found, phonon.force_constants, atol=1e-9 * scale)


def displaced_everywhere(phonon):
    """Every inequivalent atom displaced in three directions, with any forces."""
    atoms = phonon.primitive_symmetry.get_independent_atoms()
    sites = np.repeat(phonon.primitive.p2s_map[atoms], 3)
    forces = np.random.default_rng(2).normal(size=(len(sites), len(phonon.supercell), 3))
    return sites, np.tile(0.01 * np.eye(3), (len(atoms), 1)), forces


def test_any_image_of_an_atom_may_be_displaced():
    phonon = phonon_of(19)
    sites, vectors, forces = displaced_everywhere(phonon)
    expected = PairGroup(phonon).solve(sites, vectors, forces)
    translation = phonon.primitive.atomic_permutations[3]
    assert (translation[sites] != sites).all()
    moved = np.empty_like(forces)
    moved[:, translation] = forces
    found = PairGroup(phonon).solve(translation[sites], vectors, moved)
    np.testing.assert_allclose(found, expected, atol=1e-9 * np.abs(expected).max())


def test_atoms_whose_displacements_are_missing_have_no_force_constants():
    phonon = phonon_of(19)
    sites, vectors, forces = displaced_everywhere(phonon)
    found = PairGroup(phonon).solve(sites[3:], vectors[3:], forces[3:])
    lost = np.isnan(found).any(axis=(1, 2, 3))
    assert 0 < lost.sum() < len(lost)
