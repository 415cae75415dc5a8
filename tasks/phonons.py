"""Force constants by finite displacements, and the stability they imply."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.harmonic.dynmat_to_fc import get_commensurate_points
from phonopy.structure.atoms import PhonopyAtoms
from pydantic import BaseModel, ConfigDict, Field

from potentials import Potential
from tasks.mirror import averaged_forces
from tasks.supercells import choose_supercell

FloatArray = NDArray[np.float64]

N_TRANSLATIONS = 3
_SYMPREC = 1e-5
_PROJECTOR_ATOMS = 256
_POSITION_DECIMALS = 12
_TURNS = 3


class PhononSettings(BaseModel):
    """How force constants are computed and stability is judged."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    displacement: float = Field(0.01, gt=0, description="length of a displacement (Å)")
    min_supercell_length: float = Field(10.0, gt=0, description="distance between images (Å)")
    max_atoms: int = Field(200, ge=1, description="largest number of atoms in a supercell")


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
    potential_time : float
        Seconds spent inside the potential.
    """

    phonon: Phonopy
    sum_rule_residual: float
    symmetrisation: float
    potential_time: float


def displaced_supercells(atoms: Atoms, settings: PhononSettings) -> Phonopy:
    """Set up the supercell and its symmetry-inequivalent displacements.

    Parameters
    ----------
    atoms : ase.Atoms
        Relaxed primitive cell.
    settings : PhononSettings
        Length of displacements, size of the supercell.

    Returns
    -------
    phonopy.Phonopy
        With displacements, without forces.

    Raises
    ------
    ValueError
        When the primitive cell alone exceeds the largest number of atoms.
    """
    matrix = choose_supercell(atoms, settings.min_supercell_length, settings.max_atoms, _SYMPREC)
    phonon = phonopy_of(cell_of_atoms(atoms), matrix)
    phonon.generate_displacements(distance=settings.displacement)
    return phonon


def force_constants(atoms: Atoms, potential: Potential, settings: PhononSettings) -> ForceConstants:
    """Compute force constants from the forces of all displaced supercells.

    The forces that remain in the undisplaced crystal are subtracted; then the force constants are
    symmetrised.

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
    phonon = displaced_supercells(atoms, settings)
    cells = [atoms_of_cell(cell) for cell in phonon.supercells_with_displacements]
    at_rest = potential.evaluate([atoms])
    displaced, displaced_time = averaged_forces(phonon, cells, potential)
    forces = displaced - at_rest.forces[0][_unit_cell_sites(phonon)]
    if not np.isfinite(forces).all():
        raise ValueError("the potential gave a force that is not a number")
    phonon.forces = forces
    phonon.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
    raw = phonon.force_constants.copy()
    symmetrize(phonon)
    return ForceConstants(
        phonon,
        sum_rule_residual=float(np.abs(raw.sum(axis=1)).max()),
        symmetrisation=float(np.abs(phonon.force_constants - raw).max()),
        potential_time=at_rest.wall_time + displaced_time,
    )


def symmetrize(phonon: Phonopy) -> None:
    """Impose space group, index permutation and translational invariance on force constants.

    All at once by the projector of symfc (Seko & Togo, Phys. Rev. B 110, 214302 (2024)). Its time
    grows steeply with the supercell; beyond 256 atoms permutation and translation are imposed in
    turns instead, which leaves the space group as it was in the input.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With compact force constants, which are replaced.
    """
    if len(phonon.supercell) <= _PROJECTOR_ATOMS:
        phonon.symmetrize_force_constants(use_symfc_projector=True, show_drift=False)
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
    supercell_matrix: NDArray[np.int64],
    primitive_matrix: FloatArray | None = None,
) -> Phonopy:
    """Build a phonopy object.

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
    matrix = np.eye(3) if primitive_matrix is None else primitive_matrix
    return Phonopy(unit_cell, supercell_matrix, primitive_matrix=matrix, symprec=_SYMPREC)


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
        numbers=atoms.numbers, cell=np.asarray(atoms.cell), scaled_positions=positions
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
        The same crystal.
    """
    return Atoms(numbers=cell.numbers, cell=cell.cell, positions=cell.positions, pbc=True)


def _unit_cell_sites(phonon: Phonopy) -> NDArray[np.int64]:
    """Index in the unit cell of each atom of the supercell, shape (n_supercell_atoms,)."""
    supercell = phonon.supercell
    order = {int(s): u for u, s in enumerate(supercell.u2s_map)}
    return np.array([order[int(s)] for s in supercell.s2u_map], dtype=np.int64)
