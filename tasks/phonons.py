"""Force constants by displacements or second derivatives, and the stability they imply."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, ParamSpec, TypeVar

import numpy as np
import spglib
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.harmonic.dynmat_to_fc import get_commensurate_points
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.symmetry import Symmetry
from pydantic import BaseModel, ConfigDict, Field

from potentials import (
    DifferentiablePotential,
    Equivariance,
    Potential,
    PotentialCard,
    inverted,
    is_out_of_memory,
    unaveraged,
)
from tasks.convergence import boundary_shift
from tasks.displacements import choose_directions, count_site_evaluations, site_groups
from tasks.failures import RemediableError, panics_as_errors
from tasks.masses import set_special_masses, special_masses
from tasks.pairs import PairGroup
from tasks.supercells import (
    best_sublattice,
    choose_supercell,
    nearest_image_distance,
    require_size,
)
from tasks.symmetry import MASS_DECIMALS, find_dataset
from tasks.tolerances import AS_MADE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
P = ParamSpec("P")
T = TypeVar("T")

N_TRANSLATIONS = 3
_PROJECTOR_ATOMS = 256
_POSITION_DECIMALS = 12
_TURNS = 3
_GROWTH = 1.25  # of the distance between images, when a supercell is enlarged


class PhononSettings(BaseModel):
    """How force constants are computed and stability is judged."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # Left out of keys and records where it is the default, so that older results remain valid.
    method: Literal["displacements", "hessian"] = Field(
        "displacements",
        exclude_if=lambda method: method == "displacements",
        description="finite displacements, or second derivatives of a potential that offers them",
    )
    displacement: float = Field(0.01, gt=0, description="length of a displacement (Å)")
    min_supercell_length: float = Field(10.0, gt=0, description="distance between images (Å)")
    max_atoms: int = Field(200, ge=1, description="largest number of atoms in a supercell")
    max_boundary_shift: float = Field(
        0.02,
        gt=0,
        description="estimated error of interpolated frequencies, as a fraction of the highest "
        "frequency, above which the supercell is enlarged",
    )
    max_enlargements: int = Field(1, ge=0, description="how often a supercell may be enlarged")

    @property
    def displacement_distance(self) -> float | None:
        """Length of a displacement in Å; None where nothing is displaced."""
        return self.displacement if self.method == "displacements" else None


@dataclass(frozen=True)
class DisplacedCrystal:
    """A crystal with the displacements that give its force constants.

    Attributes
    ----------
    atoms : ase.Atoms
        Relaxed primitive cell.
    phonon : phonopy.Phonopy
        Supercell and displacements, without forces.
    paired : ndarray of bool, shape (n_displacements,)
        Whether the opposite displacement is evaluated as well.
    averaged : bool
        Whether the average over the inversion is taken, from a potential that lacks it.
    """

    atoms: Atoms
    phonon: Phonopy
    paired: NDArray[np.bool_]
    averaged: bool

    @property
    def n_evaluations(self) -> int:
        """Displaced supercells to be evaluated."""
        return len(self.paired) + int(self.paired.sum())

    def structures(self) -> list[Atoms]:
        """Return all structures whose forces are needed.

        Returns
        -------
        list of ase.Atoms
            The crystal at rest and, for the average, its inverted image; the displaced
            supercells; supercells with the opposite displacements, inverted for the average.
        """
        displaced = [atoms_of_cell(cell) for cell in self.phonon.supercells_with_displacements]
        twice = 2 * self.phonon.supercell.positions
        opposite = []
        for cell in (cell for cell, paired in zip(displaced, self.paired, strict=True) if paired):
            partner = cell.copy()
            partner.positions = twice - cell.positions
            opposite.append(inverted(partner) if self.averaged else partner)
        at_rest = [self.atoms, inverted(self.atoms)] if self.averaged else [self.atoms]
        return [*at_rest, *displaced, *opposite]

    def odd_forces(self, forces: Sequence[FloatArray]) -> FloatArray:
        """Take the part of the forces that is odd in the displacements.

        Parameters
        ----------
        forces : sequence of ndarray, each of shape (n_atoms, 3)
            Forces of `structures` in eV/Å.

        Returns
        -------
        ndarray, shape (n_displacements, n_atoms, 3)
            Forces in eV/Å less those at rest; where an operation of the site reverses the
            displacement, the even part is left in, which that operation takes out.
        """
        sites = _unit_cell_sites(self.phonon)
        n_rest, n_displaced = 1 + self.averaged, len(self.paired)
        # Forces of an inverted image, carried back, have the opposite sign.
        sign = -1.0 if self.averaged else 1.0
        found: FloatArray = np.array(forces[n_rest : n_rest + n_displaced]) - forces[0][sites]
        if self.paired.any():
            mirrored = sign * (np.array(forces[n_rest + n_displaced :]) - forces[n_rest - 1][sites])
            found[self.paired] = (found[self.paired] - mirrored) / 2
        return found


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
        `tasks.convergence`.
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


def displace(
    atoms: Atoms, supercell_matrix: IntArray, distance: float, equivariance: Equivariance
) -> DisplacedCrystal:
    """Set up the displacements of a supercell that take the fewest evaluations.

    Parameters
    ----------
    atoms : ase.Atoms
        Relaxed primitive cell.
    supercell_matrix : ndarray of int, shape (3, 3)
        Supercell in phonopy's convention, invariant under the point group.
    distance : float
        Length of a displacement in Å.
    equivariance : Equivariance
        Of the potential before any average: where it is SO(3), the average over the inversion is
        taken.

    Returns
    -------
    DisplacedCrystal
        Ready to be evaluated.
    """
    phonon = phonopy_of(cell_of_atoms(atoms), supercell_matrix)
    moves = {
        atom: choose_directions(group, equivariance) for atom, group in _site_groups(phonon).items()
    }
    phonon.dataset = {
        "natom": len(phonon.supercell),
        "first_atoms": [
            {"number": atom, "displacement": distance * vector}
            for atom, directions in moves.items()
            for vector in directions.vectors
        ],
    }
    paired = np.concatenate([directions.paired for directions in moves.values()])
    return DisplacedCrystal(atoms, phonon, paired, averaged=equivariance is Equivariance.SO3)


def count_evaluations(
    atoms: Atoms, settings: PhononSettings, symprec: float = AS_MADE
) -> tuple[dict[Equivariance, int], int]:
    """Count what the force constants of a crystal take, without setting anything up.

    Parameters
    ----------
    atoms : ase.Atoms
        Primitive cell.
    settings : PhononSettings
        Size of the supercell.
    symprec : float
        Tolerance of the symmetry search in Å.

    Returns
    -------
    n_evaluations : dict
        Displaced supercells for a potential of each kind, as for `displace`.
    n_atoms : int
        Atoms in each.

    Raises
    ------
    RemediableError
        When the primitive cell alone exceeds the largest number of atoms.
    """
    require_size(atoms, settings.max_atoms)
    found, lattice = find_dataset(atoms, symprec), np.asarray(atoms.cell)
    max_index = settings.max_atoms // len(atoms)
    matrix = best_sublattice(lattice, found.rotations, settings.min_supercell_length, max_index)
    sites = site_groups(atoms, found)
    counts = {
        kind: sum(count_site_evaluations(rotations, kind) for rotations in sites)
        for kind in Equivariance
    }
    return counts, len(atoms) * round(np.linalg.det(matrix))


def force_constants(atoms: Atoms, potential: Potential, settings: PhononSettings) -> ForceConstants:
    """Compute the force constants of one crystal; see `force_constants_of_all`.

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
    [found] = force_constants_of_all([atoms], potential, settings)
    if isinstance(found, Exception):
        raise found
    return found


def force_constants_of_all(
    crystals: Sequence[Atoms], potential: Potential, settings: PhononSettings
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
    bare = unaveraged(potential)
    equivariance = Equivariance.O3 if bare is potential else Equivariance.SO3

    def displaced(atoms: Atoms, length: float) -> DisplacedCrystal:
        matrix = choose_supercell(atoms, length, settings.max_atoms, AS_MADE)
        return displace(atoms, matrix, settings.displacement, equivariance)

    first = [_caught(displaced, atoms, settings.min_supercell_length) for atoms in crystals]
    results = _evaluated(first, bare, settings.method)
    for _ in range(settings.max_enlargements):
        lengths = {
            i: length
            for i, (atoms, found) in enumerate(zip(crystals, results, strict=True))
            if (length := _longer(atoms, found, settings))
        }
        larger = [_caught(displaced, crystals[i], length) for i, length in lengths.items()]
        for i, found in zip(lengths, _evaluated_larger(larger, bare, settings.method), strict=True):
            results[i] = _in_place_of(results[i], found)
    return results


def finish(
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
    odd = displaced.odd_forces(forces)
    return _symmetrized(displaced.phonon, odd, displaced.n_evaluations, potential_time)


def _symmetrized(
    phonon: Phonopy, odd: FloatArray, n_evaluations: int, potential_time: float
) -> ForceConstants:
    """Force constants from the forces (eV/Å) that are odd in the displacements."""
    if not np.isfinite(odd).all():
        raise ValueError("the potential gave a force that is not a number")
    phonon.forces = odd
    moves = phonon.dataset["first_atoms"]
    sites = np.array([move["number"] for move in moves])
    raw = PairGroup(phonon).solved(sites, np.array([move["displacement"] for move in moves]), odd)
    phonon.force_constants = raw
    symmetrize(phonon)
    return ForceConstants(
        phonon,
        sum_rule_residual=float(np.abs(raw.sum(axis=1)).max()),
        symmetrisation=float(np.abs(phonon.force_constants - raw).max()),
        boundary_shift=boundary_shift(phonon),
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


def _evaluated(
    displaced: Sequence[DisplacedCrystal | Exception], potential: Potential, method: str
) -> list[ForceConstants | Exception]:
    """Force constants of all crystals by one method, errors in their places."""
    ready = [one for one in displaced if not isinstance(one, Exception)]
    solve = _by_second_derivatives if method == "hessian" else _by_displacements
    finished = iter(solve(ready, potential))
    return [one if isinstance(one, Exception) else next(finished) for one in displaced]


def _by_displacements(
    displaced: Sequence[DisplacedCrystal], potential: Potential
) -> list[ForceConstants | Exception]:
    """Force constants of all crystals from one evaluation."""
    return [
        found if isinstance(found, Exception) else _caught(finish, one, *found)
        for one, found in zip(displaced, _forces_of_all(displaced, potential), strict=True)
    ]


def _by_second_derivatives(
    displaced: Sequence[DisplacedCrystal], potential: Potential
) -> list[ForceConstants | Exception]:
    """Force constants of one crystal after the other."""
    return [_caught(_differentiate, one, potential) for one in displaced]


def _differentiate(displaced: DisplacedCrystal, potential: Potential) -> ForceConstants:
    """Force constants from the exact response to the displacements, which are not evaluated."""
    assert isinstance(potential, DifferentiablePotential)
    supercell = atoms_of_cell(displaced.phonon.supercell)
    moves = displaced.phonon.dataset["first_atoms"]
    directions = np.zeros((len(moves), len(supercell), 3))
    for direction, move in zip(directions, moves, strict=True):
        direction[move["number"]] = move["displacement"]
    start = time.perf_counter()
    odd = -potential.hessian_products(supercell, directions)
    return _symmetrized(displaced.phonon, odd, 0, time.perf_counter() - start)


def _evaluated_larger(
    displaced: Sequence[DisplacedCrystal | Exception], potential: Potential, method: str
) -> list[ForceConstants | Exception]:
    """As `_evaluated`; what has no room beside the others is evaluated alone, or not at all."""
    try:
        return _evaluated(displaced, potential, method)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        if len(displaced) == 1:
            return [error]
    return [_evaluated_larger([one], potential, method)[0] for one in displaced]


def _forces_of_all(
    displaced: Sequence[DisplacedCrystal], potential: Potential
) -> list[tuple[tuple[FloatArray, ...], float] | Exception]:
    """Forces on the structures of each crystal, and its share of the time by number of atoms.

    What cannot be evaluated together is evaluated one crystal after the other.
    """
    groups = [crystal.structures() for crystal in displaced]
    together = [atoms for group in groups for atoms in group]
    if not together:
        return []
    found = _caught(potential.evaluate, together)
    if isinstance(found, Exception):
        if len(displaced) == 1:
            return [found]
        return [_forces_of_all([crystal], potential)[0] for crystal in displaced]
    n_atoms = [sum(map(len, group)) for group in groups]
    times = found.wall_time * np.array(n_atoms) / sum(n_atoms)
    forces = iter(found.forces)
    return [
        (tuple(itertools.islice(forces, len(group))), float(time))
        for group, time in zip(groups, times, strict=True)
    ]


def _longer(
    atoms: Atoms, found: ForceConstants | Exception, settings: PhononSettings
) -> float | None:
    """Distance between images (Å) to try next; None where that is not needed or not allowed."""
    if isinstance(found, Exception) or found.boundary_shift <= settings.max_boundary_shift:
        return None
    length = _GROWTH * nearest_image_distance(found.phonon.supercell.cell)
    matrix = choose_supercell(atoms, length, settings.max_atoms, AS_MADE)
    reached = nearest_image_distance(matrix.T @ np.asarray(atoms.cell))
    return length if reached > length - AS_MADE else None


def _in_place_of(
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


def _caught(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Exception:
    """Value of a function, or what it raised; want of memory is a matter of all crystals."""
    try:
        with panics_as_errors():
            return function(*args, **kwargs)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        return error


def _site_groups(phonon: Phonopy) -> dict[int, FloatArray]:
    """Cartesian rotations (n, 3, 3) that leave each inequivalent atom of the supercell in place."""
    cell = phonon.supercell
    species = cell.totuple(distinguish_symbol_index=True)
    found = spglib.get_symmetry_dataset(species, symprec=AS_MADE)
    turns = cell.cell.T @ found.rotations @ np.linalg.inv(cell.cell.T)
    groups = {}
    for atom in np.flatnonzero(found.equivalent_atoms == np.arange(len(cell))).tolist():
        position = cell.scaled_positions[atom]
        moves = found.rotations @ position + found.translations - position
        distances = np.linalg.norm((moves - np.rint(moves)) @ cell.cell, axis=1)
        groups[atom] = turns[distances < AS_MADE]
    return groups


def symmetrize(phonon: Phonopy) -> None:
    """Impose space group, index permutation and translational invariance on force constants.

    All at once by their projector (compare Seko & Togo, Phys. Rev. B 110, 214302 (2024)); beyond
    256 atoms, as in all earlier results, permutation and translation in turns, which leaves the
    space group as it was in the input.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With compact force constants, which are replaced.
    """
    if len(phonon.supercell) <= _PROJECTOR_ATOMS:
        phonon.force_constants = PairGroup(phonon).symmetrized(phonon.force_constants)
    else:
        phonon.symmetrize_force_constants(level=_TURNS, show_drift=False)


def commensurate_frequencies(phonon: Phonopy) -> FloatArray:
    """Compute the frequencies at the q-points that are commensurate with the supercell.

    Frequencies there follow from the forces alone. At other q-points they are interpolated, and
    an imaginary frequency near Γ may come from the interpolation, so that stability is judged
    here.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With force constants.

    Returns
    -------
    ndarray
        All frequencies except those of the three translations (THz); imaginary ones are negative.
    """
    per_primitive = np.linalg.inv(phonon.primitive_matrix) @ phonon.supercell_matrix
    q_points = get_commensurate_points(np.rint(per_primitive).astype(np.int64))
    frequencies = phonon.run_qpoints(q_points).frequencies
    gamma = int(np.argmin(np.abs(q_points).max(axis=1)))
    translations = np.argsort(np.abs(frequencies[gamma]))[:N_TRANSLATIONS]
    others: FloatArray = np.delete(frequencies[gamma], translations)
    return np.concatenate([others, np.delete(frequencies, gamma, axis=0).ravel()])


def phonopy_of(
    unit_cell: PhonopyAtoms,
    supercell_matrix: IntArray,
    primitive_matrix: FloatArray | None = None,
) -> Phonopy:
    """Build a phonopy object whose symmetry is that of the crystal with its masses.

    Parameters
    ----------
    unit_cell : phonopy.structure.atoms.PhonopyAtoms
        Unit cell.
    supercell_matrix : ndarray of int, shape (3, 3)
        Supercell in phonopy's convention.
    primitive_matrix : ndarray, shape (3, 3), optional
        Primitive cell in units of the unit cell; by default the unit cell itself.

    Returns
    -------
    phonopy.Phonopy
        Without displacements and force constants.
    """
    return _Phonopy(
        label_isotopes(unit_cell),
        supercell_matrix,
        primitive_matrix=np.eye(3) if primitive_matrix is None else primitive_matrix,
        symprec=AS_MADE,
        distinguish_symbol_index=True,
    )


class _Phonopy(Phonopy):  # type: ignore[misc] # phonopy is Any to the type checker
    """Phonopy that searches the symmetry of its supercell when that is asked for.

    The search costs more than the rest of the object, and modes need none of it.
    """

    @cached_property
    def _symmetry(self) -> Symmetry:
        """Symmetry of the supercell."""
        cells = self._supercell, self._symprec, self._is_symmetry
        return Symmetry(
            *cells,
            s2p_map=self._primitive.s2p_map,
            lang=self._lang,
            distinguish_symbol_index=self._distinguish_symbol_index,
        )

    def _search_symmetry(self) -> None:
        """Leave the supercell for later."""

    def _search_primitive_symmetry(self) -> None:
        """Search the symmetry of the primitive cell alone."""
        cells = self._primitive, self._symprec, self._is_symmetry
        self._primitive_symmetry = Symmetry(
            *cells,
            lang=self._lang,
            distinguish_symbol_index=self._distinguish_symbol_index,
        )


def label_isotopes(cell: PhonopyAtoms) -> PhonopyAtoms:
    """Name atoms of one element that differ in mass differently, as in Te and Te1.

    Parameters
    ----------
    cell : phonopy.structure.atoms.PhonopyAtoms
        Any cell.

    Returns
    -------
    phonopy.structure.atoms.PhonopyAtoms
        The cell itself where each element has one mass. phonopy's search for symmetry can tell
        species apart by these names.
    """
    masses = np.round(cell.masses, MASS_DECIMALS)
    ranks = [
        int(np.searchsorted(np.unique(masses[cell.numbers == number]), mass))
        for number, mass in zip(cell.numbers, masses, strict=True)
    ]
    if not any(ranks):
        return cell
    elements = [chemical_symbols[number] for number in cell.numbers]
    return PhonopyAtoms(
        symbols=[name + str(rank or "") for name, rank in zip(elements, ranks, strict=True)],
        cell=cell.cell,
        scaled_positions=cell.scaled_positions,
        masses=cell.masses,
    )


def cell_of_atoms(atoms: Atoms) -> PhonopyAtoms:
    """Turn atoms of ASE into a cell of phonopy.

    Parameters
    ----------
    atoms : ase.Atoms
        Any crystal.

    Returns
    -------
    phonopy.structure.atoms.PhonopyAtoms
        The same crystal.
    """
    # Rounded, so that writing and reading the cell as text cannot move an atom across a face.
    positions = np.round(atoms.get_scaled_positions(wrap=False), _POSITION_DECIMALS) % 1.0
    return PhonopyAtoms(
        numbers=atoms.numbers,
        cell=np.asarray(atoms.cell),
        scaled_positions=positions,
        masses=special_masses(atoms),
    )


def atoms_of_cell(cell: PhonopyAtoms) -> Atoms:
    """Turn a cell of phonopy into atoms of ASE.

    Parameters
    ----------
    cell : phonopy.structure.atoms.PhonopyAtoms
        Any cell.

    Returns
    -------
    ase.Atoms
        The same crystal; it carries masses where they are special.
    """
    atoms = Atoms(numbers=cell.numbers, cell=cell.cell, positions=cell.positions, pbc=True)
    set_special_masses(atoms, cell.masses)
    return atoms


def _unit_cell_sites(phonon: Phonopy) -> IntArray:
    """Index in the unit cell of each atom of the supercell, shape (n_supercell_atoms,)."""
    supercell = phonon.supercell
    order = {int(s): u for u, s in enumerate(supercell.u2s_map)}
    return np.array([order[int(s)] for s in supercell.s2u_map], dtype=np.int64)
