"""Crystals, symmetry operations and small models for the tests of Facet."""

from dataclasses import replace
from functools import cache

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from scipy.spatial.transform import Rotation

from potentials import Equivariance, PotentialCard
from potentials.facet import Facet, FacetConfig, FacetPotential
from tests.potentials.crystals import rattled, trigonal_tellurium

SMALL = FacetConfig(elements=(6, 14, 30, 16, 52), channels=8, average_neighbours=20.0)
ROTATION = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
MIRROR = np.diag([1.0, 1.0, -1.0])


@cache
def untrained(config: FacetConfig = SMALL, seed: int = 1) -> FacetPotential:
    """Model with random weights, in float64."""
    torch.manual_seed(seed)
    model = Facet(config).eval().requires_grad_(requires_grad=False)
    elements = frozenset(config.elements)
    card = PotentialCard(
        "facet", "0" * 64, Equivariance.O3, elements, "MIT", "", 1.0, second_derivatives=True
    )
    return FacetPotential(card, model, torch.device("cpu"))


def variant(**changes: object) -> FacetConfig:
    """Small configuration with other kernels."""
    return replace(SMALL, **changes)


def crystals() -> list[Atoms]:
    """Crystals without symmetry, of one and two elements, dense and open."""
    return [
        rattled(bulk("Si", "diamond", a=5.43)),
        rattled(trigonal_tellurium()),
        rattled(bulk("ZnS", "zincblende", a=5.4)),
    ]


def transformed(atoms: Atoms, operation: np.ndarray) -> Atoms:
    """Image of a crystal under an orthogonal matrix."""
    return Atoms(
        numbers=atoms.numbers,
        cell=atoms.cell.array @ operation.T,
        positions=atoms.positions @ operation.T,
        pbc=True,
    )


def dimer(distance: float) -> Atoms:
    """Two atoms in a cell so large that images do not see each other."""
    return Atoms("ZnS", positions=[[0, 0, 0], [0, 0, distance]], cell=[30, 30, 30], pbc=True)


def hessian_columns(potential: FacetPotential, atoms: Atoms, indices: list[int]) -> np.ndarray:
    """Columns of the matrix of second derivatives, for degrees of freedom ``3 atom + axis``."""
    directions = np.eye(3 * len(atoms))[indices].reshape(-1, len(atoms), 3)
    return potential.hessian_products(atoms, directions)
