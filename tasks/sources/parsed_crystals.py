"""What a parser makes of the text of a record."""

from dataclasses import dataclass, field

from ase import Atoms
from numpy.typing import ArrayLike

from tasks.crystals.masses import set_special_masses
from tasks.crystals.records import Provenance
from tasks.failures import RemediableError


@dataclass(frozen=True)
class ParsedCrystal:
    """A crystal as its text gives it.

    Attributes
    ----------
    atoms : ase.Atoms
        The crystal; with the array ``masses`` where they are not those of the natural elements.
    name : str or None
        Its name, where the text has one.
    notes : tuple of str
        What was read otherwise than to the letter.
    space_group : int or None
        Number that the text states.
    measured : bool
        Whether it names the experiment that gave the crystal.
    evidence : Provenance
        What it says of hull, gap and observation, and its numbers in databases.
    """

    atoms: Atoms
    name: str | None = None
    notes: tuple[str, ...] = ()
    space_group: int | None = None
    measured: bool = False
    evidence: Provenance = field(default_factory=Provenance)


def require_few_atoms(n_atoms: int, max_atoms: int) -> None:
    """Refuse a cell that is too large for a search of its symmetry.

    Parameters
    ----------
    n_atoms : int
        Atoms of the cell, as it is announced or found so far.
    max_atoms : int
        Most.

    Raises
    ------
    RemediableError
        When there are more.
    """
    if n_atoms > max_atoms:
        message = f"{n_atoms} or more atoms in the cell, and {max_atoms} at most are read"
        raise RemediableError(message, "give a smaller cell, or raise source.max_atoms")


def take_masses(atoms: Atoms, masses: ArrayLike | None) -> tuple[str, ...]:
    """Give a crystal the masses of its record.

    Parameters
    ----------
    atoms : ase.Atoms
        Changed in place.
    masses : array_like of float, shape (n_atoms,), or None
        In u.

    Returns
    -------
    tuple of str
        A note, where they cannot be used: that costs no crystal.
    """
    try:
        set_special_masses(atoms, masses)
    except RemediableError as error:
        return (f"masses are not used: {error}",)
    return ()
