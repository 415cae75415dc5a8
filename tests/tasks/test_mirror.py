"""Symmetry gives the inverted images for free, exactly."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read

from potentials import Evaluation, Potential, load_potential, unaveraged
from tasks.mirror import averaged_forces
from tasks.phonons import PhononSettings, atoms_of_cell, displaced_supercells
from tasks.relaxation import RelaxationSettings, relax
from tasks.structures import standardize
from tests.flows.conftest import DEMO
from tests.potentials.crystals import trigonal_tellurium

SMALL = PhononSettings(min_supercell_length=4.0, max_atoms=20)


@pytest.fixture(scope="module")
def potential() -> Potential:
    return load_potential("7net-0")


def demo(name: str) -> Atoms:
    return standardize(read(DEMO / f"{name}.cif"), 1e-3)


def displaced(atoms: Atoms):
    """Supercell with displacements, and the displaced cells."""
    phonon = displaced_supercells(atoms, SMALL)
    return phonon, [atoms_of_cell(cell) for cell in phonon.supercells_with_displacements]


@pytest.mark.parametrize("name", ["pbtio3", "zns-sphalerite", "zno", "te"])
def test_forces_are_those_of_the_average(potential, name):
    phonon, cells = displaced(demo(name))
    forces, _ = averaged_forces(phonon, cells, potential)
    assert np.allclose(forces, potential.evaluate(cells).forces, atol=1e-9)
    # The bare potential is another one wherever symmetry does not make the average trivial.
    bare = np.array(unaveraged(potential).evaluate(cells).forces)
    assert not np.allclose(forces, bare, atol=1e-6)


def test_mirrored_displacements_cost_one_evaluation_each(potential, monkeypatch):
    """In tetragonal PbTiO3 six of eight displacements lie in a mirror plane."""
    phonon, cells = displaced(demo("pbtio3"))
    counts: list[int] = []
    bare = unaveraged(potential)
    original = type(bare).evaluate

    def counted(self: object, structures: list[Atoms]) -> Evaluation:
        counts.append(len(structures))
        return original(self, structures)

    monkeypatch.setattr(type(bare), "evaluate", counted)
    averaged_forces(phonon, cells, potential)
    assert sum(counts) < 1.5 * len(cells)


def test_relaxation_of_an_achiral_crystal_needs_no_average(potential):
    settings = RelaxationSettings(max_evaluations=4)
    atoms = standardize(bulk("ZnS", "wurtzite", a=3.9, c=6.2, u=0.37), 1e-3)
    [averaged], [bare] = (relax([atoms], p, settings) for p in (potential, unaveraged(potential)))
    assert averaged.energy == pytest.approx(bare.energy, abs=1e-10)
    assert np.allclose(averaged.atoms.positions, bare.atoms.positions, atol=1e-8)


def test_relaxation_of_a_chiral_crystal_needs_it(potential):
    settings = RelaxationSettings(max_evaluations=2)
    atoms = trigonal_tellurium()
    [averaged], [bare] = (relax([atoms], p, settings) for p in (potential, unaveraged(potential)))
    assert abs(averaged.energy - bare.energy) > 1e-6
