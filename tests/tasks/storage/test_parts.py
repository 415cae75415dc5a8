"""Parquet files of a dataset."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tasks.storage import TABLES, DatasetError
from tasks.storage.parts import Selection, count_rows, scan_part, stage_part
from tasks.tables.rows import make_arrow_table
from tests.tasks.storage import samples

MODES = TABLES["modes"]


def modes(numbers: list[int], n_rows: int) -> pa.Table:
    """Modes of some materials, so many rows of each."""
    one = pa.concat_tables(
        make_arrow_table(MODES, samples.rows_of("modes", "chirality", n))[:1] for n in numbers
    )
    return one.take(np.repeat(np.arange(len(numbers)), n_rows))


def test_columns_added_later_are_empty_in_older_files(tmp_path: Path) -> None:
    """A file without a nullable column is read as if the column were empty."""
    older = replace(MODES, columns=tuple(c for c in MODES.columns if c.name != "cycloidicity"))
    rows = modes([1], 2).drop_columns(["cycloidicity"])
    path, part = stage_part(tmp_path, older, [rows.cast(older.arrow_schema)])
    [found] = scan_part(Selection(path), MODES)
    assert found.schema == MODES.arrow_schema
    assert found["cycloidicity"].null_count == part.rows == 2


def test_row_groups_are_small_enough_to_read_few_materials(tmp_path: Path) -> None:
    """A part of many modes has many row groups, and a condition on materials skips most."""
    path, part = stage_part(tmp_path, MODES, [modes(list(range(10, 90)), 2000)])
    [fragment] = ds.dataset(path).get_fragments()
    groups = fragment.metadata.num_row_groups
    chosen = fragment.subset(filter=ds.field("material_id").isin(["mp-42"])).row_groups
    assert part.rows == count_rows(path) == 160_000
    assert groups >= 5
    assert len(chosen) <= 2


def test_large_rows_get_row_groups_of_few_rows(tmp_path: Path) -> None:
    """Force constants of a megabyte each do not end up in one row group."""
    table = TABLES["force_constants"]
    rows = [
        samples.row("force_constants", material_id=f"mp-{n}", force_constants=np.zeros(131_072))
        for n in range(8)
    ]
    path, part = stage_part(tmp_path, table, [make_arrow_table(table, rows)])
    assert pq.read_metadata(path).num_row_groups >= 3
    assert part.memory > 8 * 2**20


def test_batches_are_written_one_after_the_other(tmp_path: Path) -> None:
    """The file holds the rows of all batches in order."""
    batches = [modes([n], 3) for n in (3, 1, 2)]
    path, _ = stage_part(tmp_path, MODES, batches)
    assert pa.concat_tables(scan_part(Selection(path), MODES)) == pa.concat_tables(batches)


def test_dropped_identities_are_left_out(tmp_path: Path) -> None:
    """Rows that another part holds are not read."""
    path, _ = stage_part(tmp_path, MODES, [modes([1, 2], 2)])
    selection = Selection(path, dropped=frozenset({"mp-1\x1fc1"}))
    [found] = scan_part(selection, MODES, ["material_id"])
    assert found.to_pydict() == {"material_id": ["mp-2", "mp-2"]}


def test_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    """Reading something else says which file is damaged."""
    path = tmp_path / "part.parquet"
    path.write_text("no")
    with pytest.raises(DatasetError, match=r"part\.parquet is damaged"):
        count_rows(path)
    with pytest.raises(DatasetError, match=r"part\.parquet is damaged"):
        list(scan_part(Selection(path), MODES))
