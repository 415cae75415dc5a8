"""What every run has, with Prefect or without: its potential, and its record."""

import json
import platform
import shlex
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from flows.result import ScreenResult, sum_stage_seconds
from potentials import Potential, PotentialCard, load_potential
from tasks.examination.records import find_examination, list_complaints
from tasks.screening.decisions import RunContext
from tasks.screening.settings import PotentialSettings
from tasks.untrusted_text import escape_surrogates

RECORDED_PACKAGES = ("chiralscreen", "phonopy", "spglib", "pymatgen", "ase", "torch", "prefect")


def load_run_potential(settings: PotentialSettings, device: str) -> Potential:
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


def record_run(context: RunContext, result: ScreenResult) -> None:
    """Record settings, versions, machine and times of a run."""
    used = any(report.potential_time for report in result.reports)
    card = context.card() if used else None
    kernels = sorted({report.kernel for report in result.reports if report.kernel})
    row = {
        "run_id": context.run_id,
        "kind": context.kind,
        "started_at": context.started_at,
        "finished_at": datetime.now(UTC),
        "source": escape_surrogates(str(context.source)),
        "settings": context.settings.model_dump_json(),
        "versions": json.dumps({name: version(name) for name in RECORDED_PACKAGES}),
        **(_make_card_columns(card) if card else {}),
        "kernel": ", ".join(kernels) or None,
        "host": platform.node(),
        "wall_times": json.dumps(sum_stage_seconds(result.reports, "wall_time")),
        "potential_times": json.dumps(sum_stage_seconds(result.reports, "potential_time")),
        "counts": json.dumps(dict(result.plan.outcomes)),
    }
    context.dataset.commit("run", {"runs": [row]}, [context.run_id])


def _make_card_columns(card: PotentialCard) -> dict[str, Any]:
    """Columns of ``runs`` that hold the card of a potential, and its examination."""
    examined = find_examination(card.digest)
    return {
        "potential": card.name,
        "checkpoint_digest": card.digest,
        "potential_citation": card.citation,
        "potential_licence": card.licence,
        "potential_limits": card.limits,
        "potential_symmetry": card.equivariance,
        "potential_averaged": card.averaged,
        "potential_cost": card.milliseconds_per_atom,
        "potential_verdict": examined[0]["verdict"] if examined else None,
        "potential_examined_at": examined[0]["examined_at"] if examined else None,
        "potential_complaints": list_complaints(examined) if examined else None,
    }


def describe_missing_examination(name: str, card: PotentialCard) -> str | None:
    """Say that nobody has examined a potential, and how to do it.

    Parameters
    ----------
    name : str
        The potential as the user named it.
    card : PotentialCard
        Of that potential.

    Returns
    -------
    str or None
        A sentence with the command; None where there is an examination.
    """
    if find_examination(card.digest):
        return None
    command = f"chiralscreen examine --potential {shlex.quote(name)}"
    return f"the potential {card.name} was never examined: {command}"
