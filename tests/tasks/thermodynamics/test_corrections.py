"""Corrections are those that the Materials Project publishes for its kinds of compounds."""

import pytest
from ase import Atoms
from ase.build import bulk

from tasks.thermodynamics.corrections import compute_correction

# eV per atom that is corrected: Wang et al., Sci. Rep. 11, 15496 (2021), table 1.
OXIDE, PEROXIDE, CHLORIDE, NICKEL = -0.687, -0.465, -0.614, -2.541


def barium_peroxide() -> Atoms:
    """BaO2 of the type of CaC2, with pairs of oxygen 1.49 Å apart."""
    cell = [[-1.9, 1.9, 3.4], [1.9, -1.9, 3.4], [1.9, 1.9, -3.4]]
    x = 0.7445 / 6.8
    places = [[0, 0, 0], [0.5 + x, 0.5 + x, 0], [0.5 - x, 0.5 - x, 0]]
    return Atoms("BaO2", cell=cell, scaled_positions=places, pbc=True)


@pytest.mark.parametrize(
    ("atoms", "of_the_cell"),
    [
        (bulk("MgO", "rocksalt", 4.21), OXIDE),
        (bulk("NiO", "rocksalt", 4.18), OXIDE + NICKEL),
        (bulk("NaCl", "rocksalt", 5.64), CHLORIDE),
        (barium_peroxide(), 2 * PEROXIDE),
        (bulk("FeAl", "cesiumchloride", 2.9), 0),
        (bulk("Si"), 0),
        (bulk("Ne"), 0),
    ],
    ids=lambda value: value.get_chemical_formula() if isinstance(value, Atoms) else "",
)
def test_anions_and_metals_with_a_hubbard_term_are_corrected(atoms, of_the_cell):
    assert compute_correction(atoms) * len(atoms) == pytest.approx(of_the_cell)
