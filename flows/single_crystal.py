"""One crystal through all stages in this process, without Prefect."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from flows.isolation import map_isolated
from flows.parallel_map import map_records
from flows.planning import exclusive_run, follow_earlier_runs, make_run_context
from flows.reading import read_records
from flows.result import ScreenResult
from flows.runs import load_run_potential, record_run
from flows.status_line import STAGE_ACTIVITIES
from tasks.crystals.curation import CENTROSYMMETRIC
from tasks.failures import Failure, RemediableError
from tasks.results.building import build_catalog
from tasks.screening.decisions import RunContext
from tasks.screening.external import plan_analysis
from tasks.screening.plan import Plan, plan_screening
from tasks.screening.planning import STAGE_NAMES
from tasks.screening.settings import ScreenSettings
from tasks.screening.stages import StageReport, run_stage

_PHONOPY = (".yaml", ".yml", ".yaml.xz", ".yml.xz")


def compute_crystal(
    file: Path,
    output: Path,
    settings: ScreenSettings,
    device: str,
    tell: Callable[[str], None],
) -> tuple[str, Failure | None]:
    """Send the crystal of a file through the stages of a screening, as `screen` does.

    Parameters
    ----------
    file : pathlib.Path
        A structure file with one crystal, or a phonopy YAML file with force constants.
    output : pathlib.Path
        Folder of the dataset; what it has already is not computed again.
    settings : ScreenSettings
        All settings.
    device : str
        Device of the potential.
    tell : callable
        Told what is being done.

    Returns
    -------
    material_id : str
        Name of the crystal.
    failure : Failure or None
        Why a stage ended without a result.

    Raises
    ------
    RemediableError
        When the file holds no crystal, more than one, or one that is not to be screened.
    """
    # As in a worker of a screening; the numbers are the same to the last digit.
    torch.set_num_threads(1)
    tell("reading")
    is_phonopy = file.name.endswith(_PHONOPY)
    if not is_phonopy:
        require_one_crystal(file, settings)
    context = make_run_context(file, output, settings, device)
    context = replace(context, kind="analyze") if is_phonopy else context
    with exclusive_run(context):
        context = follow_earlier_runs(context)
        plan = _plan_analysis(context, file) if is_phonopy else _plan_one_crystal(context)
        reports = tuple(_run_open_stages(context, plan, device, tell))
        record_run(context, ScreenResult(context.run_id, plan, reports))
        build_catalog(context.dataset)
    _require_candidate(context, plan)
    failed = itertools.chain.from_iterable(report.failures for report in reports)
    return _read_decision(context)["material_id"], next(failed, None)


def require_one_crystal(file: Path, settings: ScreenSettings) -> None:
    """Refuse a source of several crystals.

    Parameters
    ----------
    file : pathlib.Path
        The source.
    settings : ScreenSettings
        How it is read.

    Raises
    ------
    RemediableError
        When there is a second record.
    """
    records = read_records(file, settings.source)
    if len(list(itertools.islice(records, 2))) > 1:
        remedy = f"give a file with one, or screen them all: chiralscreen screen {file} -o FOLDER"
        raise RemediableError(f"{file} holds more than one crystal", remedy)


def _plan_one_crystal(context: RunContext) -> Plan:
    limited = partial(map_records, workers=1, limits=context.settings.source)
    return plan_screening(context, retry_failures=True, read=read_records, parallel_map=limited)


def _plan_analysis(context: RunContext, file: Path) -> Plan:
    return plan_analysis(
        context, [file], partial(map_isolated, preload=(plan_analysis.__module__,))
    )


def _run_open_stages(
    context: RunContext, plan: Plan, device: str, tell: Callable[[str], None]
) -> Iterator[StageReport]:
    """Run the stages that are open, up to one that fails."""
    settings = context.settings
    for first, works in plan.open.items():
        for stage in STAGE_NAMES[STAGE_NAMES.index(first) :]:
            tell(STAGE_ACTIVITIES[stage])
            report = run_stage(
                stage,
                works,
                context.dataset,
                settings,
                lambda: load_run_potential(settings.potential, device),
            )
            yield report
            if not report.succeeded:
                return


def _require_candidate(context: RunContext, plan: Plan) -> None:
    """Raise what kept the crystal from the stages."""
    for failure in plan.failures:
        raise RemediableError(failure.message, failure.remedy)
    row = _read_decision(context)
    if row["outcome"] == "skipped":
        forbidden = row["reason"] == CENTROSYMMETRIC
        remedy = "--all computes it" if forbidden else "change the group curation of the settings"
        raise RemediableError(f"{row['material_id']} is skipped: {row['reason']}", remedy)


def _read_decision(context: RunContext) -> dict[str, Any]:
    """Decision of this run."""
    rows: list[dict[str, Any]] = context.dataset.read("plan").to_pylist()
    [row] = [row for row in rows if row["run_id"] == context.run_id]
    return row
