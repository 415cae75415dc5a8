"""Examinations as rows and as files: those that travel with the package, and the user's own."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.parquet as pq

from potentials.compiler import find_cache_folder
from tasks.examination.judgement import Examination
from tasks.examination.laws import LAWS
from tasks.storage.durable import write_durably
from tasks.tables.examination import EXAMINATION
from tasks.tables.rows import make_arrow_table

SHIPPED: Final = Path(__file__).parent / "examinations.parquet"
Row = Mapping[str, Any]


def make_rows(examination: Examination) -> list[Row]:
    """Make the rows of an examination.

    Parameters
    ----------
    examination : Examination
        What was found.

    Returns
    -------
    list of dict
        One for each finding, with the columns of `tasks.tables.examination.EXAMINATION`.
    """
    common = {
        "checkpoint_digest": examination.card.digest,
        "potential": examination.card.name,
        "dtype": examination.dtype,
        "version": version("chiralscreen"),
        "examined_at": datetime.now(UTC),
        "verdict": str(examination.verdict),
    }
    return [
        {
            **common,
            "law": finding.law,
            "title": LAWS[finding.law].title,
            "subject": finding.subject,
            "value": finding.value,
            "unit": LAWS[finding.law].unit,
            "limit": LAWS[finding.law].limit,
            "bound": LAWS[finding.law].bound,
            "grade": str(finding.grade),
            "meaning": finding.meaning,
            "remark": finding.remark or None,
        }
        for finding in examination.findings
    ]


def write_examination(rows: Sequence[Row], path: Path | None = None) -> Path:
    """Write an examination.

    Parameters
    ----------
    rows : sequence of dict
        As `make_rows` gives them.
    path : pathlib.Path, optional
        File to write; without it the one in which later runs of the user look.

    Returns
    -------
    pathlib.Path
        The file.
    """
    path = path or _name_file(rows[0]["checkpoint_digest"])
    table = make_arrow_table(EXAMINATION, rows)
    write_durably(path, lambda p: pq.write_table(table, p, compression="zstd"))
    return path


def find_examination(digest: str) -> list[dict[str, Any]]:
    """Find the examination of a potential: the user's own, or the one in the package.

    Parameters
    ----------
    digest : str
        Of its card.

    Returns
    -------
    list of dict
        Rows; none where the potential was never examined.
    """
    for path in (_name_file(digest), SHIPPED):
        if path.is_file():
            rows = pq.read_table(path, filters=pc.field("checkpoint_digest") == digest)
            if rows.num_rows:
                return list(rows.to_pylist())
    return []


def list_complaints(rows: Iterable[Row]) -> list[str]:
    """Say in sentences what was not good."""
    return [
        f"{row['title']}: {row['value']:.3g} {row['unit']} ({row['subject']}"
        f"{', ' + row['remark'] if row['remark'] else ''}). {row['meaning']}"
        for row in rows
        if row["grade"] in {"poor", "bad"}
    ]


def _name_file(digest: str) -> Path:
    """File of a potential among the user's own examinations."""
    name = re.sub(r"[^A-Za-z0-9-]", "-", digest)
    return find_cache_folder() / "examinations" / f"{name}.parquet"
