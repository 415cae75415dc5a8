"""Supercells keep symmetry and distance; force constants obey their sum rules."""

import numpy as np
import pytest
from ase.build import bulk

from potentials import load_potential
from tasks.failures import RemediableError
from tasks.invariants import space_group_of
from tasks.phonons import (
    PhononSettings,
    cell_of_atoms,
    commensurate_frequencies,
    displaced_supercells,
    force_constants,
    phonopy_of,
)
from tasks.relaxation import RelaxationSettings, relax
from tasks.supercells import choose_supercell, nearest_image_distance
from tests.crystals import random_crystal

SMALL = PhononSettings(min_supercell_length=6.0, max_atoms=64)


@pytest.fixture(scope="module")
def silicon():
    potential = load_potential("7net-0")
    [relaxed] = relax([bulk("Si", a=5.45)], potential, RelaxationSettings())
    return force_constants(relaxed.atoms, potential, SMALL)


@pytest.mark.parametrize("number", [1, 5, 19, 38, 82, 99, 122, 144, 152, 161, 186, 198, 212, 216])
def test_supercell_keeps_the_point_group_and_the_distance(number):
    atoms = random_crystal(number, seed=4)
    matrix = choose_supercell(atoms, min_length=9.0, max_atoms=2000)
    supercell = matrix.T @ atoms.cell.array
    assert nearest_image_distance(supercell) >= 9.0
    for rotation in space_group_of(atoms).rotations:
        image = supercell @ rotation.T @ np.linalg.inv(supercell)
        assert np.allclose(image, np.rint(image), atol=1e-6)


def test_no_smaller_diagonal_supercell_would_do():
    atoms = bulk("Si")
    matrix = choose_supercell(atoms, min_length=10.0, max_atoms=200)
    n_cells = round(abs(np.linalg.det(matrix)))
    assert n_cells == 27
    assert nearest_image_distance(2 * atoms.cell.array) < 10.0


def test_bound_on_atoms_holds_and_gives_the_largest_distance():
    matrix = choose_supercell(bulk("Si"), min_length=30.0, max_atoms=64)
    assert 2 * round(abs(np.linalg.det(matrix))) <= 64
    assert nearest_image_distance(matrix.T @ bulk("Si").cell.array) >= 10.8


def test_too_large_a_primitive_cell_is_refused_with_a_remedy():
    with pytest.raises(RemediableError, match="8 atoms, more than the limit of 6") as caught:
        choose_supercell(bulk("Si", cubic=True), min_length=10.0, max_atoms=6)
    assert "--max-atoms" in caught.value.remedy


def test_only_inequivalent_atoms_are_displaced():
    assert len(displaced_supercells(bulk("Si"), SMALL).displacements) == 1
    assert len(displaced_supercells(bulk("MgO", "rocksalt", a=4.2), SMALL).displacements) == 2


def test_force_constants_obey_sum_rule_and_permutation(silicon):
    constants = silicon.phonon.force_constants
    assert np.abs(constants.sum(axis=1)).max() < 1e-10
    first = silicon.phonon.primitive.p2s_map
    onsite = constants[np.arange(len(first)), first]
    assert np.allclose(onsite, onsite.transpose(0, 2, 1), atol=1e-12)
    # What symmetrisation changed is noise of the displacements, not physics.
    assert 0 < silicon.symmetrisation < 0.02 * np.abs(constants).max()


def test_silicon_is_stable_and_threefold_degenerate_at_gamma(silicon):
    frequencies = commensurate_frequencies(silicon.phonon)
    n_q = round(abs(np.linalg.det(silicon.phonon.supercell_matrix)))
    assert len(frequencies) == 6 * n_q - 3
    assert frequencies.min() > 1.0
    optical = silicon.phonon.run_qpoints([[0, 0, 0]]).frequencies[0, 3:]
    assert np.ptp(optical) < 1e-4
    assert 11.0 < optical.mean() < 15.0


def test_forces_of_the_undisplaced_crystal_do_not_matter(silicon):
    """Off the minimum the residual forces are subtracted: harmonic terms stay nearly the same."""
    potential = load_potential("7net-0")
    zincblende = bulk("ZnS", "zincblende", a=5.42)
    moved = zincblende.copy()
    moved.positions[1] += 1e-4
    at_rest = force_constants(zincblende, potential, SMALL).phonon
    off = force_constants(moved, potential, SMALL).phonon
    highest = [p.run_qpoints([[0.5, 0, 0]]).frequencies.max() for p in (at_rest, off)]
    assert highest[0] == pytest.approx(highest[1], abs=0.05)


def test_unstable_crystal_shows_imaginary_frequencies():
    """Aluminium in the simple cubic structure."""
    found = force_constants(bulk("Al", "sc", a=2.72), load_potential("7net-0"), SMALL)
    assert commensurate_frequencies(found.phonon).min() < -0.5


def test_phonopy_uses_the_given_cell_as_primitive():
    atoms = bulk("ZnS", "zincblende", a=5.42)
    phonon = phonopy_of(cell_of_atoms(atoms), np.diag([2, 2, 2]))
    assert np.allclose(phonon.primitive.cell, atoms.cell)
    assert len(phonon.primitive) == 2
