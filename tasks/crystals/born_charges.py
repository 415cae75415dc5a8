"""Born charges: checked, and carried over to the cell that is computed.

Positions turn with the crystal and so do these tensors: T -> R T R^T. Spglib says which atom is
which; its standard cell is that of `tasks.crystals.structures.standardize`.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy.interface.calculator import get_calculator_physical_units
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.symmetry import Symmetry, symmetrize_borns_and_epsilon
from pymatgen.core import Element

from tasks.crystals.cells import make_phonopy_cell
from tasks.crystals.dielectric import REMEDY, DielectricResponse, read_response, require_insulating
from tasks.failures import RemediableError
from tasks.symmetry import find_dataset
from tasks.tolerances import AS_MADE

FloatArray = NDArray[np.float64]

# Of 2006 crystals computed with VASP or ABINIT the charges add up to at most 0.1 e, and violate the
# symmetry of their sites by at most 7 % of the largest one (3 % in all but two);
# `benchmarks.charge_checks` counts what these limits refuse.
_MAX_DEVIATION: Final = 0.1
_NOISE: Final = 0.2  # e; charges of elements are small, and so is their noise
# In none of the 1814 crystals whose elements differ by more than this (Pauling's scale) the more
# electronegative atoms are positive on the whole; in 27 of the others they are, as in BAs.
_MIN_IONIC_DIFFERENCE: Final = 0.8
_ORDER: Final = "are the tensors in the order of the inequivalent atoms?"


def require_sound_charges(
    response: DielectricResponse, cell: PhonopyAtoms, symprec: float, place: str
) -> None:
    """Refuse Born charges in the wrong order, or of another crystal.

    Three facts tell: they add up to zero, obey the symmetry of the sites, and are negative on
    electronegative atoms. None of them tells a tensor from its transpose.

    Parameters
    ----------
    response : DielectricResponse
        Tensors of all atoms of `cell`.
    cell : phonopy.structure.atoms.PhonopyAtoms
        The crystal.
    symprec : float
        Tolerance of the symmetry search in Å.
    place : str
        Where they were read, for the message.

    Raises
    ------
    RemediableError
        When they do not fit the crystal, are no numbers, or are no tensors of an insulator.
    """
    require_insulating(response)
    charges = response.born_charges
    excess, sizes = np.abs(charges.sum(axis=0)).max(), np.abs(charges).sum(axis=0).max()
    if excess > max(_NOISE, _MAX_DEVIATION * sizes):
        message = f"{place}: the charges add up to {excess:.2g} e per cell; {_ORDER}"
        raise RemediableError(message, REMEDY)
    deviation = np.abs(charges - _average_charges(charges, cell, symprec)).max(axis=(1, 2))
    if deviation.max() > max(_NOISE, _MAX_DEVIATION * np.abs(charges).max()):
        atom = int(deviation.argmax())
        message = (
            f"{place}: the charge of atom {atom + 1} ({cell.symbols[atom]}) violates the symmetry "
            f"of its site by {deviation.max():.2g} e; {_ORDER}"
        )
        raise RemediableError(message, REMEDY)
    _require_negative_anions(charges, cell, place)


def _average_charges(charges: FloatArray, cell: PhonopyAtoms, symprec: float) -> FloatArray:
    """Charges averaged over the space group, shape (n_atoms, 3, 3)."""
    symmetry = Symmetry(cell, symprec=symprec)
    total, lattice = np.zeros_like(charges), cell.cell.T
    rotations = symmetry.symmetry_operations["rotations"]
    for rotation, images in zip(rotations, symmetry.atomic_permutations, strict=True):
        turn = lattice @ rotation @ np.linalg.inv(lattice)
        total[images] += turn @ charges @ turn.T
    return np.asarray(total / len(rotations))


def _require_negative_anions(charges: FloatArray, cell: PhonopyAtoms, place: str) -> None:
    """Refuse charges that are positive on the electronegative atoms of an ionic crystal."""
    affinity = get_electronegativities(cell.numbers)
    if not np.ptp(affinity) > _MIN_IONIC_DIFFERENCE:  # also where an element has none
        return
    mean = np.trace(charges, axis1=1, axis2=2) / 3
    if (affinity - affinity.mean()) @ mean > 0:
        low, high = (cell.symbols[int(f(affinity))] for f in (np.argmin, np.argmax))
        message = f"{place}: {high} is positive and {low} negative on the whole; {_ORDER}"
        raise RemediableError(message, REMEDY)


def get_electronegativities(numbers: NDArray[np.int64]) -> FloatArray:
    """Electronegativity of each atom.

    Parameters
    ----------
    numbers : ndarray of int, shape (n_atoms,)
        Atomic numbers.

    Returns
    -------
    ndarray, shape (n_atoms,)
        On Pauling's scale; NaN for light noble gases.
    """
    with warnings.catch_warnings(action="ignore"):  # of elements without one
        return np.array([Element.from_Z(int(number)).X for number in numbers])


def standardize_response(
    given: Atoms, response: DielectricResponse, primitive: Atoms, symprec: float
) -> DielectricResponse:
    """Carry tensors from a crystal as given to its idealised primitive cell.

    Parameters
    ----------
    given : ase.Atoms
        The crystal as given.
    response : DielectricResponse
        Its tensors.
    primitive : ase.Atoms
        Its standard primitive cell, as `tasks.crystals.structures.standardize` makes it.
    symprec : float
        Tolerance of the symmetry search in Å that was used for it.

    Returns
    -------
    DielectricResponse
        Turned, of the atoms of the primitive cell, made to obey its space group, and neutral.

    Raises
    ------
    RemediableError
        When the atoms of the two cells cannot be matched.
    """
    found = find_dataset(given, symprec)
    # The rotation is found from cells that differ by the idealisation; its polar part is one.
    left, _, right = np.linalg.svd(found.std_rotation_matrix)
    rotation = left @ right
    origin = _find_origins(given, primitive, found, symprec)
    turned = np.einsum("ia,nab,jb->nij", rotation, response.born_charges[origin], rotation)
    dielectric = rotation @ response.dielectric @ rotation.T
    return symmetrize_response(
        DielectricResponse(turned, dielectric), make_phonopy_cell(primitive), AS_MADE
    )


def symmetrize_response(
    response: DielectricResponse, cell: PhonopyAtoms, symprec: float
) -> DielectricResponse:
    """Make tensors obey the space group of their crystal, and add up to zero.

    Parameters
    ----------
    response : DielectricResponse
        Tensors of all atoms of `cell`, which `require_sound_charges` has judged.
    cell : phonopy.structure.atoms.PhonopyAtoms
        The crystal.
    symprec : float
        Tolerance of the symmetry search in Å.

    Returns
    -------
    DielectricResponse
        Averaged over the space group, less the mean of all charges.
    """
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        # phonopy warns of 0.1 e, whatever the size of the charges.
        charges, dielectric = symmetrize_borns_and_epsilon(
            response.born_charges, response.dielectric, cell, symprec=symprec
        )
    return DielectricResponse(np.asarray(charges), np.asarray(dielectric))


def make_nac_params(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Parameters of phonopy for the correction for long-range dipoles.

    Parameters
    ----------
    row : mapping
        Row of ``relaxations``.

    Returns
    -------
    dict or None
        None where the source gave no Born charges.
    """
    response = read_response(row)
    return None if response is None else format_nac_params(response)


def format_nac_params(response: DielectricResponse) -> dict[str, Any]:
    """Give tensors the form that phonopy takes.

    Parameters
    ----------
    response : DielectricResponse
        Of the primitive cell.

    Returns
    -------
    dict
        Born charges (e), dielectric tensor, and the factor that makes eV and Å of them.
    """
    return {
        "born": response.born_charges,
        "dielectric": response.dielectric,
        "factor": get_calculator_physical_units("vasp").nac_factor,
    }


def _find_origins(given: Atoms, primitive: Atoms, found: Any, symprec: float) -> NDArray[np.int64]:  # noqa: ANN401
    """For each atom of the primitive cell, the atom of the given cell that it comes from."""
    fractions = given.get_scaled_positions() @ found.transformation_matrix.T + found.origin_shift
    here = np.linalg.solve(primitive.cell.array.T, (fractions @ found.std_lattice).T).T
    apart = primitive.get_scaled_positions()[:, None] - here[None]
    distance = np.linalg.norm((apart - np.rint(apart)) @ primitive.cell.array, axis=-1)
    distance[primitive.numbers[:, None] != given.numbers[None]] = np.inf
    origin: NDArray[np.int64] = distance.argmin(axis=1)
    # An idealisation moves atoms by about the tolerance; neighbours are much farther away.
    if distance.min(axis=1).max() > max(0.3, 3 * symprec) or len(set(origin)) < len(origin):
        raise RemediableError("the atoms of Born charges cannot be matched", REMEDY)
    return origin
