"""Rows as Arrow tables of the declared schema."""

from datetime import datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest

from tasks.storage import TABLES, DatasetError
from tasks.tables.rows import get_key, join_identity, make_arrow_table, name_identities
from tests.tasks.storage import samples

PHONONS = TABLES["phonons"]
MODES = TABLES["modes"]


def test_rows_are_sorted_by_material_and_keep_their_order_inside() -> None:
    """Modes of one material stay in the order of the stage."""
    rows = [
        samples.row("modes", material_id=name, key="k", band=band)
        for name, band in (("b", 2), ("a", 5), ("b", 0), ("a", 1))
    ]
    found = make_arrow_table(MODES, rows)
    pairs = zip(found["material_id"].to_pylist(), found["band"].to_pylist(), strict=True)
    assert list(pairs) == [("a", 5), ("a", 1), ("b", 2), ("b", 0)]


def test_nullable_columns_may_be_left_out() -> None:
    """A row without them gets empty values."""
    row = samples.row("failures")
    del row["source_record"]
    assert make_arrow_table(TABLES["failures"], [row])["source_record"].null_count == 1


@pytest.mark.parametrize("rows", [[], PHONONS.arrow_schema.empty_table()])
def test_no_rows_make_an_empty_table(rows: list[dict[str, object]] | pa.Table) -> None:
    """The schema does not depend on there being rows."""
    found = make_arrow_table(PHONONS, rows)
    assert found.num_rows == 0
    assert found.schema == PHONONS.arrow_schema


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        ("n_displacements", 1.5, "int32"),
        ("n_displacements", "many", "int32"),
        ("n_displacements", 2**40, "int32"),
        ("supercell_matrix", [1, 0.5], "list"),
        ("max_frequency", "high", "double"),
        ("potential", 7, "string"),
        ("potential", "\ud800", "string"),
        ("primitive_matrix", 1.0, "list"),
    ],
)
def test_values_of_another_type_are_refused(column: str, value: object, kind: str) -> None:
    """Nothing is cut, rounded or turned into text in silence."""
    with pytest.raises(DatasetError, match=f"column {column} takes {kind}"):
        make_arrow_table(PHONONS, [samples.row("phonons", **{column: value})])


def test_whole_numbers_are_taken_for_reals() -> None:
    """An integer in a column of reals is the same number."""
    found = make_arrow_table(PHONONS, [samples.row("phonons", max_frequency=3)])
    assert found["max_frequency"].to_pylist() == [3.0]


def test_masked_arrays_become_empty_values() -> None:
    """A table made of masked arrays keeps what is masked as empty, not as a number."""
    rows = samples.rows_of("modes", "chirality", 1)
    columns = {name: [row[name] for row in rows] for name in MODES.names}
    labels = np.ma.masked_array(np.array([1.0, np.nan, 2.0], "f4"), mask=[False, True, False])
    found = make_arrow_table(MODES, pa.table(columns | {"pam_integer": labels}))
    assert found["pam_integer"].to_pylist() == [1, None, 2]


def test_arrow_table_with_fractions_does_not_become_integers() -> None:
    """A cast that would lose something is refused."""
    rows = pa.Table.from_pylist([samples.row("phonons", n_displacements=0)])
    index = rows.column_names.index("n_displacements")
    rows = rows.set_column(index, "n_displacements", pa.array([0.5]))
    with pytest.raises(DatasetError, match="n_displacements takes int32"):
        make_arrow_table(PHONONS, rows)


def test_times_of_other_zones_are_stored_in_utc() -> None:
    """The instant counts, not the clock of the machine."""
    zone = timezone(timedelta(hours=5))
    begun = datetime(2026, 1, 1, 5, tzinfo=zone)
    found = make_arrow_table(TABLES["runs"], [samples.row("runs", started_at=begun)])
    [stored] = found["started_at"].to_pylist()
    assert stored == begun
    assert stored.utcoffset() == timedelta(0)


def test_identities_name_material_and_key() -> None:
    """The name of a row leads back to its key."""
    [name] = name_identities(
        PHONONS, make_arrow_table(PHONONS, [samples.row("phonons", material_id="mp-1", key="k")])
    ).to_pylist()
    assert name == join_identity("mp-1", "k")
    assert get_key(name) == "k"
    assert get_key(join_identity("run-1")) == "run-1"
