"""From a source to a plan: read, classify, decide, and commit the decisions."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from potentials import PotentialCard
from tasks.columns import structure_columns
from tasks.costs import Counts, count, estimate_seconds
from tasks.curation import (
    CurationSettings,
    charge_balance,
    doubt_columns,
    prototype,
    skip_reason,
    stated_columns,
)
from tasks.duplicates import Duplicates
from tasks.enantiomorphs import Gallery
from tasks.failures import Failure, RemediableError, failure_of
from tasks.foreign_text import in_unicode
from tasks.planning import (
    STAGE_NAMES,
    Work,
    as_image,
    digest,
    first_open_stage,
    material_key,
    require_computable,
    stage_keys,
)
from tasks.settings import ScreenSettings
from tasks.sources import (
    RawRecord,
    Read,
    Record,
    Spread,
    parsed,
    raw_records,
    read_failure,
    require_new,
)
from tasks.storage import Dataset
from tasks.structures import Material, material_of, reduced_formula
from tasks.symmetry import SymmetryRecord, analyze_symmetry
from tasks.triage import affordable, expected_value

STAGE = "plan"
# What a run does with what it reads.
Kind = Literal["screen", "analyze"]
_BATCH = 200
_SYMMETRY_COLUMNS = (
    "point_group",
    "chirality_class",
    "helicity_wave",
    "tensor_components",
    "wyckoff_letters",
    "allowed",
    "realised",
)
_HANDS = {-1: "left", 0: None, +1: "right"}
_KEY_COLUMNS = ("material_key", "relaxation_key", "phonon_key", "chirality_key")


@dataclass(frozen=True)
class Intake:
    """What all decisions of a run share.

    Attributes
    ----------
    run_id : str
        The run.
    started_at : datetime
        Its beginning (UTC).
    source : pathlib.Path
        Where structures are read.
    dataset : Dataset
        Where decisions are committed, and where earlier results are.
    settings : ScreenSettings
        All settings.
    card : callable
        Gives the card of the potential; called only when a structure is to be screened.
    kind : {"screen", "analyze"}
        What the run does with what it reads.
    """

    run_id: str
    started_at: datetime
    source: Path
    dataset: Dataset
    settings: ScreenSettings
    card: Callable[[], PotentialCard]
    kind: Kind = "screen"


@dataclass(frozen=True)
class Crystal:
    """A crystal that was read, and its symmetry.

    Attributes
    ----------
    material : Material
        The crystal.
    row : dict
        Its row of ``materials``.
    counts : Counts or None
        What its cost follows from; None for a crystal that is not to be screened.
    skipped : str or None
        Why it is not to be screened.
    """

    material: Material
    row: Mapping[str, Any]
    counts: Counts | None
    skipped: str | None = None


@dataclass(frozen=True)
class Decision:
    """What a run does with one input record.

    Attributes
    ----------
    plan_row : dict
        Row of ``plan``.
    rows : mapping from str to dict
        Row of ``materials``, and of other tables where the record brings them; empty when it is
        not a usable crystal.
    failure : Failure or None
        Why it cannot be screened.
    work : Work or None
        What is to be screened.
    open_stage : str or None
        First stage with something left to do.
    finished : bool
        Whether the last stage has its result already.
    value : float
        Expected value of its results.
    """

    plan_row: Mapping[str, Any]
    rows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    failure: Failure | None = None
    work: Work | None = None
    open_stage: str | None = None
    finished: bool = False
    value: float = 0.0

    @property
    def skipped(self) -> tuple[str, str] | None:
        """Name and reason of a crystal that is skipped."""
        row = self.plan_row
        return (row["material_id"], row["reason"]) if row["outcome"] == "skipped" else None


@dataclass(frozen=True)
class Known:
    """What the records so far were.

    Attributes
    ----------
    duplicates : Duplicates or None
        Candidates, to recognise repetitions; None where repetitions are wanted.
    names : dict
        Names and records.
    """

    duplicates: Duplicates | None
    names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: CurationSettings) -> "Known":
        """Know nothing yet.

        Parameters
        ----------
        settings : CurationSettings
            Whether repetitions are wanted.

        Returns
        -------
        Known
            Empty.
        """
        return cls(Duplicates(settings.duplicate_distance) if settings.duplicates else None)

    def repetition_reason(self, crystal: Crystal) -> str | None:
        """Find the earlier candidate that a crystal repeats; remember the crystal if none does.

        Parameters
        ----------
        crystal : Crystal
            A candidate.

        Returns
        -------
        str or None
            Why it is skipped.
        """
        if self.duplicates is None:
            return None
        material, row = crystal.material, crystal.row
        original = self.duplicates.original_of(
            material.material_id,
            material.structure_hash,
            material.atoms,
            row["space_group_number"],
            row["wyckoff_letters"],
            chiral=row["chirality_class"] == "II",
        )
        return f"duplicate: the same crystal as {original}" if original else None


@dataclass(frozen=True)
class Plan:
    """All decisions of a run, counted, and the work they leave.

    Attributes
    ----------
    outcomes : mapping from str to int
        Input records by decision: ``screen``, ``skipped`` or ``failed``.
    classes : mapping from str to int
        Crystals by chirality class.
    open : mapping from str to tuple of Work
        Structures by the first stage that has something left to do.
    failures : tuple of Failure
        Records that cannot be screened.
    n_postponed : int
        Structures with something left to do for which the time of the run does not suffice.
    n_finished : int
        Structures whose results are all there already.
    n_given_up : int
        Structures that failed for good in an earlier run, and are not tried again.
    skipped : tuple of tuple of str
        Name of each crystal that is skipped, and why.
    """

    outcomes: Mapping[str, int]
    classes: Mapping[str, int]
    open: Mapping[str, tuple[Work, ...]]
    failures: tuple[Failure, ...]
    n_postponed: int = 0
    n_finished: int = 0
    n_given_up: int = 0
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def n_open(self) -> int:
        """Structures with something left to do."""
        return sum(map(len, self.open.values()))

    @property
    def cost(self) -> float:
        """Estimated seconds on one CPU thread for all that is left."""
        return sum(work.seconds.left(s) for s, works in self.open.items() for work in works)


def plan_screening(
    intake: Intake,
    *,
    limit: int | None = None,
    budget: float | None = None,
    retry_failures: bool = False,
    commit: bool = True,
    on_read: Callable[[int], None] = lambda _: None,
    on_open: Callable[[str], None] = lambda _: None,
    read: Read = raw_records,
    spread: Spread = map,
) -> Plan:
    """Read a source, decide what to do with each record, and commit the decisions.

    Parameters
    ----------
    intake : Intake
        Source, dataset and settings.
    limit : int, optional
        Stop reading once so many structures have something left to do.
    budget : float, optional
        Leave to a later run what takes longer, by the estimates, than so many seconds on one CPU
        thread; the least expected value for the time is left first.
    retry_failures : bool
        Try again what failed for good in an earlier run.
    commit : bool
        Write the decisions into the dataset.
    on_read : callable
        Told the number of records after each batch.
    on_open : callable
        Told the first open stage of each structure with something left to do, at once.
    read : callable
        Like `raw_records`; may use another process.
    spread : callable
        Like `map`; may use other processes, and gives the results in order.

    Returns
    -------
    Plan
        Counts, and the work that is left.

    Raises
    ------
    FileNotFoundError, ValueError
        When the source is missing or empty, or the potential cannot be loaded.
    """
    # What was given up because symmetry makes it worthless is wanted now.
    retry = retry_failures or intake.settings.include_centrosymmetric
    finder = _StageFinder.of(intake.dataset, retry_failures=retry)
    decisions = _limited(_decisions(intake, finder, read, spread), limit, on_open)
    return carried_out(decisions, intake.dataset if commit else None, on_read, budget)


def carried_out(
    decisions: Iterator[Decision],
    dataset: Dataset | None,
    on_read: Callable[[int], None],
    budget: float | None = None,
) -> Plan:
    """Commit decisions batch by batch and gather what they leave to do.

    Parameters
    ----------
    decisions : iterator of Decision
        Taken as they come.
    dataset : Dataset or None
        Where they are committed; None to write nothing.
    on_read : callable
        Told the number of records after each batch.
    budget : float, optional
        Seconds on one CPU thread that the work may take.

    Returns
    -------
    Plan
        Counts, and the work that is left.
    """
    values: dict[str, float] = {}
    outcomes: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    opened: dict[str, list[Work]] = {stage: [] for stage in STAGE_NAMES}
    failures: list[Failure] = []
    skipped: list[tuple[str, str]] = []
    n_finished = n_given_up = 0
    while batch := list(itertools.islice(decisions, _BATCH)):
        if dataset:
            _commit(dataset, batch)
        outcomes.update(decision.plan_row["outcome"] for decision in batch)
        classes.update(d.rows["materials"]["chirality_class"] for d in batch if d.rows)
        failures.extend(decision.failure for decision in batch if decision.failure)
        skipped.extend(decision.skipped for decision in batch if decision.skipped)
        for decision in batch:
            if decision.work and decision.open_stage:
                opened[decision.open_stage].append(decision.work)
                values[decision.work.material_id] = decision.value
            elif decision.work:
                n_finished += decision.finished
                n_given_up += not decision.finished
        on_read(outcomes.total())
    works = {stage: tuple(works) for stage, works in opened.items() if works}
    chosen = works if budget is None else affordable(works, values, budget)
    n_postponed = sum(map(len, works.values())) - sum(map(len, chosen.values()))
    return Plan(
        outcomes,
        classes,
        chosen,
        tuple(failures),
        n_postponed=n_postponed,
        n_finished=n_finished,
        n_given_up=n_given_up,
        skipped=tuple(skipped),
    )


@dataclass(frozen=True)
class _StageFinder:
    """Tells where a structure stands, from what is committed."""

    done: Mapping[str, frozenset[str]]
    succeeded: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, dataset: Dataset, *, retry_failures: bool) -> "_StageFinder":
        """Read the receipts; with `retry_failures` only results count as done."""
        succeeded = {stage: dataset.succeeded_keys(stage) for stage in STAGE_NAMES}
        if retry_failures:
            return cls(succeeded, succeeded)
        return cls({stage: dataset.done_keys(stage) for stage in STAGE_NAMES}, succeeded)

    def open_stage(self, work: Work | None) -> str | None:
        """First stage with something left to do."""
        return first_open_stage(work, self.done, self.succeeded) if work else None

    def is_finished(self, work: Work | None) -> bool:
        """Whether the last stage has its result."""
        return work is not None and work.keys[-1] in self.succeeded[STAGE_NAMES[-1]]


def _limited(
    decisions: Iterable[Decision], limit: int | None, on_open: Callable[[str], None]
) -> Iterator[Decision]:
    """Stop after so many decisions that leave work."""
    n_open = 0
    for decision in decisions:
        if decision.open_stage:
            on_open(decision.open_stage)
            n_open += 1
        yield decision
        if n_open == limit:
            return


def _decisions(
    intake: Intake, finder: _StageFinder, read: Read, spread: Spread
) -> Iterator[Decision]:
    """Decide on each record of the source, in order."""
    settings = intake.settings
    known, gallery = Known.of(settings.curation), Gallery[Work](settings.symmetry.symprec)
    classify = partial(classified, source=intake.source, settings=settings)
    for item in spread(classify, read(intake.source, settings.source)):
        decision = _decision(intake, item, known, gallery)
        work = decision.work
        yield replace(
            decision, open_stage=finder.open_stage(work), finished=finder.is_finished(work)
        )


def classified(
    record: RawRecord | Failure, source: Path, settings: ScreenSettings
) -> Crystal | Failure:
    """Parse a record and classify its crystal by symmetry.

    Parameters
    ----------
    record : RawRecord or Failure
        As read; a failure is passed on.
    source : pathlib.Path
        Where it was read.
    settings : ScreenSettings
        All settings.

    Returns
    -------
    Crystal or Failure
        Depends on nothing but the arguments, so that records can be classified in any process.
    """
    if isinstance(record, Failure):
        return record
    try:
        given = parsed(record, settings.source.max_atoms)
        material = material_of(given, _idealised_to(settings))
    except Exception as error:  # noqa: BLE001 - any defect of one record is a row, not an end
        return read_failure(error, record.source_record)
    try:
        return _crystal(material, given, source, settings)
    except Exception as error:  # noqa: BLE001 - one crystal must not end the reading
        return _failure(material, settings, error)


def _crystal(material: Material, given: Record, source: Path, settings: ScreenSettings) -> Crystal:
    """Crystal with its row, and whether it is worth a computation."""
    row = material_row(material, source, settings)
    if len(material.atoms) <= settings.phonons.max_atoms:  # a larger one is not computed
        row |= doubt_columns(given.atoms, row["chirality_class"], settings.curation)
    row |= stated_columns(given.provenance.space_group_stated, row["space_group_number"])
    skipped = skip_reason(
        row,
        material.atoms,
        material.provenance,
        settings.curation,
        include_centrosymmetric=settings.include_centrosymmetric,
    )
    is_computed = not skipped and len(material.atoms) <= settings.phonons.max_atoms
    charged = material.response is not None
    counts = count(material.atoms, settings, has_charges=charged) if is_computed else None
    return Crystal(material, row, counts, skipped)


def _idealised_to(settings: ScreenSettings) -> float:
    """Tolerance to which crystals are idealised (Å)."""
    return settings.curation.idealise or settings.symmetry.symprec


def rejected(
    intake: Intake, failure: Failure, rows: Mapping[str, Mapping[str, Any]] | None = None
) -> Decision:
    """Decide that a record cannot be used.

    Parameters
    ----------
    intake : Intake
        The run.
    failure : Failure
        Why.
    rows : mapping from str to dict, optional
        What is known of it all the same.

    Returns
    -------
    Decision
        With the outcome ``failed``.
    """
    rows = rows or {}
    plan_row = plan_row_of(intake, failure.material_id, "failed", failure.message)
    material_key = rows["materials"]["key"] if rows else None
    return Decision(plan_row | {"key": failure.key, "material_key": material_key}, rows, failure)


def repetition(material: Material, seen: dict[str, str]) -> Failure | None:
    """Find out whether an earlier record had the name of a crystal, and remember the name.

    Parameters
    ----------
    material : Material
        The crystal.
    seen : dict
        Names and records so far; the new one is added.

    Returns
    -------
    Failure or None
        None for a new name.
    """
    try:
        require_new(material.material_id, material.source_record, seen)
    except RemediableError as error:
        return read_failure(error, material.source_record)
    return None


def _decision(
    intake: Intake, item: Crystal | Failure, known: Known, gallery: Gallery[Work]
) -> Decision:
    """Decision on one record: by symmetry first, which costs nothing, then by what can be done."""
    if isinstance(item, Failure):
        return rejected(intake, item)
    material, rows = item.material, {"materials": item.row}
    if failure := repetition(material, known.names):
        return rejected(intake, failure)
    try:
        skipped = item.skipped or _unfit(intake, item, known)
        return _skipped(intake, item, skipped) if skipped else _accepted(intake, item, gallery)
    except RemediableError as error:
        return rejected(intake, _failure(material, intake.settings, error), rows)


def _unfit(intake: Intake, crystal: Crystal, known: Known) -> str | None:
    """Why a candidate is not computed: it repeats another one. One that cannot be is an error."""
    require_computable(crystal.material.atoms, intake.card(), intake.settings)
    return known.repetition_reason(crystal)


def _skipped(intake: Intake, crystal: Crystal, reason: str) -> Decision:
    """Decision that a crystal is not worth a computation."""
    plan_row = plan_row_of(intake, crystal.material.material_id, "skipped", reason)
    return Decision(plan_row | {"material_key": crystal.row["key"]}, {"materials": crystal.row})


def _accepted(intake: Intake, crystal: Crystal, gallery: Gallery[Work]) -> Decision:
    """Decision to screen a crystal, computed itself or mirrored from its enantiomorph."""
    material, card, settings = crystal.material, intake.card(), intake.settings
    keys = stage_keys(material, card, settings)
    assert crystal.counts is not None
    seconds = estimate_seconds(crystal.counts, card)
    work = Work(material.material_id, crystal.row["key"], keys, seconds)
    number = crystal.row["space_group_number"]
    image = None if settings.both_hands else gallery.image_of(work, material.atoms, number)
    work = as_image(work, image, settings) if image else work
    plan_row = plan_row_of(intake, material.material_id, "screen", None, *work.keys)
    named = dict(zip(_KEY_COLUMNS, (work.material_key, *work.keys), strict=True))
    origin = {"enantiomorph_of": image.material_id if image else None}
    value = expected_value(crystal.row)
    return Decision(plan_row | named | origin, {"materials": crystal.row}, work=work, value=value)


def material_row(material: Material, source: Path, settings: ScreenSettings) -> dict[str, Any]:
    """Row of ``materials``: the crystal and its symmetry.

    Parameters
    ----------
    material : Material
        The crystal.
    source : pathlib.Path
        Where it was read.
    settings : ScreenSettings
        All settings.

    Returns
    -------
    dict
        Values by column.
    """
    symprec = settings.symmetry.symprec
    symmetry = analyze_symmetry(material.atoms, symprec)
    formula = reduced_formula(material.atoms)
    said = {"source": str(source), "source_record": material.source_record}
    said |= asdict(material.provenance)
    return (
        structure_columns(material.atoms)
        | symmetry_columns(symmetry)
        | {
            "material_id": material.material_id,
            "key": _row_key(material, settings),
            "formula": formula,
            "n_atoms": len(material.atoms),
            "structure_hash": material.structure_hash,
            "symprec": symprec,
            "prototype": prototype(material.atoms, symmetry.number, symmetry.wyckoff_letters),
            "charge_balance": charge_balance(formula),
            "notes": list(material.notes) or None,
        }
        | (material.response.columns if material.response else {})
        | {n: in_unicode(value) if isinstance(value, str) else value for n, value in said.items()}
    )


def _row_key(material: Material, settings: ScreenSettings) -> str:
    """Key of a row of ``materials``: its crystal, where it is from, and how it was searched."""
    searched = [settings.curation.idealise, settings.curation.tolerances]
    charges = material.response and material.response.digest
    notes = [material.notes] if material.notes else []
    key = material_key(material, settings)
    said = asdict(material.provenance)
    if said["cell_origin"] is None:
        del said["cell_origin"]  # so that keys of older datasets remain valid
    return digest(key, said, searched, charges, *notes)


def symmetry_columns(symmetry: SymmetryRecord) -> dict[str, Any]:
    """Columns that hold a symmetry analysis.

    Parameters
    ----------
    symmetry : SymmetryRecord
        The analysis.

    Returns
    -------
    dict
        Values by column of ``materials``.
    """
    columns = {name: getattr(symmetry, name) for name in _SYMMETRY_COLUMNS}
    return columns | {
        "space_group_number": symmetry.number,
        "space_group_symbol": symmetry.symbol,
        "hand": _HANDS[symmetry.hand],
    }


def plan_row_of(
    intake: Intake, material_id: str, outcome: str, reason: str | None, *keys: str
) -> dict[str, Any]:
    """Row of ``plan``; its key tells decisions apart, not runs.

    Parameters
    ----------
    intake : Intake
        The run.
    material_id : str
        The structure.
    outcome : {"screen", "skipped", "failed"}
        The decision.
    reason : str or None
        Why it is not screened.
    *keys : str
        Stage keys the decision names.

    Returns
    -------
    dict
        Values by column.
    """
    return {
        "material_id": material_id,
        "key": digest(material_id, outcome, reason, keys),
        "run_id": intake.run_id,
        "planned_at": intake.started_at,
        "outcome": outcome,
        "reason": reason,
    }


def _failure(material: Material, settings: ScreenSettings, error: Exception) -> Failure:
    """Failure of a crystal that could be read, at the planning."""
    return failure_of(
        error,
        material_id=material.material_id,
        key=digest(STAGE, material_key(material, settings), str(error)),
        stage=STAGE,
        source_record=material.source_record,
    )


def _commit(dataset: Dataset, decisions: Iterable[Decision]) -> None:
    """Commit the rows of some decisions."""
    tables: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for decision in decisions:
        tables["plan"].append(decision.plan_row)
        for name, row in decision.rows.items():
            tables[name].append(row)
        if decision.failure:
            tables["failures"].append(asdict(decision.failure))
    dataset.commit(STAGE, tables, {row["key"] for rows in tables.values() for row in rows})
