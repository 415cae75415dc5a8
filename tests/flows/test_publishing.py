"""Jobs that follow a screening: upkeep of its dataset, and publication."""

import os

import pytest

from flows.publishing import publish
from flows.upkeep import keep_up
from tasks.storage import Dataset
from tests.tasks.site.datasets import two_datasets


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return two_datasets(tmp_path_factory.mktemp("datasets"))


def test_a_site_is_published_again_with_the_pages_that_have_not_changed(server, folders, tmp_path):
    site = tmp_path / "site"
    assert publish(folders, site, workers=1) == 7
    pages = {path: path.stat().st_mtime_ns for path in (site / "materials").rglob("*.json")}
    assert pages
    assert publish(folders, site, workers=2) == 7
    assert {path: path.stat().st_mtime_ns for path in pages} == pages


def test_upkeep_keeps_every_row_and_tells_of_damage(server, folders):
    dataset = Dataset(folders[0])
    before = dataset.read("modes").num_rows
    left, at_work = (folders[0] / ".watch" / f"run-{name}.txt" for name in ("killed", "alive"))
    left.parent.mkdir(exist_ok=True)
    for log in (left, at_work):
        log.write_text("")
    os.utime(left, (0, 0))
    assert keep_up(folders[0]) == []
    assert [*left.parent.iterdir()] == [at_work]
    assert keep_up(folders[0], prune_after_days=0.0) == []
    assert dataset.read("modes").num_rows == before
    part = next((folders[0] / "parts" / "modes").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-9])
    [problem] = keep_up(folders[0])
    assert part.name in problem
