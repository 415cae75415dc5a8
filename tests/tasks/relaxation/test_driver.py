"""Relaxations reach the minimum of the potential and never leave the space group."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import ase.io
import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from potentials import Evaluation, Potential, PotentialCard, load_potential
from tasks.crystals.structures import standardize
from tasks.relaxation import RelaxationSettings, relax
from tasks.relaxation.coordinates import find_invariant_displacements, find_invariant_strains
from tasks.relaxation.driver import CONVERGED
from tasks.symmetry.site_permutations import find_space_group
from tests.crystals import random_crystal
from tests.potentials.crystals import trigonal_tellurium

pytestmark = pytest.mark.slow

POTENTIAL = "7net-0"
DEMO = Path(__file__).parents[3] / "data" / "demo"


@dataclass(frozen=True)
class Noisy:
    """A potential with noise on forces and stresses, other in each evaluation, of no symmetry."""

    potential: Potential
    force: float  # eV/Å
    stress: float = 0.0  # eV/Å^3
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))

    @property
    def card(self) -> PotentialCard:
        return self.potential.card

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        found = self.potential.evaluate(structures)
        forces = tuple(f + self.random.normal(scale=self.force, size=f.shape) for f in found.forces)
        stresses = found.stresses + self.random.normal(scale=self.stress, size=found.stresses.shape)
        return replace(found, forces=forces, stresses=stresses)


def wurtzite() -> Atoms:
    return standardize(bulk("ZnO", "wurtzite", a=3.25, c=5.207, u=0.382), 0.01)


def number_of(atoms: Atoms) -> int:
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    return int(spglib.get_symmetry_dataset(cell, symprec=1e-5).number)


@pytest.mark.parametrize("name", ["zns-sphalerite", "wc", "zno"])
def test_minimum_is_that_of_an_unconstrained_optimiser(name):
    """ASE finds the same minimum without being told of symmetry, and needs more evaluations."""
    start = demo_crystal(name)
    [result] = relax([start], load_potential(POTENTIAL), RelaxationSettings())
    free = start.copy()
    free.calc = load_calculator()
    optimizer = BFGS(FrechetCellFilter(free), logfile=None)
    optimizer.run(fmax=1e-4, steps=200)
    assert result.reason == CONVERGED
    assert result.energy == pytest.approx(free.get_potential_energy() / len(free), abs=1e-6)
    assert result.atoms.cell.lengths() == pytest.approx(free.cell.lengths(), abs=2e-3)
    assert result.n_evaluations <= optimizer.nsteps + 1


def demo_crystal(name: str) -> Atoms:
    return standardize(ase.io.read(DEMO / f"{name}.cif"), 0.01)


@cache
def load_calculator():
    """The same potential as an ASE calculator."""
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator(POTENTIAL, device="cpu")


@pytest.mark.parametrize("name", ["zno", "quartz-154", "cdas2", "li3po4", "te"])
def test_space_group_survives_a_noisy_potential(name):
    start = demo_crystal(name)
    noisy = Noisy(load_potential(POTENTIAL, dtype="float32"), force=0.02, stress=1e-3)
    [result] = relax([start], noisy, RelaxationSettings(max_evaluations=6))
    assert not result.converged
    assert number_of(result.atoms) == number_of(start)
    assert not np.allclose(result.atoms.cell, start.cell, atol=1e-3)


@pytest.mark.parametrize("name", ["zno", "quartz-154", "cdas2"])
def test_noise_below_the_limits_does_not_hinder_convergence(name):
    """The same minimum, though no two evaluations agree."""
    quiet, start = load_potential(POTENTIAL, dtype="float32"), demo_crystal(name)
    [expected] = relax([start], quiet, RelaxationSettings())
    noisy = Noisy(quiet, force=2e-4, stress=2e-6)
    [result] = relax([start], noisy, RelaxationSettings(max_force=1e-3))
    assert result.converged
    assert result.n_evaluations <= expected.n_evaluations + 5
    assert result.energy == pytest.approx(expected.energy, abs=1e-5)
    assert number_of(result.atoms) == number_of(start)


def test_quartz_takes_few_evaluations():
    """Curvatures of springs to begin with; BFGS of ASE takes 29."""
    [result] = relax([demo_crystal("quartz-154")], load_potential(POTENTIAL), RelaxationSettings())
    assert result.converged
    assert result.n_evaluations <= 11


def test_saddle_is_left():
    """Cubic PbTiO3, hardly distorted, finds the polar phase, which lies lower."""
    cubic = Atoms(
        "PbTiO3",
        scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
        cell=[3.97, 3.97, 3.97],
        pbc=True,
    )
    polar = cubic.copy()
    polar.positions[1, 2] += 0.005
    potential = load_potential(POTENTIAL, dtype="float32")
    high, low = relax([cubic, polar], potential, RelaxationSettings())
    assert high.converged
    assert low.converged
    assert low.energy < high.energy - 1e-3
    assert low.atoms.cell.lengths()[2] > 1.05 * low.atoms.cell.lengths()[0]


@pytest.mark.parametrize("strain", [-0.06, 0.06])
def test_far_start_reaches_the_same_minimum(strain):
    potential = load_potential(POTENTIAL, dtype="float32")
    strained = wurtzite()
    strained.set_cell(strained.cell * (1 + strain), scale_atoms=True)
    near, far = relax([wurtzite(), strained], potential, RelaxationSettings())
    assert far.converged
    assert far.energy == pytest.approx(near.energy, abs=1e-6)


def test_value_that_is_not_a_number_is_told():
    broken = Noisy(load_potential(POTENTIAL, dtype="float32"), force=np.nan)
    [result] = relax([wurtzite()], broken, RelaxationSettings())
    assert not result.converged
    assert "not a number" in result.reason
    assert result.n_evaluations == 1


@pytest.mark.parametrize("limits", [{"max_stress": 1.0}, {"max_force": 10.0}])
def test_neither_force_nor_stress_alone_makes_it_converged(limits):
    settings = RelaxationSettings(max_evaluations=1, **limits)
    [result] = relax([demo_crystal("zno")], load_potential(POTENTIAL, dtype="float32"), settings)
    low = result.max_force <= settings.max_force, result.max_stress <= settings.max_stress
    assert sorted(low) == [False, True]
    assert not result.converged


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
    group = find_space_group(atoms)
    strains, displacements = find_invariant_strains(group), find_invariant_displacements(group)
    random = np.random.default_rng(number)
    strain = np.tensordot(random.normal(scale=0.01, size=len(strains)), strains, axes=1)
    moved = atoms.copy()
    weights = random.normal(scale=0.02, size=len(displacements))
    moved.positions += np.tensordot(weights, displacements, axes=1)
    moved.set_cell(moved.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    assert len(find_space_group(moved).rotations) >= len(group.rotations)


@pytest.mark.parametrize(
    ("number", "n_strains"), [(1, 6), (5, 4), (19, 3), (82, 2), (152, 2), (186, 2), (198, 1)]
)
def test_number_of_free_strains_is_that_of_the_crystal_system(number, n_strains):
    assert (
        len(find_invariant_strains(find_space_group(random_crystal(number, seed=2)))) == n_strains
    )


@pytest.mark.parametrize("name", ["te", "zno"])
def test_a_fixed_cell_stays_and_its_stress_is_told(name):
    """The atoms find their places; with a free cell the volume changes."""
    start, potential = demo_crystal(name), load_potential(POTENTIAL, dtype="float32")
    [fixed] = relax([start], potential, RelaxationSettings(cell="fixed"))
    [free] = relax([start], potential, RelaxationSettings())
    assert fixed.converged
    assert np.array_equal(fixed.atoms.cell, start.cell)
    assert not np.allclose(fixed.atoms.positions, start.positions, atol=1e-3)
    assert abs(free.atoms.get_volume() / start.get_volume() - 1) > 5e-3
    stress = potential.evaluate([fixed.atoms]).stresses[0]
    assert fixed.max_stress == pytest.approx(np.abs(stress).max(), rel=1e-3)
    assert fixed.max_stress > RelaxationSettings().max_stress


def test_a_crystal_in_which_nothing_may_move_is_at_rest_at_once():
    [found] = relax(
        [demo_crystal("wc")], load_potential(POTENTIAL), RelaxationSettings(cell="fixed")
    )
    assert (found.converged, found.n_evaluations) == (True, 1)
