"""Jobs that follow a screening: upkeep of its dataset, and publication."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from prefect.client.orchestration import get_client

from flows.labels import make_artifact_key
from flows.publishing import SITE_URL, publish
from flows.upkeep import keep_up
from tasks.storage import Dataset
from tests.tasks.site.datasets import two_datasets


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return two_datasets(tmp_path_factory.mktemp("datasets"))


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Address of a folder that a web server of this machine serves."""
    handler = partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_site_is_published_again_with_the_pages_that_have_not_changed(server, folders, tmp_path):
    site = tmp_path / "site"
    assert publish(folders, site, workers=1) == 7
    pages = {path: path.stat().st_mtime_ns for path in (site / "materials").rglob("*.json")}
    assert pages
    assert publish(folders, site, workers=2) == 7
    assert {path: path.stat().st_mtime_ns for path in pages} == pages


def test_the_address_of_a_site_is_a_link_that_opens(server, folders, tmp_path, monkeypatch):
    site = tmp_path / "site"
    with served(tmp_path) as address:
        monkeypatch.setenv(SITE_URL, f"{address}site/")
        publish(folders, site, workers=1)
        with get_client(sync_client=True) as client:
            [link] = [
                a for a in client.read_artifacts() if a.key == make_artifact_key("site", site)
            ]
            [run] = [run for run in client.read_flow_runs() if run.id == link.flow_run_id]
        url = re.search(r"\((http.*)\)", link.data).group(1)
        assert "<html" in httpx.get(url).raise_for_status().text
    assert run.state.message == f"7 pages in {site}"


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
