"""Springs know how stiff crystals are; the rest is learned from gradients."""

from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell

from potentials import load_potential
from tasks.relaxation.coordinates import find_invariant_displacements, find_invariant_strains
from tasks.relaxation.model_hessian import (
    compute_newton_step,
    compute_spring_hessian,
    update_hessian,
)
from tasks.symmetry.site_permutations import find_space_group
from tests.crystals import random_crystal

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[3] / "data" / "demo"
UNIFORM = np.eye(3)[None] / np.sqrt(3)


def patterns(atoms: Atoms) -> tuple[np.ndarray, np.ndarray]:
    group = find_space_group(atoms)
    return find_invariant_strains(group), find_invariant_displacements(group)


@pytest.mark.parametrize("number", [1, 19, 31, 152, 161, 198, 216])
def test_springs_hold_every_crystal(number):
    atoms = random_crystal(number, seed=3)
    hessian = compute_spring_hessian(atoms, *patterns(atoms))
    assert hessian == pytest.approx(hessian.T, rel=1e-12)
    assert np.linalg.eigvalsh(hessian).min() > 0


def test_stiffness_is_extensive():
    """Straining eight cells costs eight times the energy of straining one."""
    none = np.zeros((0, 2, 3)), np.zeros((0, 16, 3))
    cell = bulk("GaAs", "zincblende", a=5.65)
    supercell = make_supercell(cell, 2 * np.eye(3))
    one, eight = (
        compute_spring_hessian(cell, UNIFORM, none[0]),
        compute_spring_hessian(supercell, UNIFORM, none[1]),
    )
    assert eight == pytest.approx(8 * one, rel=1e-10)


def test_rigid_translation_meets_hardly_any_resistance():
    atoms = bulk("GaAs", "zincblende", a=5.65)
    together = np.full((1, 2, 3), 1 / np.sqrt(6))
    apart = together * np.array([1, -1])[:, None]
    no_strain = np.zeros((0, 3, 3))
    free, bound = (
        compute_spring_hessian(atoms, no_strain, field)[0, 0] for field in (together, apart)
    )
    assert free == pytest.approx(0.1)
    assert bound > 50 * free


@pytest.mark.parametrize("name", ["gaas", "diamond", "mgo", "nacl", "wc"])
def test_springs_know_the_bulk_modulus_within_a_factor_of_two(name):
    """7net-0 under uniform strain, from soft salts to the hardest crystals."""
    atoms = ase.io.read(DEMO / f"{name}.cif")
    step, volume = 0.01, atoms.get_volume()
    cells = [atoms.copy() for _ in range(2)]
    for cell, sign in zip(cells, (1, -1), strict=True):
        cell.set_cell(atoms.cell * (1 + sign * step / np.sqrt(3)), scale_atoms=True)
    found = load_potential("7net-0", dtype="float32", parity=False).evaluate(cells)
    slopes = [np.trace(s) / np.sqrt(3) * volume for s in found.stresses]
    springs = compute_spring_hessian(atoms, UNIFORM, np.zeros((0, len(atoms), 3)))[0, 0]
    assert 0.5 < (slopes[0] - slopes[1]) / (2 * step) / springs < 2


HESSIAN = np.array([[1.5, 0.3, 0.0], [0.3, 0.7, -0.2], [0.0, -0.2, -1.1]])


def test_quadratic_energy_is_learned_in_as_many_steps_as_dimensions():
    """Steps in any independent directions, and curvatures of any sign."""
    hessian = np.eye(3)
    for step in np.random.default_rng(4).normal(size=(3, 3)):
        hessian = update_hessian(hessian, step, HESSIAN @ step)
    assert hessian == pytest.approx(HESSIAN, abs=1e-10)


@pytest.mark.parametrize(
    ("step", "change"), [([0, 0], [0, 0]), ([0, 0], [1, 2]), ([1, 0], [1, 1]), ([1, 2], [1, 2])]
)
def test_step_that_tells_nothing_changes_nothing(step, change):
    """No step, a surprise across the step, and none."""
    assert (update_hessian(np.eye(2), np.array(step), np.array(change)) == np.eye(2)).all()


def test_steps_go_downhill_whatever_the_curvature():
    """A Newton step proper where curvatures are positive; up to a saddle it never goes."""
    gradient = np.array([0.2, -0.1, 0.3])
    positive = HESSIAN @ HESSIAN
    assert positive @ compute_newton_step(positive, gradient) == pytest.approx(-gradient)
    assert gradient @ compute_newton_step(HESSIAN, gradient) < 0
    assert np.linalg.norm(compute_newton_step(np.zeros((3, 3)), gradient)) < 20 * 0.5


def followed(gradient: Callable[[np.ndarray], np.ndarray], start: float, n_steps: int) -> float:
    """Where quasi-Newton steps of at most 0.3 lead along one coordinate."""
    x, hessian = np.array([start]), np.eye(1)
    for _ in range(n_steps):
        step = np.clip(compute_newton_step(hessian, gradient(x)), -0.3, 0.3)
        hessian = update_hessian(hessian, step, gradient(x + step) - gradient(x))
        x = x + step
    return float(x[0])


@pytest.mark.parametrize("start", [0.01, -0.01])
def test_maximum_is_left(start):
    """From near the top of a double well the way goes down the nearer side of it."""
    assert followed(lambda x: 4 * x**3 - x, start, 15) == pytest.approx(np.copysign(0.5, start))


def test_anharmonic_bond_relaxes():
    """A Morse bond stretched by half the width of its well."""
    found = followed(lambda x: (1 - np.exp(-x)) * np.exp(-x), 0.5, 6)
    assert found == pytest.approx(0, abs=1e-5)
