"""Force constants by displacements or second derivatives, and the stability they imply."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy

from potentials import (
    DifferentiablePotential,
    Equivariance,
    Potential,
    PotentialCard,
    is_out_of_memory,
    remove_average,
)
from tasks.crystals.cells import make_atoms
from tasks.failures import RemediableError, raise_panics
from tasks.phonons.convergence import estimate_truncation_error
from tasks.phonons.displaced_supercells import DisplacedCrystal, displace
from tasks.phonons.pairs import PairGroup
from tasks.phonons.phonopy_objects import symmetrize
from tasks.phonons.settings import PhononSettings
from tasks.phonons.supercells import choose_supercell, find_nearest_image_distance
from tasks.tolerances import AS_MADE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
P = ParamSpec("P")
T = TypeVar("T")
_GROWTH = 1.25  # of the distance between images, when a supercell is enlarged


@dataclass(frozen=True)
class ForceConstants:
    """Symmetrised force constants of a crystal, with what their computation cost.

    Attributes
    ----------
    phonon : phonopy.Phonopy
        Unit cell, supercell and compact force constants (eV/Å^2).
    sum_rule_residual : float
        Largest violation of the acoustic sum rule before symmetrisation (eV/Å^2).
    symmetrisation : float
        Largest change of a force constant by the symmetrisation (eV/Å^2).
    boundary_shift : float
        Estimated error of interpolated frequencies, as a fraction of the highest one; see
        `tasks.phonons.convergence`.
    n_enlargements : int
        How often the supercell was enlarged because of it.
    n_evaluations : int
        Displaced supercells evaluated, those of abandoned supercells included; none where second
        derivatives were taken.
    potential_time : float
        Seconds spent inside the potential, likewise.
    """

    phonon: Phonopy
    sum_rule_residual: float
    symmetrisation: float
    boundary_shift: float
    n_enlargements: int
    n_evaluations: int
    potential_time: float


def compute_force_constants(
    atoms: Atoms, potential: Potential, settings: PhononSettings
) -> ForceConstants:
    """Compute the force constants of one crystal; see `compute_all_force_constants`.

    Parameters
    ----------
    atoms : ase.Atoms
        Relaxed primitive cell.
    potential : Potential
        An O(3)-invariant potential.
    settings : PhononSettings
        Length of displacements, size of the supercell.

    Returns
    -------
    ForceConstants
        With the phonopy object ready for any q-point.

    Raises
    ------
    ValueError
        When the cell is too large or a force is not a number.
    """
    [found] = compute_all_force_constants([atoms], potential, settings)
    if isinstance(found, Exception):
        raise found
    return found


def compute_all_force_constants(
    crystals: Sequence[Atoms],
    potential: Potential,
    settings: PhononSettings,
    supercell_matrix: IntArray | None = None,
) -> list[ForceConstants | Exception]:
    """Compute force constants of several crystals, displaced supercells in one evaluation.

    The forces that remain in the undisplaced crystal are subtracted, or second derivatives taken,
    which know of none; then the force constants are symmetrised. Supercells at whose boundary they
    have not decayed are enlarged, together; where that fails the smaller supercell's result stands.

    Parameters
    ----------
    crystals : sequence of ase.Atoms
        Relaxed primitive cells.
    potential : Potential
        An O(3)-invariant potential.
    settings : PhononSettings
        Length of displacements, size of the supercell.
    supercell_matrix : ndarray of int, shape (3, 3), optional
        Supercell of all of them, in phonopy's convention and invariant under their point groups; by
        default each has one of its own that the settings choose and enlarge.

    Returns
    -------
    list of ForceConstants or Exception
        One per crystal; what was raised for a crystal stands in its place.

    Raises
    ------
    RemediableError
        When second derivatives are wanted of a potential without them.
    MemoryError, torch.OutOfMemoryError
        When the crystals together are too large for the memory.
    """
    if settings.method == "hessian":
        require_second_derivatives(potential.card)
    bare = remove_average(potential)
    equivariance = Equivariance.O3 if bare is potential else Equivariance.SO3

    def displaced(atoms: Atoms, length: float) -> DisplacedCrystal:
        matrix = supercell_matrix
        if matrix is None:
            matrix = choose_supercell(atoms, length, settings.max_atoms, AS_MADE)
        return displace(atoms, matrix, settings.displacement, equivariance)

    first = [_catch_errors(displaced, atoms, settings.min_supercell_length) for atoms in crystals]
    results = _compute_all(first, bare, settings.method)
    for _ in range(settings.max_enlargements if supercell_matrix is None else 0):
        lengths = {
            i: length
            for i, (atoms, found) in enumerate(zip(crystals, results, strict=True))
            if (length := _choose_longer_distance(atoms, found, settings))
        }
        larger = [_catch_errors(displaced, crystals[i], length) for i, length in lengths.items()]
        for i, found in zip(lengths, _compute_enlarged(larger, bare, settings.method), strict=True):
            results[i] = _merge_costs(results[i], found)
    return results


def make_force_constants(
    displaced: DisplacedCrystal, forces: Sequence[FloatArray], potential_time: float
) -> ForceConstants:
    """Turn forces into symmetrised force constants.

    Parameters
    ----------
    displaced : DisplacedCrystal
        What was evaluated; its phonopy object receives the force constants.
    forces : sequence of ndarray, each of shape (n_atoms, 3)
        Forces in eV/Å on `displaced.structures()`.
    potential_time : float
        Seconds they took.

    Returns
    -------
    ForceConstants
        With the phonopy object ready for any q-point.

    Raises
    ------
    ValueError
        When a force is not a number.
    """
    odd = displaced.take_odd_forces(forces)
    return _symmetrize_forces(displaced.phonon, odd, displaced.n_evaluations, potential_time)


def _symmetrize_forces(
    phonon: Phonopy, odd: FloatArray, n_evaluations: int, potential_time: float
) -> ForceConstants:
    """Force constants from the forces (eV/Å) that are odd in the displacements."""
    if not np.isfinite(odd).all():
        raise ValueError("the potential gave a force that is not a number")
    phonon.forces = odd
    moves = phonon.dataset["first_atoms"]
    sites = np.array([move["number"] for move in moves])
    raw = PairGroup(phonon).solve(sites, np.array([move["displacement"] for move in moves]), odd)
    phonon.force_constants = raw
    symmetrize(phonon)
    return ForceConstants(
        phonon,
        sum_rule_residual=float(np.abs(raw.sum(axis=1)).max()),
        symmetrisation=float(np.abs(phonon.force_constants - raw).max()),
        boundary_shift=estimate_truncation_error(phonon),
        n_enlargements=0,
        n_evaluations=n_evaluations,
        potential_time=potential_time,
    )


def require_second_derivatives(card: PotentialCard) -> None:
    """Refuse second derivatives of a potential that does not offer them.

    Parameters
    ----------
    card : PotentialCard
        Of the potential.

    Raises
    ------
    RemediableError
        When it offers forces only.
    """
    if not card.second_derivatives:
        message = f"the potential {card.name} offers no second derivatives"
        remedy = "set phonons.method: displacements, or choose a facet potential"
        raise RemediableError(message, remedy)


def _compute_all(
    displaced: Sequence[DisplacedCrystal | Exception], potential: Potential, method: str
) -> list[ForceConstants | Exception]:
    """Force constants of all crystals by one method, errors in their places."""
    ready = [one for one in displaced if not isinstance(one, Exception)]
    solve = _compute_by_second_derivatives if method == "hessian" else _compute_by_displacements
    finished = iter(solve(ready, potential))
    return [one if isinstance(one, Exception) else next(finished) for one in displaced]


def _compute_by_displacements(
    displaced: Sequence[DisplacedCrystal], potential: Potential
) -> list[ForceConstants | Exception]:
    """Force constants of all crystals from one evaluation."""
    return [
        found if isinstance(found, Exception) else _catch_errors(make_force_constants, one, *found)
        for one, found in zip(displaced, _evaluate_forces(displaced, potential), strict=True)
    ]


def _compute_by_second_derivatives(
    displaced: Sequence[DisplacedCrystal], potential: Potential
) -> list[ForceConstants | Exception]:
    """Force constants of one crystal after the other."""
    return [_catch_errors(_differentiate, one, potential) for one in displaced]


def _differentiate(displaced: DisplacedCrystal, potential: Potential) -> ForceConstants:
    """Force constants from the exact response to the displacements, which are not evaluated."""
    assert isinstance(potential, DifferentiablePotential)
    supercell = make_atoms(displaced.phonon.supercell)
    moves = displaced.phonon.dataset["first_atoms"]
    directions = np.zeros((len(moves), len(supercell), 3))
    for direction, move in zip(directions, moves, strict=True):
        direction[move["number"]] = move["displacement"]
    start = time.perf_counter()
    odd = -potential.hessian_products(supercell, directions)
    return _symmetrize_forces(displaced.phonon, odd, 0, time.perf_counter() - start)


def _compute_enlarged(
    displaced: Sequence[DisplacedCrystal | Exception], potential: Potential, method: str
) -> list[ForceConstants | Exception]:
    """As `_compute_all`; what has no room beside the others is evaluated alone, or not at all."""
    try:
        return _compute_all(displaced, potential, method)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        if len(displaced) == 1:
            return [error]
    return [_compute_enlarged([one], potential, method)[0] for one in displaced]


def _evaluate_forces(
    displaced: Sequence[DisplacedCrystal], potential: Potential
) -> list[tuple[tuple[FloatArray, ...], float] | Exception]:
    """Forces on the structures of each crystal, and its share of the time by number of atoms.

    What cannot be evaluated together is evaluated one crystal after the other.
    """
    groups = [crystal.list_structures() for crystal in displaced]
    together = [atoms for group in groups for atoms in group]
    if not together:
        return []
    found = _catch_errors(potential.evaluate, together)
    if isinstance(found, Exception):
        if len(displaced) == 1:
            return [found]
        return [_evaluate_forces([crystal], potential)[0] for crystal in displaced]
    n_atoms = [sum(map(len, group)) for group in groups]
    times = found.wall_time * np.array(n_atoms) / sum(n_atoms)
    forces = iter(found.forces)
    return [
        (tuple(itertools.islice(forces, len(group))), float(time))
        for group, time in zip(groups, times, strict=True)
    ]


def _choose_longer_distance(
    atoms: Atoms, found: ForceConstants | Exception, settings: PhononSettings
) -> float | None:
    """Distance between images (Å) to try next; None where that is not needed or not allowed."""
    if isinstance(found, Exception) or found.boundary_shift <= settings.max_boundary_shift:
        return None
    length = _GROWTH * find_nearest_image_distance(found.phonon.supercell.cell)
    matrix = choose_supercell(atoms, length, settings.max_atoms, AS_MADE)
    reached = find_nearest_image_distance(matrix.T @ np.asarray(atoms.cell))
    return length if reached > length - AS_MADE else None


def _merge_costs(
    before: ForceConstants | Exception, found: ForceConstants | Exception
) -> ForceConstants | Exception:
    """Force constants of an enlarged supercell, with the cost of both; the old ones without it."""
    if isinstance(before, Exception) or isinstance(found, Exception):
        return before
    return replace(
        found,
        n_enlargements=before.n_enlargements + 1,
        n_evaluations=before.n_evaluations + found.n_evaluations,
        potential_time=before.potential_time + found.potential_time,
    )


def _catch_errors(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Exception:
    """Value of a function, or what it raised; a lack of memory concerns all and is raised."""
    try:
        with raise_panics():
            return function(*args, **kwargs)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return error
