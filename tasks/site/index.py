"""The site for scripts and language models: an index in JSON, and its rows as lines of JSON.

`index.json` says what the files are, and what each column means. `materials.jsonl` has one object
per row of the table, in its order, with the columns that the table shows at first and the path of
the page; columns without a value are left out. All columns are in `materials.parquet`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.site.json_values import to_json_value, write_json

Json = dict[str, Any]

FORMAT: Final = "chiralscreen-catalogue"
FORMAT_VERSION: Final = 1
_EXTRA: Final = ("elements", "space_group_number", "warnings", "observed", "energy_above_hull")
_FILES: Final = {
    "materials.jsonl": "one JSON object per row of the table, the best score first, with `rows`",
    "materials.parquet": "the same rows with all `columns`",
    "materials/<material_id>/<potential>.json": (
        "everything about one row, at its `page`: all stored numbers (row), the crystal "
        "(structure, fractional positions), bands with angular momentum and helicity along a path "
        "(bands), "
        "warnings, settings and works to cite (provenance)"
    ),
    "CITATION.cff": "what to cite, Citation File Format",
    "CITATION.bib": "what to cite, BibTeX",
}
_PAGE: Final = {
    "name": "page",
    "kind": "text",
    "unit": "",
    "description": "Path of the page of the row, from the folder of the site.",
}


def write_index(
    output: Path, title: str, program: str, columns: Sequence[Json], files: Mapping[str, str]
) -> None:
    """Write the index of a site and its rows.

    Parameters
    ----------
    output : pathlib.Path
        Folder of the site, with its table.
    title, program : str
        Heading of the site and version of the program.
    columns : sequence of dict
        From `tasks.site.table.describe_columns`.
    files : mapping
        File names of the potentials.
    """
    rows = [column for column in columns if column["initial"] or column["name"] in _EXTRA]
    table = output / "materials.parquet"
    part = output / "materials.jsonl.part"
    with part.open("w", encoding="utf-8") as lines:
        for row in _list_rows(table, [column["name"] for column in rows], files):
            lines.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
    part.replace(output / "materials.jsonl")
    content = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "title": title,
        "program": f"chiralscreen {program}",
        "n_rows": pq.read_metadata(table).num_rows,
        "files": _FILES,
        "rows": [*map(_describe, rows), _PAGE],
        "columns": [*map(_describe, columns)],
    }
    write_json(output / "index.json", content)


def _describe(column: Json) -> Json:
    return {name: column[name] for name in _PAGE}


def _list_rows(path: Path, names: Sequence[str], files: Mapping[str, str]) -> Iterator[Json]:
    """Rows of the table without empty cells."""
    for batch in pq.ParquetFile(path).iter_batches(4096, columns=list(names)):
        for row in pa.Table.from_batches([batch]).select(names).to_pylist():
            cells = {name: to_json_value(value) for name, value in row.items()}
            page = f"materials/{quote(row['material_id'])}/{quote(files[row['potential']])}.json"
            yield {name: cell for name, cell in cells.items() if cell is not None} | {"page": page}
