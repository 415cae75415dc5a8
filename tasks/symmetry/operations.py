"""Space-group operations in a primitive basis, from the tables of spglib or from a crystal.

Conventions, stated once for the package: an operation {R|t} carries the point x to R x + t.
``rotations`` are integer matrices that act on fractional coordinates (columns) of the primitive
cell whose vectors are the rows of ``lattice``; ``make_cartesian_rotations`` are the same operations
in the Cartesian frame of that cell. Wave vectors are fractional coordinates of the primitive
reciprocal lattice, in which {R|t} carries q to the inverse transpose of R times q.
"""

from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from tasks.tolerances import AS_MADE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

N_HALL_NUMBERS = 530

# Files give masses to 1e-3 u or better; isotopes differ by about 1 u.
MASS_DECIMALS = 3

PRIMITIVE_MATRICES = {
    centring: np.array(sixths) / 6
    for centring, sixths in {
        "P": ((6, 0, 0), (0, 6, 0), (0, 0, 6)),
        "A": ((6, 0, 0), (0, 3, -3), (0, 3, 3)),
        "C": ((3, 3, 0), (-3, 3, 0), (0, 0, 6)),
        "I": ((-3, 3, 3), (3, -3, 3), (3, 3, -3)),
        "F": ((0, 3, 3), (3, 0, 3), (3, 3, 0)),
        "R": ((4, -2, -2), (2, 2, -4), (2, 2, 2)),
    }.items()
}
"""Primitive vectors as columns, in units of the conventional ones, by centring: the choice of
spglib and phonopy, which is not asked because it is slow to load."""

_ROUNDING = 1e-10  # of fractional coordinates

# A metric without symmetry: averaged over a point group it becomes a generic cell of its system.
_GENERIC_METRIC = np.array([[1.00, 0.13, 0.21], [0.13, 1.37, -0.17], [0.21, -0.17, 1.89]])


@dataclass(frozen=True, eq=False)
class SymmetryOperations:
    """Operations {R|t} of a space group, one per element of its point group.

    Attributes
    ----------
    lattice : ndarray, shape (3, 3)
        Primitive lattice vectors as rows, in Å (arbitrary unit for a group from the tables).
    rotations : ndarray of int, shape (n, 3, 3)
        Rotations in the primitive basis.
    translations : ndarray, shape (n, 3)
        Translations in the primitive basis.
    """

    lattice: FloatArray
    rotations: IntArray
    translations: FloatArray

    @cached_property
    def cartesian_rotations(self) -> FloatArray:
        """Rotations in the Cartesian frame of the lattice, orthogonal; shape (n, 3, 3)."""
        return make_cartesian_rotations(self.lattice, self.rotations)


@dataclass(frozen=True, eq=False)
class CrystalSymmetry:
    """Primitive cell of a crystal, in the crystal's own orientation, with its operations.

    Attributes
    ----------
    operations : SymmetryOperations
        Operations in the primitive basis.
    positions : ndarray, shape (n_atoms, 3)
        Fractional coordinates of the atoms of the primitive cell.
    numbers : ndarray of int, shape (n_atoms,)
        Atomic numbers.
    """

    operations: SymmetryOperations
    positions: FloatArray
    numbers: IntArray


def make_cartesian_rotations(lattice: ArrayLike, rotations: ArrayLike) -> FloatArray:
    """Return Cartesian matrices of rotations given in fractional coordinates.

    Parameters
    ----------
    lattice : array_like, shape (3, 3)
        Lattice vectors as rows.
    rotations : array_like of int, shape (n, 3, 3)
        Rotations that act on fractional coordinates (columns).

    Returns
    -------
    ndarray, shape (n, 3, 3)
        Orthogonal matrices. A cell that has its symmetry only within a tolerance gives matrices
        that are almost orthogonal; the nearest orthogonal ones (polar decomposition) are returned.
    """
    columns = np.asarray(lattice, dtype=float).T
    matrices = columns @ np.asarray(rotations) @ np.linalg.inv(columns)
    left, _, right = np.linalg.svd(matrices)
    return np.asarray(left @ right)


def find_standard_hall_number(number: int) -> int:
    """Return the Hall number of the standard setting of a space group.

    Parameters
    ----------
    number : int
        Space-group number, 1-230.

    Returns
    -------
    int
        First Hall number of that group, 1-530; the choice spglib makes too.

    Raises
    ------
    ValueError
        When the number is outside 1-230.
    """
    if number not in _list_first_hall_numbers():
        message = f"no space group has the number {number}: give an integer from 1 to 230"
        raise ValueError(message)
    return _list_first_hall_numbers()[number]


@cache
def _list_first_hall_numbers() -> dict[int, int]:
    """First Hall number of each space group."""
    first: dict[int, int] = {}
    for hall_number in range(1, N_HALL_NUMBERS + 1):
        first.setdefault(int(spglib.get_spacegroup_type(hall_number).number), hall_number)
    return first


@cache
def read_database_operations(number: int) -> SymmetryOperations:
    """Return the operations of a space group in the primitive basis of its standard setting.

    Parameters
    ----------
    number : int
        Space-group number, 1-230.

    Returns
    -------
    SymmetryOperations
        The cell is a generic one of the crystal system: a along x, b in the xy plane.

    Raises
    ------
    ValueError
        When the number is outside 1-230.
    """
    hall_number = find_standard_hall_number(number)
    rotations = spglib.get_symmetry_from_database(hall_number)["rotations"]
    return _read_primitive_operations(hall_number, make_generic_lattice(rotations))


def make_generic_lattice(rotations: ArrayLike) -> FloatArray:
    """Return a cell that has the given rotations and, beyond them, no accidental symmetry.

    Parameters
    ----------
    rotations : array_like of int, shape (n, 3, 3)
        Rotations of a point group in fractional coordinates.

    Returns
    -------
    ndarray, shape (3, 3)
        Lattice vectors as rows, a along x and b in the xy plane: the Cholesky factor of a generic
        metric averaged over the group, G = <R^T G R>.
    """
    matrices = np.asarray(rotations)
    metric = np.mean(matrices.transpose(0, 2, 1) @ _GENERIC_METRIC @ matrices, axis=0)
    return np.linalg.cholesky(metric)


def find_dataset(atoms: Atoms, symprec: float) -> spglib.SpglibDataset:
    """Return the symmetry data set of spglib for a crystal.

    Parameters
    ----------
    atoms : ase.Atoms
        Crystal, periodic in three directions.
    symprec : float
        Distance tolerance in Å.

    Returns
    -------
    spglib.SpglibDataset
        As spglib describes it.

    Raises
    ------
    ValueError
        When the crystal is not periodic in three directions or spglib finds no symmetry.
    """
    if not all(atoms.pbc):
        message = f"{atoms.get_chemical_formula()} is not periodic in three directions: set pbc"
        raise ValueError(message)
    lattice, positions, numbers = map(np.ascontiguousarray, _make_spglib_cell(atoms))
    try:
        # Several decisions on one crystal need it, one after the other.
        dataset = _search_dataset(
            lattice.tobytes(), positions.tobytes(), tuple(numbers.tolist()), symprec
        )
    except spglib.SpglibError as error:
        raise _make_no_symmetry_error(atoms, symprec, str(error)) from error
    if dataset is None:
        raise _make_no_symmetry_error(atoms, symprec, "no data set")
    return dataset


def find_space_group_number(atoms: Atoms, symprec: float) -> int:
    """Space-group number of a crystal at a tolerance.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.
    symprec : float
        Distance tolerance in Å.

    Returns
    -------
    int
        1 to 230; 0 when spglib finds none.
    """
    try:
        return int(find_dataset(atoms, symprec).number)
    except ValueError:
        return 0


@lru_cache(maxsize=64)
def _search_dataset(
    lattice: bytes, positions: bytes, numbers: tuple[int, ...], symprec: float
) -> spglib.SpglibDataset | None:
    """Data set of a cell given by the bytes of its arrays."""
    cell = (
        np.frombuffer(lattice, dtype=np.float64).reshape(3, 3),
        np.frombuffer(positions, dtype=np.float64).reshape(-1, 3),
        numbers,
    )
    return spglib.get_symmetry_dataset(cell, symprec=symprec)


def idealize_primitive(
    dataset: spglib.SpglibDataset,
) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return the idealised primitive cell of a crystal whose symmetry spglib has found.

    Parameters
    ----------
    dataset : spglib.SpglibDataset
        Its symmetry.

    Returns
    -------
    lattice : ndarray, shape (3, 3)
        Vectors as rows in Å, in the standard orientation.
    positions : ndarray, shape (n_atoms, 3)
        Fractional coordinates.
    kinds : ndarray of int, shape (n_atoms,)
        Labels of the species. All three as `spglib.standardize_cell` gives them, which would search
        the symmetry once more.
    """
    primitive = _get_primitive_matrix(int(dataset.hall_number))
    _, first = np.unique(dataset.std_mapping_to_primitive, return_index=True)
    first.sort()
    positions = dataset.std_positions[first] @ np.linalg.inv(primitive).T
    lattice = primitive.T @ dataset.std_lattice
    # A zero that is a little less than zero stays there.
    wrapped = positions - np.floor(positions + _ROUNDING)
    return lattice, wrapped, dataset.std_types[first]


def find_crystal_symmetry(atoms: Atoms, symprec: float = AS_MADE) -> CrystalSymmetry:
    """Return the primitive cell of a crystal with its operations, without turning the crystal.

    Parameters
    ----------
    atoms : ase.Atoms
        Crystal; any cell, also a supercell.
    symprec : float
        Distance tolerance in Å.

    Returns
    -------
    CrystalSymmetry
        Primitive cell in the orientation of the input, not idealised; a primitive cell keeps its
        basis, so that wave vectors keep their coordinates.

    Raises
    ------
    ValueError
        When spglib finds no symmetry.
    """
    return extract_crystal_symmetry(atoms, find_dataset(atoms, symprec))


def extract_crystal_symmetry(atoms: Atoms, dataset: spglib.SpglibDataset) -> CrystalSymmetry:
    """Return the primitive cell of a crystal whose symmetry spglib has found.

    Parameters
    ----------
    atoms : ase.Atoms
        Crystal; any cell, also a supercell.
    dataset : spglib.SpglibDataset
        Its symmetry.

    Returns
    -------
    CrystalSymmetry
        Primitive cell in the orientation of the input, not idealised. A primitive cell keeps its
        basis; of any other the primitive cell of the standard setting is taken.
    """
    _, first = np.unique(dataset.mapping_to_primitive, return_index=True)
    if len(first) == len(atoms):
        rotations = dataset.rotations.astype(np.int64)
        operations = SymmetryOperations(atoms.cell.array, rotations, dataset.translations)
        return CrystalSymmetry(operations, atoms.get_scaled_positions(), atoms.numbers)
    return _reduce_to_standard_primitive(atoms, dataset, first)


def _reduce_to_standard_primitive(
    atoms: Atoms, dataset: spglib.SpglibDataset, first: NDArray[np.intp]
) -> CrystalSymmetry:
    """Primitive cell of the standard setting, with one atom of each lattice of equal ones."""
    to_standard = dataset.transformation_matrix
    conventional = np.linalg.inv(to_standard).T @ atoms.cell.array
    operations = _read_primitive_operations(int(dataset.hall_number), conventional)
    standard = atoms.get_scaled_positions()[first] @ to_standard.T + dataset.origin_shift
    positions = standard @ np.linalg.inv(_get_primitive_matrix(int(dataset.hall_number))).T
    return CrystalSymmetry(operations, positions % 1.0, atoms.numbers[first])


def _get_primitive_matrix(hall_number: int) -> FloatArray:
    """Primitive vectors as columns, in units of the conventional ones of a setting."""
    symbol = spglib.get_spacegroup_type(hall_number).international_short
    return PRIMITIVE_MATRICES[symbol[0]]


def _read_primitive_operations(hall_number: int, conventional: FloatArray) -> SymmetryOperations:
    """Operations of the tables in the primitive basis of a conventional cell (rows)."""
    table = spglib.get_symmetry_from_database(hall_number)
    primitive = _get_primitive_matrix(hall_number)
    inverse = np.linalg.inv(primitive)
    rotations, first = np.unique(
        np.rint(inverse @ table["rotations"] @ primitive).astype(np.int64),
        axis=0,
        return_index=True,
    )
    translations = (table["translations"] @ inverse.T)[first] % 1.0
    return SymmetryOperations(primitive.T @ conventional, rotations, translations)


def _make_spglib_cell(atoms: Atoms) -> tuple[FloatArray, FloatArray, IntArray]:
    """Cell tuple (lattice rows, scaled positions, labels of species) that spglib takes."""
    return atoms.cell.array, atoms.get_scaled_positions(), label_species(atoms)


def label_species(atoms: Atoms) -> IntArray:
    """Number the species of a crystal: isotopes of one element are different species.

    Parameters
    ----------
    atoms : ase.Atoms
        Crystal; masses count where it carries some of its own.

    Returns
    -------
    ndarray of int, shape (n_atoms,)
        Atomic numbers where each element has one mass, else labels that tell the masses apart.
    """
    numbers: IntArray = atoms.numbers
    if not atoms.has("masses"):
        return numbers
    kinds = np.column_stack([numbers, np.round(atoms.get_masses(), MASS_DECIMALS)])
    distinct, labels = np.unique(kinds, axis=0, return_inverse=True)
    one_mass_each = len(distinct) == len(np.unique(numbers))
    return numbers if one_mass_each else labels.ravel() + 1


def _make_no_symmetry_error(atoms: Atoms, symprec: float, reason: str) -> ValueError:
    """Error that tells what spglib said and what to try."""
    return ValueError(
        f"spglib finds no symmetry of {atoms.get_chemical_formula()} ({len(atoms)} atoms) at "
        f"symprec {symprec} Å ({reason}): remove atoms that coincide, check the cell, "
        f"or use a smaller symprec"
    )
