"""Structures of any database that speaks OPTIMADE, saved page by page as they arrive.

The pages are kept as the provider sent them; `tasks.sources.read_raw_records` reads their folder.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from tasks.failures import RemediableError
from tasks.sources.paging import RUN_SECONDS, Client, PageFolder, resolve_link

_FIELDS: Final = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species_at_sites",
    "species",
    "dimension_types",
    "nperiodic_dimensions",
    "nsites",
    "structure_features",
    "assemblies",
)
_NAME: Final = "an OPTIMADE provider"
_AGENT: Final = "chiralscreen (OPTIMADE client)"


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


def fetch(
    query: Query,
    folder: Path,
    *,
    max_pages: int | None = None,
    hosts: tuple[str, ...] = (),
    seconds: float = RUN_SECONDS,
) -> Iterator[int]:
    """Save the pages that answer a query; continue where an earlier call stopped.

    Parameters
    ----------
    query : Query
        What to ask.
    folder : pathlib.Path
        Where ``page-00001.json.gz`` and the others are written; made with the first of them.
    max_pages : int, optional
        Stop after so many pages, those of earlier calls included.
    hosts : tuple of str
        Hosts besides the provider's to which links and redirections may lead.
    seconds : float
        Time of the whole run.

    Yields
    ------
    int
        Number of structures on each new page.

    Raises
    ------
    RemediableError
        When the folder belongs to another query, or the provider does not answer as it should:
        not in time, with a link to another host, with pages that go in circles, or with fewer
        structures than it tells of.
    """
    client = Client(_NAME, _AGENT, query.base_url, hosts, seconds)
    pages = PageFolder.open(folder, query.url, _NAME)
    last = pages.read_last_page()
    url = _find_next_url(last, query.url) if last else query.url
    while url and pages.has_room(max_pages):
        content, last = client.download_page(url)
        if pages.add(content, last, url):
            yield len(last["data"])
        url = _find_next_url(last, url)
    if last and not url:
        _require_all(last, pages)


def _find_next_url(page: Mapping[str, Any], url: str) -> str | None:
    """URL of the page after one."""
    links = page.get("links")
    return resolve_link(links.get("next"), url) if isinstance(links, Mapping) else None


def _require_all(page: Mapping[str, Any], pages: PageFolder) -> None:
    """Refuse an end of the pages where the provider announces more."""
    meta = page.get("meta")
    told = meta if isinstance(meta, Mapping) else {}
    more, total = told.get("more_data_available"), told.get("data_returned")
    if more is None and isinstance(total, int):
        more = total > pages.count()
    if more is True:
        number = total if isinstance(total, int) else "more"
        message = f"the provider announces {number} structures but gives no next page"
        raise RemediableError(message, "ask for larger pages, or tell the provider")
