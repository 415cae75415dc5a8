"""Energies: batches of atoms in; energies, forces and stresses out. And Born charges, predicted."""

from potentials.averages import GroupAverage, invert, remove_average
from potentials.interface import (
    DifferentiablePotential,
    Equivariance,
    Evaluation,
    Potential,
    PotentialCard,
)
from potentials.memory import is_out_of_memory
from potentials.registry import (
    load_card,
    load_charge_card,
    load_charge_model,
    load_potential,
    require_known,
)

__all__ = [
    "DifferentiablePotential",
    "Equivariance",
    "Evaluation",
    "GroupAverage",
    "Potential",
    "PotentialCard",
    "invert",
    "is_out_of_memory",
    "load_card",
    "load_charge_card",
    "load_charge_model",
    "load_potential",
    "remove_average",
    "require_known",
]
