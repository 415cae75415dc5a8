"""Cells around a crystal for a teacher to label: rattled, strained, displaced."""

import hashlib
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from matscipy.neighbours import neighbour_list
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tasks.phonons.supercells import choose_supercell

_REACH = 5.0  # Å, of springs
_STEEPNESS, _ACROSS = 8, 0.05
_SOFTEST = 0.02  # of the median
_TRANSLATIONS = 3


class SamplingSettings(BaseModel):
    """How far around each crystal the teacher is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_rattled: int = Field(4, ge=0, description="rattled and strained cells of each crystal")
    min_rattle: float = Field(0.01, gt=0, description="smallest standard deviation (Å)")
    max_rattle: float = Field(0.1, gt=0, description="largest standard deviation (Å)")
    springs: bool = Field(
        default=False,
        description="displace as springs between neighbours would, so that soft modes move far",
    )
    max_strain: float = Field(0.03, ge=0, description="largest component of the strain")
    n_columns: int = Field(2, ge=0, description="Hessian columns of each crystal")
    displacement: float = Field(0.01, gt=0, description="step of the central difference (Å)")
    min_length: float = Field(6.0, gt=0, description="wanted distance between images (Å)")
    max_atoms: int = Field(24, ge=1, description="largest cell (atoms)")
    seed: int = Field(0, ge=0, description="seed of all samples")


@dataclass(frozen=True)
class Samples:
    """Cells around one crystal.

    Attributes
    ----------
    crystal : ase.Atoms
        Supercell of the crystal as it is.
    rattled : list of ase.Atoms
        Atoms displaced and cell strained at random.
    column_indices : ndarray of int64, shape (n_columns,)
        Degrees of freedom ``3 atom + axis`` of `crystal`.
    displaced : list of ase.Atoms, length 2 n_columns
        `crystal` with each of them moved forth, then back.
    """

    crystal: Atoms
    rattled: list[Atoms]
    column_indices: NDArray[np.int64]
    displaced: list[Atoms]


def sample_crystal(name: str, atoms: Atoms, settings: SamplingSettings, n_rattled: int) -> Samples:
    """Choose cells around a crystal.

    Parameters
    ----------
    name : str
        Of the crystal; with the seed it decides all chance.
    atoms : ase.Atoms
        Primitive cell.
    settings : SamplingSettings
        How far to go.
    n_rattled : int
        Number of rattled cells; those of a smaller number are the first ones of a larger.

    Returns
    -------
    Samples
        In a supercell that keeps the crystal's symmetry.

    Raises
    ------
    RemediableError
        When the primitive cell has more atoms than allowed.
    """
    matrix = choose_supercell(atoms, settings.min_length, settings.max_atoms)
    crystal = make_supercell(atoms, matrix.T)
    columns, rattles = _make_generators(name, settings.seed)
    n_columns = min(settings.n_columns, 3 * len(crystal))
    indices = columns.choice(3 * len(crystal), size=n_columns, replace=False)
    steps = [sign * settings.displacement for sign in (1, -1)]
    return Samples(
        crystal=crystal,
        rattled=[_rattle(crystal, settings, rattles) for _ in range(n_rattled)],
        column_indices=indices,
        displaced=[_displace_atom(crystal, index, step) for index in indices for step in steps],
    )


def _make_generators(name: str, seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """Two independent streams of chance."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    first, second = np.random.SeedSequence(int.from_bytes(digest[:16])).spawn(2)
    return np.random.default_rng(first), np.random.default_rng(second)


def _rattle(crystal: Atoms, settings: SamplingSettings, chance: np.random.Generator) -> Atoms:
    """Random strain, and displacements of a size that is uniform on a logarithmic scale."""
    sizes = np.log([settings.min_rattle, settings.max_rattle])
    strain = chance.uniform(-settings.max_strain, settings.max_strain, size=(3, 3))
    deformation = np.eye(3) + (strain + strain.T) / 2
    deviation = np.exp(chance.uniform(*sizes))
    displacements = chance.normal(0.0, deviation, size=(len(crystal), 3))
    if settings.springs:
        displacements = compute_spring_motion(crystal, displacements)
    return Atoms(
        numbers=crystal.numbers,
        positions=crystal.positions @ deformation + displacements,
        cell=np.asarray(crystal.cell) @ deformation,
        pbc=True,
    )


def compute_spring_motion(
    crystal: Atoms, displacements: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Turn white noise into the thermal motion of springs between all near atoms.

    A spring has the strength ``(d_min / d)^8``, and a twentieth of it across: what bends moves
    further than what stretches, as in the crystal. Forces of all modes then are of alike size.

    Parameters
    ----------
    crystal : ase.Atoms
        At rest.
    displacements : ndarray, shape (n_atoms, 3)
        White noise in Å.

    Returns
    -------
    ndarray, shape (n_atoms, 3)
        Of the same root mean square; the centre rests.
    """
    values, modes = np.linalg.eigh(_compute_spring_constants(crystal))
    # The three translations come first; the softest of the others may not move without bound.
    values[:_TRANSLATIONS] = np.inf
    softest = _SOFTEST * np.median(values[_TRANSLATIONS:])
    white = modes.T @ displacements.ravel()
    moved = (modes @ (white / np.sqrt(np.maximum(values, softest)))).reshape(-1, 3)
    scaled: NDArray[np.float64] = moved * (np.std(displacements) / np.std(moved))
    return scaled


def _compute_spring_constants(crystal: Atoms) -> NDArray[np.float64]:
    """Force constants (3 n_atoms, 3 n_atoms) of the springs."""
    first, second, distances, vectors = neighbour_list("ijdD", crystal, _REACH)
    along = np.einsum("px,py->pxy", vectors, vectors) / distances[:, None, None] ** 2
    tensors = _ACROSS * np.eye(3) + (1 - _ACROSS) * along
    tensors *= (distances.min() / distances[:, None, None]) ** _STEEPNESS
    constants = np.zeros((len(crystal), len(crystal), 3, 3))
    np.add.at(constants, (first, second), -tensors)
    np.add.at(constants, (first, first), tensors)
    square: NDArray[np.float64] = constants.transpose(0, 2, 1, 3).reshape(3 * len(crystal), -1)
    return square


def _displace_atom(crystal: Atoms, index: int, step: float) -> Atoms:
    """One atom moved along one axis."""
    atoms = crystal.copy()
    atoms.positions[divmod(int(index), 3)] += step
    return atoms
