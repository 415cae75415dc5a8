"""Cells around a crystal at which a teacher is asked: rattled, strained, displaced."""

import hashlib
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tasks.supercells import choose_supercell


class SamplingSettings(BaseModel):
    """How far around each crystal the teacher is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_rattled: int = Field(4, ge=0, description="rattled and strained cells of each crystal")
    min_rattle: float = Field(0.01, gt=0, description="smallest standard deviation (Å)")
    max_rattle: float = Field(0.1, gt=0, description="largest standard deviation (Å)")
    max_strain: float = Field(0.03, ge=0, description="largest component of the strain")
    n_columns: int = Field(2, ge=0, description="Hessian columns of each crystal")
    displacement: float = Field(0.01, gt=0, description="step of the central difference (Å)")
    min_length: float = Field(6.0, gt=0, description="wanted distance between images (Å)")
    max_atoms: int = Field(24, ge=1, description="largest cell (atoms)")
    seed: int = Field(0, ge=0, description="of all samples")


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
    columns, rattles = _generators(name, settings.seed)
    n_columns = min(settings.n_columns, 3 * len(crystal))
    indices = columns.choice(3 * len(crystal), size=n_columns, replace=False)
    steps = [sign * settings.displacement for sign in (1, -1)]
    return Samples(
        crystal=crystal,
        rattled=[_rattled(crystal, settings, rattles) for _ in range(n_rattled)],
        column_indices=indices,
        displaced=[_displaced(crystal, index, step) for index in indices for step in steps],
    )


def _generators(name: str, seed: int) -> tuple[np.random.Generator, np.random.Generator]:
    """Two independent streams of chance."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    first, second = np.random.SeedSequence(int.from_bytes(digest[:16])).spawn(2)
    return np.random.default_rng(first), np.random.default_rng(second)


def _rattled(crystal: Atoms, settings: SamplingSettings, chance: np.random.Generator) -> Atoms:
    """Random strain, and displacements of a size that is uniform on a logarithmic scale."""
    sizes = np.log([settings.min_rattle, settings.max_rattle])
    strain = chance.uniform(-settings.max_strain, settings.max_strain, size=(3, 3))
    deformation = np.eye(3) + (strain + strain.T) / 2
    deviation = np.exp(chance.uniform(*sizes))
    displacements = chance.normal(0.0, deviation, size=(len(crystal), 3))
    return Atoms(
        numbers=crystal.numbers,
        positions=crystal.positions @ deformation + displacements,
        cell=np.asarray(crystal.cell) @ deformation,
        pbc=True,
    )


def _displaced(crystal: Atoms, index: int, step: float) -> Atoms:
    """One atom moved along one axis."""
    atoms = crystal.copy()
    atoms.positions[divmod(int(index), 3)] += step
    return atoms
