"""The crystals that an examination is about: those of the demo that the potential knows."""

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path

import numpy as np
from ase import Atoms

from potentials import Potential, is_out_of_memory
from tasks.crystals.structures import Material
from tasks.failures import RemediableError
from tasks.sources.materials import read_materials
from tasks.tolerances import AS_GIVEN

# In the order of choice. The first four are chiral, and soft enough to become something else.
CRYSTALS = ("te", "quartz-154", "se", "hgs-cinnabar", "zno", "gaas", "nacl", "si", "aln")
CHIRAL = CRYSTALS[:4]
# Where symmetry forbids angular momentum in most directions, or everywhere.
ACHIRAL = ("nacl", "gaas", "aln", "si", "zno")
_RATTLE = 0.1  # Å
_STRETCH = np.array([1.01, 0.99, 1.0])


def read_known_crystals(potential: Potential) -> dict[str, Atoms]:
    """Read the crystals that a potential can evaluate.

    Parameters
    ----------
    potential : Potential
        The potential.

    Returns
    -------
    dict of str to ase.Atoms
        Primitive cells by name, in the order of choice.

    Raises
    ------
    RemediableError
        When it can evaluate none.
    """
    folder = Path(str(files("chiralscreen_data") / "demo"))
    crystals = {name: _read(folder / f"{name}.cif") for name in CRYSTALS}
    refusals = {name: _find_refusal(potential, atoms) for name, atoms in crystals.items()}
    known = {name: atoms for name, atoms in crystals.items() if not refusals[name]}
    if not known:
        reasons = "; ".join(dict.fromkeys(filter(None, refusals.values())))
        message = f"the potential {potential.card.name} evaluates none of the crystals: {reasons}"
        raise RemediableError(message, "examine a potential that knows their elements")
    return known


def choose(crystals: Mapping[str, Atoms], names: Iterable[str], number: int) -> dict[str, Atoms]:
    """Take the first known crystals of a list, or of all where it has none of them."""
    wanted = [name for name in names if name in crystals] or list(crystals)
    return {name: crystals[name] for name in wanted[:number]}


def rattle(atoms: Atoms) -> Atoms:
    """Copy of a crystal without any symmetry, its atoms moved by about 0.1 Å."""
    result = atoms.copy()
    result.rattle(_RATTLE, seed=3)
    result.set_cell(result.cell.array * _STRETCH[:, None], scale_atoms=True)
    return result


def _read(path: Path) -> Atoms:
    """Primitive cell of a demo crystal."""
    [material] = read_materials(path, AS_GIVEN)
    assert isinstance(material, Material)
    return material.atoms


def _find_refusal(potential: Potential, atoms: Atoms) -> str | None:
    """Why a potential does not evaluate a crystal; calculators refuse elements in many ways."""
    unknown = sorted(set(atoms.symbols[[z not in potential.card.elements for z in atoms.numbers]]))
    if unknown:
        return f"it does not know {', '.join(unknown)}"
    try:
        found = potential.evaluate([atoms])
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return f"{type(error).__name__}: {error}"
    return None if np.isfinite(found.energies).all() else "its energy is not a number"
