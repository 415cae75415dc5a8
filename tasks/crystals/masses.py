"""Masses of isotopes: which atoms of a crystal differ in more than their element.

A mass is special where it differs from that of the natural element by more than 0.1 u (tables of
standard masses differ by less), or where atoms of its element differ. A crystal without special
masses carries none, so that nothing that is computed of it depends on a table.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers
from numpy.typing import ArrayLike, NDArray

from tasks.failures import RemediableError

HEAVY_HYDROGEN: Final[Mapping[str, float]] = {"D": 2.014, "T": 3.016}
"""Mass (u) of the isotopes of hydrogen that have a symbol of their own."""
_SPECIAL: Final = 0.1  # u
_DIFFERENT: Final = 1e-3  # u; masses of one element in one record
_HEAVIEST: Final = 118


def find_number_and_mass(symbol: str) -> tuple[int, float]:
    """Atomic number and mass of a symbol.

    Parameters
    ----------
    symbol : str
        Of an element, or D or T.

    Returns
    -------
    number : int
        1 to 118.
    mass : float
        In u.

    Raises
    ------
    RemediableError
        When no element has the symbol.

    Examples
    --------
    >>> number_and_mass("D")
    (1, 2.014)
    """
    if symbol in HEAVY_HYDROGEN:
        return 1, HEAVY_HYDROGEN[symbol]
    number = atomic_numbers.get(symbol, 0)
    if not 1 <= number <= _HEAVIEST:
        raise RemediableError(
            f"unreadable: {symbol[:40]!r} is no element", "write the symbols of elements, or D or T"
        )
    return int(number), float(atomic_masses[number])


def set_special_masses(atoms: Atoms, masses: ArrayLike | None) -> None:
    """Give a crystal its masses where they are special; otherwise it carries none.

    Parameters
    ----------
    atoms : ase.Atoms
        Changed in place.
    masses : array_like of float, shape (n_atoms,), or None
        In u.

    Raises
    ------
    RemediableError
        For another number of masses, and for masses that are no positive numbers.
    """
    if masses is None:
        return
    try:
        found = np.asarray(masses, dtype=float).reshape(-1)
    except (TypeError, ValueError) as error:
        raise RemediableError("a mass is no number", "correct the masses") from error
    if len(found) != len(atoms):
        message = f"{len(found)} masses of {len(atoms)} atoms"
        raise RemediableError(message, "give one mass for each atom, or none")
    if not (np.isfinite(found).all() and (found > 0).all()):
        raise RemediableError("a mass is not positive", "correct the masses")
    natural = atomic_masses[atoms.numbers]
    special = (np.abs(found - natural) > _SPECIAL) | _find_isotope_mixtures(atoms.numbers, found)
    atoms.arrays.pop("masses", None)
    if special.any():
        atoms.set_masses(np.where(special, found, natural))


def _find_isotope_mixtures(
    numbers: NDArray[np.int64], masses: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Atoms of elements that have more than one mass."""
    heavy, light = masses.copy(), masses.copy()
    for number in np.unique(numbers):
        same = numbers == number
        heavy[same], light[same] = masses[same].max(), masses[same].min()
    return np.asarray(heavy - light > _DIFFERENT)


def find_special_masses(atoms: Atoms) -> NDArray[np.float64] | None:
    """Masses that a crystal carries.

    Parameters
    ----------
    atoms : ase.Atoms
        Any crystal.

    Returns
    -------
    ndarray, shape (n_atoms,), or None
        In u; None where every atom has the mass of its natural element.
    """
    return atoms.get_masses() if atoms.has("masses") else None


def set_masses_of_symbols(atoms: Atoms, symbols: Sequence[str]) -> None:
    """Give a crystal the masses that the symbols of its atoms tell."""
    set_special_masses(atoms, [find_number_and_mass(symbol)[1] for symbol in symbols])
