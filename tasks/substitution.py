"""New candidates: known chiral crystals with other elements in their places.

How probable an exchange of ions is was mined from known compounds by Hautier et al., Inorg. Chem.
50, 656 (2011), doi:10.1021/ic102031h; pymatgen has the numbers. Space group and fractional
coordinates stay; the volume is estimated from bond lengths.
"""

import itertools
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from pymatgen.analysis.structure_prediction.substitution_probability import SubstitutionPredictor
from pymatgen.analysis.structure_prediction.volume_predictor import DLSVolumePredictor
from pymatgen.core import Composition, Species
from pymatgen.io.ase import AseAtomsAdaptor

from tasks.failures import Failure, RemediableError
from tasks.sources import Read, SourceSettings, Spread, raw_records, read_failure, safe_id
from tasks.structures import Material, check_crystal, read_materials, reduced_formula
from tasks.symmetry import classify_space_group, find_dataset

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


def candidates(
    source: Path,
    symprec: float,
    threshold: float,
    limit: int,
    *,
    settings: SourceSettings | None = None,
    read: Read = raw_records,
    spread: Spread = map,
    exchange: Spread = map,
) -> Iterator[Substitution | Failure]:
    """Exchange the ions of every chiral crystal of a source.

    Parameters
    ----------
    source : pathlib.Path
        Anything that `tasks.sources.raw_records` reads.
    symprec : float
        Tolerance of the symmetry search in Å.
    threshold : float
        Smallest conditional probability of all exchanges together.
    limit : int
        Most candidates made from one crystal.
    settings : SourceSettings, optional
        Meaning of columns, limits.
    read : callable
        Like `raw_records`; may use another process.
    spread : callable
        Like `map`; may use other processes, and gives the results in order.
    exchange : callable
        The same for exchanges, which take seconds for a crystal.

    Yields
    ------
    Substitution or Failure
        Crystals whose formula and space group the source does not have already; records of the
        source that are no crystals, or whose ions could not be exchanged.

    Raises
    ------
    FileNotFoundError, ValueError
        When the source is missing or empty.
    """
    known: set[tuple[str, int]] = set()
    prototypes: list[tuple[Material, int]] = []
    for item in read_materials(source, symprec, settings, read=read, spread=spread):
        if isinstance(item, Failure):
            yield item
            continue
        number = int(find_dataset(item.atoms, symprec).number)
        known.add((reduced_formula(item.atoms), number))
        if classify_space_group(number).chirality_class == "II":
            prototypes.append((item, number))
    related = partial(_relatives, threshold=threshold)
    relatives = exchange(related, (material for material, _ in prototypes))
    for (_, number), found in zip(prototypes, relatives, strict=True):
        if isinstance(found, Failure):
            yield found
            continue
        new = (made for made in found if (reduced_formula(made.atoms), number) not in known)
        yield from itertools.islice(new, limit)


def _relatives(material: Material | Failure, threshold: float) -> list[Substitution] | Failure:
    """Exchange the ions of a crystal; a failure is passed on, and an error becomes one."""
    if isinstance(material, Failure):
        return material
    try:
        return list(substitutions(material.material_id, material.atoms, threshold))
    except Exception as error:  # noqa: BLE001 - one crystal must not end the search
        return read_failure(error, material.source_record)


def substitutions(material_id: str, atoms: Atoms, threshold: float) -> Iterator[Substitution]:
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
    ions = oxidation_states(atoms.get_chemical_formula())
    known = _predictor(threshold)
    if not ions or not set(ions.values()) <= known.p.species:
        return
    found = known.list_prediction(list(ions.values()), to_this_composition=False)
    for prediction in sorted(found, key=lambda item: -item["probability"]):
        exchange = {old.symbol: new for old, new in prediction["substitutions"].items()}
        if _is_new_compound(atoms, ions, exchange):
            made = _made(material_id, atoms, ions, exchange, float(prediction["probability"]))
            if made:
                yield made


def oxidation_states(formula: str) -> dict[str, Species]:
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
def _predictor(threshold: float) -> SubstitutionPredictor:
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


def _made(
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
    told = tuple(f"{ions[s]} -> {ion}" for s, ion in exchange.items() if ions[s] != ion)
    name = safe_id(f"{material_id}-{reduced_formula(new)}")
    return Substitution(name, new, material_id, told, probability)
