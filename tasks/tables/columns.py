"""Columns and tables: name, type, unit and meaning."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from types import MappingProxyType
from typing import Final, get_args, get_type_hints

import pyarrow as pa

SCHEMA_VERSION: Final = 1
"""Version written into every receipt and file; a program refuses what is newer."""

# Parquet calls the items of a list "element"; the declared types do so too.
_FLOATS = pa.list_(pa.field("element", pa.float64()))
_INTEGERS = pa.list_(pa.field("element", pa.int32()))
_STRINGS = pa.list_(pa.field("element", pa.string()))
TIME = pa.timestamp("us", tz="UTC")
_VERSION_KEY = b"chiralscreen.schema_version"
_TABLE_KEY = b"chiralscreen.table"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name : str
        Name in the file.
    type : pyarrow.DataType
        Type in the file; arrays are flattened in C order.
    unit : str
        Unit, or an empty string for numbers without dimension, texts and flags.
    description : str
        Meaning in one sentence.
    nullable : bool
        Whether a row may leave the column empty.
    """

    name: str
    type: pa.DataType
    unit: str
    description: str
    nullable: bool = False

    @property
    def field(self) -> pa.Field:
        """Arrow field with unit and description in its metadata."""
        metadata = {"unit": self.unit, "description": self.description}
        return pa.field(self.name, self.type, self.nullable, metadata)


@dataclass(frozen=True)
class Table:
    """One table of a dataset.

    Attributes
    ----------
    name : str
        Folder of its parts and name of its catalogue file.
    description : str
        What one row is.
    columns : tuple of Column
        Columns in the order of the file.
    identity : tuple of str
        Columns that name what a row belongs to; the last one is the stage key.
    long : bool
        Whether one identity has many rows.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    identity: tuple[str, ...] = ("material_id", "key")
    long: bool = False

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """Arrow schema with the schema version in its metadata."""
        metadata = {_VERSION_KEY: str(SCHEMA_VERSION).encode(), _TABLE_KEY: self.name.encode()}
        return pa.schema([column.field for column in self.columns], metadata)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Return one column.

        Parameters
        ----------
        name : str
            Name of a column of this table.

        Returns
        -------
        Column
            Its declaration.

        Raises
        ------
        KeyError
            When the table has no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.name!r} has no column {name!r}")


def declare_text(name: str, description: str, *, nullable: bool = False) -> Column:
    """Declare a text."""
    return Column(name, pa.string(), "", description, nullable)


def declare_flag(name: str, description: str, *, nullable: bool = False) -> Column:
    """Declare a yes or no."""
    return Column(name, pa.bool_(), "", description, nullable)


def declare_count(name: str, description: str, *, nullable: bool = False) -> Column:
    """Declare a whole number."""
    return Column(name, pa.int32(), "", description, nullable)


def declare_real(name: str, unit: str, description: str, *, nullable: bool = False) -> Column:
    """Declare a number in double precision."""
    return Column(name, pa.float64(), unit, description, nullable)


def declare_single(name: str, unit: str, description: str, *, nullable: bool = False) -> Column:
    """Declare a number in single precision."""
    return Column(name, pa.float32(), unit, description, nullable)


def declare_reals(name: str, unit: str, description: str, *, nullable: bool = False) -> Column:
    """Declare a list of numbers, an array flattened in C order."""
    return Column(name, _FLOATS, unit, description, nullable)


def declare_integers(name: str, description: str, *, nullable: bool = False) -> Column:
    """Declare a list of whole numbers."""
    return Column(name, _INTEGERS, "", description, nullable)


def declare_texts(name: str, description: str, *, nullable: bool = False) -> Column:
    """Declare a list of texts."""
    return Column(name, _STRINGS, "", description, nullable)


_TYPES: Final[Mapping[object, pa.DataType]] = MappingProxyType(
    {
        bool: pa.bool_(),
        int: pa.int32(),
        float: pa.float64(),
        str: pa.string(),
        tuple[int, ...]: _INTEGERS,
        tuple[float, ...]: _FLOATS,
        tuple[str, ...]: _STRINGS,
    }
)


def collect_columns(record: type) -> Iterator[Column]:
    """Columns of a dataclass whose fields carry unit and description in their metadata.

    A field of type ``kind | None`` becomes a nullable column.
    """
    hints = get_type_hints(record)
    for item in fields(record):
        hint = hints[item.name]
        nullable = hint not in _TYPES
        kind = _TYPES[get_args(hint)[0] if nullable else hint]
        yield Column(item.name, kind, item.metadata["unit"], item.metadata["description"], nullable)
