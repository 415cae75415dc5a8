"""Elastic constants and sound: symmetry, relaxation of the atoms, Christoffel's equation."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from potentials import load_potential
from tasks.phonons import PhononSettings, compute_force_constants
from tasks.phonons.elasticity import (
    GPA,
    MANDEL,
    VOIGT,
    compute_elastic_constants,
    compute_sound_velocities,
    find_smallest_elastic_eigenvalue,
    measure_strain_responses,
    transform_to_mandel_basis,
)
from tasks.relaxation import RelaxationSettings, relax
from tests.crystals import random_crystal

pytestmark = pytest.mark.slow

SMALL = PhononSettings(min_supercell_length=6.0, max_atoms=64)
TIGHT = RelaxationSettings(max_force=1e-6, max_stress=1e-7)


@pytest.fixture(scope="module")
def silicon():
    """Relaxed silicon, its force constants and its response."""
    potential = load_potential("7net-0")
    [relaxed] = relax([bulk("Si", a=5.45)], potential, TIGHT)
    phonon = compute_force_constants(relaxed.atoms, potential, SMALL).phonon
    return relaxed.atoms, phonon, measure_strain_responses([relaxed.atoms], potential)[0]


def cubic(C11, C12, C44):
    """Elastic constants of a cubic crystal."""
    matrix = np.diag([C11 - C12] * 3 + [2 * C44] * 3)
    matrix[:3, :3] += C12
    return np.einsum("pq,pab,qcd->abcd", matrix, MANDEL, MANDEL)


def test_basis_of_symmetric_tensors_is_orthonormal():
    assert np.allclose(np.einsum("pab,qab->pq", MANDEL, MANDEL), np.eye(6))
    assert np.allclose(MANDEL, MANDEL.swapaxes(1, 2))
    assert all(MANDEL[p, a, b] > 0 for p, (a, b) in enumerate(VOIGT))


def test_silicon_has_three_elastic_constants(silicon):
    _, phonon, response = silicon
    constants = compute_elastic_constants(phonon, response)
    expected = cubic(constants[0, 0, 0, 0], constants[0, 0, 1, 1], constants[1, 2, 1, 2])
    assert np.allclose(constants, expected, atol=1e-6)
    assert np.allclose(constants, constants.transpose(2, 3, 0, 1))
    assert 120 < GPA * constants[0, 0, 0, 0] < 200
    assert find_smallest_elastic_eigenvalue(constants) > 50


def test_relaxing_atoms_only_softens(silicon):
    _, phonon, response = silicon
    change = transform_to_mandel_basis(
        response.stiffness - compute_elastic_constants(phonon, response)
    )
    assert np.linalg.eigvalsh(change).min() > -1e-9
    # Of silicon's strains, shear alone moves the atoms.
    assert np.allclose(change[:3, :3], 0, atol=1e-9)
    assert change[3, 3] > 0


def test_stress_of_a_sheared_and_relaxed_crystal_is_that_of_the_elastic_constants(silicon):
    atoms, phonon, response = silicon
    potential, shear = load_potential("7net-0"), 2e-3
    strain = np.array([[0, 0, 0], [0, 0, shear / 2], [0, shear / 2, 0]])
    other = phonon.primitive.s2p_map != phonon.primitive.p2s_map[0]
    opposite_motion = -2 * phonon.force_constants[0, other, 0, 0].sum()
    sheared = []
    for sign in (1, -1):
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array @ (np.eye(3) + sign * strain), scale_atoms=True)
        for _ in range(6):
            force = potential.evaluate([strained]).forces[0]
            strained.positions += force / opposite_motion
        assert np.abs(force).max() < 1e-5
        sheared.append(strained)
    stresses = potential.evaluate(sheared).stresses
    found = (stresses[0] - stresses[1])[1, 2] / (2 * shear)
    assert found == pytest.approx(compute_elastic_constants(phonon, response)[1, 2, 1, 2], rel=5e-3)


def test_forces_under_strain_add_up_to_zero_and_obey_the_tetrahedral_site(silicon):
    _, _, response = silicon
    assert np.abs(response.forces.sum(axis=0)).max() < 1e-12
    levi_civita = np.zeros((3, 3, 3))
    levi_civita[[0, 1, 2], [1, 2, 0], [2, 0, 1]] = 1
    even = levi_civita + levi_civita.swapaxes(1, 2)
    assert np.allclose(response.forces[0], response.forces[0, 0, 1, 2] * even, atol=1e-6)


def test_sound_of_a_cubic_crystal_along_its_axes():
    C11, C12, C44, density = 1.0, 0.4, 0.5, 1.5
    velocities = compute_sound_velocities(cubic(C11, C12, C44), density, [[2, 0, 0], [1, 1, 0]])
    # eV/u is (9.8227 km/s)^2.
    unit = 9.8226947 / np.sqrt(density)
    assert np.allclose(velocities[0], unit * np.sqrt([C44, C44, C11]), rtol=1e-6)
    along_110 = [(C11 - C12) / 2, C44, (C11 + C12 + 2 * C44) / 2]
    assert np.allclose(velocities[1], unit * np.sqrt(along_110), rtol=1e-6)


def test_unstable_shear_is_imaginary_sound():
    constants = cubic(1.0, 1.2, 0.5)
    assert find_smallest_elastic_eigenvalue(constants) == pytest.approx(-0.2 * GPA)
    assert compute_sound_velocities(constants, 1.0, [[1, 1, 0]])[0, 0] < 0


class _Broken:
    """A potential that gives no numbers."""

    card = None

    def evaluate(self, structures):
        found = load_potential("7net-0").evaluate(structures)
        return replace(found, stresses=np.full_like(found.stresses, np.nan))


def test_a_stress_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not a number"):
        measure_strain_responses([bulk("Si")], _Broken())


def test_response_turns_with_the_crystal():
    """A rotated crystal has the rotated response."""
    potential = load_potential("7net-0")
    atoms = Atoms("SeO", cell=[[3.1, 0, 0], [0.2, 3.4, 0], [0.1, 0.3, 3.9]], pbc=True)
    atoms.set_scaled_positions([[0, 0, 0], [0.45, 0.52, 0.6]])
    angle = 0.7
    R = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ R.T, scale_atoms=True)
    here, there = (
        measure_strain_responses([atoms], potential)[0],
        measure_strain_responses([turned], potential)[0],
    )
    forces = np.einsum("ae,bf,cg,kefg->kabc", R, R, R, here.forces)
    assert np.abs(there.forces - forces).max() < 1e-3 * np.abs(forces).max()


@pytest.mark.parametrize(
    ("number", "n_evaluations"), [(1, 12), (4, 8), (19, 6), (152, 6), (198, 2)]
)
def test_point_group_spares_strains_and_nothing_is_lost(number, n_evaluations):
    """The response of spared strains, from images of the others, is what the potential gives."""
    potential, atoms = _Counting(), random_crystal(number, seed=4, max_atoms=12)
    [response] = measure_strain_responses([atoms], potential)
    assert potential.n_evaluations == n_evaluations
    strained = []
    for sign in (1, -1):
        cell = atoms.copy()
        cell.set_cell(atoms.cell.array @ (np.eye(3) + sign * 1e-3 * MANDEL[4]), scale_atoms=True)
        strained.append(cell)
    found = load_potential("7net-0", dtype="float64").evaluate(strained)
    push = -(found.forces[0] - found.forces[1]) / 2e-3
    # Exchange of strains holds at rest only, which random crystals are not: forces alone compare,
    # and they are so large that the next order of the strain shows.
    assert np.allclose(
        np.einsum("kabc,bc->ka", response.forces, MANDEL[4]), push, atol=1e-2 * np.abs(push).max()
    )


class _Counting:
    """A potential that counts its evaluations."""

    n_evaluations = 0

    def evaluate(self, structures):
        self.n_evaluations += len(structures)
        return load_potential("7net-0", dtype="float64").evaluate(structures)


def test_stiffness_by_displacement_gradients_holds_under_stress():
    """Second differences of the energy under gradients that are not symmetric, of a squeezed cell.

    Its stress is anisotropic, and of the size of a tenth of the stiffness.
    """
    potential, step = load_potential("nequix-mp-1-pft"), 2e-3
    atoms = bulk("Si", a=5.4)
    atoms.set_cell(atoms.cell.array * [0.97, 0.97, 1.05], scale_atoms=True)
    [response] = measure_strain_responses([atoms], potential)
    assert np.ptp(np.diag(response.stress)) > 0.02
    for (a, g), (b, d) in (((0, 1), (0, 1)), ((0, 1), (1, 0)), ((2, 2), (0, 0)), ((0, 2), (2, 0))):
        cells = []
        for first, second in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            gradient = np.zeros((3, 3))
            gradient[a, g] += first * step
            gradient[b, d] += second * step
            moved = atoms.copy()
            moved.set_cell(atoms.cell.array @ (np.eye(3) + gradient).T, scale_atoms=True)
            cells.append(moved)
        energies = potential.evaluate(cells).energies
        found = np.dot([1, -1, -1, 1], energies) / (4 * step**2 * atoms.get_volume())
        assert response.gradient_stiffness[a, g, b, d] == pytest.approx(found, abs=2e-4)


def test_without_stress_both_stiffnesses_are_one(silicon):
    response = silicon[2]
    assert np.abs(response.stress).max() < 1e-4
    assert np.allclose(response.gradient_stiffness, response.stiffness, atol=1e-4)
