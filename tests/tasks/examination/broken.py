"""A real potential with one law broken on purpose."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from ase import Atoms

from benchmarks.asymmetry import (
    Perturbed,
    break_mirrors,
    break_rotations,
    fade,
    sum_over_pairs,
)
from potentials import Evaluation, Potential, PotentialCard, load_potential


@dataclass(frozen=True)
class Altered:
    """A potential of which each evaluation is altered; structures are known to what alters it."""

    potential: Potential
    alter: Callable[[Sequence[Atoms], Evaluation], Evaluation]

    @property
    def card(self) -> PotentialCard:
        return self.potential.card

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        return self.alter(structures, self.potential.evaluate(structures))


def exact() -> Potential:
    """A potential that keeps all laws; it knows aluminium and nitrogen."""
    return load_potential("facet-aln")


def rotation_breaking() -> Potential:
    """Pairs along an axis of space have another energy."""
    return Perturbed(exact(), break_rotations(0.05))


def mirror_breaking() -> Potential:
    """A pseudoscalar is part of the energy."""
    return Perturbed(exact(), break_mirrors(0.3))


def translation_breaking() -> Potential:
    """A wave that stands in space acts on the atoms."""

    def alter(structures, found):
        phases = [2.0 * atoms.positions for atoms in structures]
        energies = [0.05 * np.sin(phase).sum() for phase in phases]
        forces = [
            force - 0.1 * np.cos(phase) for force, phase in zip(found.forces, phases, strict=True)
        ]
        return replace(found, energies=found.energies + energies, forces=tuple(forces))

    return Altered(exact(), alter)


def permutation_breaking() -> Potential:
    """The first atom of the list has stronger bonds."""

    def term(vectors, union):
        pairs = 0.05 * fade(vectors.norm(dim=1, keepdim=True))
        first = torch.zeros(len(union.numbers), dtype=torch.float64)
        first[int(union.places[0][0])] = 1.0
        return sum_over_pairs(pairs, union)[:, 0] * first

    return Perturbed(exact(), term)


def non_conservative() -> Potential:
    """Forces that grow faster than they should: they turn with the crystal, and have a curl."""

    def alter(structures, found):
        forces = [f * (1 + 0.1 * (f**2).sum(axis=1, keepdims=True)) for f in found.forces]
        return replace(found, forces=tuple(forces))

    return Altered(exact(), alter)


def rough() -> Potential:
    """Ripples of a hundredth of an Å on the energy of pairs, and their forces."""

    def term(vectors, union):
        distances = vectors.norm(dim=1, keepdim=True)
        ripples = 3e-6 * torch.sin(2 * np.pi * distances / 0.01) * fade(distances)
        return sum_over_pairs(ripples, union)[:, 0]

    return Perturbed(exact(), term)


def far_sighted() -> Potential:
    """Pairs have waves of energy up to 14 Å."""

    def term(vectors, union):
        distances = vectors.norm(dim=1, keepdim=True)
        waves = 2.0 * torch.cos(2 * distances) * (1 - (distances / 14.0) ** 2) ** 3
        return sum_over_pairs(waves, union)[:, 0]

    return Perturbed(exact(), term, cutoff=14.0)


def collective() -> Potential:
    """The square of a sum over the crystal: twice the crystal has more than twice the energy."""

    def term(vectors, union):
        bonds = sum_over_pairs(fade(vectors.norm(dim=1, keepdim=True)), union)
        return 0.01 * bonds.sum() * bonds[:, 0]

    return Perturbed(exact(), term)


def batch_dependent() -> Potential:
    """Forces grow with the number of structures that are evaluated together."""

    def alter(structures, found):
        forces = tuple(f * (1 + 0.01 * (len(structures) - 1)) for f in found.forces)
        return replace(found, forces=forces)

    return Altered(exact(), alter)
