"""Pages of a provider on the web: read with patience, saved as they arrive, continued later."""

import gzip
import hashlib
import http.client
import ipaddress
import json
import queue
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit

from tasks.failures import RemediableError
from tasks.sources.json_text import parse_json

RUN_SECONDS: Final = 12 * 3600.0
"""Time after which a run ends, unless it is told another one."""

_QUERY_FILE: Final = ".query.json"
_MARKS_FILE: Final = ".asked.txt"
_MAX_BYTES: Final = 2**28
_MAX_PAGES: Final = 99_999  # five digits, so that the order of names is that of pages
_MAX_EMPTY: Final = 3
_TIMEOUT = 60.0  # s without a byte
_PAGE_SECONDS = 600.0  # for a page, all attempts together
_PIECE: Final = 2**16
_ATTEMPTS: Final = 5
_FIRST_WAIT = 1.0  # s; doubles with each attempt
_LONGEST_WAIT: Final = 120.0  # s
_PASSING: Final = {408, 425, 429, 500, 502, 503, 504}
_FINAL: Final = (ssl.SSLCertVerificationError, UnicodeError, http.client.InvalidURL)
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Client:
    """How a provider is asked.

    Attributes
    ----------
    name : str
        What answers, for messages: "an OPTIMADE provider".
    agent : str
        Name of the program, for the provider.
    home : str
        Address that the user gave; links and redirections stay at its host.
    hosts : tuple of str
        Further hosts that may be asked, as ``name`` or ``name:port``.
    seconds : float
        Time of the whole run.
    secret : tuple of str, optional
        Name and value of a header that nobody else may see: it is sent neither to the target of a
        redirection nor, in the clear, to another machine, and is in no message.
    """

    name: str
    agent: str
    home: str
    hosts: tuple[str, ...] = ()
    seconds: float = RUN_SECONDS
    secret: tuple[str, str] | None = None
    _began: float = field(default_factory=time.monotonic)

    def __repr__(self) -> str:
        """Without the secret, which tracebacks and logs would show otherwise."""
        return f"Client(name={self.name!r})"

    def download_page(self, url: str) -> tuple[bytes, Mapping[str, Any]]:
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
            When the provider does not answer as it should, or not in time, or leads elsewhere.
        """
        content = self._download(url)
        return content, parse_page(content, url, self.name)

    def require_allowed(self, url: str) -> None:
        """Refuse addresses that the user would not expect to be asked.

        Parameters
        ----------
        url : str
            Address that a page or a redirection names.

        Raises
        ------
        RemediableError
            For another host than the user's, unless it was allowed; for this machine or a private
            network, unless the user's own address is there.
        """
        home, parts = _split_url(self.home), _split_url(url)
        if {parts.hostname, parts.netloc} & set(self.hosts):
            return
        if not _is_same_host(parts, home):
            message = f"{self.name} leads from {home.netloc} to {parts.scheme}://{parts.netloc}"
            remedy = f"if you trust it, give that address, or --allow-host {parts.netloc}"
            raise RemediableError(message, remedy)
        if not self._is_home_private and _is_private(parts.hostname):
            message = f"{parts.hostname} has become an address of a private network"
            raise RemediableError(message, f"if you trust it, --allow-host {parts.netloc}")

    @cached_property
    def _is_home_private(self) -> bool:
        return _is_private(_split_url(self.home).hostname)

    def _download(self, url: str) -> bytes:
        """Content of an answer, after some attempts."""
        self.require_allowed(url)
        end = time.monotonic() + _PAGE_SECONDS
        for attempt in range(_ATTEMPTS):
            try:
                return _run_within(
                    self._count_seconds_left(end), lambda: self._read_content(url, end)
                )
            except (OSError, http.client.HTTPException, UnicodeError) as error:
                detail, pause = _describe_error(error), _choose_pause(error, attempt)
            if pause is None or attempt == _ATTEMPTS - 1 or time.monotonic() + pause > end:
                break
            time.sleep(min(pause, self._count_seconds_left(end)))
        secret = self.secret[1] if self.secret else ""
        told = detail.replace(secret, "(key)") if secret else detail
        remedy = "check URL, query and key; call again later to continue"
        raise RemediableError(f"{url} could not be read: {told}", remedy)

    def _count_seconds_left(self, end: float) -> float:
        """Time until a page must be there."""
        now = time.monotonic()
        if now >= self._began + self.seconds:
            message = f"the time of this run is over ({self.seconds / 3600:g} h)"
            raise RemediableError(message, "the same command continues; --hours allows more")
        return max(min(end, self._began + self.seconds) - now, 0.0)

    def _read_content(self, url: str, end: float) -> bytes:
        """Content of an answer of reasonable size."""
        opener = urllib.request.build_opener(_Redirections(self))
        content = bytearray()
        with opener.open(self._make_request(url), timeout=_TIMEOUT) as answer:
            while piece := answer.read1(_PIECE):
                content += piece
                if len(content) > _MAX_BYTES:
                    message = f"{url} sent more than {_MAX_BYTES} bytes"
                    raise RemediableError(message, "ask for smaller pages")
                if time.monotonic() > end:
                    raise TimeoutError
            if answer.length:
                raise http.client.IncompleteRead(bytes(content), answer.length)
        return bytes(content)

    def _make_request(self, url: str) -> urllib.request.Request:
        """Request, with the secret where it is safe."""
        parts = _split_url(url)
        headers = {"User-Agent": self.agent, "Accept": "application/vnd.api+json, application/json"}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme is checked
        if self.secret:
            if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
                message = f"the key would travel in the clear to {parts.hostname}"
                raise RemediableError(message, "give a URL with https://")
            request.add_unredirected_header(*self.secret)
        return request


@dataclass(eq=False)
class _Redirections(urllib.request.HTTPRedirectHandler):
    """Redirections to where a client may go."""

    client: Client

    def redirect_request(self, *told: Any) -> urllib.request.Request | None:  # noqa: ANN401 - as inherited
        """Judge the address before anything is sent there."""
        self.client.require_allowed(told[-1])
        return super().redirect_request(*told)


def resolve_link(link: object, url: str) -> str | None:
    """Address that a link on a page names.

    Parameters
    ----------
    link : object
        A text, or a mapping with ``href``; absolute or not.
    url : str
        Address of the page.

    Returns
    -------
    str or None
        None where there is no link. A page that came over TLS leads over TLS to its own host,
        whatever a server behind a proxy believes.
    """
    told = link.get("href") if isinstance(link, Mapping) else link
    if not told:
        return None
    found = urljoin(url, str(told))
    parts, here = _split_url(found), _split_url(url)
    is_insecure = (here.scheme, parts.scheme) == ("https", "http")
    if is_insecure and parts.hostname == here.hostname and parts.port in {None, 80}:
        return parts._replace(scheme="https", netloc=here.netloc).geturl()
    return found


@dataclass
class PageFolder:
    """Folder of the pages of one query; made with the first page that arrives.

    Attributes
    ----------
    folder : pathlib.Path
        Where pages are saved.
    query : str
        What was asked.
    name : str
        What answers, for messages.
    number : int
        Pages saved so far.
    marks : set of str
        Digests of the addresses and the contents of pages so far.
    n_empty : int
        Empty pages that came one after another.
    """

    folder: Path
    query: str
    name: str
    number: int = 0
    marks: set[str] = field(default_factory=set)
    n_empty: int = 0

    @classmethod
    def open(cls, folder: Path, query: str, name: str) -> "PageFolder":
        """Open a folder; refuse one with the pages of another query.

        Parameters
        ----------
        folder : pathlib.Path
            It need not exist.
        query, name : str
            As the attributes.

        Returns
        -------
        PageFolder
            With what earlier calls saved.

        Raises
        ------
        RemediableError
            When the folder belongs to another query.
        """
        pages = cls(folder, query, name)
        pages.number = len(list_saved_pages(folder))
        if not pages.number:
            return pages
        if (folder / _QUERY_FILE).read_text(encoding="utf-8") != pages._claim:
            message = f"{folder} holds the pages of another query"
            raise RemediableError(message, "give a new folder, or the same query")
        if (marks := folder / _MARKS_FILE).exists():
            pages.marks = set(marks.read_text(encoding="ascii").split())
        return pages

    @property
    def _claim(self) -> str:
        return json.dumps({"url": self.query})

    def read_last_page(self) -> Mapping[str, Any] | None:
        """Read the last page of earlier calls.

        Returns
        -------
        mapping or None
            With a list under ``data``; None where there is no page.
        """
        return read_page(list_saved_pages(self.folder)[-1], self.name) if self.number else None

    def count(self) -> int:
        """Count the structures on all pages.

        Returns
        -------
        int
            Their number; every page is read.
        """
        return sum(
            len(read_page(path, self.name)["data"]) for path in list_saved_pages(self.folder)
        )

    def has_room(self, max_pages: int | None) -> bool:
        """Tell whether a further page is wanted.

        Parameters
        ----------
        max_pages : int or None
            Pages wanted at most.

        Returns
        -------
        bool
            False where so many are there.

        Raises
        ------
        RemediableError
            When there are more pages than a folder can have.
        """
        if max_pages is not None and self.number >= max_pages:
            return False
        if self.number >= _MAX_PAGES:
            message = f"{self.name} has more than {_MAX_PAGES} pages"
            raise RemediableError(message, "ask for larger pages, or a narrower query")
        return True

    def add(self, content: bytes, page: Mapping[str, Any], url: str) -> bool:
        """Save a page that brings something.

        Parameters
        ----------
        content : bytes
            What is saved.
        page : mapping
            As it was answered, with a list under ``data``.
        url : str
            Its address.

        Returns
        -------
        bool
            Whether it was saved: an empty page is passed over, unless it is the first.

        Raises
        ------
        RemediableError
            When the provider goes in circles.
        """
        self.n_empty = 0 if page["data"] else self.n_empty + 1
        if self.n_empty >= _MAX_EMPTY:
            raise self._make_circle_error(
                f"sent {self.n_empty} empty pages in turn, and names a next one"
            )
        marks = (
            {_compute_mark(url), _compute_mark(repr(page["data"]))}
            if page["data"]
            else {_compute_mark(url)}
        )
        if marks & self.marks:
            raise self._make_circle_error(
                "sent a page again that it had sent before, as the next one"
            )
        self.marks |= marks
        if not page["data"] and self.number:
            return False
        self._save(content, marks)
        return True

    def _save(self, content: bytes, marks: set[str]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.number:
            (self.folder / _QUERY_FILE).write_text(self._claim, encoding="utf-8")
            (self.folder / _MARKS_FILE).unlink(missing_ok=True)
        self.number += 1
        save_page(content, self.folder, self.number)
        with (self.folder / _MARKS_FILE).open("a", encoding="ascii") as stream:
            stream.writelines(f"{mark}\n" for mark in sorted(marks))

    def _make_circle_error(self, what: str) -> RemediableError:
        """Error of a provider whose pages do not come to an end."""
        return RemediableError(
            f"{self.name} {what}; pages saved: {self.number}",
            "what is saved may be all there is; tell the provider, or ask for other pages",
        )


def has_pages(folder: Path) -> bool:
    """Tell whether a folder was claimed for the pages of a query.

    Parameters
    ----------
    folder : pathlib.Path
        Any folder.

    Returns
    -------
    bool
        Whether a page of one is there, or was.
    """
    return (folder / _QUERY_FILE).exists()


def list_saved_pages(folder: Path) -> list[Path]:
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
        return parse_page(stream.read(_MAX_BYTES), str(path), name)


def parse_page(content: bytes, place: str, name: str) -> Mapping[str, Any]:
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
        page = parse_json(content)
    except ValueError as error:
        raise RemediableError(f"{place} did not answer with JSON: {error}", remedy) from error
    if not isinstance(page, dict) or not isinstance(page.get("data"), list):
        raise RemediableError(f"{place} did not answer with a list of structures", remedy)
    return page


def _split_url(url: str) -> SplitResult:
    """Parts of an address of the web."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise RemediableError(f"{url} is no web address", "give a URL with http:// or https://")
    return parts


def _is_same_host(parts: SplitResult, home: SplitResult) -> bool:
    """Whether an address is at the host of another one; TLS may be added, never left."""
    port, home_port = (p.port or _PORTS[p.scheme] for p in (parts, home))
    is_same = (parts.scheme, port) == (home.scheme, home_port)
    is_secured = (home.scheme, home_port, parts.scheme, port) == ("http", 80, "https", 443)
    return parts.hostname == home.hostname and (is_same or is_secured)


def _is_private(host: str | None) -> bool:
    """Whether a name stands for this machine or one of a private network."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False  # asking it will tell
    addresses = [ipaddress.ip_address(str(text).partition("%")[0]) for text in found]
    return any(not (getattr(a, "ipv4_mapped", None) or a).is_global for a in addresses)


def _run_within(seconds: float, action: Callable[[], bytes]) -> bytes:
    """Result of an action that may hang, in time or not at all."""
    results: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()

    def act() -> None:
        try:
            results.put(action())
        except Exception as error:  # noqa: BLE001 - raised below, in the caller's thread
            results.put(error)

    # It is abandoned if it hangs: even headers can come byte by byte without end.
    threading.Thread(target=act, daemon=True).start()
    try:
        result = results.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(result, Exception):
        raise result
    return result


def _compute_mark(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def _choose_pause(error: Exception, attempt: int) -> float | None:
    """Seconds until the next attempt; None where it would fail as well."""
    reason, wait = getattr(error, "reason", error), ""
    if isinstance(reason, socket.gaierror):
        is_final = reason.errno != socket.EAI_AGAIN
    else:
        is_final = isinstance(reason, _FINAL)
    if isinstance(error, urllib.error.HTTPError):
        is_final, wait = error.code not in _PASSING, error.headers.get("Retry-After", "")
    seconds = float(wait) if wait.isdigit() else _FIRST_WAIT * 2**attempt
    return None if is_final else min(seconds, _LONGEST_WAIT)


def _describe_error(error: Exception) -> str:
    """What an error of the network means."""
    if isinstance(error, urllib.error.HTTPError):
        return _read_provider_message(error)
    reason = getattr(error, "reason", error)
    if isinstance(reason, socket.gaierror):
        return "there is no such host, or no network"
    if isinstance(reason, TimeoutError):
        return "no complete answer in time"
    if isinstance(reason, ConnectionRefusedError):
        return "nothing answers there"
    return str(reason) or type(reason).__name__


def _read_provider_message(error: urllib.error.HTTPError) -> str:
    """What the provider says of an error, as OPTIMADE prescribes or in a word."""
    try:
        told = json.loads(error.read(2**16))
        errors: Sequence[Mapping[str, str]] = told.get("errors") or []
        said = (errors[0].get("detail") or errors[0].get("title")) if errors else told["detail"]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return f"HTTP {error.code}"
    return f"HTTP {error.code}: {said}"
