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
from ase import Atoms

from potentials import Potential
from tasks.chirality import ImageWeightings, analyze_force_constants, judge
from tasks.crystals.born_charges import make_nac_params, standardize_response
from tasks.crystals.cells import make_atoms
from tasks.crystals.dielectric import ASSUMED_ORDER, BORN_CHARGES, DIELECTRIC_TENSOR, read_response
from tasks.crystals.rows import Row, make_structure_columns, read_atoms
from tasks.crystals.structures import standardize
from tasks.failures import Failure, RemediableError, make_failure, raise_panics
from tasks.phonons import (
    ForceConstants,
    compute_all_force_constants,
    compute_commensurate_frequencies,
)
from tasks.phonons.charges import Charges, set_charges
from tasks.phonons.elasticity import (
    GPA,
    StrainResponse,
    compute_elastic_constants,
    find_smallest_elastic_eigenvalue,
    make_voigt_matrix,
    measure_strain_responses,
)
from tasks.phonons.rows import (
    make_cell_columns,
    make_phonon_columns,
    make_strain_columns,
    read_phonon,
    read_strain_response,
)
from tasks.phonons.sum_rules import OTHER_WEIGHTS, impose_sum_rules
from tasks.relaxation import Relaxation, relax
from tasks.screening.mirror_rows import (
    mirror_force_constants,
    mirror_phonons,
    mirror_relaxation,
)
from tasks.screening.planning import STAGE_NAMES, WorkItem
from tasks.screening.settings import ScreenSettings
from tasks.storage import Dataset
from tasks.symmetry import classify_space_group, find_dataset, find_space_group_number
from tasks.thermodynamics.evidence import assess_stability, find_hull
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
class StageInput:
    """One structure in one stage: its input row, its key, and what it shares with the others."""

    row: Row
    key: str
    settings: ScreenSettings
    potential: Potential | None
    charges: Charges

    @property
    def identity(self) -> dict[str, str]:
        """Columns that name what a row belongs to."""
        return {"material_id": self.row["material_id"], "key": self.key}


@dataclass(frozen=True)
class StageOutcome:
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


TreatInputs = Callable[[Sequence[StageInput]], list[StageOutcome]]


def run_stage(
    stage: str,
    works: Sequence[WorkItem],
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
    works : sequence of WorkItem
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
    found = _compute_outcomes(stage, computed, dataset, settings, potential)
    found |= _derive_from_mirror_images(stage, images, dataset) if images else {}
    report = StageReport(
        stage=stage,
        succeeded=tuple(work.material_id for work, out in found.items() if not out.failure),
        failures=tuple(outcome.failure for outcome in found.values() if outcome.failure),
        wall_time=time.perf_counter() - start,
        potential_time=sum(outcome.potential_time for outcome in found.values()),
        kernel=potential.card.kernel if potential else None,
    )
    timings = {"wall_time": report.wall_time, "potential_time": report.potential_time}
    tables = _merge_tables([outcome.tables for outcome in found.values()])
    tables["failures"] = [asdict(failure) for failure in report.failures]
    if found:
        dataset.commit(stage, tables, [work.keys[index] for work in found], timings=timings)
    return report


def _compute_outcomes(
    stage: str,
    works: Sequence[WorkItem],
    dataset: Dataset,
    settings: ScreenSettings,
    potential: Potential | None,
) -> dict[WorkItem, StageOutcome]:
    """Outcome of each structure that is computed itself."""
    if not works:
        return {}
    source, treat, _ = _STAGES[stage]
    index = STAGE_NAMES.index(stage)
    above = [work.keys[index - 1] if index else work.material_key for work in works]
    rows = _read_rows_by_key(dataset, source, above)
    tasks = [
        StageInput(rows[key], work.keys[index], settings, potential, work.charges)
        for work, key in zip(works, above, strict=True)
    ]
    return dict(zip(works, _treat_inputs(stage, treat, tasks), strict=True))


def _derive_from_mirror_images(
    stage: str, works: Sequence[WorkItem], dataset: Dataset
) -> dict[WorkItem, StageOutcome]:
    """Outcome of each structure whose mirror image has one."""
    index = STAGE_NAMES.index(stage)
    originals = {work: work.image_keys[index] for work in works if work.image_keys}
    keys = [*originals.values()]
    rows = {name: _read_rows_by_key(dataset, name, keys) for name in (*_MIRRORS[stage], "failures")}
    return {
        work: _derive_outcome(stage, work.keys[index], work.material_id, key, rows)
        for work, key in originals.items()
        if any(key in found for found in rows.values())
    }


def _derive_outcome(
    stage: str, key: str, material_id: str, original: str, rows: Mapping[str, Mapping[str, Row]]
) -> StageOutcome:
    """Outcome that follows from the rows of the mirror image."""
    identity = {"material_id": material_id, "key": key}
    if original in rows["failures"]:
        row = rows["failures"][original]
        message = f"its mirror image {row['material_id']}: {row['message']}"
        return StageOutcome({}, Failure(**{**row, **identity, "message": message}))
    mirrored = {name: mirror(rows[name][original]) for name, mirror in _MIRRORS[stage].items()}
    return StageOutcome({name: {**row, **identity} for name, row in mirrored.items()})


def _read_rows_by_key(dataset: Dataset, table: str, keys: Sequence[str]) -> dict[str, Row]:
    """Rows of a table by their keys."""
    return {row["key"]: row for row in dataset.read(table, keys=keys).to_pylist()}


def _treat_inputs(
    stage: str, treat: TreatInputs, tasks: Sequence[StageInput]
) -> list[StageOutcome]:
    """Outcomes of some structures; what one of them raises becomes its failure."""
    start = time.perf_counter()
    try:
        with raise_panics():
            outcomes = treat(tasks)
    except Exception as error:  # noqa: BLE001 - one structure must not cost the others theirs
        if len(tasks) == 1:
            return [StageOutcome({}, make_failure(error, stage=stage, **tasks[0].identity))]
        middle = len(tasks) // 2
        return [
            *_treat_inputs(stage, treat, tasks[:middle]),
            *_treat_inputs(stage, treat, tasks[middle:]),
        ]
    elapsed = time.perf_counter() - start
    besides = (elapsed - sum(outcome.potential_time for outcome in outcomes)) / len(outcomes)
    return [_add_cost(outcome, besides) for outcome in outcomes]


def _add_cost(outcome: StageOutcome, besides: float) -> StageOutcome:
    """Add the times to the rows of the tables that record them."""
    wall_time = outcome.potential_time + besides
    cost = {"wall_time": wall_time, "potential_time": outcome.potential_time}
    timed = {
        name: {**rows, **cost} for name, rows in outcome.tables.items() if name in _TABLES_WITH_COST
    }
    return replace(outcome, tables={**outcome.tables, **timed})


def _merge_tables(tables: Sequence[Mapping[str, Row | pa.Table]]) -> dict[str, Any]:
    """Rows of all structures by table."""
    merged: dict[str, list[Any]] = defaultdict(list)
    for found in tables:
        for name, rows in found.items():
            merged[name].append(rows)
    return {
        name: pa.concat_tables(rows) if isinstance(rows[0], pa.Table) else rows
        for name, rows in merged.items()
    }


def _relax_inputs(tasks: Sequence[StageInput]) -> list[StageOutcome]:
    """Relax crystals together and look at what became of their symmetry."""
    potential, settings = tasks[0].potential, tasks[0].settings
    assert potential is not None
    results = relax([read_atoms(task.row) for task in tasks], potential, settings.relaxation)
    pairs = _relax_in_higher_groups(list(zip(tasks, results, strict=True)), potential)
    return [_make_relaxation_outcome(task, result, potential) for task, result in pairs]


def _relax_in_higher_groups(
    pairs: list[tuple[StageInput, Relaxation]], potential: Potential
) -> list[tuple[StageInput, Relaxation]]:
    """Relax on inside its new group what came within the tolerance of more symmetry.

    With the last traces of the lower group phonons would seem to have what the new one forbids.
    """
    settings = pairs[0][0].settings
    gained = [i for i, pair in enumerate(pairs) if _has_gained_symmetry(*pair)]
    idealised = [standardize(pairs[i][1].atoms, settings.symmetry.symprec) for i in gained]
    for i, result in zip(gained, relax(idealised, potential, settings.relaxation), strict=True):
        pairs[i] = _join_relaxations(*pairs[i], result)
    return pairs


def _has_gained_symmetry(task: StageInput, result: Relaxation) -> bool:
    """Whether a relaxed crystal has come into another space group, one that goes further."""
    initial, settings = task.row["space_group_number"], task.settings
    if not result.converged:
        return False
    final = find_space_group_number(result.atoms, settings.symmetry.symprec)
    return final not in (0, initial) and not _find_relaxation_problem(
        result, initial, final, settings
    )


def _join_relaxations(
    task: StageInput, first: Relaxation, second: Relaxation
) -> tuple[StageInput, Relaxation]:
    """Two relaxations as one, and Born charges of the atoms of the second."""
    response, symprec = read_response(task.row), task.settings.symmetry.symprec
    if response:
        carried = standardize_response(first.atoms, response, second.atoms, symprec)
        task = replace(task, row={**task.row, **carried.columns})
    both = replace(
        second,
        n_evaluations=first.n_evaluations + second.n_evaluations,
        potential_time=first.potential_time + second.potential_time,
    )
    return task, both


def _make_relaxation_outcome(
    task: StageInput, result: Relaxation, potential: Potential
) -> StageOutcome:
    """Row of a relaxed crystal, and what is wrong with it."""
    settings, start = task.settings, read_atoms(task.row)
    groups = [find_space_group_number(result.atoms, tolerance) for tolerance in TOLERANCES]
    final = find_space_group_number(result.atoms, settings.symmetry.symprec)
    initial = task.row["space_group_number"]
    row = (
        task.identity
        | make_structure_columns(result.atoms)
        | {
            "converged": result.converged,
            "reason": result.reason,
            "n_evaluations": result.n_evaluations,
            "energy": result.energy,
            "max_force": result.max_force,
            "max_stress": result.max_stress,
            "volume_change": _compute_volume_per_atom(result.atoms)
            / _compute_volume_per_atom(start)
            - 1,
            "c_over_a_change": _compute_c_over_a_change(
                start, result.atoms, settings.symmetry.symprec
            ),
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
    problem = _find_relaxation_problem(result, initial, final, settings) or _find_hull_problem(
        task, result, potential
    )
    failure = make_failure(problem, stage="relaxation", **task.identity) if problem else None
    return StageOutcome({"relaxations": row}, failure, result.potential_time)


def _find_relaxation_problem(
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


def _find_hull_problem(
    task: StageInput, result: Relaxation, potential: Potential
) -> RemediableError | None:
    """Why a crystal is too far above the hull; None where its record or nothing tells."""
    limit = task.settings.curation.max_energy_above_hull
    if limit is None or task.row["energy_above_hull"] is not None:
        return None
    try:
        found = assess_stability(result.atoms, result.energy, find_hull(potential.card.digest))
    except RemediableError:
        return None
    if found.energy_above_hull <= limit:
        return None
    phases = ", ".join(found.competing_phases)
    message = f"energy: {found.energy_above_hull:.3f} eV/atom above the hull ({phases})"
    remedy = f"raise curation.max_energy_above_hull, {limit}, and use --retry-failures"
    return RemediableError(message, remedy)


def _compute_phonons(tasks: Sequence[StageInput]) -> list[StageOutcome]:
    """Compute the force constants of relaxed crystals together."""
    potential, settings = tasks[0].potential, tasks[0].settings.phonons
    assert potential is not None
    crystals = [read_atoms(task.row) for task in tasks]
    results = compute_all_force_constants(crystals, potential, settings)
    found = [result for result in results if isinstance(result, ForceConstants)]
    primitive = [make_atoms(result.phonon.primitive) for result in found]
    responses = iter(measure_strain_responses(primitive, potential))
    return [
        _make_phonon_outcome(task, result, next(responses), potential)
        if isinstance(result, ForceConstants)
        else StageOutcome({}, make_failure(result, stage="phonons", **task.identity))
        for task, result in zip(tasks, results, strict=True)
    ]


def _make_phonon_outcome(
    task: StageInput, found: ForceConstants, response: StrainResponse, potential: Potential
) -> StageOutcome:
    """Rows of the force constants of one crystal."""
    found.phonon.nac_params = make_nac_params(task.row)
    row = (
        task.identity
        | make_cell_columns(found.phonon, "record", ASSUMED_ORDER)
        | {
            "n_displacements": found.n_evaluations,
            "displacement_distance": task.settings.phonons.displacement_distance,
            "sum_rule_residual": found.sum_rule_residual,
            "symmetrisation": found.symmetrisation,
            "boundary_shift": found.boundary_shift,
            "n_enlargements": found.n_enlargements,
            "elastic_constants": GPA
            * make_voigt_matrix(compute_elastic_constants(found.phonon, response)),
            "potential": potential.card.name,
            "checkpoint_digest": potential.card.digest,
        }
    )
    constants = task.identity | make_phonon_columns(found.phonon) | make_strain_columns(response)
    tables = {"phonons": row, "force_constants": constants}
    return StageOutcome(tables, potential_time=found.potential_time + response.potential_time)


def _analyze_inputs(tasks: Sequence[StageInput]) -> list[StageOutcome]:
    """Analyse the modes of crystals, one after the other."""
    return [_analyze_modes(task) for task in tasks]


def _analyze_modes(task: StageInput) -> StageOutcome:
    """Analyse the modes of one crystal."""
    phonon, response = read_phonon(task.row), read_strain_response(task.row)
    charge_columns = set_charges(phonon, task.charges)
    rules = impose_sum_rules(phonon, response)
    others = ImageWeightings(rules.distribute(OTHER_WEIGHTS), phonon) if rules.distribute else None
    analysis = analyze_force_constants(rules.crystal, task.settings.chirality, others)
    stiffness = (
        find_smallest_elastic_eigenvalue(compute_elastic_constants(phonon, response))
        if response
        else None
    )
    frequencies = compute_commensurate_frequencies(phonon)
    verdict = judge(analysis.record, frequencies, task.settings.score, stiffness)
    spread_columns = {
        "rotational_violation": rules.rotational_before,
        "huang_violation": rules.huang_before,
        "sum_rules_skipped": rules.skipped or None,
    }
    # The catalogue decides on score and shortlist: they need columns of other tables.
    undecided = {"shortlisted": False}
    found = vars(analysis.record) | vars(verdict)
    record = task.identity | found | charge_columns | spread_columns | undecided
    modes = pa.table(dict(analysis.modes))
    for name, value in reversed(task.identity.items()):
        modes = modes.add_column(0, name, pa.array([value] * len(modes)))
    return StageOutcome({"chirality": record, "modes": modes})


class _Stage(NamedTuple):
    """The table a stage reads, what it does with a chunk, whether it needs the potential."""

    source: str
    treat: TreatInputs
    needs_potential: bool


_STAGES: Mapping[str, _Stage] = {
    "relaxation": _Stage("materials", _relax_inputs, needs_potential=True),
    "phonons": _Stage("relaxations", _compute_phonons, needs_potential=True),
    "chirality": _Stage("force_constants", _analyze_inputs, needs_potential=False),
}
# Stage -> how the rows of a mirror image follow, by table.
_MIRRORS: Mapping[str, Mapping[str, Callable[[Row], Row]]] = {
    "relaxation": {"relaxations": mirror_relaxation},
    "phonons": {"phonons": mirror_phonons, "force_constants": mirror_force_constants},
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


def _compute_volume_per_atom(atoms: Atoms) -> float:
    return float(atoms.get_volume() / len(atoms))


def _compute_c_over_a_change(start: Atoms, end: Atoms, symprec: float) -> float | None:
    """Relative change of c/a of the conventional cell; None when there is another cell."""
    try:
        first, last = (find_dataset(atoms, symprec) for atoms in (start, end))
    except ValueError:
        return None
    if first.number != last.number:
        return None
    before, after = (np.linalg.norm(found.std_lattice, axis=1) for found in (first, last))
    return float((after[2] / after[0]) / (before[2] / before[0]) - 1)
