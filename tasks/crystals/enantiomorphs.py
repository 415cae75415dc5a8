"""Enantiomorphs: of a crystal and its mirror image, one is computed and the other follows.

Under inversion every position changes its sign and force constants do not,

    r -> -r,    Phi(-r_i, -r_j) = Phi(r_i, r_j),

so that the force constants of the mirror image are those of the crystal with its atoms renamed.
Forces under strain, a tensor of odd rank, change their sign; the stiffness does not.
Everything else is then derived from them as for any crystal. The energy of an O(3)-invariant
potential is the same for both; nothing is lost.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from ase import Atoms
from pymatgen.analysis.structure_matcher import ElementComparator, StructureMatcher
from pymatgen.io.ase import AseAtomsAdaptor

from potentials import invert
from tasks.crystals.masses import find_special_masses
from tasks.symmetry import classify_space_group

T = TypeVar("T")


@dataclass
class EnantiomorphIndex(Generic[T]):
    """Chiral crystals of a source that are computed, to be recognised in the mirror.

    With each crystal goes what names it, such as the work on it.

    Attributes
    ----------
    symprec : float
        Distance in Å within which two crystals are the same.
    """

    symprec: float
    _crystals: dict[tuple[str, int, int], list[tuple[T, Atoms]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def find_mirror_image(self, name: T, atoms: Atoms, number: int) -> T | None:
        """Find the crystal whose mirror image is given; remember the given one if there is none.

        Parameters
        ----------
        name : T
            What names the crystal.
        atoms : ase.Atoms
            Its primitive cell.
        number : int
            Its space-group number.

        Returns
        -------
        T or None
            What names the mirror image; None for an achiral crystal, and where there is none.
        """
        group = classify_space_group(number)
        # The comparison sees elements: it cannot tell the isotopes of one from each other.
        if group.chirality_class != "II" or find_special_masses(atoms) is not None:
            return None
        pair = min(number, group.enantiomorphic_partner or number)
        known = self._crystals[atoms.get_chemical_formula(), len(atoms), pair]
        for other, crystal in known:
            if are_enantiomorphs(crystal, atoms, self.symprec):
                return other
        known.append((name, atoms))
        return None


def are_enantiomorphs(first: Atoms, second: Atoms, symprec: float) -> bool:
    """Tell whether a rotation and a translation carry the mirror image of one crystal to another.

    Parameters
    ----------
    first, second : ase.Atoms
        Primitive cells of chiral crystals with the same numbers of atoms; right-handed.
    symprec : float
        Tolerance in Å.

    Returns
    -------
    bool
        False where only an improper operation does: then the crystals are the same.
    """
    length = float(second.cell.lengths().min())
    if not np.isclose(first.get_volume(), second.get_volume(), rtol=6 * symprec / length):
        return False
    matcher = StructureMatcher(
        ltol=symprec / length,
        stol=symprec / np.cbrt(second.get_volume() / len(second)),
        angle_tol=float(np.degrees(symprec / length)),
        primitive_cell=False,
        scale=False,
        comparator=ElementComparator(),
    )
    found = matcher.get_transformation(
        AseAtomsAdaptor.get_structure(second), AseAtomsAdaptor.get_structure(invert(first))
    )
    return found is not None and float(np.linalg.det(found[0])) > 0
