"""Corrections by which the Materials Project makes its energies comparable (scheme of 2020).

Its energies are GGA, and GGA+U for oxides and fluorides of some transition metals; potentials that
learned from it imitate both. The values are those of A. Wang et al., Sci. Rep. 11, 15496 (2021),
table 1; what counts as an anion is decided as by pymatgen's ``MaterialsProject2020Compatibility``,
which takes a second to load and more than a millisecond for a crystal.
"""

import warnings
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Final

import numpy as np
from ase import Atoms
from pymatgen.core import Composition, Element, Lattice
from pymatgen.io.ase import AseAtomsAdaptor

# In eV for each atom.
_ANIONS: Final[Mapping[str, float]] = {
    "F": -0.462, "Cl": -0.614, "Br": -0.534, "I": -0.379, "N": -0.361,
    "H": -0.179, "Se": -0.472, "Te": -0.422, "Si": 0.071, "Sb": -0.192,
}  # fmt: skip
_SULPHUR: Final = -0.503
_OXYGEN: Final[Mapping[str, float]] = {
    "oxide": -0.687, "hydroxide": -0.687, "peroxide": -0.465, "superoxide": -0.161, "ozonide": 0.0,
}  # fmt: skip
# Of metals with a Hubbard term, where oxygen or fluorine is the most electronegative element.
_HUBBARD: Final[Mapping[str, float]] = {
    "V": -1.7, "Cr": -1.999, "Mn": -1.668, "Fe": -2.256,
    "Co": -1.638, "Ni": -2.541, "W": -4.438, "Mo": -3.202,
}  # fmt: skip
_CUTOFF: Final = 1.05  # in bonds between oxygen atoms, as the Materials Project takes it
_LONGEST_BOND: Final = 1.49  # Å; of a peroxide
_SITES: Final = 20  # larger formulas are reduced to so many for the guess, as pymatgen does


def compute_correction(atoms: Atoms) -> float:
    """Compute what is added to the energy of a crystal.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal; distances in it tell oxides from peroxides, sulphides from sulphates.

    Returns
    -------
    float
        In eV per atom; 0 for an element.
    """
    counts = Counter(atoms.symbols)
    if len(counts) == 1:
        return 0.0
    with warnings.catch_warnings(action="ignore"):  # light noble gases have no electronegativity
        values = _find_values(atoms, Composition(counts))
    return sum(counts[symbol] * value for symbol, value in values.items()) / len(atoms)


def _find_values(atoms: Atoms, composition: Composition) -> dict[str, float]:
    """Correction of each atom (eV) by the element that has one."""
    present = {element.symbol for element in composition.elements}
    # Of equally electronegative elements the last counts, as for pymatgen.
    ordered = sorted(composition.elements, key=lambda element: element.X)
    strongest = ordered[-1].symbol
    values = {s: _ANIONS[s] for s in _list_anions(composition, present & _ANIONS.keys(), strongest)}
    if "S" in present and not _is_sulphate(atoms, present):
        values["S"] = _SULPHUR
    if "O" in present:
        values["O"] = _OXYGEN[_find_oxide_type(atoms)]
    if strongest in ("O", "F"):
        values |= {symbol: _HUBBARD[symbol] for symbol in present & _HUBBARD.keys()}
    return values


def _list_anions(composition: Composition, symbols: set[str], strongest: str) -> list[str]:
    """Those of some elements that are anions: by a guess of their states, else by their place."""
    states = _guess_oxidation_states(composition.reduced_formula) if symbols else {}
    return [
        symbol
        for symbol in symbols
        if (states[symbol] <= -1 if states.get(symbol, 0) < 0 else symbol == strongest)
    ]


def _is_sulphate(atoms: Atoms, present: set[str]) -> bool:
    """Whether sulphur is the positive one; without a more electronegative element it is not."""
    if all(Element(symbol).X <= Element("S").X for symbol in present):
        return False
    # It loads much of pymatgen, which most crystals do without.
    from pymatgen.core.structure_analyzer import sulfide_type  # noqa: PLC0415

    return sulfide_type(AseAtomsAdaptor.get_structure(atoms)) is None


def _find_oxide_type(atoms: Atoms) -> str:
    """Kind of oxide; where no two oxygen atoms are bonded to each other it is a plain one."""
    places = atoms.get_scaled_positions()[atoms.numbers == Element("O").Z]
    distances = np.array(Lattice(atoms.cell.array).get_all_distances(places, places))
    np.fill_diagonal(distances, np.inf)
    if distances.min() >= _CUTOFF * _LONGEST_BOND:
        return "oxide"
    from pymatgen.core.structure_analyzer import oxide_type  # noqa: PLC0415 - as above

    return str(oxide_type(AseAtomsAdaptor.get_structure(atoms), _CUTOFF))


@cache
def _guess_oxidation_states(formula: str) -> dict[str, float]:
    """Mean oxidation state of each element; none where no guess adds up to zero."""
    try:
        guesses = Composition(formula).oxi_state_guesses(max_sites=-_SITES)
    except ValueError:
        return {}
    return dict(guesses[0]) if guesses else {}
