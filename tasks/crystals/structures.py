"""Crystals: checked, reduced to the primitive cell and given an identity."""

import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, covalent_radii
from matscipy.neighbours import neighbour_list
from numpy.typing import ArrayLike
from pymatgen.core import Composition

from tasks.crystals.dielectric import DielectricResponse, take_response
from tasks.crystals.masses import find_special_masses, set_special_masses
from tasks.crystals.records import Provenance, Record
from tasks.failures import RemediableError
from tasks.symmetry import find_dataset, idealize_primitive, label_species

# Atoms closer than this share of the sum of their covalent radii are on top of each other.
_OVERLAP = 0.5
_VOLUME_PER_ATOM = (1.0, 1000.0)  # Å^3; no crystal under ordinary conditions lies outside
# Å between opposite faces. Searches of neighbours and symmetry do not end in a needle or a sheet
# that is thinner, and every crystal has a cell that is not.
_THINNEST = 0.05
_HASH_DECIMALS = 6
_DENSITY = 1.66053907  # g/cm^3 in u/Å^3


class PackedCell(NamedTuple):
    """A crystal in as few bytes as tell it from others; millions of them stay in memory.

    Attributes
    ----------
    numbers : bytes
        Atomic numbers, one byte each.
    geometry : bytes
        Lattice vectors (Å) and fractional positions in single precision, which is far finer than
        the tolerance of any comparison.
    """

    numbers: bytes
    geometry: bytes

    @classmethod
    def from_atoms(cls, atoms: Atoms) -> "PackedCell":
        """Keep a crystal."""
        values = np.concatenate([atoms.cell.array, atoms.get_scaled_positions()])
        numbers = atoms.numbers.astype(np.uint8)
        return cls(numbers.tobytes(), values.astype(np.float32).tobytes())

    @property
    def atoms(self) -> Atoms:
        """The crystal again."""
        values = np.frombuffer(self.geometry, dtype=np.float32).astype(float).reshape(-1, 3)
        numbers = np.frombuffer(self.numbers, dtype=np.uint8)
        return Atoms(numbers=numbers, cell=values[:3], scaled_positions=values[3:], pbc=True)

    @property
    def composition(self) -> bytes:
        """Digest of the elements and their numbers, which equal crystals share."""
        return hashlib.blake2b(bytes(sorted(self.numbers)), digest_size=16).digest()


@dataclass(frozen=True)
class Material:
    """A crystal ready for the screening.

    Attributes
    ----------
    material_id : str
        Unique name.
    atoms : ase.Atoms
        Idealised primitive cell.
    structure_hash : str
        SHA-256 (hex) of species, cell and positions of `atoms`, rounded to 1e-6 (Å and fractions).
    source_record : str
        Where it was read.
    provenance : Provenance
        What its database says of it.
    response : DielectricResponse or None
        Born charges of `atoms` and dielectric tensor, where the record has them.
    notes : tuple of str
        What was read otherwise than to the letter, or not used.
    """

    material_id: str
    atoms: Atoms
    structure_hash: str
    source_record: str
    provenance: Provenance = field(default_factory=Provenance)
    response: DielectricResponse | None = None
    notes: tuple[str, ...] = ()


def make_material(record: Record, symprec: float) -> Material:
    """Check a crystal and reduce it to its idealised primitive cell.

    Parameters
    ----------
    record : Record
        The crystal as read.
    symprec : float
        Tolerance of the symmetry search in Å.

    Returns
    -------
    Material
        With its hash.

    Raises
    ------
    RemediableError
        When cell or positions are not those of an ordered crystal.
    """
    check_crystal(record.atoms)
    atoms = standardize(record.atoms, symprec)
    return Material(
        record.material_id,
        atoms,
        compute_structure_hash(atoms),
        record.source_record,
        record.provenance,
        _standardize_response(record.atoms, atoms, symprec),
        record.notes,
    )


def _standardize_response(
    given: Atoms, primitive: Atoms, symprec: float
) -> DielectricResponse | None:
    """Tensors that a crystal carries, judged and turned to its primitive cell."""
    response = take_response(given)
    if response is None:
        return None
    # Few crystals carry charges, and phonopy, which is needed to judge them, is slow to load.
    from tasks.crystals.born_charges import require_sound_charges, standardize_response  # noqa: PLC0415
    from tasks.crystals.cells import make_phonopy_cell  # noqa: PLC0415

    require_sound_charges(response, make_phonopy_cell(given), symprec, "Born charges")
    return standardize_response(given, response, primitive, symprec)


def check_crystal(atoms: Atoms) -> None:
    """Refuse what is not an ordered three-dimensional crystal.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.

    Raises
    ------
    RemediableError
        For no atoms, no cell, values that are not numbers, an absurd volume, directions that are
        not periodic, overlapping atoms.
    """
    if len(atoms) == 0:
        raise RemediableError("the structure has no atoms", "give a structure with atoms")
    if 0 in atoms.numbers:
        raise RemediableError("an atom is no element (X)", "write the symbols of elements")
    values = np.append(np.asarray(atoms.cell), atoms.positions)
    if not np.isfinite(values).all():
        message = "a cell vector or position is not a finite number (NaN or infinite)"
        raise RemediableError(message, "correct the file")
    if not all(atoms.pbc):
        message = f"not periodic in three directions: pbc {atoms.pbc.tolist()}"
        raise RemediableError(message, "give crystals; a slab or a molecule is none")
    volume = abs(float(np.linalg.det(atoms.cell))) / len(atoms)
    if not _VOLUME_PER_ATOM[0] <= volume <= _VOLUME_PER_ATOM[1]:
        message = f"absurd cell: {volume:.3g} Å^3 per atom, expected 1 to 1000"
        raise RemediableError(message, "give a periodic cell with lengths in Å")
    thickness = 1 / float(np.linalg.norm(np.linalg.inv(atoms.cell.array), axis=0).max())
    if thickness < _THINNEST:
        message = f"absurd cell: two of its faces are {thickness:.3g} Å apart"
        raise RemediableError(message, "give a reduced cell")
    _refuse_overlaps(atoms)


def standardize(atoms: Atoms, symprec: float) -> Atoms:
    """Reduce a crystal to its idealised primitive cell.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.
    symprec : float
        Tolerance of the symmetry search in Å.

    Returns
    -------
    ase.Atoms
        Primitive cell in spglib's standard orientation, of the same handedness; the coordinates
        obey the space group exactly. Atoms of another mass are other atoms.

    Raises
    ------
    RemediableError
        When spglib finds no symmetry.
    """
    kinds = label_species(atoms)
    try:
        lattice, positions, found_kinds = idealize_primitive(find_dataset(atoms, symprec))
    except ValueError as error:
        message = f"spglib finds no space group at symprec {symprec} Å: {error}"
        raise RemediableError(message, "check for overlapping atoms, or change symprec") from error
    first = {int(kind): index for index, kind in enumerate(kinds)}
    origin = [first[int(kind)] for kind in found_kinds]
    numbers, masses = atoms.numbers[origin], find_special_masses(atoms)
    primitive = Atoms(numbers=numbers, cell=lattice, scaled_positions=positions, pbc=True)
    set_special_masses(primitive, None if masses is None else masses[origin])
    return primitive


def compute_structure_hash(atoms: Atoms) -> str:
    """Digest of species, cell and positions.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.

    Returns
    -------
    str
        SHA-256 (hex) over values rounded to 1e-6; masses count where they are special.
    """
    # Adding zero turns -0.0 into 0.0, which has another byte pattern.
    cell = np.round(np.asarray(atoms.cell), _HASH_DECIMALS) + 0.0
    fractions = np.round(atoms.get_scaled_positions(), _HASH_DECIMALS) % 1.0 + 0.0
    parts = [atoms.numbers.astype("<i8"), cell.astype("<f8"), fractions.astype("<f8")]
    if (masses := find_special_masses(atoms)) is not None:
        parts.append(np.round(masses, _HASH_DECIMALS).astype("<f8"))
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def reduce_formula(atoms: Atoms) -> str:
    """Reduced chemical formula, the electropositive elements first.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.

    Returns
    -------
    str
        Such as ``SiO2``.
    """
    with warnings.catch_warnings(action="ignore"):  # light noble gases have no electronegativity
        return str(Composition(atoms.get_chemical_formula()).reduced_formula)


def compute_density(
    numbers: Sequence[int], cell: ArrayLike, masses: ArrayLike | None = None
) -> float:
    """Compute the density of a crystal.

    Parameters
    ----------
    numbers : sequence of int
        Atomic numbers.
    cell : array_like
        Lattice vectors as rows (Å), 9 numbers.
    masses : array_like, optional
        Those of the atoms (u) where they are special.

    Returns
    -------
    float
        In g/cm^3.
    """
    known = atomic_masses[np.asarray(numbers)] if masses is None else np.asarray(masses)
    volume = abs(np.linalg.det(np.reshape(cell, (3, 3))))
    return float(known.sum() / volume * _DENSITY)


def _refuse_overlaps(atoms: Atoms) -> None:
    """Refuse atoms on top of each other."""
    radii = _OVERLAP * covalent_radii[atoms.numbers]
    first, second, distance = neighbour_list("ijd", atoms, cutoff=radii)
    if len(distance):
        k = int(distance.argmin())
        pair = f"{atoms.symbols[first[k]]}{first[k]} and {atoms.symbols[second[k]]}{second[k]}"
        message = f"overlapping atoms: {pair} are {distance[k]:.3f} Å apart"
        raise RemediableError(message, "remove the duplicate site or correct the cell")
