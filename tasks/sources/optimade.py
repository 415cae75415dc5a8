"""Structures of any database that speaks OPTIMADE, saved page by page as they arrive.

The pages are kept as the provider sent them; `tasks.sources.raw_records` reads their folder.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urljoin

from tasks.sources.paging import Client, claim, read_page, save_page, saved_pages

_FIELDS: Final = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species_at_sites",
    "species",
    "dimension_types",
)
_CLIENT: Final = Client("an OPTIMADE provider", "chiralscreen (OPTIMADE client)")


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
    claim(folder, query.url)
    pages = saved_pages(folder)
    last = read_page(pages[-1], _CLIENT.name) if pages else None
    number, url = len(pages), _next_url(last, query.url) if last else query.url
    while url and (max_pages is None or number < max_pages):
        content, page = _CLIENT.page(url)
        number += 1
        save_page(content, folder, number)
        yield len(page["data"])
        url = _next_url(page, url)


def _next_url(page: Mapping[str, Any], url: str) -> str | None:
    """URL of the page after one; a link is a text or an object, absolute or not."""
    link = (page.get("links") or {}).get("next")
    link = link.get("href") if isinstance(link, Mapping) else link
    return urljoin(url, str(link)) if link else None
