"""Pages of a provider are saved as they arrive, and fetching continues where it stopped."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from tasks.failures import RemediableError
from tasks.sources import optimade, paging, parsed, raw_records
from tasks.sources.optimade import Query, fetch
from tests.tasks.sources.containers import CRYSTALS, optimade_entry

NAMES = list(CRYSTALS)


class Provider(BaseHTTPRequestHandler):
    """One structure per page, links of both kinds, and failures on demand."""

    asked: ClassVar[list[str]] = []
    failing: ClassVar[dict[str, list[int]]] = {}

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        offset = query.get("page_offset", ["0"])[0]
        self.asked.append(self.path)
        if self.failing.get(offset):
            code = self.failing[offset].pop(0)
            errors = {"errors": [{"status": str(code), "detail": "told by the provider"}]}
            self.answer(code, json.dumps(errors))
        elif not urlsplit(self.path).path.endswith("/v1/structures"):
            self.answer(200, "<html>")
        else:
            self.answer(200, json.dumps(self.page(int(offset))))

    def page(self, offset):
        following = f"structures?page_offset={offset + 1}"
        absolute = {"href": f"http://{self.headers['Host']}/db/v1/{following}", "meta": {}}
        link = None if offset + 1 == len(NAMES) else following if offset else absolute
        name = NAMES[offset]
        return {
            "data": [optimade_entry(name, CRYSTALS[name])],
            "links": {"next": link},
            "meta": {"provider": {"name": "Example", "prefix": "ex"}, "api_version": "1.2.0"},
        }

    def answer(self, code, text):
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def provider(monkeypatch):
    monkeypatch.setattr(paging, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(Provider, "asked", [])
    monkeypatch.setattr(Provider, "failing", {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/db"
    server.shutdown()
    thread.join()
    server.server_close()


def test_all_pages_become_one_source(provider, tmp_path):
    assert list(fetch(Query(provider, "nelements<3"), tmp_path / "pages")) == [1, 1, 1]
    records = [parsed(raw) for raw in raw_records(tmp_path / "pages")]
    assert [record.material_id for record in records] == NAMES
    assert {record.provenance.database for record in records} == {"Example"}
    assert records[0].atoms.get_volume() == pytest.approx(CRYSTALS[NAMES[0]].get_volume())
    asked = parse_qs(urlsplit(Provider.asked[0]).query)
    assert asked["filter"] == ["nelements<3"]
    assert "cartesian_site_positions" in asked["response_fields"][0]


def test_fetching_continues_where_it_stopped(provider, tmp_path):
    query = Query(provider)
    assert list(fetch(query, tmp_path, max_pages=1)) == [1]
    assert list(fetch(query, tmp_path)) == [1, 1]
    assert list(fetch(query, tmp_path)) == []
    assert len(Provider.asked) == 3


def test_what_passes_is_tried_again(provider, tmp_path):
    Provider.failing["1"] = [503, 429]
    assert list(fetch(Query(provider), tmp_path)) == [1, 1, 1]


def test_a_failure_keeps_the_pages_so_far(provider, tmp_path):
    Provider.failing["2"] = [400]
    with pytest.raises(RemediableError, match="HTTP 400: told by the provider"):
        list(fetch(Query(provider), tmp_path))
    assert len(list(raw_records(tmp_path))) == 2
    assert list(fetch(Query(provider), tmp_path)) == [1]


def test_pages_of_two_queries_are_not_mixed(provider, tmp_path):
    list(fetch(Query(provider), tmp_path, max_pages=1))
    with pytest.raises(RemediableError, match="another query"):
        list(fetch(Query(provider, "nelements=1"), tmp_path))


def test_what_is_no_provider_is_told(provider, tmp_path, monkeypatch):
    monkeypatch.setattr(optimade.Query, "url", property(lambda q: f"{q.base_url}/page"))
    with pytest.raises(RemediableError, match="did not answer with JSON"):
        list(fetch(Query(provider), tmp_path))


@pytest.mark.parametrize("url", ["file:///etc", "ftp://example.org", "nonsense"])
def test_only_the_web_is_asked(tmp_path, url):
    with pytest.raises(RemediableError, match="no web address"):
        list(fetch(Query(url), tmp_path))
