"""A web server for one folder, on this machine only."""

from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from tasks.failures import RemediableError

_LOOPBACK = "127.0.0.1"
_NAMES = frozenset({_LOOPBACK, "localhost"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""Content security policy of the site: nothing from elsewhere, no inline code."""


def site_server(folder: Path, port: int = 8000) -> ThreadingHTTPServer:
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
        When the folder holds no site.
    """
    if not (folder / "site.json").is_file():
        message = f"{folder} holds no site"
        raise RemediableError(message, "write one with `chiralscreen catalogue`")
    handler = partial(_Handler, directory=str(folder.resolve()))
    return ThreadingHTTPServer((_LOOPBACK, port), handler)


class _Handler(SimpleHTTPRequestHandler):
    """Files of the folder, quietly, to those who ask for this machine by name."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".parquet": "application/vnd.apache.parquet",
        ".cif": "chemical/x-cif",
        ".cff": "text/yaml",
        ".xz": "application/x-xz",
    }

    def send_head(self) -> BytesIO | BinaryIO | None:
        # Another site's name that resolves to this machine must not reach its files.
        if self.headers.get("Host", "").rpartition(":")[0] not in _NAMES:
            self.send_error(HTTPStatus.FORBIDDEN, "ask for localhost")
            return None
        root = Path(self.directory)
        if not Path(self.translate_path(self.path)).resolve().is_relative_to(root):
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

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
