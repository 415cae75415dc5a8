"""The stages: rows of one table in, rows of the next tables out, failures as rows.

A stage reads its input for a chunk of structures from the dataset, treats one structure after the
other, and commits what it found. Nothing but names, keys and settings passes between stages.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import spglib
from ase import Atoms
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from potentials import Potential
from tasks.chirality import analyze_force_constants, judge
from tasks.failures import Failure, RemediableError, failure_of, is_out_of_memory
from tasks.phonons import (
    commensurate_frequencies,
    force_constants,
    phonopy_of,
)
from tasks.planning import STAGE_NAMES, Work
from tasks.relaxation import Relaxation, relax
from tasks.settings import ScreenSettings
from tasks.storage import Dataset
from tasks.supercells import nearest_image_distance
from tasks.symmetry import classify_space_group, find_dataset

Row = Mapping[str, Any]

# The space group of a relaxed crystal is told at each of these tolerances (Å).
TOLERANCES = (1e-5, 1e-3, 0.01, 0.1)


@dataclass(frozen=True)
class StageReport:
    """What a stage did with a chunk; small enough to travel between processes.

    Attributes
    ----------
    stage : str
        Name of the stage.
    succeeded : tuple of str
        Structures with a result the next stage can go on with.
    failures : tuple of Failure
        The others, and why.
    wall_time : float
        Seconds.
    potential_time : float
        Seconds of them inside the potential.
    """

    stage: str
    succeeded: tuple[str, ...]
    failures: tuple[Failure, ...]
    wall_time: float
    potential_time: float


@dataclass(frozen=True)
class Task:
    """One structure in one stage: its input row, its key, and what it shares with the others."""

    row: Row
    key: str
    settings: ScreenSettings
    potential: Potential | None

    @property
    def identity(self) -> dict[str, str]:
        """Columns that name what a row belongs to."""
        return {"material_id": self.row["material_id"], "key": self.key}


@dataclass(frozen=True)
class Outcome:
    """What one stage found for one structure.

    Attributes
    ----------
    tables : mapping from str to dict or pyarrow.Table
        A row, or many, by name of the table.
    failure : Failure or None
        Why no further stage makes sense; rows may stand beside it.
    potential_time : float
        Seconds inside the potential.
    """

    tables: Mapping[str, Row | pa.Table]
    failure: Failure | None = None
    potential_time: float = 0.0


def run_stage(
    stage: str,
    works: Sequence[Work],
    dataset: Dataset,
    settings: ScreenSettings,
    load: Callable[[], Potential],
) -> StageReport:
    """Run one stage for a chunk of structures and commit its rows.

    Parameters
    ----------
    stage : str
        One of `planning.STAGE_NAMES`.
    works : sequence of Work
        Structures whose stage above succeeded.
    dataset : Dataset
        Where rows are read and committed.
    settings : ScreenSettings
        All settings.
    load : callable
        Gives the potential; called by stages that need one.

    Returns
    -------
    StageReport
        Structures that failed included.

    Raises
    ------
    DatasetError
        When the dataset cannot be read or written; the structures then remain to be done.
    MemoryError, torch.OutOfMemoryError
        When a chunk of several structures is too large for the memory.
    """
    start = time.perf_counter()
    source, treat, needs_potential = _STAGES[stage]
    potential = load() if needs_potential else None
    rows = _input_rows(dataset, source, stage, works)
    index = STAGE_NAMES.index(stage)
    tasks = [
        Task(row, work.keys[index], settings, potential)
        for work, row in zip(works, rows, strict=True)
    ]
    alone = len(tasks) == 1
    outcomes = {
        task.row["material_id"]: _treated(stage, treat, task, alone=alone) for task in tasks
    }
    failures = tuple(o.failure for o in outcomes.values() if o.failure)
    report = StageReport(
        stage=stage,
        succeeded=tuple(name for name, outcome in outcomes.items() if not outcome.failure),
        failures=failures,
        wall_time=time.perf_counter() - start,
        potential_time=sum(outcome.potential_time for outcome in outcomes.values()),
    )
    timings = {"wall_time": report.wall_time, "potential_time": report.potential_time}
    tables = _merged([outcome.tables for outcome in outcomes.values()])
    tables["failures"] = [asdict(failure) for failure in failures]
    dataset.commit(stage, tables, [work.keys[index] for work in works], timings=timings)
    return report


def _input_rows(dataset: Dataset, table: str, stage: str, works: Sequence[Work]) -> list[Row]:
    """Input row of each structure, in order."""
    index = STAGE_NAMES.index(stage)
    above = [work.keys[index - 1] if index else work.material_key for work in works]
    found = {row["key"]: row for row in dataset.read(table, keys=above).to_pylist()}
    return [found[key] for key in above]


def _treated(stage: str, treat: Callable[[Task], Outcome], task: Task, *, alone: bool) -> Outcome:
    """Outcome of one structure; whatever it raises becomes its failure.

    Want of memory is a matter of the whole chunk while there is more than one structure in it.
    """
    start = time.perf_counter()
    try:
        outcome = treat(task)
    except Exception as error:
        if is_out_of_memory(error) and not alone:
            raise
        return Outcome({}, failure_of(error, stage=stage, **task.identity))
    wall_time = time.perf_counter() - start
    cost = {"wall_time": wall_time, "potential_time": outcome.potential_time}
    timed = {
        name: {**rows, **cost} for name, rows in outcome.tables.items() if name in _TABLES_WITH_COST
    }
    return replace(outcome, tables={**outcome.tables, **timed})


def _merged(tables: Sequence[Mapping[str, Row | pa.Table]]) -> dict[str, Any]:
    """Rows of all structures by table."""
    merged: dict[str, list[Any]] = defaultdict(list)
    for found in tables:
        for name, rows in found.items():
            merged[name].append(rows)
    return {
        name: pa.concat_tables(rows) if isinstance(rows[0], pa.Table) else rows
        for name, rows in merged.items()
    }


def _relaxation(task: Task) -> Outcome:
    """Relax one crystal and look at what became of its symmetry."""
    assert task.potential is not None
    settings, start = task.settings, atoms_of(task.row)
    [result] = relax([start], task.potential, settings.relaxation)
    groups = [space_group_number(result.atoms, tolerance) for tolerance in TOLERANCES]
    final = space_group_number(result.atoms, settings.symmetry.symprec)
    initial = task.row["space_group_number"]
    row = (
        task.identity
        | structure_columns(result.atoms)
        | {
            "converged": result.converged,
            "reason": result.reason,
            "n_evaluations": result.n_evaluations,
            "energy": result.energy,
            "max_force": result.max_force,
            "max_stress": result.max_stress,
            "volume_change": result.atoms.get_volume() / start.get_volume() - 1,
            "c_over_a_change": _c_over_a_change(start, result.atoms, settings.symmetry.symprec),
            "space_group_number_initial": initial,
            "space_group_number_final": final,
            "tolerances": TOLERANCES,
            "space_groups": groups,
            "symmetry_changed": final != initial,
            "potential": task.potential.card.name,
            "checkpoint_digest": task.potential.card.digest,
        }
    )
    problem = _relaxation_problem(result, initial, final, settings)
    failure = failure_of(problem, stage="relaxation", **task.identity) if problem else None
    return Outcome({"relaxations": row}, failure, result.potential_time)


def _relaxation_problem(
    result: Relaxation, initial: int, final: int, settings: ScreenSettings
) -> RemediableError | None:
    """Why a relaxed crystal goes no further; None when it does."""
    if not result.converged:
        remedy = "look at the structure, raise relaxation.max_evaluations or change the potential"
        return RemediableError(f"not relaxed: {result.reason}", remedy)
    changed = final not in (initial, 0)
    lost = changed and classify_space_group(final).chirality_class == "I"
    if lost and not settings.include_centrosymmetric:
        message = (
            f"the potential turns space group {initial} into {final}, which is centrosymmetric"
        )
        return RemediableError(message, "use a better potential, or find the phase it describes")
    return None


def _phonons(task: Task) -> Outcome:
    """Compute the force constants of one relaxed crystal."""
    assert task.potential is not None
    settings = task.settings.phonons
    found = force_constants(atoms_of(task.row), task.potential, settings)
    row = (
        task.identity
        | cell_columns(found.phonon)
        | {
            "n_displacements": len(found.phonon.displacements),
            "displacement_distance": settings.displacement,
            "sum_rule_residual": found.sum_rule_residual,
            "symmetrisation": found.symmetrisation,
            "potential": task.potential.card.name,
            "checkpoint_digest": task.potential.card.digest,
        }
    )
    constants = task.identity | phonon_columns(found.phonon)
    tables = {"phonons": row, "force_constants": constants}
    return Outcome(tables, potential_time=found.potential_time)


def _chirality(task: Task) -> Outcome:
    """Analyse the modes of one crystal."""
    phonon = phonon_of(task.row)
    analysis = analyze_force_constants(phonon, task.settings.chirality)
    verdict = judge(analysis.record, commensurate_frequencies(phonon), task.settings.score)
    record = task.identity | asdict(analysis.record) | asdict(verdict)
    modes = pa.table(dict(analysis.modes))
    for name, value in reversed(task.identity.items()):
        modes = modes.add_column(0, name, pa.array([value] * len(modes)))
    return Outcome({"chirality": record, "modes": modes})


# Stage -> the table it reads, the function for one structure, whether it needs the potential.
_STAGES: Mapping[str, tuple[str, Callable[[Task], Outcome], bool]] = {
    "relaxation": ("materials", _relaxation, True),
    "phonons": ("relaxations", _phonons, True),
    "chirality": ("force_constants", _chirality, False),
}
_TABLES_WITH_COST = {"relaxations", "phonons"}


def structure_columns(atoms: Atoms) -> dict[str, Any]:
    """Columns that hold a crystal.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.

    Returns
    -------
    dict
        ``numbers``, ``cell`` (Å) and ``positions`` (fractions).
    """
    return {
        "numbers": atoms.numbers,
        "cell": np.asarray(atoms.cell),
        "positions": atoms.get_scaled_positions(),
    }


def atoms_of(row: Row) -> Atoms:
    """Crystal held by the structure columns of a row.

    Parameters
    ----------
    row : mapping
        With ``numbers``, ``cell`` and ``positions``.

    Returns
    -------
    ase.Atoms
        Periodic crystal.
    """
    return Atoms(
        numbers=row["numbers"],
        cell=np.reshape(row["cell"], (3, 3)),
        scaled_positions=np.reshape(row["positions"], (-1, 3)),
        pbc=True,
    )


def phonon_of(row: Row) -> Phonopy:
    """Phonopy object of a row of ``force_constants``.

    Parameters
    ----------
    row : mapping
        A row.

    Returns
    -------
    phonopy.Phonopy
        With force constants.
    """
    # Coordinates are taken as they were stored, bit by bit: the order of the supercell's atoms,
    # which the force constants follow, can depend on the last digit.
    unit_cell = PhonopyAtoms(
        numbers=row["numbers"],
        cell=np.reshape(row["cell"], (3, 3)),
        scaled_positions=np.reshape(row["positions"], (-1, 3)),
        masses=row["masses"],
    )
    supercell_matrix = np.reshape(row["supercell_matrix"], (3, 3))
    primitive_matrix = np.reshape(row["primitive_matrix"], (3, 3))
    phonon = phonopy_of(unit_cell, supercell_matrix, primitive_matrix)
    phonon.force_constants = np.reshape(row["force_constants"], row["force_constants_shape"])
    if row["born"] is not None:
        charges = {
            "born": np.reshape(row["born"], (-1, 3, 3)),
            "dielectric": np.reshape(row["dielectric"], (3, 3)),
            "factor": row["nac_factor"],
        }
        method = {"method": row["nac_method"]} if row["nac_method"] else {}
        phonon.nac_params = charges | method
    return phonon


def phonon_columns(phonon: Phonopy) -> dict[str, Any]:
    """Columns of ``force_constants`` that hold a phonopy object.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With compact force constants, with or without Born charges.

    Returns
    -------
    dict
        Values by column; `phonon_of` reads them.
    """
    charges = phonon.nac_params or {}
    return {
        "numbers": phonon.unitcell.numbers,
        "cell": phonon.unitcell.cell,
        "positions": phonon.unitcell.scaled_positions,
        "masses": phonon.unitcell.masses,
        "supercell_matrix": phonon.supercell_matrix,
        "primitive_matrix": phonon.primitive_matrix,
        "force_constants": phonon.force_constants,
        "force_constants_shape": phonon.force_constants.shape,
        "born": charges.get("born"),
        "dielectric": charges.get("dielectric"),
        "nac_factor": charges.get("factor"),
        "nac_method": charges.get("method"),
    }


def cell_columns(phonon: Phonopy) -> dict[str, Any]:
    """Columns of ``phonons`` that tell which frequencies the forces determine.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With force constants.

    Returns
    -------
    dict
        Values by column.
    """
    frequencies = commensurate_frequencies(phonon)
    return {
        "supercell_matrix": phonon.supercell_matrix,
        "primitive_matrix": phonon.primitive_matrix,
        "n_supercell_atoms": len(phonon.supercell),
        "image_distance": nearest_image_distance(phonon.supercell.cell),
        "nac": phonon.nac_params is not None,
        "min_frequency_commensurate": float(frequencies.min()),
        "max_frequency": float(frequencies.max()),
    }


def space_group_number(atoms: Atoms, symprec: float) -> int:
    """Space-group number of a crystal at a tolerance.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.
    symprec : float
        Distance tolerance in Å.

    Returns
    -------
    int
        1 to 230; 0 when spglib finds none.
    """
    dataset = _dataset(atoms, symprec)
    return int(dataset.number) if dataset else 0


def _dataset(atoms: Atoms, symprec: float) -> spglib.SpglibDataset | None:
    """Symmetry found by spglib; None when it finds none."""
    try:
        return find_dataset(atoms, symprec)
    except ValueError:
        return None


def _c_over_a_change(start: Atoms, end: Atoms, symprec: float) -> float | None:
    """Relative change of c/a of the conventional cell; None when there is another cell."""
    first, last = _dataset(start, symprec), _dataset(end, symprec)
    if not first or not last or first.number != last.number:
        return None
    before, after = (np.linalg.norm(found.std_lattice, axis=1) for found in (first, last))
    return float((after[2] / after[0]) / (before[2] / before[0]) - 1)
