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
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.harmonic.force_constants import compact_fc_to_full_fc
from phonopy.structure.atoms import PhonopyAtoms
from pymatgen.analysis.structure_matcher import ElementComparator, StructureMatcher
from pymatgen.io.ase import AseAtomsAdaptor

from potentials import inverted
from tasks.columns import Row, atoms_of, phonon_columns, phonon_of, structure_columns
from tasks.masses import special_masses
from tasks.phonons import cell_of_atoms, phonopy_of
from tasks.symmetry import classify_space_group

T = TypeVar("T")
_SAME = 1e-5  # fractions of the supercell; what is mirrored here is apart by rounding only
_SPACE_GROUPS = ("space_group_number_initial", "space_group_number_final")
_NO_COST = {"wall_time": 0.0, "potential_time": 0.0}


@dataclass
class Gallery(Generic[T]):
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

    def image_of(self, name: T, atoms: Atoms, number: int) -> T | None:
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
        if group.chirality_class != "II" or special_masses(atoms) is not None:
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
        AseAtomsAdaptor.get_structure(second), AseAtomsAdaptor.get_structure(inverted(first))
    )
    return found is not None and float(np.linalg.det(found[0])) > 0


def mirror_image(phonon: Phonopy) -> Phonopy:
    """Force constants of the inverted crystal.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With compact force constants.

    Returns
    -------
    phonopy.Phonopy
        Same cell and supercell, positions of the other sign.
    """
    cell = phonon.unitcell
    atoms = Atoms(numbers=cell.numbers, cell=cell.cell, scaled_positions=-cell.scaled_positions)
    rounded = cell_of_atoms(atoms)
    unit_cell = PhonopyAtoms(
        numbers=cell.numbers,
        cell=cell.cell,
        scaled_positions=rounded.scaled_positions,
        masses=cell.masses,
    )
    image = phonopy_of(unit_cell, phonon.supercell_matrix, phonon.primitive_matrix)
    origin = _origins(image, phonon)
    constants = compact_fc_to_full_fc(phonon.primitive, phonon.force_constants)
    image.force_constants = constants[np.ix_(origin[image.primitive.p2s_map], origin)]
    if phonon.nac_params is not None:
        image.nac_params = phonon.nac_params | {"born": _mirrored_charges(image, phonon, origin)}
    return image


def mirrored_relaxation(row: Row) -> Row:
    """Row of a relaxed mirror image.

    Parameters
    ----------
    row : mapping
        Row of ``relaxations``.

    Returns
    -------
    mapping
        That of the inverted crystal; no evaluation was needed for it.
    """
    groups = {name: _partner(row[name]) for name in _SPACE_GROUPS}
    return {
        **row,
        **structure_columns(inverted(atoms_of(row))),
        "masses": row.get("masses"),
        **groups,
        **_NO_COST,
        "space_groups": [_partner(number) for number in row["space_groups"]],
        "n_evaluations": 0,
    }


def mirrored_phonons(row: Row) -> Row:
    """Row that tells how the force constants of a mirror image were made.

    Parameters
    ----------
    row : mapping
        Row of ``phonons``.

    Returns
    -------
    mapping
        That of the inverted crystal: the same frequencies, without displacements.
    """
    return {**row, **_NO_COST, "n_displacements": 0}


def mirrored_force_constants(row: Row) -> Row:
    """Row of the force constants of a mirror image.

    Parameters
    ----------
    row : mapping
        Row of ``force_constants``.

    Returns
    -------
    mapping
        That of the inverted crystal.
    """
    forces = row["strain_forces"]
    return {
        **phonon_columns(mirror_image(phonon_of(row))),
        "clamped_stiffness": row["clamped_stiffness"],
        "residual_stress": row.get("residual_stress"),
        "strain_forces": None if forces is None else -np.asarray(forces),
    }


def _mirrored_charges(
    image: Phonopy, phonon: Phonopy, origin: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Born charges of the mirror image: tensors of even rank, of the atoms renamed."""
    primitive = phonon.primitive
    sites = primitive.s2p_map[origin[image.primitive.p2s_map]]
    order = [primitive.p2p_map[int(site)] for site in sites]
    return np.asarray(phonon.nac_params["born"])[order]


def _partner(number: int) -> int:
    """Space group of the mirror image; 0, for none found, stays."""
    return (classify_space_group(number).enantiomorphic_partner or number) if number else 0


def _origins(image: Phonopy, phonon: Phonopy) -> NDArray[np.int64]:
    """For each atom of the inverted supercell, the atom of the original it comes from."""
    here, there = image.supercell.scaled_positions, -phonon.supercell.scaled_positions
    apart = here[:, None] - there[None]
    distance = np.abs(apart - np.rint(apart)).max(axis=-1)
    origin: NDArray[np.int64] = distance.argmin(axis=1)
    if distance.min(axis=1).max() > _SAME or len(set(origin)) < len(origin):
        raise ValueError("the supercell and its mirror image do not match")
    return origin
