"""Datasets of every schema version that was ever released stay readable."""

import json
import shutil
from pathlib import Path

import pytest

from tasks.results.building import build_catalog
from tasks.storage import SCHEMA_VERSION, TABLES, Dataset, upgrade_receipts
from tests.tasks.storage.make_fixture import FIXTURES, expected_rows

VERSIONS = sorted(path for path in FIXTURES.iterdir() if path.is_dir())


def upgraded(folder: Path, copy: Path) -> Dataset:
    """A copy of an old dataset, as its owner reads it from now on."""
    dataset = Dataset(shutil.copytree(folder, copy))
    assert upgrade_receipts(dataset.root, print) == (len(list(folder.glob("receipts/*.json"))), [])
    return dataset


def test_every_version_has_its_fixture() -> None:
    """A new schema version comes with a dataset written in it."""
    expected = [f"version_{number}" for number in range(1, SCHEMA_VERSION + 1)]
    assert [path.name for path in VERSIONS] == expected


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda path: path.name)
def test_old_dataset_is_read_with_all_its_values(folder: Path, tmp_path: Path) -> None:
    """Old rows keep their values; columns added since are nullable, and empty there."""
    stored = json.loads(folder.with_suffix(".json").read_text(encoding="utf-8"))
    found = expected_rows(upgraded(folder, tmp_path / "copy"))
    for table, rows in stored.items():
        old = set(rows[0])
        for row, expected in zip(found[table], rows, strict=True):
            assert {name: row[name] for name in old} == expected
            assert not [name for name in row.keys() - old if row[name] is not None]
        assert all(TABLES[table].column(name).nullable for name in set(TABLES[table].names) - old)


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda path: path.name)
def test_old_dataset_is_sound_and_can_be_gone_on_with(folder: Path, tmp_path: Path) -> None:
    """Its receipts hold, and a catalogue can be built from it."""
    dataset = upgraded(folder, tmp_path / "copy")
    assert dataset.verify() == []
    assert dataset.list_succeeded_keys("relaxation") == {"r1", "r2"}
    assert dataset.list_done_keys("relaxation") == {"r1", "r2"}
    assert set(build_catalog(dataset)) == set(TABLES)
