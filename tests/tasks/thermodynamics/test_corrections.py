"""Corrections are those that the Materials Project publishes for its kinds of compounds."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from pymatgen.analysis.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.ase import AseAtomsAdaptor

from tasks.thermodynamics.corrections import compute_correction
from tasks.thermodynamics.evidence import load_hull

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


# Sulphates and sulphides, compounds of hydrogen with elements as electronegative, noble gases,
# ozonides and hydroxides, besides every hundredth vertex of the hull.
SPECIAL = (
    *("Na2SO4", "BaS2", "SF6", "CuS", "SN", "SI2", "CS2", "PdH", "H3Ru", "XeF2", "KrF2", "XeO3"),
    *("KO3", "KO2", "LiOH", "H2O", "NaCl", "CrSi2", "SiC", "SbTe", "NH3", "FeF3", "W3O8", "UO2"),
)


def make_random_crystal(formula: str, rng: np.random.Generator) -> Atoms:
    """Atoms at random in a cube of 8 Å^3 for each, so that some bonds are short."""
    atoms = Atoms(formula, pbc=True)
    atoms.set_cell([float(np.cbrt(8 * len(atoms)))] * 3)
    atoms.set_scaled_positions(rng.random((len(atoms), 3)))
    return atoms


def ask_pymatgen(atoms: Atoms) -> float:
    """Correction of the cell by pymatgen's scheme."""
    scheme = MaterialsProject2020Compatibility(check_potcar=False)
    structure = AseAtomsAdaptor.get_structure(atoms)
    ordered = sorted(structure.composition.elements, key=lambda e: e.X)
    terms = scheme.u_settings.get(ordered[-1].symbol, {})
    hubbards = {s: terms[s] for s in set(atoms.symbols) if s in terms}
    run = {"run_type": "GGA+U" if hubbards else "GGA", "hubbards": hubbards, "software": "other"}
    entry = ComputedStructureEntry(structure, 0.0, parameters=run)
    return float(sum(found.value for found in scheme.get_adjustments(entry)))


@pytest.mark.filterwarnings("ignore::UserWarning")  # noble gases have no electronegativity
def test_every_crystal_is_corrected_as_by_pymatgen():
    vertices = [v.formula for found in load_hull().vertices.values() for v in found]
    rng, seen = np.random.default_rng(0), set[float]()
    for formula in [*SPECIAL, *vertices[::100]]:
        for _ in range(3):
            atoms = make_random_crystal(formula, rng)
            expected = ask_pymatgen(atoms)
            seen.add(round(expected, 6))
            assert compute_correction(atoms) * len(atoms) == pytest.approx(expected), formula
    assert len(seen) > 100
