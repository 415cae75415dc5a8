"""Pages of a provider on the web: read with patience, saved as they arrive, continued later."""

import gzip
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tasks.failures import RemediableError
from tasks.sources.json_text import json_value

_QUERY_FILE: Final = ".query.json"
_MAX_BYTES: Final = 2**28
_TIMEOUT: Final = 60.0  # s
_ATTEMPTS: Final = 5
_FIRST_WAIT = 1.0  # s; doubles with each attempt
_LONGEST_WAIT: Final = 120.0  # s
_PASSING: Final = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Client:
    """How a provider is asked.

    Attributes
    ----------
    name : str
        What answers, for messages: "an OPTIMADE provider".
    agent : str
        Name of the program, for the provider.
    secret : tuple of str, optional
        Name and value of a header that nobody else may see: it is sent neither to the target of a
        redirection nor, in the clear, to another machine, and is in no message.
    """

    name: str
    agent: str
    secret: tuple[str, str] | None = None

    def __repr__(self) -> str:
        """Without the secret, which tracebacks and logs would show otherwise."""
        return f"Client(name={self.name!r})"

    def page(self, url: str) -> tuple[bytes, Mapping[str, Any]]:
        """Download a page of structures; what may pass is tried again, later and later.

        Parameters
        ----------
        url : str
            Address of the page.

        Returns
        -------
        content : bytes
            As it was sent.
        page : mapping
            With a list under ``data``.

        Raises
        ------
        RemediableError
            When the provider does not answer as it should.
        """
        content = self._download(url)
        return content, checked_page(content, url, self.name)

    def _download(self, url: str) -> bytes:
        """Content of an answer, after some attempts."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._content(url)
            except urllib.error.HTTPError as error:
                detail, wait = _told(error), error.headers.get("Retry-After", "")
                if error.code not in _PASSING:
                    break
            except OSError as error:
                detail, wait = str(error), ""
            if attempt < _ATTEMPTS - 1:
                seconds = float(wait) if wait.isdigit() else _FIRST_WAIT * 2**attempt
                time.sleep(min(seconds, _LONGEST_WAIT))
        secret = self.secret[1] if self.secret else ""
        told = detail.replace(secret, "(key)") if secret else detail
        remedy = "check URL, query and key; call again later to continue"
        raise RemediableError(f"{url} could not be read: {told}", remedy)

    def _content(self, url: str) -> bytes:
        """Content of an answer of reasonable size."""
        with urllib.request.urlopen(self._request(url), timeout=_TIMEOUT) as answer:  # noqa: S310
            content: bytes = answer.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            message = f"{url} sent more than {_MAX_BYTES} bytes"
            raise RemediableError(message, "ask for smaller pages")
        return content

    def _request(self, url: str) -> urllib.request.Request:
        """Request, with the secret where it is safe."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"}:
            raise RemediableError(f"{url} is no web address", "give a URL with http:// or https://")
        headers = {"User-Agent": self.agent, "Accept": "application/vnd.api+json, application/json"}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme is checked
        if self.secret:
            if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
                message = f"the key would travel in the clear to {parts.hostname}"
                raise RemediableError(message, "give a URL with https://")
            request.add_unredirected_header(*self.secret)
        return request


def claim(folder: Path, url: str) -> None:
    """Write the query into a new folder; refuse a folder of another one.

    Parameters
    ----------
    folder : pathlib.Path
        Where pages are saved.
    url : str
        What was asked.

    Raises
    ------
    RemediableError
        When the folder belongs to another query.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file, text = folder / _QUERY_FILE, json.dumps({"url": url})
    if not file.exists():
        file.write_text(text, encoding="utf-8")
    elif file.read_text(encoding="utf-8") != text:
        message = f"{folder} holds the pages of another query"
        raise RemediableError(message, "give a new folder, or the same query")


def holds_pages(folder: Path) -> bool:
    """Tell whether a folder was claimed for the pages of a query.

    Parameters
    ----------
    folder : pathlib.Path
        Any folder.

    Returns
    -------
    bool
        Whether `claim` has been here.
    """
    return (folder / _QUERY_FILE).exists()


def saved_pages(folder: Path) -> list[Path]:
    """List the pages saved so far, in their order.

    Parameters
    ----------
    folder : pathlib.Path
        Where they are saved.

    Returns
    -------
    list of pathlib.Path
        ``page-00001.json.gz`` and the others.
    """
    return sorted(folder.glob("page-*.json.gz"))


def save_page(content: bytes, folder: Path, number: int) -> None:
    """Write a page such that a killed process leaves all of it or nothing.

    Parameters
    ----------
    content : bytes
        JSON.
    folder : pathlib.Path
        Where it is saved.
    number : int
        From 1.
    """
    path = folder / f"page-{number:05d}.json.gz"
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(gzip.compress(content, mtime=0))
    temporary.replace(path)


def read_page(path: Path, name: str) -> Mapping[str, Any]:
    """Read a page saved by an earlier call.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    name : str
        What had answered, for messages.

    Returns
    -------
    mapping
        With a list under ``data``.
    """
    with gzip.open(path, "rb") as stream:
        return checked_page(stream.read(_MAX_BYTES), str(path), name)


def checked_page(content: bytes, place: str, name: str) -> Mapping[str, Any]:
    """Parse a page of structures.

    Parameters
    ----------
    content : bytes
        JSON.
    place : str
        Where it is from.
    name : str
        What should have answered.

    Returns
    -------
    mapping
        With a list under ``data``.

    Raises
    ------
    RemediableError
        When it is none.
    """
    remedy = f"give the base URL of {name}"
    try:
        page = json_value(content)
    except ValueError as error:
        raise RemediableError(f"{place} did not answer with JSON: {error}", remedy) from error
    if not isinstance(page, dict) or not isinstance(page.get("data"), list):
        raise RemediableError(f"{place} did not answer with a list of structures", remedy)
    return page


def _told(error: urllib.error.HTTPError) -> str:
    """What the provider says of an error, as OPTIMADE prescribes or in a word."""
    try:
        told = json.loads(error.read(2**16))
        errors: Sequence[Mapping[str, str]] = told.get("errors") or []
        said = (errors[0].get("detail") or errors[0].get("title")) if errors else told["detail"]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return f"HTTP {error.code}"
    return f"HTTP {error.code}: {said}"
