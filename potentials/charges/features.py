"""Features of atoms from frozen potentials."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from potentials.interface import FloatArray
from potentials.nequix import Nequix
from potentials.registry import load_potential

POTENTIALS = ("nequix-mp-1-pft", "nequix-oam-1-pft")
"""Their features are put side by side."""


@dataclass(frozen=True)
class Features:
    """What potentials know of the surroundings of atoms.

    Attributes
    ----------
    scalars : ndarray, shape (n_atoms, n_scalars)
        Degree 0.
    vectors, tensors, octupoles : ndarray, shape (n_atoms, 2 l + 1, n_features)
        Degrees 1, 2 and 3, of natural parity.
    """

    scalars: FloatArray
    vectors: FloatArray
    tensors: FloatArray
    octupoles: FloatArray


def find_supported_elements() -> frozenset[int]:
    """Atomic numbers that all potentials of the features know."""
    return frozenset.intersection(*(_load_nequix(name).card.elements for name in POTENTIALS))


def describe(atoms: Atoms) -> Features:
    """Compute the features of all atoms."""
    parts = [_load_nequix(name).describe(atoms) for name in POTENTIALS]
    degrees = [np.concatenate(arrays, axis=2) for arrays in zip(*parts, strict=True)]
    return Features(degrees[0][:, 0], *degrees[1:])


def _load_nequix(name: str) -> Nequix:
    """Load a potential of the features, on the CPU and in float64 so that symmetry is exact."""
    potential = load_potential(name)
    assert isinstance(potential, Nequix)
    return potential
