"""A provider of OPTIMADE on this machine."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from tasks.sources import paging
from tests.tasks.sources.containers import CRYSTALS, optimade_entry

NAMES = list(CRYSTALS)


class Provider(BaseHTTPRequestHandler):
    """One structure per page, links of both kinds, and failures on demand."""

    asked: ClassVar[list[str]] = []
    failing: ClassVar[dict[str, list[int]]] = {}
    names: ClassVar[list[str]] = NAMES

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
        link = None if offset + 1 == len(self.names) else following if offset else absolute
        name = self.names[offset]
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
