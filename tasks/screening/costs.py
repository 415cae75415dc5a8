"""What a structure costs: the only place where times are estimated.

What comes in: a crystal, the settings and the card of the potential. What goes out: processor
seconds of each stage on one thread. Evaluations, atoms, q-points and bands are counted; what turns
them into seconds are the constants of `costs.json` beside this module, which
``python -m benchmarks.costs`` compares with measured times. The potential enters by the time per
atom that its card tells.

Plan, dry run, triage, chunks, progress and time limits all ask here. Nothing of it enters a result.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from ase import Atoms

from potentials import Equivariance, PotentialCard
from tasks.chirality.brillouin import choose_mesh_numbers
from tasks.phonons.displaced_supercells import count_evaluations
from tasks.phonons.displacements import find_site_groups
from tasks.screening.settings import ScreenSettings
from tasks.symmetry import find_dataset

_DENSITY: Final = 0.08  # atoms per Å^3 of quartz, whose time per atom the cards tell
CONSTANTS_FILE: Final = Path(__file__).with_suffix(".json")


class StageSeconds(NamedTuple):
    """Processor seconds of one structure on one thread, by stage."""

    relaxation: float
    phonons: float
    chirality: float

    def of(self, stage: str) -> float:
        """Seconds of one stage."""
        return self[self._fields.index(stage)]

    def left(self, stage: str) -> float:
        """Seconds of a stage and of all that follow it."""
        return sum(self[self._fields.index(stage) :])

    def for_mirror_image(self) -> "StageSeconds":
        """Seconds of the mirror image, whose cell and force constants follow from these."""
        row = read_constants().structure
        return StageSeconds(row, row, self.chirality)


@dataclass(frozen=True)
class ModeCounts:
    """What the cost of an analysis of modes follows from.

    Attributes
    ----------
    n_atoms, n_supercell_atoms : int
        Atoms of the primitive cell, and of the supercell.
    n_stars : float
        q-points of the reduced mesh.
    path_scale : float
        q-points on the cube root of the volume of the Brillouin zone, at the spacing of the path.
    has_charges : bool
        Whether there are Born charges, whose dipoles enter each dynamical matrix.
    is_predicted : bool
        Whether these are predicted first.
    """

    n_atoms: int
    n_supercell_atoms: int
    n_stars: float
    path_scale: float
    has_charges: bool
    is_predicted: bool = False


@dataclass(frozen=True)
class WorkCounts:
    """What the cost of a crystal follows from, counted before anything is computed.

    Attributes
    ----------
    density : float
        Atoms per Å^3, to which the number of neighbours is proportional.
    n_coordinates : int
        Strains and displacements that its space group leaves free.
    is_achiral : bool
        Whether some improper operation maps the crystal onto itself.
    evaluations : mapping from Equivariance to int
        Displaced supercells, for a potential of each kind.
    may_enlarge : bool
        Whether a supercell at whose boundary forces have not decayed is enlarged.
    modes : ModeCounts
        Atoms and q-points.
    """

    density: float
    n_coordinates: int
    is_achiral: bool
    evaluations: Mapping[Equivariance, int]
    may_enlarge: bool
    modes: ModeCounts


@dataclass(frozen=True)
class CostConstants:
    """What turns counts into seconds; seconds are of one processor of the machine it ran on.

    Attributes
    ----------
    start : float
        From the command to the first crystal, and from the last one to the prompt: imports, the
        temporary server, loading of the potential, catalogue and report (s).
    chunk : float
        One stage of one chunk, whatever is in it: Prefect's task run (s).
    record : float
        One record of the source: reading, symmetry and decision (s).
    structure : float
        One structure in relaxation or phonons, whatever it is: its rows (s).
    first_evaluations, evaluations_per_coordinate : float
        Evaluations of a relaxation: so many, and so many more for each free coordinate.
    atoms_per_evaluation : float
        What an evaluation of a relaxation costs whatever its size, in atoms.
    crowding : float
        Part of the time per atom that is proportional to the density.
    enlargement : float
        Evaluated atoms, those of enlarged supercells included, over those of the first ones.
    pair : float
        Force constants of one pair of an atom of the primitive cell and one of the supercell (s).
    analysis : float
        One structure in the chirality stage, whatever it is (s).
    rules : float
        Sum rules, for each pair as above (s).
    path : float
        Length of the band path in cube roots of the volume of the Brillouin zone, times the cost
        of one of its q-points in those of the mesh.
    mode, power : float
        One q-point of n modes takes ``mode * n ** power`` (s).
    charges : float
        Factor on that of a crystal with Born charges.
    prediction : float
        Born charges of one atom, where they are predicted (s).
    """

    start: float
    chunk: float
    record: float
    structure: float
    first_evaluations: float
    evaluations_per_coordinate: float
    atoms_per_evaluation: float
    crowding: float
    enlargement: float
    pair: float
    analysis: float
    rules: float
    path: float
    mode: float
    power: float
    charges: float
    prediction: float


@cache
def read_constants() -> CostConstants:
    """Read the constants, once per process."""
    return CostConstants(**json.loads(CONSTANTS_FILE.read_text("utf-8")))


def count_work(
    atoms: Atoms,
    settings: ScreenSettings,
    *,
    has_charges: bool = False,
    is_predicted: bool = False,
) -> WorkCounts:
    """Count what the stages of a crystal take, without setting anything up.

    Parameters
    ----------
    atoms : ase.Atoms
        Primitive cell.
    settings : ScreenSettings
        All settings.
    has_charges, is_predicted : bool
        Whether there are Born charges, and whether they are predicted.

    Returns
    -------
    WorkCounts
        For `estimate_seconds`.

    Raises
    ------
    RemediableError
        When the primitive cell alone exceeds the largest number of atoms.
    """
    symprec = settings.symmetry.symprec
    rotations = find_dataset(atoms, symprec).rotations
    evaluations, n_supercell_atoms = count_evaluations(atoms, settings.phonons, symprec)
    return WorkCounts(
        density=float(len(atoms) / atoms.get_volume()),
        n_coordinates=_count_coordinates(atoms, symprec),
        is_achiral=bool((np.linalg.det(rotations) < 0).any()),
        evaluations=evaluations,
        may_enlarge=settings.phonons.max_enlargements > 0,
        modes=count_mode_work(
            atoms,
            n_supercell_atoms,
            settings,
            has_charges=has_charges,
            is_predicted=is_predicted,
        ),
    )


def count_mode_work(
    atoms: Atoms,
    n_supercell_atoms: int,
    settings: ScreenSettings,
    *,
    has_charges: bool,
    is_predicted: bool = False,
) -> ModeCounts:
    """Count what the analysis of the modes of a crystal takes.

    The stars of the mesh are counted by Burnside's lemma: as many as an operation of the Laue group
    leaves q-points in place, in the mean. Those make up the zone, a plane, a line, or a point.

    Parameters
    ----------
    atoms : ase.Atoms
        Primitive cell.
    n_supercell_atoms : int
        Atoms of the supercell.
    settings : ScreenSettings
        All settings.
    has_charges, is_predicted : bool
        Whether there are Born charges, and whether they are predicted.

    Returns
    -------
    ModeCounts
        For `estimate_analysis_seconds`.
    """
    chirality = settings.chirality
    rotations = find_dataset(atoms, settings.symmetry.symprec).rotations
    n_points = choose_mesh_numbers(atoms.cell.array, rotations, chirality.mesh_spacing).prod()
    laue = np.unique(np.concatenate([rotations, -rotations]), axis=0)
    dimensions = 3 - np.linalg.matrix_rank(laue - np.eye(3, dtype=np.int64))
    return ModeCounts(
        n_atoms=len(atoms),
        n_supercell_atoms=n_supercell_atoms,
        n_stars=float((float(n_points) ** (dimensions / 3)).mean()),
        path_scale=float(np.cbrt(1 / atoms.get_volume())) / chirality.path_spacing,
        has_charges=has_charges,
        is_predicted=is_predicted,
    )


def _count_coordinates(atoms: Atoms, symprec: float) -> int:
    """Free coordinates of a relaxation, from the characters of the point group and site groups."""
    found = find_dataset(atoms, symprec)
    traces = np.trace(found.rotations, axis1=1, axis2=2)
    squares = np.trace(found.rotations @ found.rotations, axis1=1, axis2=2)
    vectors = sum(np.trace(g, axis1=1, axis2=2).mean() for g in find_site_groups(atoms, found))
    return round(float((traces**2 + squares).mean() / 2 + vectors - traces.mean()))


def estimate_seconds(
    counts: WorkCounts, card: PotentialCard, measured: CostConstants | None = None
) -> StageSeconds:
    """Estimate what the stages of a crystal take.

    Parameters
    ----------
    counts : WorkCounts
        Of the crystal.
    card : PotentialCard
        Of the potential.
    measured : CostConstants, optional
        Other constants than those of the file.

    Returns
    -------
    StageSeconds
        On one thread.
    """
    known, modes = measured or read_constants(), counts.modes
    per_atom = estimate_seconds_per_atom(counts.density, card, known)
    relaxed = known.first_evaluations + known.evaluations_per_coordinate * counts.n_coordinates
    relaxed *= 2.0 if card.averaged and not counts.is_achiral else 1.0
    kind = Equivariance.SO3 if card.averaged else card.equivariance
    displaced = float(counts.evaluations[kind] * modes.n_supercell_atoms)
    displaced *= known.enlargement if counts.may_enlarge else 1.0
    pairs = modes.n_atoms * modes.n_supercell_atoms
    return StageSeconds(
        known.structure + relaxed * (modes.n_atoms + known.atoms_per_evaluation) * per_atom,
        known.structure + displaced * per_atom + pairs * known.pair,
        estimate_analysis_seconds(modes, known),
    )


def estimate_seconds_per_atom(density: float, card: PotentialCard, known: CostConstants) -> float:
    """Estimate what the potential takes for one atom; the more neighbours it has, the longer.

    Parameters
    ----------
    density : float
        Atoms per Å^3.
    card : PotentialCard
        Of the potential.
    known : CostConstants
        What was measured.

    Returns
    -------
    float
        Seconds on one thread.
    """
    crowding = 1 + known.crowding * (density / _DENSITY - 1)
    return card.milliseconds_per_atom / 1000 * crowding


def estimate_analysis_seconds(modes: ModeCounts, measured: CostConstants | None = None) -> float:
    """Estimate what the analysis of force constants takes.

    Parameters
    ----------
    modes : ModeCounts
        Of the crystal.
    measured : CostConstants, optional
        Other constants than those of the file.

    Returns
    -------
    float
        Seconds on one thread.
    """
    known = measured or read_constants()
    rules = known.rules * modes.n_atoms * modes.n_supercell_atoms
    per_q_point: float = known.mode * float(3 * modes.n_atoms) ** known.power
    per_q_point *= known.charges if modes.has_charges else 1.0
    n_q_points = modes.n_stars + known.path * modes.path_scale
    predicted = known.prediction * modes.n_atoms if modes.is_predicted else 0.0
    return known.analysis + rules + predicted + n_q_points * per_q_point
