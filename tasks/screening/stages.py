"""The stages: rows of one table in, rows of the next tables out, failures as rows.

A stage reads its input for a chunk of structures from the dataset, treats them together, and
commits what it found. Nothing but names, keys and settings passes between stages.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import spglib
from ase import Atoms

from potentials import Potential
from tasks.chirality import Divisions, analyze_force_constants, judge
from tasks.crystals.born_charges import nac_params_of, standardised
from tasks.crystals.cells import atoms_of_cell
from tasks.crystals.dielectric import ASSUMED_ORDER, BORN_CHARGES, DIELECTRIC_TENSOR, dielectric_of
from tasks.crystals.rows import Row, atoms_of, structure_columns
from tasks.crystals.structures import standardize
from tasks.failures import Failure, RemediableError, failure_of, panics_as_errors
from tasks.phonons import ForceConstants, commensurate_frequencies, force_constants_of_all
from tasks.phonons.elasticity import (
    GPA,
    StrainResponse,
    elastic_constants,
    least_stiffness,
    strain_responses,
    voigt_matrix,
)
from tasks.phonons.rows import cell_columns, phonon_columns, phonon_of, response_of, strain_columns
from tasks.phonons.sum_rules import OTHER_WEIGHTS, impose_sum_rules
from tasks.relaxation import Relaxation, relax
from tasks.screening.mirror_rows import (
    mirrored_force_constants,
    mirrored_phonons,
    mirrored_relaxation,
)
from tasks.screening.planning import STAGE_NAMES, Work
from tasks.screening.settings import ScreenSettings
from tasks.storage import Dataset
from tasks.symmetry import classify_space_group, find_dataset
from tasks.tolerances import AS_GIVEN, AS_MADE, LISTED, LOOSE

# The space group of a relaxed crystal is told at each of these tolerances (Å).
TOLERANCES = (AS_MADE, LISTED, AS_GIVEN, LOOSE)


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
        Seconds, loading of the potential apart.
    potential_time : float
        Seconds of them inside the potential.
    kernel : str or None
        How the potential computed, as its card tells it; None where it was not asked.
    """

    stage: str
    succeeded: tuple[str, ...]
    failures: tuple[Failure, ...]
    wall_time: float
    potential_time: float
    kernel: str | None = None


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


Treatment = Callable[[Sequence[Task]], list[Outcome]]


def run_stage(
    stage: str,
    works: Sequence[Work],
    dataset: Dataset,
    settings: ScreenSettings,
    load: Callable[[], Potential],
) -> StageReport:
    """Run one stage for a chunk of structures and commit its rows.

    The structures are treated together, so that the potential can pack them; what fails together
    is treated in halves, down to the structure that is to blame.

    Parameters
    ----------
    stage : str
        One of `planning.STAGE_NAMES`.
    works : sequence of Work
        Structures whose stage above succeeded. Mirror images whose originals have not come so far
        are left as they are.
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
    """
    index = STAGE_NAMES.index(stage)
    images = [work for work in works if work.image_keys and stage in _MIRRORS]
    computed = [work for work in works if work not in images]
    # Loading, once in a process, is not a cost of the structures that happen to come first.
    potential = load() if computed and needs_potential(stage) else None
    start = time.perf_counter()
    found = _computed(stage, computed, dataset, settings, potential)
    found |= _taken_over(stage, images, dataset) if images else {}
    report = StageReport(
        stage=stage,
        succeeded=tuple(work.material_id for work, out in found.items() if not out.failure),
        failures=tuple(outcome.failure for outcome in found.values() if outcome.failure),
        wall_time=time.perf_counter() - start,
        potential_time=sum(outcome.potential_time for outcome in found.values()),
        kernel=potential.card.kernel if potential else None,
    )
    timings = {"wall_time": report.wall_time, "potential_time": report.potential_time}
    tables = _merged([outcome.tables for outcome in found.values()])
    tables["failures"] = [asdict(failure) for failure in report.failures]
    if found:
        dataset.commit(stage, tables, [work.keys[index] for work in found], timings=timings)
    return report


def _computed(
    stage: str,
    works: Sequence[Work],
    dataset: Dataset,
    settings: ScreenSettings,
    potential: Potential | None,
) -> dict[Work, Outcome]:
    """Outcome of each structure that is computed itself."""
    if not works:
        return {}
    source, treat, _ = _STAGES[stage]
    index = STAGE_NAMES.index(stage)
    above = [work.keys[index - 1] if index else work.material_key for work in works]
    rows = _rows_by_key(dataset, source, above)
    tasks = [
        Task(rows[key], work.keys[index], settings, potential)
        for work, key in zip(works, above, strict=True)
    ]
    return dict(zip(works, _treated(stage, treat, tasks), strict=True))


def _taken_over(stage: str, works: Sequence[Work], dataset: Dataset) -> dict[Work, Outcome]:
    """Outcome of each structure whose mirror image has one."""
    index = STAGE_NAMES.index(stage)
    originals = {work: work.image_keys[index] for work in works if work.image_keys}
    keys = [*originals.values()]
    rows = {name: _rows_by_key(dataset, name, keys) for name in (*_MIRRORS[stage], "failures")}
    return {
        work: _mirrored(stage, work.keys[index], work.material_id, key, rows)
        for work, key in originals.items()
        if any(key in found for found in rows.values())
    }


def _mirrored(
    stage: str, key: str, material_id: str, original: str, rows: Mapping[str, Mapping[str, Row]]
) -> Outcome:
    """Outcome that follows from the rows of the mirror image."""
    identity = {"material_id": material_id, "key": key}
    if original in rows["failures"]:
        row = rows["failures"][original]
        message = f"its mirror image {row['material_id']}: {row['message']}"
        return Outcome({}, Failure(**{**row, **identity, "message": message}))
    mirrored = {name: mirror(rows[name][original]) for name, mirror in _MIRRORS[stage].items()}
    return Outcome({name: {**row, **identity} for name, row in mirrored.items()})


def _rows_by_key(dataset: Dataset, table: str, keys: Sequence[str]) -> dict[str, Row]:
    """Rows of a table by their keys."""
    return {row["key"]: row for row in dataset.read(table, keys=keys).to_pylist()}


def _treated(stage: str, treat: Treatment, tasks: Sequence[Task]) -> list[Outcome]:
    """Outcomes of some structures; what one of them raises becomes its failure."""
    start = time.perf_counter()
    try:
        with panics_as_errors():
            outcomes = treat(tasks)
    except Exception as error:  # noqa: BLE001 - one structure must not cost the others theirs
        if len(tasks) == 1:
            return [Outcome({}, failure_of(error, stage=stage, **tasks[0].identity))]
        middle = len(tasks) // 2
        return [*_treated(stage, treat, tasks[:middle]), *_treated(stage, treat, tasks[middle:])]
    elapsed = time.perf_counter() - start
    besides = (elapsed - sum(outcome.potential_time for outcome in outcomes)) / len(outcomes)
    return [_with_cost(outcome, besides) for outcome in outcomes]


def _with_cost(outcome: Outcome, besides: float) -> Outcome:
    """Add the times to the rows of the tables that record them."""
    wall_time = outcome.potential_time + besides
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


def _relaxation(tasks: Sequence[Task]) -> list[Outcome]:
    """Relax crystals together and look at what became of their symmetry."""
    potential, settings = tasks[0].potential, tasks[0].settings
    assert potential is not None
    results = relax([atoms_of(task.row) for task in tasks], potential, settings.relaxation)
    pairs = _in_higher_groups(list(zip(tasks, results, strict=True)), potential)
    return [_relaxed(task, result, potential) for task, result in pairs]


def _in_higher_groups(
    pairs: list[tuple[Task, Relaxation]], potential: Potential
) -> list[tuple[Task, Relaxation]]:
    """Relax on inside its new group what came within the tolerance of more symmetry.

    With the last traces of the lower group phonons would seem to have what the new one forbids.
    """
    settings = pairs[0][0].settings
    gained = [i for i, pair in enumerate(pairs) if _is_worth_more(*pair)]
    idealised = [standardize(pairs[i][1].atoms, settings.symmetry.symprec) for i in gained]
    for i, result in zip(gained, relax(idealised, potential, settings.relaxation), strict=True):
        pairs[i] = _continued(*pairs[i], result)
    return pairs


def _is_worth_more(task: Task, result: Relaxation) -> bool:
    """Whether a relaxed crystal has come into another space group, one that goes further."""
    initial, settings = task.row["space_group_number"], task.settings
    if not result.converged:
        return False
    final = space_group_number(result.atoms, settings.symmetry.symprec)
    return final not in (0, initial) and not _relaxation_problem(result, initial, final, settings)


def _continued(task: Task, first: Relaxation, second: Relaxation) -> tuple[Task, Relaxation]:
    """Two relaxations as one, and Born charges of the atoms of the second."""
    response, symprec = dielectric_of(task.row), task.settings.symmetry.symprec
    if response:
        carried = standardised(first.atoms, response, second.atoms, symprec)
        task = replace(task, row={**task.row, **carried.columns})
    both = replace(
        second,
        n_evaluations=first.n_evaluations + second.n_evaluations,
        potential_time=first.potential_time + second.potential_time,
    )
    return task, both


def _relaxed(task: Task, result: Relaxation, potential: Potential) -> Outcome:
    """Row of a relaxed crystal, and what is wrong with it."""
    settings, start = task.settings, atoms_of(task.row)
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
            "volume_change": _volume_per_atom(result.atoms) / _volume_per_atom(start) - 1,
            "c_over_a_change": _c_over_a_change(start, result.atoms, settings.symmetry.symprec),
            "space_group_number_initial": initial,
            "space_group_number_final": final,
            "tolerances": TOLERANCES,
            "space_groups": groups,
            "symmetry_changed": final != initial,
            BORN_CHARGES: task.row.get(BORN_CHARGES),
            DIELECTRIC_TENSOR: task.row.get(DIELECTRIC_TENSOR),
            "potential": potential.card.name,
            "checkpoint_digest": potential.card.digest,
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


def _phonons(tasks: Sequence[Task]) -> list[Outcome]:
    """Compute the force constants of relaxed crystals together."""
    potential, settings = tasks[0].potential, tasks[0].settings.phonons
    assert potential is not None
    crystals = [atoms_of(task.row) for task in tasks]
    results = force_constants_of_all(crystals, potential, settings)
    found = [result for result in results if isinstance(result, ForceConstants)]
    primitive = [atoms_of_cell(result.phonon.primitive) for result in found]
    responses = iter(strain_responses(primitive, potential))
    return [
        _forced(task, result, next(responses), potential)
        if isinstance(result, ForceConstants)
        else Outcome({}, failure_of(result, stage="phonons", **task.identity))
        for task, result in zip(tasks, results, strict=True)
    ]


def _forced(
    task: Task, found: ForceConstants, response: StrainResponse, potential: Potential
) -> Outcome:
    """Rows of the force constants of one crystal."""
    found.phonon.nac_params = nac_params_of(task.row)
    row = (
        task.identity
        | cell_columns(found.phonon, "record", ASSUMED_ORDER)
        | {
            "n_displacements": found.n_evaluations,
            "displacement_distance": task.settings.phonons.displacement_distance,
            "sum_rule_residual": found.sum_rule_residual,
            "symmetrisation": found.symmetrisation,
            "boundary_shift": found.boundary_shift,
            "n_enlargements": found.n_enlargements,
            "elastic_constants": GPA * voigt_matrix(elastic_constants(found.phonon, response)),
            "potential": potential.card.name,
            "checkpoint_digest": potential.card.digest,
        }
    )
    constants = task.identity | phonon_columns(found.phonon) | strain_columns(response)
    tables = {"phonons": row, "force_constants": constants}
    return Outcome(tables, potential_time=found.potential_time + response.potential_time)


def _chirality(tasks: Sequence[Task]) -> list[Outcome]:
    """Analyse the modes of crystals, one after the other."""
    return [_analysed(task) for task in tasks]


def _analysed(task: Task) -> Outcome:
    """Analyse the modes of one crystal."""
    phonon, response = phonon_of(task.row), response_of(task.row)
    rules = impose_sum_rules(phonon, response)
    others = Divisions(rules.divide(OTHER_WEIGHTS), phonon) if rules.divide else None
    analysis = analyze_force_constants(rules.crystal, task.settings.chirality, others)
    stiffness = least_stiffness(elastic_constants(phonon, response)) if response else None
    frequencies = commensurate_frequencies(phonon)
    verdict = judge(analysis.record, frequencies, task.settings.score, stiffness)
    divided = {
        "rotational_violation": rules.rotational_before,
        "huang_violation": rules.huang_before,
        "sum_rules_skipped": rules.skipped or None,
    }
    # The catalogue decides on score and shortlist: they need columns of other tables.
    undecided = {"shortlisted": False}
    record = task.identity | vars(analysis.record) | vars(verdict) | divided | undecided
    modes = pa.table(dict(analysis.modes))
    for name, value in reversed(task.identity.items()):
        modes = modes.add_column(0, name, pa.array([value] * len(modes)))
    return Outcome({"chirality": record, "modes": modes})


class _Stage(NamedTuple):
    """The table a stage reads, what it does with a chunk, whether it needs the potential."""

    source: str
    treat: Treatment
    needs_potential: bool


_STAGES: Mapping[str, _Stage] = {
    "relaxation": _Stage("materials", _relaxation, needs_potential=True),
    "phonons": _Stage("relaxations", _phonons, needs_potential=True),
    "chirality": _Stage("force_constants", _chirality, needs_potential=False),
}
# Stage -> how the rows of a mirror image follow, by table.
_MIRRORS: Mapping[str, Mapping[str, Callable[[Row], Row]]] = {
    "relaxation": {"relaxations": mirrored_relaxation},
    "phonons": {"phonons": mirrored_phonons, "force_constants": mirrored_force_constants},
}
_TABLES_WITH_COST = {"relaxations", "phonons"}


def needs_potential(stage: str) -> bool:
    """Tell whether a stage evaluates the potential.

    Parameters
    ----------
    stage : str
        One of `planning.STAGE_NAMES`.

    Returns
    -------
    bool
        False for what works on stored force constants alone.
    """
    return _STAGES[stage].needs_potential


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


def _volume_per_atom(atoms: Atoms) -> float:
    return float(atoms.get_volume() / len(atoms))


def _c_over_a_change(start: Atoms, end: Atoms, symprec: float) -> float | None:
    """Relative change of c/a of the conventional cell; None when there is another cell."""
    first, last = _dataset(start, symprec), _dataset(end, symprec)
    if not first or not last or first.number != last.number:
        return None
    before, after = (np.linalg.norm(found.std_lattice, axis=1) for found in (first, last))
    return float((after[2] / after[0]) / (before[2] / before[0]) - 1)
