"""Relaxation of cell and positions inside the space group.

Only the symmetry-allowed coordinates move: invariant strains and invariant displacements. The
crystal keeps every operation it began with, whatever noise the potential has, and a quasi-Newton
method works in a handful of dimensions. It begins with the curvatures of springs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from potentials import Evaluation, Potential, remove_average
from tasks.crystals.masses import find_special_masses, set_special_masses
from tasks.relaxation.coordinates import find_invariant_displacements, find_invariant_strains
from tasks.relaxation.model_hessian import (
    compute_newton_step,
    compute_spring_hessian,
    update_hessian,
)
from tasks.symmetry.site_permutations import find_space_group

FloatArray = NDArray[np.float64]

CONVERGED = "converged"
_MAX_DISPLACEMENT = 0.15  # Å per step
_MAX_STRAIN = 0.04  # per step
# Beyond these a relaxation has left the crystal it was asked about.
_VOLUME_RATIOS = (0.4, 2.5)


class RelaxationSettings(BaseModel):
    """When a relaxation is finished, and when it is given up."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # Left out of keys and records where it is the default, so that older results remain valid.
    cell: Literal["relaxed", "fixed"] = Field(
        "relaxed",
        exclude_if=lambda cell: cell == "relaxed",
        description="relax the cell with the atoms, or keep it as given, such as a measured one",
    )
    max_force: float = Field(1e-4, gt=0, description="largest force on an atom (eV/Å)")
    max_stress: float = Field(1e-5, gt=0, description="largest stress component (eV/Å^3)")
    max_evaluations: int = Field(200, ge=1, description="most evaluations")


@dataclass(frozen=True)
class Relaxation:
    """The last point of a relaxation.

    Attributes
    ----------
    atoms : ase.Atoms
        The crystal as last evaluated.
    reason : str
        Why it stopped; ``converged`` when forces, and the stress unless the cell is fixed, are
        below their limits.
    n_evaluations : int
        Evaluations of the potential.
    energy : float
        Energy in eV per atom.
    max_force : float
        Largest symmetry-allowed force on an atom in eV/Å.
    max_stress : float
        Largest component of the symmetry-allowed stress in eV/Å^3; of the whole stress where the
        cell is fixed.
    potential_time : float
        Seconds spent inside the potential.
    """

    atoms: Atoms
    reason: str
    n_evaluations: int
    energy: float
    max_force: float
    max_stress: float
    potential_time: float

    @property
    def converged(self) -> bool:
        """Whether forces, and the stress unless the cell is fixed, are below their limits."""
        return self.reason == CONVERGED


def relax(
    structures: Sequence[Atoms], potential: Potential, settings: RelaxationSettings
) -> list[Relaxation]:
    """Relax crystals together, each inside its own space group.

    Every round evaluates all unfinished crystals at once, so that a device that gains from
    batches gets them; the path of a crystal does not depend on its company. A crystal that some
    improper operation maps onto itself needs no average over the inversion: its symmetry-allowed
    forces and stress are the same without.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        Crystals whose coordinates obey their space group.
    potential : Potential
        An O(3)-invariant potential.
    settings : RelaxationSettings
        Limits.

    Returns
    -------
    list of Relaxation
        One per crystal, converged or not.
    """
    states = [_begin_relaxation(atoms, settings) for atoms in structures]
    while active := [i for i, state in enumerate(states) if not state.reached.reason]:
        for mirrored, evaluate in ((True, remove_average(potential)), (False, potential)):
            members = [i for i in active if states[i].coordinates.mirrored is mirrored]
            crystals = [states[i].reached.atoms for i in members]
            evaluations = evaluate.evaluate(crystals).split() if members else []
            for i, found in zip(members, evaluations, strict=True):
                states[i] = _advance(states[i], found, settings)
    return [state.reached for state in states]


@dataclass(frozen=True)
class _Coordinates:
    """Symmetry-allowed coordinates x of a crystal: r = (r0 + u(x)) F(x), F = 1 + strain(x).

    Strain and displacement field u are linear in amplitudes, scale @ x, of invariant patterns. In x
    the springs of the crystal have unit curvature.
    """

    start: Atoms
    strains: FloatArray  # (k, 3, 3), orthonormal; none where the cell is fixed
    displacements: FloatArray  # (m, n_atoms, 3), orthonormal
    scale: FloatArray  # (k + m, k + m)
    mirrored: bool  # whether some improper operation maps the crystal onto itself

    def compute_fields(self, amplitudes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Strain (3, 3) and displacement field (n_atoms, 3) of amplitudes (k + m,)."""
        k = len(self.strains)
        strain = np.tensordot(amplitudes[:k], self.strains, axes=1)
        return strain, np.tensordot(amplitudes[k:], self.displacements, axes=1)

    def compute_amplitudes(self, strain: FloatArray, displacement: FloatArray) -> FloatArray:
        """Amplitudes (k + m,) of the invariant part of a strain and a displacement field."""
        return np.append(
            np.einsum("kab,ab->k", self.strains, strain),
            np.einsum("mia,ia->m", self.displacements, displacement),
        )

    def make_atoms(self, x: FloatArray) -> Atoms:
        """Crystal at coordinates x."""
        strain, displacement = self.compute_fields(self.scale @ x)
        deformation = np.eye(3) + strain
        atoms = Atoms(
            numbers=self.start.numbers,
            positions=(self.start.positions + displacement) @ deformation,
            cell=np.asarray(self.start.cell) @ deformation,
            pbc=True,
        )
        set_special_masses(atoms, find_special_masses(self.start))
        return atoms

    def compute_gradient(self, x: FloatArray, forces: FloatArray, virial: FloatArray) -> FloatArray:
        """Derivative of the energy by x (k + m,), from forces and volume times stress."""
        deformation = np.eye(3) + self.compute_fields(self.scale @ x)[0]
        by_strain = np.linalg.inv(deformation).T @ virial
        return self.scale.T @ self.compute_amplitudes(by_strain, -forces @ deformation.T)

    def limit_step(self, step: FloatArray) -> FloatArray:
        """Scale a step back into the trust region."""
        strain, displacement = self.compute_fields(self.scale @ step)
        length = np.linalg.norm(displacement, axis=-1).max()
        excess = max(np.abs(strain).max() / _MAX_STRAIN, length / _MAX_DISPLACEMENT, 1.0)
        bounded: FloatArray = step / excess
        return bounded


@dataclass(frozen=True)
class _State:
    """One relaxation on its way: where it is, how it came there, and what it knows."""

    coordinates: _Coordinates
    x: FloatArray
    step: FloatArray
    gradient: FloatArray
    hessian: FloatArray
    reached: Relaxation


def _begin_relaxation(atoms: Atoms, settings: RelaxationSettings) -> _State:
    """State before the first evaluation."""
    group = find_space_group(atoms)
    strains, displacements = find_invariant_strains(group), find_invariant_displacements(group)
    if settings.cell == "fixed":
        strains = strains[:0]
    scale = np.linalg.inv(
        np.linalg.cholesky(compute_spring_hessian(atoms, strains, displacements))
    ).T
    coordinates = _Coordinates(atoms, strains, displacements, scale, group.has_improper)
    zero = np.zeros(len(scale))
    reached = Relaxation(atoms, "", 0, np.nan, np.nan, np.nan, 0.0)
    return _State(coordinates, zero, zero, zero, np.eye(len(scale)), reached)


def _advance(state: _State, found: Evaluation, settings: RelaxationSettings) -> _State:
    """State after an evaluation: finished, or one quasi-Newton step on."""
    measured = _record_evaluation(state, found, settings)
    if measured.reason:
        return replace(state, reached=measured)
    virial = measured.atoms.get_volume() * found.stresses[0]
    gradient = state.coordinates.compute_gradient(state.x, found.forces[0], virial)
    hessian = update_hessian(state.hessian, state.step, gradient - state.gradient)
    step = state.coordinates.limit_step(compute_newton_step(hessian, gradient))
    x = state.x + step
    reached = replace(measured, atoms=state.coordinates.make_atoms(x))
    return _State(state.coordinates, x, step, gradient, hessian, reached)


def _record_evaluation(
    state: _State, found: Evaluation, settings: RelaxationSettings
) -> Relaxation:
    """Record an evaluation, with the reason to stop, which is empty while there is none."""
    before, coordinates = state.reached, state.coordinates
    invariant = coordinates.compute_amplitudes(found.stresses[0], found.forces[0])
    stress, forces = coordinates.compute_fields(invariant)
    if settings.cell == "fixed":
        stress = found.stresses[0]
    result = Relaxation(
        atoms=before.atoms,
        reason="",
        n_evaluations=before.n_evaluations + 1,
        energy=float(found.energies[0]) / len(before.atoms),
        max_force=float(np.linalg.norm(forces, axis=1).max()),
        max_stress=float(np.abs(stress).max()),
        potential_time=before.potential_time + found.wall_time,
    )
    return replace(result, reason=_find_reason_to_stop(result, coordinates.start, settings))


def _find_reason_to_stop(result: Relaxation, start: Atoms, settings: RelaxationSettings) -> str:
    """Why a relaxation ends here; empty when it goes on."""
    ratio = result.atoms.get_volume() / start.get_volume()
    if not np.isfinite([result.energy, result.max_force, result.max_stress]).all():
        return "the potential gave a value that is not a number"
    at_rest = result.max_stress <= settings.max_stress or settings.cell == "fixed"
    if result.max_force <= settings.max_force and at_rest:
        return CONVERGED
    if not _VOLUME_RATIOS[0] < ratio < _VOLUME_RATIOS[1]:
        return f"the volume changed by a factor of {ratio:.2f}"
    if result.n_evaluations >= settings.max_evaluations:
        return f"no convergence in {settings.max_evaluations} evaluations"
    return ""
