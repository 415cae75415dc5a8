"""Relaxations reach the minimum of the potential and never leave the space group."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from potentials import Evaluation, Potential, PotentialCard, load_potential
from tasks.invariants import invariant_displacements, invariant_strains, space_group_of
from tasks.relaxation import CONVERGED, RelaxationSettings, relax
from tasks.structures import standardize
from tests.crystals import random_crystal
from tests.potentials.crystals import trigonal_tellurium

POTENTIAL = "7net-0"


@dataclass(frozen=True)
class Noisy:
    """A potential with noise on forces and stress, which knows no symmetry."""

    potential: Potential
    amplitude: float

    @property
    def card(self) -> PotentialCard:
        return self.potential.card

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        found = self.potential.evaluate(structures)
        random = np.random.default_rng(5)
        forces = (f + random.normal(scale=self.amplitude, size=f.shape) for f in found.forces)
        return replace(found, forces=tuple(forces))


def wurtzite() -> Atoms:
    return standardize(bulk("ZnO", "wurtzite", a=3.25, c=5.207, u=0.382), 0.01)


def number_of(atoms: Atoms) -> int:
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    return int(spglib.get_symmetry_dataset(cell, symprec=1e-5).number)


def test_minimum_is_that_of_an_unconstrained_optimiser():
    potential = load_potential(POTENTIAL)
    [result] = relax([wurtzite()], potential, RelaxationSettings())
    free = wurtzite()
    free.calc = load_calculator()
    BFGS(FrechetCellFilter(free), logfile=None).run(fmax=1e-4, steps=200)
    assert result.reason == CONVERGED
    assert result.energy == pytest.approx(free.get_potential_energy() / 4, abs=1e-6)
    assert result.atoms.cell.lengths() == pytest.approx(free.cell.lengths(), abs=2e-3)


def load_calculator():
    """The same potential as an ASE calculator."""
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator(POTENTIAL, device="cpu")


def test_space_group_survives_a_noisy_potential():
    noisy = Noisy(load_potential(POTENTIAL), amplitude=0.02)
    settings = RelaxationSettings(max_evaluations=12)
    [result] = relax([wurtzite()], noisy, settings)
    assert number_of(result.atoms) == 186
    assert not np.allclose(result.atoms.cell, wurtzite().cell, atol=1e-3)


def test_unconverged_is_told():
    [result] = relax([wurtzite()], load_potential(POTENTIAL), RelaxationSettings(max_evaluations=2))
    assert not result.converged
    assert result.reason == "no convergence in 2 evaluations"
    assert result.n_evaluations == 2


def test_company_does_not_matter():
    potential = load_potential(POTENTIAL)
    crystals = [wurtzite(), bulk("Si", a=5.3), trigonal_tellurium()]
    settings = RelaxationSettings(max_evaluations=6)
    together = relax(crystals, potential, settings)
    for atoms, found in zip(crystals, together, strict=True):
        [alone] = relax([atoms], potential, settings)
        assert found.n_evaluations == alone.n_evaluations
        assert found.energy == pytest.approx(alone.energy, abs=1e-9)


def test_tellurium_becomes_simple_cubic_with_the_small_potential():
    """Known of 7net-0: space group 152 turns into 221, which the screening must notice."""
    [result] = relax([trigonal_tellurium()], load_potential(POTENTIAL), RelaxationSettings())
    cell = result.atoms.cell.array, result.atoms.get_scaled_positions(), result.atoms.numbers
    assert spglib.get_symmetry_dataset(cell, symprec=0.01).number == 221


def test_exploding_crystal_is_given_up():
    """Xenon compressed to a third of its volume bursts out of the crystal it was."""
    [result] = relax([bulk("Xe", "fcc", a=4.0)], load_potential(POTENTIAL), RelaxationSettings())
    assert not result.converged
    assert "the volume changed by a factor of 2.5" in result.reason


@pytest.mark.parametrize("number", [1, 5, 19, 31, 82, 122, 152, 161, 186, 198, 212, 216])
def test_invariant_coordinates_keep_the_space_group(number):
    """Any point of the symmetry-allowed coordinates has the operations of the start."""
    atoms = random_crystal(number, seed=1)
    group = space_group_of(atoms)
    strains, displacements = invariant_strains(group), invariant_displacements(group)
    random = np.random.default_rng(number)
    strain = np.tensordot(random.normal(scale=0.01, size=len(strains)), strains, axes=1)
    moved = atoms.copy()
    weights = random.normal(scale=0.02, size=len(displacements))
    moved.positions += np.tensordot(weights, displacements, axes=1)
    moved.set_cell(moved.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    assert len(space_group_of(moved).rotations) >= len(group.rotations)


@pytest.mark.parametrize(
    ("number", "n_strains"), [(1, 6), (5, 4), (19, 3), (82, 2), (152, 2), (186, 2), (198, 1)]
)
def test_number_of_free_strains_is_that_of_the_crystal_system(number, n_strains):
    assert len(invariant_strains(space_group_of(random_crystal(number, seed=2)))) == n_strains
