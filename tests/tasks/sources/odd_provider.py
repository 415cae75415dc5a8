"""A provider on this machine whose answers do not obey OPTIMADE."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from tasks.sources import paging
from tests.tasks.sources.containers import CRYSTALS, optimade_entry

NAME = next(iter(CRYSTALS))
LINK = "structures?page_offset={}"


def entry(number: int) -> dict[str, Any]:
    """The same crystal under many names."""
    return optimade_entry(f"{NAME}-{number}", CRYSTALS[NAME])


# What a page of a number holds, by the first part of the address.
PAGES: dict[str, Callable[[int], dict[str, Any]]] = {
    "loop": lambda _: {"data": [entry(0)], "links": {"next": LINK.format(0)}},
    "ring": lambda n: {"data": [entry(n)], "links": {"next": LINK.format((n + 1) % 3)}},
    "same": lambda n: {"data": [entry(0)], "links": {"next": LINK.format(n + 1)}},
    "empty": lambda n: {
        "data": [] if n else [entry(0)],
        "links": {"next": LINK.format(n + 1)},
    },
    "gap": lambda n: {
        "data": [entry(n)] if n in {0, 2} else [],
        "links": {"next": LINK.format(n + 1) if n < 3 else None},
    },
    "none": lambda _: {"data": [], "links": {"next": None}},
    "more": lambda _: {"data": [entry(0)], "meta": {"more_data_available": True}},
    "counted": lambda _: {"data": [entry(0)], "links": {}, "meta": {"data_returned": 500}},
    "misspelt": lambda _: {
        "data": [entry(0)],
        "links": {"next_page": LINK.format(1)},
        "meta": {"more_data_available": True, "data_returned": 2},
    },
    "odd": lambda _: {"data": [entry(0)], "links": [1], "meta": "none"},
    "file": lambda _: {"data": [entry(0)], "links": {"next": "file:///etc/passwd"}},
    "abroad": lambda n: {
        "data": [entry(n)],
        "links": {"next": f"{Provider.elsewhere}/end/v1/{LINK.format(1)}"},
    },
    "end": lambda n: {"data": [entry(n)], "links": {"next": None}},
}


class Provider(BaseHTTPRequestHandler):
    """Answers that do not obey OPTIMADE."""

    asked: ClassVar[list[str]] = []
    elsewhere: ClassVar[str] = ""

    def do_GET(self):
        parts = urlsplit(self.path)
        kind = parts.path.split("/")[1]
        self.asked.append(self.path)
        number = int(parse_qs(parts.query).get("page_offset", ["0"])[0])
        if kind == "sent-on":
            self.send_response(302)
            self.send_header("Location", f"{self.elsewhere}/end/v1/structures")
            self.end_headers()
        elif kind == "slow":
            self.trickle(b"HTTP/1.0 200 OK\r\n\r\n", b"{" * 10_000)
        elif kind == "slow-headers":
            self.trickle(b"HTTP/1.0 200 OK\r\n", b"X-Header: 1\r\n" * 1000)
        elif kind == "cut":
            body = json.dumps(PAGES["end"](number)).encode()
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            self.wfile.write(body[: 60 if len(self.asked) < 3 else None])
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(PAGES[kind](number)).encode())

    def trickle(self, begin: bytes, rest: bytes) -> None:
        """Send a byte now and then, so that no silence is ever long."""
        self.wfile.write(begin)
        try:
            for byte in rest:
                self.wfile.write(bytes([byte]))
                time.sleep(0.02)
        except OSError:
            pass

    def log_message(self, *_):
        pass


@pytest.fixture
def serve(monkeypatch) -> Iterator[Callable[[], str]]:
    """Starts servers on this machine: their addresses."""
    monkeypatch.setattr(paging, "_FIRST_WAIT", 0.001)
    monkeypatch.setattr(Provider, "asked", [])
    servers = []

    def start() -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def url(serve) -> str:
    return serve()
