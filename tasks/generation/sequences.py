"""Wyckoff sequences: a crystal as space group and multiset of (element, Wyckoff position).

A sequence leaves out free coordinates and the cell. It decides composition and symmetry.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ase.data import chemical_symbols
from pymatgen.core import Composition

from tasks.symmetry.wyckoff import WyckoffCrystal, WyckoffPosition, list_wyckoff_positions

MAX_ATOMS: Final = 20
"""Largest primitive cell that is learned from and made."""
N_ELEMENTS: Final = 103


@dataclass(frozen=True, order=True)
class Occupation:
    """An element on a position.

    Attributes
    ----------
    position : int
        Index in `list_wyckoff_positions` of the space group.
    atomic_number : int
        The element.
    """

    position: int
    atomic_number: int


@dataclass(frozen=True)
class WyckoffSequence:
    """A space group and what occupies its positions.

    Attributes
    ----------
    number : int
        Space-group number.
    occupations : tuple of Occupation
        Sorted, since their order means nothing.
    """

    number: int
    occupations: tuple[Occupation, ...]

    @classmethod
    def read(cls, crystal: WyckoffCrystal) -> "WyckoffSequence":
        """Leave out coordinates and cell of a crystal."""
        indices = {id(p): i for i, p in enumerate(list_wyckoff_positions(crystal.number))}
        sites = (Occupation(indices[id(s.position)], s.atomic_number) for s in crystal.sites)
        return cls(crystal.number, tuple(sorted(sites)))

    @cached_property
    def positions(self) -> tuple[WyckoffPosition, ...]:
        """Position of each occupation."""
        known = list_wyckoff_positions(self.number)
        return tuple(known[occupation.position] for occupation in self.occupations)

    @cached_property
    def composition(self) -> Counter[int]:
        """Atoms of each element in the primitive cell, by atomic number."""
        counts = Counter[int]()
        for occupation, position in zip(self.occupations, self.positions, strict=True):
            counts[occupation.atomic_number] += position.multiplicity
        return counts

    @property
    def n_atoms(self) -> int:
        """Atoms in the primitive cell."""
        return self.composition.total()

    @property
    def formula(self) -> str:
        """Reduced formula."""
        amounts = {chemical_symbols[number]: n for number, n in self.composition.items()}
        return str(Composition(amounts).reduced_formula)

    @property
    def prototype(self) -> str:
        """Space group and, for each element, its letters; the elements themselves left out.

        Examples
        --------
        >>> rutile.prototype
        '136_a_f'
        """
        letters: dict[int, str] = {}
        for occupation, position in zip(self.occupations, self.positions, strict=True):
            letters[occupation.atomic_number] = (
                letters.get(occupation.atomic_number, "") + position.letter
            )
        return "_".join([str(self.number), *sorted(letters.values())])
