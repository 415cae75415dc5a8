"""What a run shows in the Prefect UI besides its progress."""

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from flows.result import ScreenResult, stage_seconds
from flows.server import patiently
from tasks.catalogue import REPORT, by_class, ranked, read_catalog, read_overview
from tasks.foreign_text import in_markdown

_MAX_ROWS = 50
_OUTCOME_COLUMNS = ["material_id", "formula", "space_group_symbol", "chirality_class", "outcome"]
_CANDIDATE_COLUMNS = ["material_id", "formula", "space_group_symbol", "score", "reasons"]


def publish_outcomes(folder: Path, result: ScreenResult) -> None:
    """Publish a table of outcomes, a summary and a link as artifacts of the flow run.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the dataset, with its catalogue and report.
    result : ScreenResult
        What the run did.
    """
    chirality = read_overview(folder)
    failures = read_catalog(folder, "failures")
    report = folder / REPORT
    table = partial(
        create_table_artifact,
        key=f"outcomes-{result.run_id}",
        table=_records(chirality[[*_OUTCOME_COLUMNS, "reason"]].head(_MAX_ROWS)),
        description=f"outcome of the first {_MAX_ROWS} of {len(chirality)} materials",
    )
    summary = partial(
        create_markdown_artifact,
        key=f"summary-{result.run_id}",
        markdown=_markdown(folder, result, chirality, failures),
        description="candidates, failures and times",
    )
    link = partial(
        create_link_artifact,
        key=f"report-{result.run_id}",
        link=report.resolve().as_uri(),
        link_text="report",
        # Browsers open no local file from a page of the server.
        description=f"`{report}`; with figures of candidates: `chiralscreen report {folder}`",
    )
    patiently(lambda: [tell() for tell in (table, summary, link)])


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of texts, which every table artifact can hold."""
    texts = frame.astype(object).where(frame.notna(), "").astype(str)
    return [{str(name): value for name, value in row.items()} for row in texts.to_dict("records")]


def _markdown(
    folder: Path, result: ScreenResult, chirality: pd.DataFrame, failures: pd.DataFrame
) -> str:
    """Summary of a run."""
    counts = chirality["outcome"].value_counts().sort_index()
    wall = stage_seconds(result.reports, "wall_time")
    inside = stage_seconds(result.reports, "potential_time")
    times = pd.DataFrame(
        {"stage": wall.keys(), "seconds": wall.values(), "potential": inside.values()}
    )
    candidates = by_class(ranked(chirality)[[*_CANDIDATE_COLUMNS, "chirality_class"]])
    tables = {name: rows[_CANDIDATE_COLUMNS].head(_MAX_ROWS) for name, rows in candidates.items()}
    parts = [
        "# Screening",
        ", ".join(f"{name}: {count}" for name, count in counts.items()),
        "## Chiral candidates",
        _table(tables["chiral"]),
        "## Achiral candidates",
        _table(tables["achiral"]),
        "## Failures",
        _table(failures[["material_id", "stage", "message", "remedy"]].head(_MAX_ROWS)),
        "## Time",
        _table(times),
        f"Parquet tables: `{folder / 'catalog'}`",
    ]
    return "\n\n".join(parts)


def _table(frame: pd.DataFrame) -> str:
    """Markdown table; a dash for an empty one."""
    if frame.empty:
        return "-"
    rows = [list(frame.columns), ["---"] * len(frame.columns), *frame.round(3).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(_cell(value) for value in row) + " |" for row in rows)


def _cell(value: object) -> str:
    return in_markdown(str(value))
