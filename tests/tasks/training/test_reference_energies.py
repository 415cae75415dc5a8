"""Reference energies are the linear part of the energy."""

import numpy as np
import pytest
from ase import Atoms

from tasks.training.datasets import make_frame
from tasks.training.reference_energies import fit_reference_energies
from tests.tasks.training.crystals import real_frames

# PBE energies of the elements in their ground states, in eV per atom (Materials Project, rounded).
GROUND_STATES = {3: -1.91, 14: -5.42, 32: -4.52, 42: -10.85}


def test_elements_of_real_data_get_their_cohesive_energies():
    """The cells are elastic deformations and dense or open lattices: a little above the best."""
    energies = fit_reference_energies(real_frames())
    assert energies.keys() == GROUND_STATES.keys()
    for number, ground_state in GROUND_STATES.items():
        assert ground_state - 0.05 < energies[number] < ground_state + 0.5


def test_fit_leaves_less_than_any_other_choice():
    frames = real_frames()
    energies = fit_reference_energies(frames)

    def residual(shift: float) -> float:
        rest = [f.energy / len(f.atoms) - energies[f.atoms.numbers[0]] - shift for f in frames]
        return float(np.square(rest).sum())

    assert residual(0.0) < min(residual(0.01), residual(-0.01))


def test_compounds_are_divided_among_their_elements():
    """Energies that are sums over atoms are found exactly, whatever the compositions are."""
    atomic = {"Zn": -1.3, "S": -4.1, "O": -5.2}
    formulas = ("ZnS", "ZnO", "SO2", "ZnSO4")
    frames = [_compound(formula, atomic) for formula in formulas]
    found = fit_reference_energies([*frames, make_frame(Atoms("He", cell=[9] * 3), "unlabelled")])
    assert found == pytest.approx({30: -1.3, 16: -4.1, 8: -5.2})


def test_one_composition_gets_the_smallest_solution():
    found = fit_reference_energies([_compound("ZnS", {"Zn": -2.0, "S": -4.0})])
    assert found == pytest.approx({30: -3.0, 16: -3.0})


def test_forces_alone_give_no_energies():
    assert fit_reference_energies([make_frame(Atoms("Zn", cell=[4] * 3), "")]) == {}


def _compound(formula, atomic):
    atoms = Atoms(formula, cell=[9, 9, 9], pbc=True)
    energy = sum(atomic[symbol] for symbol in atoms.get_chemical_symbols())
    return make_frame(atoms, formula, energy=energy)
