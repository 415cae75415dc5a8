"""Rows of our stages as Arrow tables of exactly the declared schema."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.failures import DatasetError
from tasks.tables.columns import Column, Table

Rows: TypeAlias = Sequence[Mapping[str, Any]] | pa.Table
"""Rows of one table: mappings from column names to values, or an Arrow table."""

_SEPARATOR = "\x1f"


def make_arrow_table(table: Table, rows: Rows) -> pa.Table:
    """Bring rows into the declared schema of a table, sorted by identity.

    Nullable columns may be left out. Arrays may have any shape; they are flattened in C order.

    Parameters
    ----------
    table : Table
        Declaration of the table.
    rows : sequence of mappings, or pyarrow.Table
        Values by column name.

    Returns
    -------
    pyarrow.Table
        All columns in order; rows of one identity keep their order.

    Raises
    ------
    DatasetError
        When a column is unknown, a value is missing or of the wrong type, or two rows of a
        table with one row per identity have the same one.
    """
    given = _read_columns(table, rows) if isinstance(rows, pa.Table) else _make_columns(table, rows)
    missing = [c for c in table.columns if given[c.name].null_count and not c.nullable]
    if missing:
        message = f"table {table.name}: column {missing[0].name} is empty in some row, but required"
        raise DatasetError(message)
    found = pa.table([given[c.name] for c in table.columns], schema=table.arrow_schema)
    ordered = found.take(pc.sort_indices(found, [(n, "ascending") for n in table.identity]))
    _refuse_repeated(table, ordered)
    return ordered


def name_identities(table: Table, rows: pa.Table) -> pa.Array:
    """Name what each row belongs to.

    Parameters
    ----------
    table : Table
        Declaration of the table.
    rows : pyarrow.Table or RecordBatch
        Rows with at least the identity columns.

    Returns
    -------
    pyarrow.Array of string
        The values of `join_identity` for the identity columns of each row.
    """
    columns = [rows.column(name) for name in table.identity]
    joined = pc.binary_join_element_wise(*columns, _SEPARATOR) if len(columns) > 1 else columns[0]
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def join_identity(*values: str) -> str:
    """Join the values of the identity columns into one name.

    Parameters
    ----------
    *values : str
        Values in the order of the table's identity columns.

    Returns
    -------
    str
        A name that no other values share, as long as they hold no control character U+001F.
    """
    return _SEPARATOR.join(values)


def get_key(name: str) -> str:
    """Return the key inside an identity.

    Parameters
    ----------
    name : str
        A name made by `join_identity`.

    Returns
    -------
    str
        The last of its values.
    """
    return name.rpartition(_SEPARATOR)[2]


def _make_columns(table: Table, rows: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
    unknown = {name for row in rows for name in row} - set(table.names)
    _refuse_unknown(table, unknown)
    return {
        c.name: _build_array(table, c, [_to_plain_value(row.get(c.name)) for row in rows])
        for c in table.columns
    }


def _read_columns(table: Table, rows: pa.Table) -> dict[str, pa.Array]:
    _refuse_unknown(table, set(rows.column_names) - set(table.names))
    return {c.name: _cast(table, c, rows) for c in table.columns}


def _cast(table: Table, column: Column, rows: pa.Table) -> pa.ChunkedArray:
    if column.name not in rows.column_names:
        return pa.chunked_array([pa.nulls(rows.num_rows, column.type)])
    try:
        return rows.column(column.name).cast(column.type)
    except pa.ArrowException as error:
        raise _make_type_error(table, column, error) from error


def _build_array(table: Table, column: Column, values: list[Any]) -> pa.Array:
    """Build one column; whole numbers take a detour that refuses to cut off fractions."""
    direct = not _is_integer_type(column.type)
    try:
        return pa.array(values, column.type) if direct else pa.array(values).cast(column.type)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise _make_type_error(table, column, error) from error


def _is_integer_type(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind.value_type if pa.types.is_list(kind) else kind))


def _to_plain_value(value: Any) -> Any:  # noqa: ANN401 - a value of any column
    return value.ravel() if isinstance(value, np.ndarray) else value


def _make_type_error(table: Table, column: Column, error: Exception) -> DatasetError:
    return DatasetError(f"table {table.name}: column {column.name} takes {column.type}: {error}")


def _refuse_unknown(table: Table, unknown: set[str]) -> None:
    if unknown:
        names = ", ".join(sorted(unknown))
        raise DatasetError(
            f"table {table.name} has no column {names}; see tasks/tables/declarations.py"
        )


def _refuse_repeated(table: Table, ordered: pa.Table) -> None:
    if table.long or ordered.num_rows < 2:
        return
    names = name_identities(table, ordered)
    same = pc.equal(names[1:], names[:-1])
    if pc.any(same).as_py():
        name = names[1:].filter(same)[0].as_py().replace(_SEPARATOR, ", key ")
        raise DatasetError(f"table {table.name} got two rows for {name}; one is allowed")
