"""Everything the symmetry of one crystal says about its phonon chirality, before any force."""

from dataclasses import dataclass, field

import spglib
from ase import Atoms

from tasks.symmetry.classification import SpaceGroupClass, classify_space_group
from tasks.symmetry.handedness import HandCriterion, Sign, find_handedness_in_group
from tasks.symmetry.operations import FloatArray, extract_crystal_symmetry, find_dataset
from tasks.symmetry.point_groups import ChiralityClass, CrystalSystem, HelicityWave
from tasks.symmetry.selection import is_realised
from tasks.tolerances import AS_MADE


@dataclass(frozen=True)
class SymmetryRecord:
    """Symmetry of one crystal.

    Attributes
    ----------
    number, symbol, hall_number, point_group, crystal_system
        Space group found from the atoms, in the notation of spglib.
    chirality_class, helicity_wave, polar, enantiomorphic_partner
        As in ``SpaceGroupClass``, of the space group found.
    n_tensor_components : int
        Number of independent components of the velocity-angular-momentum tensor.
    tensor_components : tuple of str
        Its form in the standard setting; for the crystal's own orientation apply
        ``make_tensor_projector`` to `rotations`.
    n_operations : int
        Number of operations modulo lattice translations, the order of the point group.
    n_atoms_primitive : int
        Number of atoms in the primitive cell.
    wyckoff_letters, site_symmetries : tuple of str
        Wyckoff letter and site-symmetry symbol of each atom given.
    equivalent_atoms : tuple of int
        For each atom the first atom of its orbit.
    hand : {-1, 0, 1}
        +1 right, -1 left, 0 for a crystal that is not chiral.
    hand_criterion : {"none", "screw", "structure"}
        What decided the hand; see ``tasks.symmetry.handedness``.
    handedness : float
        Mean sine of the dihedral angles, in [-1, 1].
    allowed : bool
        Whether the space group, the stated one where given, allows angular momentum.
    realised : bool
        Whether the occupied sites realise angular momentum with some force constants.
    symprec : float
        Distance tolerance in Å.
    rotations : ndarray, shape (n_operations, 3, 3)
        Point group in the Cartesian frame and orientation of the crystal.
    """

    number: int
    symbol: str
    hall_number: int
    point_group: str
    crystal_system: CrystalSystem
    chirality_class: ChiralityClass
    helicity_wave: HelicityWave
    polar: bool
    enantiomorphic_partner: int | None
    n_tensor_components: int
    tensor_components: tuple[str, ...]
    n_operations: int
    n_atoms_primitive: int
    wyckoff_letters: tuple[str, ...]
    site_symmetries: tuple[str, ...]
    equivalent_atoms: tuple[int, ...]
    hand: Sign
    hand_criterion: HandCriterion
    handedness: float
    allowed: bool
    realised: bool
    symprec: float
    rotations: FloatArray = field(compare=False, repr=False)


def analyze_symmetry(
    atoms: Atoms, symprec: float = AS_MADE, *, stated_number: int | None = None
) -> SymmetryRecord:
    """Analyse the symmetry of a crystal.

    Parameters
    ----------
    atoms : ase.Atoms
        Crystal, periodic in three directions; any cell, also a supercell.
    symprec : float
        Distance tolerance in Å.
    stated_number : int, optional
        Space group that the source of the crystal states for it. `allowed` is judged by it,
        `realised` always by the atoms: sites whose arrangement is of higher symmetry, with an
        inversion centre, are allowed by a stated group of class II or III and not realised.

    Returns
    -------
    SymmetryRecord
        Symmetry, hand and verdicts.

    Raises
    ------
    ValueError
        When spglib finds no symmetry, or the stated number is outside 1-230.
    """
    dataset = find_dataset(atoms, symprec)
    group = classify_space_group(int(dataset.number))
    stated = group if stated_number is None else classify_space_group(stated_number)
    return _make_record(atoms, dataset, group, symprec, allowed=stated.allows_angular_momentum)


def _make_record(
    atoms: Atoms,
    dataset: spglib.SpglibDataset,
    group: SpaceGroupClass,
    symprec: float,
    *,
    allowed: bool,
) -> SymmetryRecord:
    """Gather the record from the data set and what follows from it."""
    crystal = extract_crystal_symmetry(atoms, dataset)
    hand = find_handedness_in_group(atoms, group.number)
    return SymmetryRecord(
        number=group.number,
        symbol=group.symbol,
        hall_number=int(dataset.hall_number),
        point_group=group.point_group,
        crystal_system=group.crystal_system,
        chirality_class=group.chirality_class,
        helicity_wave=group.helicity_wave,
        polar=group.polar,
        enantiomorphic_partner=group.enantiomorphic_partner,
        n_tensor_components=group.n_tensor_components,
        tensor_components=group.tensor_components,
        n_operations=len(crystal.operations.rotations),
        n_atoms_primitive=len(crystal.numbers),
        wyckoff_letters=tuple(map(str, dataset.wyckoffs)),
        site_symmetries=tuple(map(str, dataset.site_symmetry_symbols)),
        equivalent_atoms=tuple(map(int, dataset.crystallographic_orbits)),
        hand=hand.sign,
        hand_criterion=hand.criterion,
        handedness=hand.value,
        allowed=allowed,
        realised=is_realised(crystal),
        symprec=symprec,
        rotations=crystal.operations.cartesian_rotations,
    )
