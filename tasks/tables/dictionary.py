"""The data dictionary: the schema as a page to read."""

from collections.abc import Iterable, Iterator

from tasks.tables.columns import SCHEMA_VERSION, Column, Table
from tasks.tables.declarations import CATALOG_TABLES, TABLES
from tasks.tables.examination import EXAMINATION
from tasks.tables.observables import OBSERVABLES

_HEADER = f"""# Data dictionary

Generated from the schema (version {SCHEMA_VERSION}) by `python -m tasks.storage`; do not edit.

A dataset keeps committed work in `parts/<table>/<chunk>.parquet`, each chunk vouched for by
`receipts/<chunk>.v2.json`. People read `catalog/<table>.parquet`, which holds the rows of the
newest plan, sorted by space group. Arrays are flattened in C order. Read the files with any Parquet
reader; `tasks.storage.column_info(table)` gives units and descriptions to pandas users.
"""
_OBSERVABLES = """`chiralscreen observe --output FOLDER` writes the tables below, one file of each
kind.
"""
_EXAMINATION = """`chiralscreen examine --output FOLDER` writes the table below.
"""


def format_data_dictionary() -> str:
    """Write the data dictionary.

    Returns
    -------
    str
        A Markdown page with one section per table.
    """
    sections = [_format_section(f"parts/{name}", table) for name, table in TABLES.items()]
    catalog = _format_section("catalog/chirality.parquet", CATALOG_TABLES["chirality"])
    others = "The other files of the catalogue have the columns of the parts of the same name.\n"
    seen = [_format_section(f"observables: {name}", table) for name, table in OBSERVABLES.items()]
    examined = _format_section("examination", EXAMINATION)
    return "\n".join(
        [_HEADER, catalog, others, *sections, _OBSERVABLES, *seen, _EXAMINATION, examined]
    )


def _format_section(title: str, table: Table) -> str:
    rows = "several rows" if table.long else "one row"
    identity = ", ".join(f"`{name}`" for name in table.identity)
    about = f"{table.description} For each {identity} {rows}."
    return "\n".join([f"## {title}", "", about, "", *_format_rows(table.columns), ""])


def _format_rows(columns: Iterable[Column]) -> Iterator[str]:
    yield "| column | type | unit | empty | description |"
    yield "|---|---|---|---|---|"
    for c in columns:
        empty = "may be" if c.nullable else ""
        # A bare bar would end the cell.
        description = c.description.replace("|", "\\|")
        yield f"| {c.name} | {_format_type(c)} | {c.unit} | {empty} | {description} |"


def _format_type(column: Column) -> str:
    """Arrow's name of the type, without the angle brackets that Markdown takes for HTML."""
    return str(column.type).replace("list<element: ", "list of ").replace(">", "")
