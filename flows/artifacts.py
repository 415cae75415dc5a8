"""Artifacts of a run in the Prefect UI, besides its progress."""

import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from flows.labels import make_artifact_key
from flows.reasons import Reason, group_failures, group_skipped
from flows.result import ScreenResult, sum_stage_seconds
from flows.server import call_with_retries
from flows.summary import make_candidate_columns
from flows.tables import Column, format_markdown_table
from tasks.results import rank_materials, read_catalog, read_overview
from tasks.results.catalogue import REPORT, read_failures, split_by_class
from tasks.untrusted_text import escape_markdown

_MAX_ROWS = 50
# Columns of the catalogue by their headers.
_OUTCOME_COLUMNS = {
    "material_id": "material",
    "formula": "formula",
    "space_group_symbol": "space group",
    "chirality_class": "class",
    "outcome": "outcome",
    "reason": "reason",
}
# The greatest rank of a column for which a page has room.
_LEAST_IMPORTANT = 7
# What wants attention comes first.
_OUTCOMES = ("failed", "pending", "screened", "skipped")


def publish_outcomes(folder: Path, result: ScreenResult) -> None:
    """Publish a table of outcomes and a summary as artifacts of the flow run.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the dataset, with its catalogue and report.
    result : ScreenResult
        What the run did.
    """
    chirality = read_overview(folder)
    table = partial(
        create_table_artifact,
        key=make_artifact_key("outcomes", folder),
        table=_tabulate_outcomes(chirality),
        description=f"{min(_MAX_ROWS, len(chirality))} of {len(chirality)} materials, failed first",
    )
    summary = partial(
        create_markdown_artifact,
        key=make_artifact_key("summary", folder),
        markdown=_format_summary(folder, result, chirality),
        description=result.summary,
    )
    call_with_retries(lambda: [tell() for tell in (table, summary)])


def publish_address(site: Path, url: str) -> None:
    """Publish the address of a site as an artifact of the flow run."""
    key = make_artifact_key("site", site)
    call_with_retries(partial(create_link_artifact, link=url, link_text=url, key=key))


def _tabulate_outcomes(chirality: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of texts, which every table artifact can hold."""
    rank = chirality["outcome"].map(_OUTCOMES.index)
    rows = chirality.loc[rank.sort_values(kind="stable").index, list(_OUTCOME_COLUMNS)]
    rows = rows.head(_MAX_ROWS).rename(columns=_OUTCOME_COLUMNS)
    texts = rows.astype(object).where(rows.notna(), "").astype(str)
    return [{str(name): value for name, value in row.items()} for row in texts.to_dict("records")]


def _format_summary(folder: Path, result: ScreenResult, chirality: pd.DataFrame) -> str:
    """Summary of a run, and of the dataset that it leaves."""
    skipped = chirality[chirality["outcome"] == "skipped"]
    reasons = group_skipped(zip(skipped["material_id"], skipped["reason"], strict=True))
    failures = group_failures(read_failures(read_catalog(folder, "failures")))
    candidates = split_by_class(rank_materials(chirality))
    command = f"chiralscreen report {shlex.quote(str(folder))}"
    parts = [
        f"# {escape_markdown(folder.resolve().name)}",
        f"This run: {result.summary}",
        _describe_potential(folder, result),
        "## Best stable chiral candidates",
        _tabulate_best(candidates["chiral"]),
        "## Best stable achiral candidates",
        _tabulate_best(candidates["achiral"]),
        "## Failures",
        _list_reasons(failures),
        "## Skipped",
        _list_reasons(reasons),
        "## Time",
        format_markdown_table(_tabulate_times(result)),
        "## Files",
        f"Tables: `{folder.resolve() / 'catalog'}`",
        f"Report: `{(folder / REPORT).resolve()}`; `{command}` draws its figures",
    ]
    return "\n\n".join(parts)


def _describe_potential(folder: Path, result: ScreenResult) -> str:
    """Potential of a run and its card, as the table of runs tells them."""
    run = read_catalog(folder, "runs").set_index("run_id").loc[result.run_id]
    found = run[["potential", "checkpoint_digest", "kernel"]].dropna()
    text = ", ".join(f"{name} `{value}`" for name, value in found.items())
    if not text:
        return "no potential was needed"
    limits = run["potential_limits"]
    verdict = run.get("potential_verdict")
    examined = f"Examination: {verdict if isinstance(verdict, str) else 'never examined'}."
    lines = [run["potential_citation"], run["potential_licence"], *limits, examined]
    return "\n".join([text, "", *(f"- {escape_markdown(line)}" for line in lines if line)])


def _tabulate_best(candidates: pd.DataFrame) -> str:
    """Table of the first candidates, with the columns for which a page has room."""
    columns = make_candidate_columns(candidates.head(_MAX_ROWS))
    return format_markdown_table([column for column in columns if column.rank <= _LEAST_IMPORTANT])


def _list_reasons(reasons: Sequence[Reason]) -> str:
    """List of reasons; cells of tables would not be broken into lines."""
    lines: list[str] = []
    for reason in reasons[:_MAX_ROWS]:
        lines.append(f"- {reason.count} × {escape_markdown(reason.message)}")
        lines += [f"    - {escape_markdown(text)}" for text in reason.details]
    left = len(reasons) - _MAX_ROWS
    return "\n".join(lines + ([f"- {left} more reasons"] if left > 0 else [])) or "none"


def _tabulate_times(result: ScreenResult) -> list[Column]:
    """Columns of the times of the stages."""
    wall = sum_stage_seconds(result.reports, "wall_time")
    inside = sum_stage_seconds(result.reports, "potential_time")
    return [
        Column("stage", list(wall)),
        Column("seconds, all workers", [f"{seconds:.1f}" for seconds in wall.values()]),
        Column("inside the potential", [f"{seconds:.1f}" for seconds in inside.values()]),
    ]
