"""Energies: batches of atoms in; energies, forces and stresses out."""

from potentials.interface import Equivariance, Evaluation, Potential, PotentialCard
from potentials.parity import inverted, unaveraged
from potentials.registry import load_potential, require_known

__all__ = [
    "Equivariance",
    "Evaluation",
    "Potential",
    "PotentialCard",
    "inverted",
    "load_potential",
    "require_known",
    "unaveraged",
]
