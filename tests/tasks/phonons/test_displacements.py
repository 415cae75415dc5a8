"""Directions of displacements: few evaluations, well conditioned, for every site group."""

from functools import cache
from itertools import combinations

import numpy as np
import pytest
import spglib

from potentials import Equivariance
from tasks.phonons.displacements import (
    choose_directions,
    count_site_evaluations,
    find_site_operations,
)
from tasks.symmetry import find_dataset
from tests.crystals import hall_numbers, random_crystal, random_rotation

O3, SO3 = Equivariance.O3, Equivariance.SO3

# Site group: evaluations for a potential of either symmetry. A direction takes one where an
# operation (SO(3): an improper one) reverses it, and two elsewhere.
EVALUATIONS = {
    "1": (6, 6), "-1": (3, 3), "2": (3, 4), "m": (4, 4), "2/m": (2, 2), "222": (2, 2),
    "mm2": (2, 2), "mmm": (1, 1), "4": (2, 2), "-4": (2, 2), "4/m": (1, 1), "422": (1, 2),
    "4mm": (2, 2), "-42m": (1, 2), "4/mmm": (1, 1), "3": (2, 2), "-3": (1, 1), "32": (1, 2),
    "3m": (2, 2), "-3m": (1, 1), "6": (2, 2), "-6": (2, 2), "6/m": (1, 1), "622": (1, 2),
    "6mm": (2, 2), "-6m2": (1, 2), "6/mmm": (1, 1), "23": (1, 2), "m-3": (1, 1), "432": (1, 2),
    "-43m": (1, 1), "m-3m": (1, 1),
}  # fmt: skip
CASES = [(name, kind, n[i]) for name, n in EVALUATIONS.items() for i, kind in enumerate((O3, SO3))]


@cache
def fractional_group(name: str) -> np.ndarray:
    """Rotations of a point group in a conventional basis."""
    for hall in hall_numbers().values():
        if spglib.get_spacegroup_type(hall).pointgroup_international == name:
            return np.unique(spglib.get_symmetry_from_database(hall)["rotations"], axis=0)
    raise KeyError(name)


@cache
def cartesian_group(name: str, seed: int = 0) -> np.ndarray:
    """Rotations of a point group in a random orientation."""
    rotations = fractional_group(name)
    frame = np.linalg.cholesky(sum(r.T @ r for r in rotations).astype(float)).T
    frame = random_rotation(seed) @ frame
    return frame @ rotations @ np.linalg.inv(frame)


def reversing(rotations: np.ndarray, vector: np.ndarray, equivariance: Equivariance) -> bool:
    """Whether an operation that counts carries a vector to its opposite."""
    counting = rotations if equivariance is O3 else rotations[np.linalg.det(rotations) < 0]
    return bool((np.abs(counting @ vector + vector).max(axis=1, initial=0) < 1e-9).any())


def images_of(rotations: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """All images of some vectors under a group, (n, 3)."""
    return np.einsum("gij,vj->gvi", rotations, vectors).reshape(-1, 3)


@pytest.mark.parametrize(("name", "equivariance", "n_evaluations"), CASES)
def test_number_of_evaluations_of_each_site_group(name, equivariance, n_evaluations):
    directions = choose_directions(cartesian_group(name), equivariance)
    assert directions.n_evaluations == n_evaluations
    assert count_site_evaluations(fractional_group(name), equivariance) == n_evaluations


@pytest.mark.parametrize(("name", "equivariance", "n_evaluations"), CASES)
def test_images_span_space_evenly(name, equivariance, n_evaluations):
    rotations = cartesian_group(name)
    vectors = choose_directions(rotations, equivariance).vectors
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0)
    images = images_of(rotations, vectors)
    singular = np.linalg.svd(images / np.sqrt(len(images)), compute_uv=False)
    assert singular.min() > 0.5 - 1e-9


@pytest.mark.parametrize(("name", "equivariance", "n_evaluations"), CASES)
def test_unpaired_directions_are_those_an_operation_reverses(name, equivariance, n_evaluations):
    rotations = cartesian_group(name)
    directions = choose_directions(rotations, equivariance)
    for vector, paired in zip(directions.vectors, directions.paired, strict=True):
        assert paired != reversing(rotations, vector, equivariance)


@pytest.mark.parametrize(("name", "equivariance", "n_evaluations"), CASES)
def test_no_other_directions_take_fewer(name, equivariance, n_evaluations):
    """Against random vectors, among them some that each operation reverses."""
    rotations, rng = cartesian_group(name), np.random.default_rng(1)
    vectors = list(rng.normal(size=(4, 3)))
    for rotation in rotations:
        values, rows = np.linalg.svd(rotation + np.eye(3))[1:]
        reversed_space = rows[values < 1e-9]
        vectors += [rng.normal(size=len(reversed_space)) @ reversed_space for _ in range(2)]
    vectors = np.array([v / np.linalg.norm(v) for v in vectors if v.any()])
    costs = np.array([1 if reversing(rotations, v, equivariance) else 2 for v in vectors])
    images = np.einsum("gij,vj->vgi", rotations, vectors)
    moments = np.einsum("vgi,vgj->vij", images, images) / len(rotations)
    for size in (1, 2, 3):
        sets = np.array(list(combinations(range(min(len(vectors), 25)), size)))
        cheaper = sets[costs[sets].sum(axis=1) < n_evaluations]
        assert not (np.linalg.eigvalsh(moments[cheaper].mean(axis=1))[:, 0] > 1e-6).any()


@pytest.mark.parametrize("number", [1, 38, 99, 152, 161, 186, 198, 216, 227])
def test_site_operations_are_the_site_group(number):
    """They carry the atom onto itself, and there are as many as the orbit leaves."""
    atoms = random_crystal(number, seed=2)
    found, positions = find_dataset(atoms, 1e-5), atoms.get_scaled_positions()
    for site, position in enumerate(positions):
        chosen = find_site_operations(atoms, found, site)
        images = found.rotations[chosen] @ position + found.translations[chosen]
        assert np.abs(images - position - np.rint(images - position)).max() < 1e-6
        rotations = {r.tobytes() for r in found.rotations[chosen]}
        products = found.rotations[chosen][:, None] @ found.rotations[chosen]
        assert {r.tobytes() for r in products.reshape(-1, 3, 3)} == rotations


@pytest.mark.parametrize("name", ["3m", "mm2", "2", "-42m"])
def test_orientation_does_not_matter(name):
    """Turned site groups take as many evaluations, equally well conditioned."""
    for seed in range(1, 5):
        rotations = cartesian_group(name, seed)
        images = images_of(rotations, choose_directions(rotations, SO3).vectors)
        singular = np.linalg.svd(images / np.sqrt(len(images)), compute_uv=False)
        assert singular.min() == pytest.approx(1 / np.sqrt(3))
