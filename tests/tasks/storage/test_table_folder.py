"""Tables alone: a catalogue that somebody copied, whole or in part."""

import shutil

import pyarrow.parquet as pq
import pytest

from tasks.results.building import build_catalog
from tasks.storage import CATALOG_TABLES, Dataset, TableFolder, open_tables
from tests.tasks.storage import samples


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    """Five materials with results."""
    found = samples.screened(tmp_path_factory.mktemp("dataset"), range(1, 6))
    build_catalog(found)
    return found


@pytest.fixture(params=["bare", "in a catalogue"])
def tables(request, dataset, tmp_path) -> TableFolder:
    """The tables of the catalogue, as files or in the folder they had."""
    place = tmp_path if request.param == "bare" else tmp_path / "catalog"
    shutil.copytree(dataset.root / "catalog", place, dirs_exist_ok=True)
    return TableFolder(tmp_path)


def test_a_folder_with_receipts_is_a_dataset_and_any_other_one_is_not(dataset, tables):
    assert open_tables(dataset.root) == dataset
    assert open_tables(tables.root) == tables


@pytest.mark.parametrize("table", sorted(set(CATALOG_TABLES) - {"chirality"}))
def test_rows_are_those_of_the_dataset(dataset, tables, table):
    """In the order of the catalogue; the parts have one of their own."""
    names = list(CATALOG_TABLES[table].identity)
    ours, theirs = (
        source.read(table).sort_by([(n, "ascending") for n in names])
        for source in (tables, dataset)
    )
    assert ours.to_pylist() == theirs.to_pylist()
    assert tables.list_missing_columns(table) == []


def test_rows_are_chosen_by_key_and_material(dataset, tables):
    keys = [samples.key("relaxation", n) for n in (2, 4)]
    for chosen in ({"keys": keys}, {"material_ids": [samples.material(2), samples.material(4)]}):
        found = tables.read("relaxations", **chosen, columns=["material_id", "energy"])
        assert found.column_names == ["material_id", "energy"]
        assert sorted(found["material_id"].to_pylist()) == [samples.material(n) for n in (2, 4)]
    both = tables.read("relaxations", keys=keys, material_ids=[samples.material(4)])
    assert both["material_id"].to_pylist() == [samples.material(4)]


def test_a_table_that_is_not_there_has_no_rows_but_all_columns(tables):
    tables.get_file("force_constants").unlink()
    assert not tables.has_table("force_constants")
    found = tables.read("force_constants", keys=["any"])
    assert (found.num_rows, tuple(found.column_names)) == (
        0,
        CATALOG_TABLES["force_constants"].names,
    )


def test_columns_that_are_not_there_are_empty(tables):
    file = tables.get_file("chirality")
    pq.write_table(pq.read_table(file).drop_columns(["helicity_dos", "score"]), file)
    assert tables.list_missing_columns("chirality") == ["helicity_dos", "score"]
    found = tables.read("chirality")
    assert tuple(found.column_names) == CATALOG_TABLES["chirality"].names
    assert found["score"].null_count == found.num_rows == 5


def test_all_rows_pass_by_in_their_order(tables):
    batches = list(tables.scan("chirality", 2))
    assert [batch.num_rows for batch in batches] == [2, 2, 1]
    names = [name for batch in batches for name in batch["material_id"].to_pylist()]
    assert names == tables.read("chirality")["material_id"].to_pylist()


def test_without_materials_there_is_nothing_to_read(tables):
    tables.get_file("chirality").unlink()
    with pytest.raises(FileNotFoundError, match="chirality"):
        tables.read("chirality")
