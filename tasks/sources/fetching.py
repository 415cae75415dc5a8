"""Structures of databases on the web, whichever protocol they speak."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from tasks.sources import materials_project, optimade
from tasks.sources.paging import RUN_SECONDS


def fetch_pages(
    url: str,
    output: Path,
    query: str = "",
    *,
    fields: Sequence[str] = (),
    page_limit: int = 100,
    max_pages: int | None = None,
    charges: bool = True,
    hosts: Sequence[str] = (),
    seconds: float = RUN_SECONDS,
) -> Iterator[int]:
    """Save the pages that answer a query; continue where an earlier call stopped.

    Parameters
    ----------
    url : str
        Base URL of an OPTIMADE provider, or ``mp`` for the Materials Project.
    output : pathlib.Path
        Folder of the pages.
    query : str
        In the filter language of OPTIMADE; of the Materials Project conditions such as
        ``elements=Te,O energy_above_hull_max=0.05``.
    fields : sequence of str
        Further fields of OPTIMADE.
    page_limit, max_pages : int
        Structures per page, and pages at most.
    charges : bool
        Ask the Materials Project for Born charges as well.
    hosts : sequence of str
        Hosts besides the provider's to which links and redirections may lead.
    seconds : float
        Time of the whole run.

    Yields
    ------
    int
        Number of structures on each new page.
    """
    if url == "mp":
        conditions = materials_project.parse_conditions(query)
        wanted = materials_project.Query(conditions, page_limit, charges)
        ask: Callable[..., Iterator[int]] = partial(materials_project.fetch, wanted)
    else:
        asked = optimade.Query(url, query, page_limit, tuple(fields))
        ask = partial(optimade.fetch, asked)
    yield from ask(output, max_pages=max_pages, hosts=tuple(hosts), seconds=seconds)
