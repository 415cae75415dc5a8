"""Corrections by which the Materials Project makes its energies comparable (scheme of 2020).

Its energies are GGA, and GGA+U for oxides and fluorides of some transition metals; potentials that
learned from it imitate both. A. Wang et al., Sci. Rep. 11, 15496 (2021), and A. Jain et al., Phys.
Rev. B 84, 045115 (2011), as pymatgen implements them.
"""

import warnings
from functools import cache

from ase import Atoms
from pymatgen.analysis.compatibility import MaterialsProject2020Compatibility
from pymatgen.core import Composition
from pymatgen.entries.computed_entries import ComputedStructureEntry
from pymatgen.io.ase import AseAtomsAdaptor

_SITES = 20  # larger formulas are reduced to so many for the guess, as pymatgen does


def compute_correction(atoms: Atoms) -> float:
    """Compute what is added to the energy of a crystal.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal; distances in it tell oxides from peroxides, sulphides from polysulphides.

    Returns
    -------
    float
        In eV per atom.
    """
    with warnings.catch_warnings(action="ignore"):  # light noble gases have no electronegativity
        structure = AseAtomsAdaptor.get_structure(atoms)
        entry = ComputedStructureEntry(
            structure,
            0.0,
            # Without its potentials' names, which a calculation with VASP would have.
            parameters={**_find_hubbard_run(structure.composition), "software": "other"},
            data={"oxidation_states": _guess_oxidation_states(structure.reduced_formula)},
        )
        return float(sum(a.value for a in _load_scheme().get_adjustments(entry))) / len(atoms)


def _find_hubbard_run(composition: Composition) -> dict[str, object]:
    """Kind of calculation that the Materials Project makes of a composition, with its U (eV)."""
    anion = max(composition.elements, key=lambda element: element.X).symbol
    known = _load_scheme().u_settings.get(anion, {})
    used = {e.symbol: known[e.symbol] for e in composition.elements if e.symbol in known}
    return {"run_type": "GGA+U" if used else "GGA", "hubbards": used}


@cache
def _load_scheme() -> MaterialsProject2020Compatibility:
    return MaterialsProject2020Compatibility(check_potcar=False)


@cache
def _guess_oxidation_states(formula: str) -> dict[str, float]:
    """Mean oxidation state of each element; none where no guess adds up to zero."""
    try:
        guesses = Composition(formula).oxi_state_guesses(max_sites=-_SITES)
    except ValueError:
        return {}
    return dict(guesses[0]) if guesses else {}
