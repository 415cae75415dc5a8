"""New candidates: known chiral crystals with other elements in their places.

How probable an exchange of ions is was mined from known compounds by Hautier et al., Inorg. Chem.
50, 656 (2011), doi:10.1021/ic102031h; pymatgen has the numbers. Space group and fractional
coordinates stay; the volume is estimated from bond lengths.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from ase import Atoms
from pymatgen.analysis.structure_prediction.substitution_probability import SubstitutionPredictor
from pymatgen.analysis.structure_prediction.volume_predictor import DLSVolumePredictor
from pymatgen.core import Composition, Species
from pymatgen.io.ase import AseAtomsAdaptor

from tasks.crystals.records import make_safe_id
from tasks.crystals.structures import check_crystal, reduce_formula
from tasks.failures import RemediableError

_WHOLE = 1e-6  # an oxidation state differs from an integer by less


@dataclass(frozen=True)
class Substitution:
    """A crystal made from another one by exchanging elements.

    Attributes
    ----------
    material_id : str
        Name of the known crystal and the new formula.
    atoms : ase.Atoms
        The new crystal, with an estimated volume.
    prototype_id : str
        Name of the known crystal.
    exchanges : tuple of str
        Such as ``Si4+ -> Ge4+``; ions that stay are left out.
    probability : float
        Conditional probability of all exchanges together.
    """

    material_id: str
    atoms: Atoms
    prototype_id: str
    exchanges: tuple[str, ...]
    probability: float

    @property
    def entry(self) -> dict[str, Any]:
        """Line of a file of JSON lines that `tasks.sources` reads."""
        return {
            "material_id": self.material_id,
            "database": f"substitution in {self.prototype_id}",
            "lattice": self.atoms.cell.array.tolist(),
            "atomic_numbers": self.atoms.numbers.tolist(),
            "frac_coords": self.atoms.get_scaled_positions().tolist(),
            "exchanges": list(self.exchanges),
            "probability": self.probability,
        }


def substitute_ions(material_id: str, atoms: Atoms, threshold: float) -> Iterator[Substitution]:
    """Exchange the ions of a crystal for others of the same charge in total.

    Parameters
    ----------
    material_id : str
        Name of the crystal.
    atoms : ase.Atoms
        The crystal.
    threshold : float
        Smallest conditional probability of all exchanges together.

    Yields
    ------
    Substitution
        The most probable first; none for a crystal without integer oxidation states.
    """
    ions = guess_oxidation_states(atoms.get_chemical_formula())
    known = _make_predictor(threshold)
    if not ions or not set(ions.values()) <= known.p.species:
        return
    found = known.list_prediction(list(ions.values()), to_this_composition=False)
    for prediction in sorted(found, key=lambda item: -item["probability"]):
        exchange = {old.symbol: new for old, new in prediction["substitutions"].items()}
        if _is_new_compound(atoms, ions, exchange):
            made = _make_substitution(
                material_id, atoms, ions, exchange, float(prediction["probability"])
            )
            if made:
                yield made


def guess_oxidation_states(formula: str) -> dict[str, Species]:
    """Guess one integer oxidation state for each element.

    Parameters
    ----------
    formula : str
        Chemical formula.

    Returns
    -------
    dict
        Ion by element; empty where no balance is found.
    """
    with warnings.catch_warnings(action="ignore"):
        guesses = Composition(formula).reduced_composition.oxi_state_guesses()
    for guess in guesses:
        if all(abs(state - round(state)) < _WHOLE and state for state in guess.values()):
            return {symbol: Species(symbol, round(state)) for symbol, state in guess.items()}
    return {}


@cache
def _make_predictor(threshold: float) -> SubstitutionPredictor:
    """Predictor of a threshold, made once."""
    return SubstitutionPredictor(threshold=threshold)


def _is_new_compound(
    atoms: Atoms, ions: Mapping[str, Species], exchange: Mapping[str, Species]
) -> bool:
    """Whether other elements, as many different ones, have balanced charges."""
    symbols = {ion.symbol for ion in exchange.values()}
    if len(symbols) < len(ions) or symbols == set(ions):
        return False
    return bool(sum(exchange[symbol].oxi_state for symbol in atoms.symbols) == 0)


def _make_substitution(
    material_id: str,
    atoms: Atoms,
    ions: Mapping[str, Species],
    exchange: Mapping[str, Species],
    probability: float,
) -> Substitution | None:
    """Crystal with other elements; None where no sensible volume is found."""
    new = atoms.copy()
    new.symbols = [exchange[symbol].symbol for symbol in atoms.symbols]
    try:
        with warnings.catch_warnings(action="ignore"):
            volume = DLSVolumePredictor().predict(AseAtomsAdaptor.get_structure(new))
        new.set_cell(new.cell * np.cbrt(volume / new.get_volume()), scale_atoms=True)
        check_crystal(new)
    except (RemediableError, ValueError, TypeError):
        return None
    exchanges = tuple(f"{ions[s]} -> {ion}" for s, ion in exchange.items() if ions[s] != ion)
    name = make_safe_id(f"{material_id}-{reduce_formula(new)}")
    return Substitution(name, new, material_id, exchanges, probability)
