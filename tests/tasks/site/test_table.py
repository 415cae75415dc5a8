"""The site's table says what the catalogue says, and what follows from it."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.site.sources import (
    name_variants,
    open_sources,
    read_catalogue_batches,
    read_catalogue_rows,
)
from tasks.site.table import (
    NEEDED,
    SHOWN_COLUMNS,
    find_declaration,
    list_elements,
    make_site_table,
    write_table,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows(datasets):
    return read_catalogue_rows(open_sources(datasets)[0], NEEDED)


@pytest.fixture(scope="module")
def found(rows):
    return make_site_table(rows, ["EMT"] * len(rows))


@pytest.mark.parametrize(
    ("formula", "elements"),
    [("SiO2", "O Si"), ("Li3PO4", "Li O P"), ("CdAl2S4", "Al S Cd"), ("C", "C"), (None, None)],
)
def test_elements_are_ordered_by_number(formula, elements):
    assert list_elements(formula) == elements


def test_no_row_is_lost_and_every_column_is_declared(rows, found):
    assert len(found) == len(rows)
    assert found.column_names == [shown.name for shown in SHOWN_COLUMNS]
    assert all(find_declaration(name).description for name in found.column_names)


def test_the_splitting_is_the_largest_of_the_axes(rows, found):
    for linear, largest in zip(rows["splitting_linear"], found["largest_splitting"], strict=True):
        sizes = np.abs(linear.as_py() or [])
        assert largest.as_py() == (pytest.approx(sizes.max(), rel=1e-6) if len(sizes) else None)


def test_the_tensor_is_that_of_room_temperature(rows, found):
    row = rows.to_pylist()[rows["material_id"].to_pylist().index("helix")]
    at_300 = np.reshape(row["tensor"], (-1, 3, 3))[row["temperatures"].index(300.0)]
    index = found["material_id"].to_pylist().index("helix")
    assert found["tensor_norm"][index].as_py() == pytest.approx(np.linalg.norm(at_300), rel=1e-6)
    assert found["pseudoscalar"][index].as_py() == pytest.approx(np.trace(at_300) / 3, rel=1e-6)


def test_a_tensor_that_symmetry_forbids_is_zero(found):
    index = found["material_id"].to_pylist().index("zincblende")
    assert found["tensor_components"][index].as_py() == ""
    assert found["tensor_norm"][index].as_py() == 0.0


def test_what_was_not_computed_is_empty(found):
    index = found["material_id"].to_pylist().index("copper")
    for name in ("score", "tensor_norm", "largest_splitting", "stable", "nac"):
        assert found[name][index].as_py() is None


def test_the_file_holds_the_table_with_the_best_score_first(found, tmp_path):
    written = pq.read_table(write_table(found, tmp_path / "t.parquet"))
    assert written.sort_by("material_id").equals(found.sort_by("material_id"))
    scores = [score for score in written["score"].to_pylist() if score is not None]
    assert scores == sorted(scores, reverse=True)
    assert written["score"][0].as_py() is not None


def test_rows_of_skipped_crystals_carry_the_potential_of_the_run(datasets):
    sources = open_sources(datasets)
    tables = [read_catalogue_rows(source, NEEDED) for source in sources]
    names = name_variants(sources, tables)
    assert [len(set(column)) for column in names] == [1, 1]


def test_labels_of_equal_folder_names_differ(datasets, tmp_path):
    (tmp_path / "first").symlink_to(datasets[1])
    labels = [source.label for source in open_sources([datasets[0], datasets[1], datasets[0]])]
    assert len(set(labels)) == 3


def test_columns_that_an_older_program_did_not_write_are_empty(datasets, tmp_path):
    old = pq.read_table(datasets[0] / "catalog" / "chirality.parquet").drop(["nac", "score"])
    (tmp_path / "catalog").mkdir()
    pq.write_table(old, tmp_path / "catalog" / "chirality.parquet")
    [source] = open_sources([tmp_path])
    rows = read_catalogue_rows(source, NEEDED)
    assert rows["nac"].null_count == rows["score"].null_count == len(old)
    read = [row for batch in read_catalogue_batches(source, 2) for row in batch]
    assert [row["material_id"] for row in read] == rows["material_id"].to_pylist()
    assert all(row["score"] is None for row in read)
