"""The schema and the pages made from it."""

from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import get_type_hints

import pyarrow as pa
import pytest

from tasks.storage import CATALOG_TABLES, TABLES, Table, column_info, format_data_dictionary
from tasks.tables.chirality import ChiralityRecord, Verdict
from tasks.tables.declarations import (
    CATALOG_ORIGINS,
    PLANNED_KEYS,
    SPECTRA,
    UNDECIDED_COLUMNS,
    USED_CHARGES,
    WIDE_COLUMNS,
)

REPOSITORY = Path(__file__).parents[3]

MODE_COLUMNS = {
    *("material_id", "q_label", "q_a", "q_b", "q_c", "band", "degenerate_set", "frequency"),
    *("l_x", "l_y", "l_z", "helicity", "cycloidicity"),
    *("pam_raw", "pam_integer", "pam_order", "pam_screw"),
}


def test_data_dictionary_is_up_to_date() -> None:
    """The page in the documentation is the one the schema gives."""
    page = REPOSITORY / "docs" / "data-dictionary.md"
    assert page.read_text() == format_data_dictionary(), (
        "write it anew with: python -m tasks.storage > docs/data-dictionary.md"
    )


@pytest.mark.parametrize("name", TABLES)
def test_every_material_table_has_material_and_key(name: str) -> None:
    """Each table about materials can be joined by material and key."""
    expected = ("run_id",) if name == "runs" else ("material_id", "key")
    assert TABLES[name].identity == expected
    assert not any(TABLES[name].column(column).nullable for column in expected)


@pytest.mark.parametrize("table", [*TABLES.values(), CATALOG_TABLES["chirality"]])
def test_columns_are_unique_and_described(table: Table) -> None:
    """No name is declared twice, and each says what it means, with a unit where it has one."""
    assert len(set(table.names)) == len(table.names)
    for column in table.columns:
        assert column.description.endswith((".", ";")), column.name
        field = table.arrow_schema.field(column.name)
        assert field.metadata[b"description"].decode() == column.description
        assert field.metadata[b"unit"].decode() == column.unit


def test_modes_have_the_promised_columns_in_single_precision() -> None:
    """The mode table has the published names; its reals are float32."""
    table = TABLES["modes"]
    assert set(table.names) >= MODE_COLUMNS
    reals = [c for c in table.columns if pa.types.is_floating(c.type)]
    assert {c.type for c in reals} == {pa.float32()}
    assert table.column("frequency").unit == "THz"
    assert table.column("l_z").unit == "ħ"


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("relaxations", "energy"),
        ("materials", "cell"),
        ("relaxations", "cell"),
        ("force_constants", "force_constants"),
        ("force_constants", "born"),
    ],
)
def test_energies_cells_and_force_constants_have_double_precision(table: str, column: str) -> None:
    """What is differentiated or summed later keeps all its digits."""
    kind = TABLES[table].column(column).type
    assert (kind.value_type if pa.types.is_list(kind) else kind) == pa.float64()


def test_plan_names_a_key_for_every_stage_table() -> None:
    """Each table the catalogue selects by key has its column in the plan."""
    assert set(PLANNED_KEYS.values()) <= set(TABLES["plan"].names)
    assert set(TABLES) - set(PLANNED_KEYS) == {"plan", "failures", "runs"}


def test_column_info_of_an_unknown_table_is_an_error() -> None:
    """A misspelt table is not an empty description."""
    with pytest.raises(KeyError, match="mods"):
        column_info("mods")


def test_unknown_column_is_named() -> None:
    """A misspelt column is named together with its table."""
    with pytest.raises(KeyError, match=r"modes.*frequncy"):
        TABLES["modes"].column("frequncy")


def test_chirality_table_is_the_verdict_and_the_record_of_the_stage() -> None:
    """Names, units, descriptions and emptiness of the columns are those of the fields.

    Spectra may be empty as well, which no release keeps.
    """
    stored = {
        field.name: (
            field.metadata["unit"],
            field.metadata["description"],
            field.name in SPECTRA or isinstance(get_type_hints(record)[field.name], UnionType),
        )
        for record in (Verdict, ChiralityRecord)
        for field in fields(record)
    }
    table = TABLES["chirality"]
    others = {*table.identity, "rotational_violation", "huang_violation", "sum_rules_skipped"}
    others |= {column.name for column in (*UNDECIDED_COLUMNS, *USED_CHARGES)}
    columns = [column for column in table.columns if column.name not in others]
    assert {c.name: (c.unit, c.description, c.nullable) for c in columns} == stored


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("stable", pa.bool_()),
        ("n_imaginary", pa.int32()),
        ("score", pa.float64()),
        ("explanation", pa.string()),
        ("mesh_numbers", "list<element: int32>"),
        ("magnetization", "list<element: double>"),
        ("raman_channels", "list<element: string>"),
    ],
)
def test_chirality_columns_have_the_types_of_the_fields(column: str, kind: object) -> None:
    """Flags, numbers, texts, lists and optional fields become the Arrow types that hold them."""
    assert str(TABLES["chirality"].column(column).type) == str(kind)


def test_catalogue_of_materials_takes_no_name_twice() -> None:
    """No column of one stage hides that of another."""
    taken = {origin: name for name, origin in CATALOG_ORIGINS.items()}
    assert len(taken) == sum(len(names) for _, names in WIDE_COLUMNS)
    renamed, undecided = {"n_atoms": "n_atoms_primitive"}, {c.name for c in UNDECIDED_COLUMNS}
    for column in set(TABLES["chirality"].names[2:]) - undecided:
        assert taken["chirality", column] == renamed.get(column, column)


def test_a_score_means_one_thing_in_all_tables() -> None:
    """Only the catalogue of materials has one; the stage leaves its columns of that name empty."""
    holders = {name for name, table in CATALOG_TABLES.items() if "score" in table.names}
    assert holders == {"chirality"}
    for column in UNDECIDED_COLUMNS:
        assert "the catalogue decides" in TABLES["chirality"].column(column.name).description
        assert column.name not in {origin for _, origin in CATALOG_ORIGINS.values()}
