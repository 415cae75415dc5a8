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
from tasks.crystals.enantiomorphs import Gallery
from tasks.failures import Failure, RemediableError
from tasks.screening.classification import Crystal, planning_failure
from tasks.screening.costs import estimate_seconds
from tasks.screening.planning import Work, as_image, digest, require_computable, stage_keys
from tasks.screening.settings import ScreenSettings
from tasks.screening.triage import expected_value
from tasks.sources import read_failure, require_new
from tasks.storage import Dataset

_KEY_COLUMNS = ("material_key", "relaxation_key", "phonon_key", "chirality_key")

# What a run does with what it reads.
Kind = Literal["screen", "analyze"]


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


def decide(
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
        return rejected(intake, planning_failure(material, intake.settings, error), rows)


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
