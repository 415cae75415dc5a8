"""What a run does with one crystal, and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from potentials import PotentialCard
from tasks.crystals import Material
from tasks.crystals.curation import CurationSettings
from tasks.crystals.duplicates import Duplicates
from tasks.crystals.enantiomorphs import EnantiomorphIndex
from tasks.failures import Failure, RemediableError
from tasks.screening.classification import ClassifiedCrystal, make_planning_failure
from tasks.screening.costs import estimate_seconds
from tasks.screening.planning import (
    WorkItem,
    compute_digest,
    compute_stage_keys,
    make_image_work,
    require_computable,
)
from tasks.screening.settings import ScreenSettings
from tasks.screening.triage import estimate_value
from tasks.sources import make_read_failure, require_new
from tasks.storage import Dataset

_KEY_COLUMNS = ("material_key", "relaxation_key", "phonon_key", "chirality_key")

# What a run does with what it reads.
Kind = Literal["screen", "analyze"]


@dataclass(frozen=True)
class RunContext:
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
    work : WorkItem or None
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
    work: WorkItem | None = None
    open_stage: str | None = None
    finished: bool = False
    value: float = 0.0

    @property
    def skipped(self) -> tuple[str, str] | None:
        """Name and reason of a crystal that is skipped."""
        row = self.plan_row
        return (row["material_id"], row["reason"]) if row["outcome"] == "skipped" else None


@dataclass(frozen=True)
class SeenRecords:
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
    def from_settings(cls, settings: CurationSettings) -> "SeenRecords":
        """Know nothing yet.

        Parameters
        ----------
        settings : CurationSettings
            Whether repetitions are wanted.

        Returns
        -------
        SeenRecords
            Empty.
        """
        return cls(Duplicates(settings.duplicate_distance) if settings.duplicates else None)

    def find_repetition(self, crystal: ClassifiedCrystal) -> str | None:
        """Find the earlier candidate that a crystal repeats; remember the crystal if none does.

        Parameters
        ----------
        crystal : ClassifiedCrystal
            A candidate.

        Returns
        -------
        str or None
            Why it is skipped.
        """
        if self.duplicates is None:
            return None
        material, row = crystal.material, crystal.row
        original = self.duplicates.find_original(
            material.material_id,
            material.structure_hash,
            material.atoms,
            row["space_group_number"],
            row["wyckoff_letters"],
            chiral=row["chirality_class"] == "II",
        )
        return f"duplicate: the same crystal as {original}" if original else None


def reject_record(
    context: RunContext, failure: Failure, rows: Mapping[str, Mapping[str, Any]] | None = None
) -> Decision:
    """Decide that a record cannot be used.

    Parameters
    ----------
    context : RunContext
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
    plan_row = make_plan_row(context, failure.material_id, "failed", failure.message)
    material_key = rows["materials"]["key"] if rows else None
    return Decision(plan_row | {"key": failure.key, "material_key": material_key}, rows, failure)


def find_repeated_name(material: Material, seen: dict[str, str]) -> Failure | None:
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
        return make_read_failure(error, material.source_record)
    return None


def decide(
    context: RunContext,
    item: ClassifiedCrystal | Failure,
    known: SeenRecords,
    enantiomorphs: EnantiomorphIndex[WorkItem],
) -> Decision:
    """Decision on one record: by symmetry first, which costs nothing, then by what can be done."""
    if isinstance(item, Failure):
        return reject_record(context, item)
    material, rows = item.material, {"materials": item.row}
    if failure := find_repeated_name(material, known.names):
        return reject_record(context, failure)
    try:
        skipped = item.skipped or _find_repetition(context, item, known)
        return (
            _skip_crystal(context, item, skipped)
            if skipped
            else _accept_crystal(context, item, enantiomorphs)
        )
    except RemediableError as error:
        return reject_record(
            context, make_planning_failure(material, context.settings, error), rows
        )


def _find_repetition(
    context: RunContext, crystal: ClassifiedCrystal, known: SeenRecords
) -> str | None:
    """Why a candidate is not computed: it repeats another one. One that cannot be is an error."""
    require_computable(crystal.material.atoms, context.card(), context.settings)
    return known.find_repetition(crystal)


def _skip_crystal(context: RunContext, crystal: ClassifiedCrystal, reason: str) -> Decision:
    """Decision that a crystal is not worth a computation."""
    plan_row = make_plan_row(context, crystal.material.material_id, "skipped", reason)
    return Decision(plan_row | {"material_key": crystal.row["key"]}, {"materials": crystal.row})


def _accept_crystal(
    context: RunContext, crystal: ClassifiedCrystal, enantiomorphs: EnantiomorphIndex[WorkItem]
) -> Decision:
    """Decision to screen a crystal, computed itself or mirrored from its enantiomorph."""
    material, card, settings = crystal.material, context.card(), context.settings
    keys = compute_stage_keys(material, card, settings, crystal.charges)
    assert crystal.counts is not None
    seconds = estimate_seconds(crystal.counts, card)
    row_key = crystal.row["key"]
    work = WorkItem(material.material_id, row_key, keys, seconds, charges=crystal.charges)
    number = crystal.row["space_group_number"]
    image = (
        None
        if settings.both_hands
        else enantiomorphs.find_mirror_image(work, material.atoms, number)
    )
    work = make_image_work(work, image, settings) if image else work
    plan_row = make_plan_row(context, material.material_id, "screen", None, *work.keys)
    named = dict(zip(_KEY_COLUMNS, (work.material_key, *work.keys), strict=True))
    origin = {"enantiomorph_of": image.material_id if image else None}
    value = estimate_value(crystal.row)
    return Decision(plan_row | named | origin, {"materials": crystal.row}, work=work, value=value)


def make_plan_row(
    context: RunContext, material_id: str, outcome: str, reason: str | None, *keys: str
) -> dict[str, Any]:
    """Row of ``plan``; its key tells decisions apart, not runs.

    Parameters
    ----------
    context : RunContext
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
        "key": compute_digest(material_id, outcome, reason, keys),
        "run_id": context.run_id,
        "planned_at": context.started_at,
        "outcome": outcome,
        "reason": reason,
    }
