"""Tables in the terminal and in files."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import pandas as pd
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from tasks.failures import Failure, RemediableError
from tasks.untrusted_text import escape_formulas, escape_markdown

_FRAME = 3  # characters between two cells


@dataclass(frozen=True)
class Column:
    """A column of a table in the terminal.

    Attributes
    ----------
    header : str
        Its name, with line breaks where it may be broken.
    cells : sequence of str
        One per row.
    rank : int
        Of the columns that do not fit, the greatest rank is left out first; 0 stays.
    """

    header: str
    cells: Sequence[str]
    rank: int = 0

    @classmethod
    def from_values(
        cls, header: str, values: Iterable[object], rank: int = 0, scale: float = 1.0
    ) -> Self:
        """Make a column of values.

        Parameters
        ----------
        header : str
            Its name, with line breaks where it may be broken.
        values : iterable
            Texts, numbers, truth values, and nothing.
        rank : int
            As of the column.
        scale : float
            By which numbers are multiplied that are no integers.

        Returns
        -------
        Column
            With numbers to three decimals and a dash for nothing.
        """
        return cls(header, [_format_cell(value, scale) for value in values], rank)

    @property
    def name(self) -> str:
        """Its header in one line."""
        return " ".join(self.header.split())

    @property
    def width(self) -> int:
        """Characters of its widest line."""
        lines = [line for text in (self.header, *self.cells) for line in text.splitlines()]
        return max(map(cell_len, lines), default=0)


def print_table(
    console: Console, columns: Sequence[Column], *, title: str | None = None, elsewhere: str
) -> None:
    """Print a table of which no cell is cut, however narrow the terminal.

    One row is a list of names and values. Of more rows the columns that fit are printed, and a line
    names the others; where the most important ones do not fit, every row is a list.

    Parameters
    ----------
    console : rich.console.Console
        Where to print.
    columns : sequence of Column
        In their order.
    title : str, optional
        Line above.
    elsewhere : str
        What shows all columns, such as "all columns: --output FILE".
    """
    fitting = _drop_columns(columns, console.width)
    n_rows = len(columns[0].cells)
    if n_rows == 1 or _measure_width(fitting) > console.width:
        _print_lists(console, columns, n_rows, title)
        return
    table = Table(title=title)
    for column in fitting:
        table.add_column(column.header, no_wrap=True, min_width=column.width)
    for row in zip(*(column.cells for column in fitting), strict=True):
        table.add_row(*row)
    console.print(table, soft_wrap=False)  # the title stands in the middle
    if left := [column.name for column in columns if column not in fitting]:
        console.print(f"left out, terminal too narrow: {', '.join(left)}", soft_wrap=False)
        console.print(f"  {elsewhere}, or a terminal of {_measure_width(columns)} columns")


def format_markdown_table(columns: Sequence[Column]) -> str:
    """Write a table in Markdown.

    Parameters
    ----------
    columns : sequence of Column
        In their order.

    Returns
    -------
    str
        Its lines; "none" where there is no row.
    """
    rows = list(zip(*(column.cells for column in columns), strict=True))
    lines = [[column.name for column in columns], ["---"] * len(columns), *rows]
    formatted = ("| " + " | ".join(escape_markdown(cell) for cell in line) + " |" for line in lines)
    return "\n".join(formatted) if rows else "none"


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table in the format its file name asks for.

    Parameters
    ----------
    table : pandas.DataFrame
        The table.
    path : pathlib.Path
        Ends in ``.csv`` or ``.parquet``. In CSV a text that a spreadsheet would take for a formula
        begins with an apostrophe; Parquet has all texts as they are.

    Raises
    ------
    RemediableError
        For another ending.
    """
    if path.suffix == ".csv":
        escape_formulas(table).to_csv(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path, index=False)
    else:
        raise RemediableError(f"cannot write {path}", "end the name in .csv or .parquet")


def write_failures(failures: Sequence[Failure], output: Path) -> Path | None:
    """Write all failures beside the file that holds the rest.

    Parameters
    ----------
    failures : sequence of Failure
        What could not be used.
    output : pathlib.Path
        Where the rest is, as ``classes.csv``.

    Returns
    -------
    pathlib.Path or None
        ``classes-failures.csv``, in Parquet where the other is; None without failures, and then a
        file of an earlier run is gone.
    """
    ending = ".parquet" if output.suffix == ".parquet" else ".csv"
    path = output.with_name(f"{output.stem}-failures{ending}")
    if not failures:
        path.unlink(missing_ok=True)
        return None
    names = [field.name for field in fields(Failure)]
    write_table(pd.DataFrame(map(asdict, failures), columns=names), path)
    return path


def _format_cell(value: Any, scale: float) -> str:  # noqa: ANN401 - what a table holds
    if pd.isna(value):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{scale * value:.3f}" if isinstance(value, float) else str(value)


def _measure_width(columns: Sequence[Column]) -> int:
    """Width of a table with its frame."""
    return sum(column.width + _FRAME for column in columns) + 1


def _drop_columns(columns: Sequence[Column], width: int) -> list[Column]:
    """Columns that fit, without the least important ones."""
    kept = list(columns)
    while _measure_width(kept) > width and (spare := [column for column in kept if column.rank]):
        kept.remove(max(spare, key=lambda column: column.rank))
    return kept


def _print_lists(
    console: Console, columns: Sequence[Column], n_rows: int, title: str | None
) -> None:
    """Print every row as a list of names and values."""
    if title:
        console.print(title)
    for line in _format_lists(columns, n_rows):
        console.print(line)


def _format_lists(columns: Sequence[Column], n_rows: int) -> Iterator[str]:
    """Lines of names and values, with an empty one between two rows."""
    width = max(cell_len(column.name) for column in columns)
    for row in range(n_rows):
        if row:
            yield ""
        for column in columns:
            yield f"{column.name:{width}}  {column.cells[row]}"
