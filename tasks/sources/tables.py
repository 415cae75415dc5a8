"""Tables and JSON files, streamed: a row or a line is one record."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.failures import Failure, RemediableError
from tasks.sources.documents import FREE_BYTES, Document, read_all, read_line, read_text
from tasks.sources.json_text import parse_json
from tasks.sources.mappings import choose_columns, is_structure, make_record
from tasks.sources.records import RawRecord, explain_parser_error, make_read_failure
from tasks.sources.settings import SourceSettings

_BATCH = 256  # rows
_BATCH_BYTES = 2**24
_WIDTH = {"INT32": 4, "FLOAT": 4, "BOOLEAN": 1}  # bytes of a value; those of all others 8
_TEXT = "BYTE_ARRAY"


def cut_parquet(document: Document, settings: SourceSettings) -> Iterator[RawRecord | Failure]:
    """Give every row of a Parquet file.

    Parameters
    ----------
    document : Document
        The file.
    settings : SourceSettings
        Which column means what.

    Yields
    ------
    RawRecord or Failure
        In the order of the rows; only the columns that mean something are read.

    Raises
    ------
    RemediableError
        When no column holds structures, or the file becomes suspiciously large.
    """
    inside = document.path is None
    content = io.BytesIO(read_all(document.stream, settings.max_record_bytes)) if inside else None
    source = content or document.path
    with pq.ParquetFile(source, page_checksum_verification=True) as file:
        columns = choose_columns(file.schema_arrow.names, settings)
        is_text = [pa.types.is_string(file.schema_arrow.field(name).type) for name in columns]
        metadata = file.metadata
    # Equal texts of a column stay one text until their row is needed.
    texts = [name for name, text in zip(columns, is_text, strict=True) if text]
    with pq.ParquetFile(source, page_checksum_verification=True, read_dictionary=texts) as file:
        yield from _make_records(
            _read_rows(file, metadata, columns, document, settings), document, settings
        )


def _read_rows(
    file: pq.ParquetFile,
    metadata: pq.FileMetaData,
    columns: Sequence[str],
    document: Document,
    settings: SourceSettings,
) -> Iterator[Mapping[str, Any]]:
    """Rows of a Parquet file, in batches that are small in bytes."""
    limit = settings.max_expansion * document.size + FREE_BYTES
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        chunks = [group.column(k) for k in range(group.num_columns)]
        wanted = [chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns]
        if sum(chunk.total_uncompressed_size for chunk in wanted) > limit:
            message = "the Parquet file becomes suspiciously large"
            raise RemediableError(message, "write it again, or raise source.max_expansion")
        n_bytes = sum(map(_estimate_decoded_bytes, wanted)) / max(group.num_rows, 1)
        size = int(min(max(_BATCH_BYTES / max(n_bytes, 1), 1), _BATCH))
        batches = file.iter_batches(size, row_groups=[index], columns=columns, use_threads=False)
        for batch in batches:
            for row in range(batch.num_rows):
                yield batch.slice(row, 1).to_pylist()[0]


def _estimate_decoded_bytes(chunk: pq.ColumnChunkMetaData) -> int:
    """Bytes that the values of a column take in memory; one text may stand for many rows."""
    if chunk.physical_type == _TEXT:
        return int(chunk.total_uncompressed_size)
    return int(chunk.num_values) * _WIDTH.get(chunk.physical_type, 8)


def cut_csv(document: Document, settings: SourceSettings) -> Iterator[RawRecord | Failure]:
    """Give every row of a CSV file.

    Parameters
    ----------
    document : Document
        The file; lists in its cells are JSON.
    settings : SourceSettings
        Which column means what.

    Yields
    ------
    RawRecord or Failure
        In the order of the rows.

    Raises
    ------
    RemediableError
        When no column holds structures.
    """
    csv.field_size_limit(settings.max_record_bytes)
    text = io.TextIOWrapper(document.stream, "utf-8-sig", errors="replace", newline="")
    rows = csv.DictReader(text)
    if rows.fieldnames:
        choose_columns(list(rows.fieldnames), settings)
        yield from _make_records(rows, document, settings)


def cut_json_lines(document: Document, settings: SourceSettings) -> Iterator[RawRecord | Failure]:
    """Give every line of a file of JSON lines.

    Parameters
    ----------
    document : Document
        The file.
    settings : SourceSettings
        Which key means what.

    Yields
    ------
    RawRecord or Failure
        In the order of the lines; empty ones are left out.
    """
    index = 0
    while line := read_line(document.stream, settings.max_record_bytes):
        if line.strip():
            yield _make_guarded_record(line, index, document, settings)
            index += 1


def cut_json(document: Document, settings: SourceSettings) -> Iterator[RawRecord | Failure]:
    """Give the structures of a JSON file.

    Parameters
    ----------
    document : Document
        One structure, a list of them, an object of them by name, or a page of OPTIMADE.
    settings : SourceSettings
        Which key means what.

    Yields
    ------
    RawRecord or Failure
        In the order of the file.
    """
    value = parse_json(read_text(document.stream, settings.max_record_bytes) or "[]")
    if isinstance(value, Mapping) and not is_structure(value) and "data" in value:
        settings, value = _add_provider(value, settings), value["data"]
    if is_structure(value):
        yield make_record(_flatten_entry(value), document.stem, document.name, settings)
    elif isinstance(value, Mapping):
        # The database of ASE in JSON lists its rows and the next number beside them.
        own = {"ids", "nextid"} if {"ids", "nextid"} <= set(value) else set()
        for name, entry in value.items():
            if name not in own:
                yield _make_guarded_record(entry, name, document, settings)
    elif not isinstance(value, list):
        message = (
            f"unreadable: the file holds neither objects nor lists but {json.dumps(value)[:40]}"
        )
        raise RemediableError(message, "give a structure, or a list of them")
    else:
        for index, entry in enumerate(value):
            yield _make_guarded_record(entry, index, document, settings)


def _add_provider(page: Mapping[str, Any], settings: SourceSettings) -> SourceSettings:
    """Settings with the provider of a page of OPTIMADE as database, unless the user names one."""
    provider = (page.get("meta") or {}).get("provider") or {}
    name = settings.database or provider.get("name")
    return settings.model_copy(update={"database": name})


def _make_records(
    rows: Iterator[Mapping[str, Any]], document: Document, settings: SourceSettings
) -> Iterator[RawRecord | Failure]:
    """Records of the rows of a table."""
    for index, row in enumerate(rows):
        yield _make_guarded_record(row, index, document, settings)


def _make_guarded_record(
    entry: object, label: int | str, document: Document, settings: SourceSettings
) -> RawRecord | Failure:
    """Record of an entry, or why it is none."""
    place = f"{document.name}#{label}"
    name = label if isinstance(label, str) else f"{document.stem}-{label}"
    try:
        row = parse_json(entry) if isinstance(entry, str) else entry
        return make_record(_flatten_entry(row), name, place, settings)
    except Exception as error:  # noqa: BLE001 - a defective entry is a row
        return make_read_failure(explain_parser_error(error), place)


def _flatten_entry(entry: Any) -> Mapping[str, Any]:  # noqa: ANN401
    """Keys of an entry of OPTIMADE, whose attributes are one level deeper, on one level."""
    if not isinstance(entry, Mapping):
        message = f"unreadable: the record is no object but {json.dumps(entry)[:40]}"
        raise RemediableError(message, "correct the record")
    if entry.get("type") not in {None, "structures"} and "attributes" in entry:
        message = f"the record is of type {entry['type']!r}, and no structure"
        raise RemediableError(message, "ask for structures")
    inner = entry.get("attributes") or entry.get("key_value_pairs")
    if not isinstance(inner, Mapping):
        return entry
    return {**inner, **entry} if "numbers" in entry else {**entry, **inner, "id": entry.get("id")}
