"""A web server for one folder, on this machine only."""

import re
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from tasks.failures import RemediableError

_LOOPBACK = "127.0.0.1"
# Browsers leave out the port 80.
_OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?", re.IGNORECASE)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""Content security policy of the site: nothing from elsewhere, no inline code."""


def make_site_server(folder: Path, port: int = 8000) -> ThreadingHTTPServer:
    """Server of a site; reachable from this machine only.

    Parameters
    ----------
    folder : pathlib.Path
        From `tasks.site.build.build_site`.
    port : int
        0 takes any free one.

    Returns
    -------
    http.server.ThreadingHTTPServer
        Bound; ``serve_forever`` starts it, ``server_address`` tells where.

    Raises
    ------
    RemediableError
        When the folder holds no site, or the port cannot be had.
    """
    if not (folder / "site.json").is_file():
        message = f"{folder} holds no site"
        raise RemediableError(message, "write one with `chiralscreen catalogue`")
    handler = partial(_Handler, directory=str(folder.resolve()))
    try:
        return ThreadingHTTPServer((_LOOPBACK, port), handler)
    except OSError as error:
        message = f"port {port} cannot be used: {error.strerror}"
        raise RemediableError(message, "choose another one, as in --port 8001") from error


class _Handler(SimpleHTTPRequestHandler):
    """Files of the folder, quietly, to those who ask for this machine by name."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".jsonl": "application/jsonl",
        ".parquet": "application/vnd.apache.parquet",
        ".cif": "chemical/x-cif",
        ".cff": "text/yaml",
        ".bib": "application/x-bibtex",
        ".xz": "application/x-xz",
    }

    def send_head(self) -> BytesIO | BinaryIO | None:
        # Another site's name that resolves to this machine must not reach its files.
        if not _OWN_HOST.fullmatch(self.headers.get("Host", "")):
            self.send_error(HTTPStatus.FORBIDDEN, "ask for localhost")
        elif refusal := self._find_refusal():
            self.send_error(refusal)
        else:
            return super().send_head()
        return None

    def _find_refusal(self) -> HTTPStatus | None:
        """Why a path is not looked for; None where it lies in the folder."""
        try:
            place = Path(self.translate_path(self.path)).resolve()
        except ValueError:  # a zero byte
            return HTTPStatus.BAD_REQUEST
        except (OSError, RuntimeError):  # a name too long, a circle of links
            return HTTPStatus.NOT_FOUND
        return None if place.is_relative_to(self.directory) else HTTPStatus.NOT_FOUND

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def list_directory(self, path: str | PathLike[str]) -> BytesIO | None:  # noqa: ARG002 - inherited
        self.send_error(HTTPStatus.NOT_FOUND)
        return None

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Say nothing."""
