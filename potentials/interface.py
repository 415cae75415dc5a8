"""What every potential offers: a card that says what it is, and batched evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

UNIVERSAL_LIMITS = (
    "A universal machine-learned potential: it softens phonons, soft modes most.",
    "It knows no Born charges of its own.",
)
"""Limits that potentials of energies and forces for all elements have in common."""

FloatArray = NDArray[np.float64]
# Energies, forces and stresses of the structures of one pass, in the units of `Evaluation`.
Batch = tuple[FloatArray, list[FloatArray], FloatArray]


class Equivariance(StrEnum):
    """The isometries under which a potential's energy is invariant."""

    O3 = "O(3)"
    SO3 = "SO(3)"


@dataclass(frozen=True)
class PotentialCard:
    """Identity of a potential, as it is recorded with every result.

    Attributes
    ----------
    name : str
        The name by which `potentials.load_potential` finds it.
    digest : str
        SHA-256 (hex) of the checkpoint; for a calculator without a known checkpoint, of its import
        path, options and package version.
    equivariance : Equivariance
        ``O(3)`` when mirror images have equal energies, ``SO(3)`` when only rotated ones do.
    elements : frozenset of int
        Atomic numbers the potential was trained on.
    licence, citation : str
        Terms of the weights and the work to cite.
    milliseconds_per_atom : float
        Energy, forces and stress of one structure on one CPU thread in float64, without any
        average; scales cost estimates only.
    averaged : bool
        Whether the invariance under mirrors comes from an average over the inversion.
    second_derivatives : bool
        Whether the potential is a `DifferentiablePotential`.
    limits : tuple of str
        What to keep in mind about its results, one sentence each.
    kernel : str
        ``compiled`` where the convolution runs as compiled code, else ``torch``.
    """

    name: str
    digest: str
    equivariance: Equivariance
    elements: frozenset[int]
    licence: str
    citation: str
    milliseconds_per_atom: float
    averaged: bool = False
    second_derivatives: bool = False
    limits: tuple[str, ...] = ()
    kernel: str = "torch"


@dataclass(frozen=True)
class Evaluation:
    """Energies and their derivatives for a sequence of structures.

    Attributes
    ----------
    energies : ndarray, shape (n_structures,)
        Potential energies in eV.
    forces : tuple of ndarray, each of shape (n_atoms, 3)
        Forces in eV/Å.
    stresses : ndarray, shape (n_structures, 3, 3)
        Stress in eV/Å^3, positive under tension (dE/dstrain divided by the volume).
    wall_time : float
        Seconds spent inside the potential.
    """

    energies: FloatArray
    forces: tuple[FloatArray, ...]
    stresses: FloatArray
    wall_time: float

    @staticmethod
    def join(batches: Sequence[Batch], wall_time: float) -> "Evaluation":
        """Put the results of batches one after the other.

        Parameters
        ----------
        batches : sequence of (ndarray, sequence of ndarray, ndarray)
            Energies, forces and stresses of consecutive structures.
        wall_time : float
            Seconds that all of them took.

        Returns
        -------
        Evaluation
            In the order of the batches.
        """
        return Evaluation(
            energies=np.concatenate([energies for energies, _, _ in batches]),
            forces=tuple(forces for _, batch, _ in batches for forces in batch),
            stresses=np.concatenate([stresses for _, _, stresses in batches]),
            wall_time=wall_time,
        )

    def split(self) -> list["Evaluation"]:
        """Cut into evaluations of single structures, the time shared equally.

        Returns
        -------
        list of Evaluation
            One per structure.
        """
        share = self.wall_time / max(len(self.forces), 1)
        return [
            Evaluation(self.energies[i : i + 1], (forces,), self.stresses[i : i + 1], share)
            for i, forces in enumerate(self.forces)
        ]


class Potential(Protocol):
    """A map from atomic structures to energies, forces and stresses."""

    @property
    def card(self) -> PotentialCard:
        """Identity of the potential."""
        ...

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        """Evaluate all structures, packed as the device likes best.

        Parameters
        ----------
        structures : sequence of ase.Atoms
            Periodic structures of supported elements.

        Returns
        -------
        Evaluation
            In the order of `structures`.
        """
        ...


@runtime_checkable
class DifferentiablePotential(Potential, Protocol):
    """A potential that offers second derivatives of its energy."""

    def hessian_products(self, atoms: Atoms, directions: FloatArray) -> FloatArray:
        """Multiply the matrix of second derivatives with displacements of all atoms.

        Parameters
        ----------
        atoms : ase.Atoms
            A periodic structure of supported elements.
        directions : ndarray, shape (n_directions, n_atoms, 3)
            Displacements, of any unit.

        Returns
        -------
        ndarray, shape (n_directions, n_atoms, 3)
            In eV/Å^2 times that unit: minus the change of the forces to first order.
        """
        ...
