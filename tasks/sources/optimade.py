"""Structures of any database that speaks OPTIMADE, saved page by page as they arrive.

The pages are kept as the provider sent them; `tasks.sources.raw_records` reads their folder.
"""

import gzip
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urljoin, urlsplit

from tasks.failures import RemediableError
from tasks.sources.json_text import json_value

_FIELDS: Final = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species_at_sites",
    "species",
    "dimension_types",
)
_QUERY_FILE = ".query.json"
_MAX_BYTES = 2**28
_TIMEOUT = 60.0  # s
_ATTEMPTS = 5
_FIRST_WAIT = 1.0  # s; doubles with each attempt
_LONGEST_WAIT = 120.0  # s
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_AGENT = "chiralscreen (OPTIMADE client)"


@dataclass(frozen=True)
class Query:
    """What to ask a provider.

    Attributes
    ----------
    base_url : str
        Base URL of the provider, with or without ``/v1``.
    filter : str
        In the filter language of OPTIMADE, such as ``elements HAS "Te" AND nelements=1``; empty for
        everything.
    page_limit : int
        Structures per page.
    fields : tuple of str
        Further fields, such as ``_mp_energy_above_hull``.
    """

    base_url: str
    filter: str = ""
    page_limit: int = 100
    fields: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """URL of the first page."""
        base = self.base_url.rstrip("/")
        base = base if base.endswith("/v1") else f"{base}/v1"
        asked = {
            "filter": self.filter,
            "page_limit": self.page_limit,
            "response_fields": ",".join((*_FIELDS, *self.fields)),
        }
        return f"{base}/structures?{urlencode({k: v for k, v in asked.items() if v})}"


def fetch(query: Query, folder: Path, *, max_pages: int | None = None) -> Iterator[int]:
    """Save the pages that answer a query; continue where an earlier call stopped.

    Parameters
    ----------
    query : Query
        What to ask.
    folder : pathlib.Path
        Where ``page-00001.json.gz`` and the others are written.
    max_pages : int, optional
        Stop after so many pages, those of earlier calls included.

    Yields
    ------
    int
        Number of structures on each new page.

    Raises
    ------
    RemediableError
        When the folder belongs to another query, or the provider does not answer as it should.
    """
    _claim(query, folder)
    pages = sorted(folder.glob("page-*.json.gz"))
    number, url = len(pages), _next_url(_read_page(pages[-1]), query.url) if pages else query.url
    while url and (max_pages is None or number < max_pages):
        content = _download(url)
        page = _checked(content, url)
        number += 1
        _save(content, folder / f"page-{number:05d}.json.gz")
        yield len(page["data"])
        url = _next_url(page, url)


def _claim(query: Query, folder: Path) -> None:
    """Write the query into a new folder; refuse a folder of another one."""
    folder.mkdir(parents=True, exist_ok=True)
    file, text = folder / _QUERY_FILE, json.dumps({"url": query.url})
    if not file.exists():
        file.write_text(text, encoding="utf-8")
    elif file.read_text(encoding="utf-8") != text:
        message = f"{folder} holds the pages of another query"
        raise RemediableError(message, "give a new folder, or the same query")


def _next_url(page: Mapping[str, Any], url: str) -> str | None:
    """URL of the page after one; a link is a text or an object, absolute or not."""
    link = (page.get("links") or {}).get("next")
    link = link.get("href") if isinstance(link, Mapping) else link
    return urljoin(url, str(link)) if link else None


def _checked(content: bytes, url: str) -> Mapping[str, Any]:
    """Page of structures; refuse what is none."""
    try:
        page = json_value(content)
    except (ValueError, RecursionError) as error:
        message = f"{url} did not answer with JSON: {error}"
        raise RemediableError(message, "give the base URL of an OPTIMADE provider") from error
    if not isinstance(page, dict) or not isinstance(page.get("data"), list):
        message = f"{url} did not answer with a list of structures"
        raise RemediableError(message, "give the base URL of an OPTIMADE provider")
    return page


def _read_page(path: Path) -> Mapping[str, Any]:
    """Page saved by an earlier call."""
    with gzip.open(path, "rb") as stream:
        return _checked(stream.read(_MAX_BYTES), str(path))


def _save(content: bytes, path: Path) -> None:
    """Write a page such that a killed process leaves all of it or nothing."""
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(gzip.compress(content, mtime=0))
    temporary.replace(path)


def _download(url: str) -> bytes:
    """Content of a page; what may pass is tried again, later and later."""
    for attempt in range(_ATTEMPTS):
        try:
            return _content(url)
        except urllib.error.HTTPError as error:
            detail, wait = _told(error), error.headers.get("Retry-After", "")
            if error.code not in _PASSING:
                break
        except OSError as error:
            detail, wait = str(error), ""
        if attempt < _ATTEMPTS - 1:
            seconds = float(wait) if wait.isdigit() else _FIRST_WAIT * 2**attempt
            time.sleep(min(seconds, _LONGEST_WAIT))
    message = f"{url} could not be read: {detail}"
    raise RemediableError(message, "check URL and filter; call again later to continue")


def _content(url: str) -> bytes:
    """Content of an answer of reasonable size."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise RemediableError(f"{url} is no web address", "give a URL with http:// or https://")
    headers = {"User-Agent": _AGENT, "Accept": "application/vnd.api+json, application/json"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme is checked
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
        content: bytes = answer.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise RemediableError(f"{url} sent more than {_MAX_BYTES} bytes", "ask for smaller pages")
    return content


def _told(error: urllib.error.HTTPError) -> str:
    """What the provider says, as OPTIMADE prescribes, of an error."""
    try:
        errors: Sequence[Mapping[str, str]] = json.loads(error.read(2**16))["errors"]
        return f"HTTP {error.code}: {errors[0].get('detail') or errors[0].get('title')}"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return f"HTTP {error.code}"
