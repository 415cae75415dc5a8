"""What every run has, with Prefect or without: its potential, and its record."""

import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from flows.result import ScreenResult, stage_seconds
from potentials import Potential, PotentialCard, load_potential
from tasks.foreign_text import in_unicode
from tasks.screening.decisions import Intake
from tasks.screening.settings import PotentialSettings

RECORDED_PACKAGES = ("chiralscreen", "phonopy", "spglib", "pymatgen", "ase", "torch", "prefect")


def potential_of(settings: PotentialSettings, device: str) -> Potential:
    """Load the potential of the settings, once per process.

    Parameters
    ----------
    settings : PotentialSettings
        Which one.
    device : str
        Where.

    Returns
    -------
    Potential
        Ready to evaluate.
    """
    return load_potential(settings.name, device, settings.dtype, options=settings.options)


def commit_run(intake: Intake, result: ScreenResult) -> None:
    """Record settings, versions, machine and times of a run.

    Parameters
    ----------
    intake : Intake
        The run.
    result : ScreenResult
        What it did.
    """
    used = any(report.potential_time for report in result.reports)
    card = intake.card() if used else None
    kernels = sorted({report.kernel for report in result.reports if report.kernel})
    row = {
        "run_id": intake.run_id,
        "kind": intake.kind,
        "started_at": intake.started_at,
        "finished_at": datetime.now(UTC),
        "source": in_unicode(str(intake.source)),
        "settings": intake.settings.model_dump_json(),
        "versions": json.dumps({name: version(name) for name in RECORDED_PACKAGES}),
        **(_card_columns(card) if card else {}),
        "kernel": ", ".join(kernels) or None,
        "host": platform.node(),
        "wall_times": json.dumps(stage_seconds(result.reports, "wall_time")),
        "potential_times": json.dumps(stage_seconds(result.reports, "potential_time")),
        "counts": json.dumps(dict(result.plan.outcomes)),
    }
    intake.dataset.commit("run", {"runs": [row]}, [intake.run_id])


def _card_columns(card: PotentialCard) -> dict[str, Any]:
    """Columns of ``runs`` that hold the card of a potential."""
    return {
        "potential": card.name,
        "checkpoint_digest": card.digest,
        "potential_citation": card.citation,
        "potential_licence": card.licence,
        "potential_limits": card.limits,
        "potential_symmetry": card.equivariance,
        "potential_averaged": card.averaged,
        "potential_cost": card.milliseconds_per_atom,
    }
