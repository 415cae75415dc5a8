"""What a person reads of an examination of a potential."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from flows.tables import Column, format_markdown_table

Row = Mapping[str, Any]
_STYLES = {"good": "green", "poor": "yellow", "bad": "bold red", "told": "dim"}
_WIDTH = 80
_INDENT = 6


def print_examination(console: Console, rows: Sequence[Row]) -> None:
    """Print every number with its limit and what it means, and the verdict.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    rows : sequence of mappings
        As `tasks.examination.make_rows` gives them.
    """
    first = rows[0]
    console.print(f"{first['potential']} ({first['dtype']})")
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        console.print(Text(f"{row['grade']:{_INDENT}}", _STYLES[row["grade"]]) + _format_line(row))
        # What several lines in a row mean is told once, below the last.
        if after is None or after["meaning"] != row["meaning"]:
            for line in _wrap(row["meaning"]):
                console.print(Text(line, "dim"))
    verdict = first["verdict"]
    console.print(Text("verdict: ", "bold") + Text(verdict, "bold"))


def format_page(rows: Sequence[Row]) -> str:
    """Write an examination as a page in Markdown.

    Parameters
    ----------
    rows : sequence of mappings
        As `tasks.examination.make_rows` gives them.

    Returns
    -------
    str
        Heading, verdict, and a table of all numbers.
    """
    first = rows[0]
    columns = [
        Column("measured", [row["title"] for row in rows]),
        Column("crystal", [_name_subject(row) for row in rows]),
        Column("value", [f"{row['value']:.3g} {row['unit']}" for row in rows]),
        Column("good up to", [_format_limit(row["limit"]) for row in rows]),
        Column("bad beyond", [_format_limit(row["bound"]) for row in rows]),
        Column("grade", [row["grade"] for row in rows]),
        Column("what it means for a screening", [row["meaning"] for row in rows]),
    ]
    circumstances = (
        f"Precision {first['dtype']}, chiralscreen {first['version']}, "
        f"{first['examined_at']:%Y-%m-%d}. Parameters `{first['checkpoint_digest']}`."
    )
    sections = [
        f"# Examination of {first['potential']}",
        f"Verdict: **{first['verdict']}**.",
        circumstances,
        format_markdown_table(columns),
    ]
    return "\n\n".join(sections) + "\n"


def _format_line(row: Row) -> str:
    """Title, value and limit of a row in the columns of a terminal."""
    title = f"{row['title']}, {row['subject']}" if row["law"] == "fate" else row["title"]
    limit = "" if row["limit"] is None else f"≤ {_format_limit(row['limit'])}"
    return f"{title:<41}{row['value']:>9.3g} {row['unit']:<9}{limit:>8}"


def _wrap(text: str) -> Iterator[str]:
    """Lines of a text below its row."""
    indent = " " * _INDENT
    yield from textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)


def _name_subject(row: Row) -> str:
    """Crystal of a row, and what it became."""
    return f"{row['subject']}: {row['remark']}" if row["remark"] else str(row["subject"])


def _format_limit(limit: float | None) -> str:
    """Limit, or a dash."""
    return "-" if limit is None else f"{limit:g}"
