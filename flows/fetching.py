"""Structures of databases on the web: saved once, or kept up to date with a query."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from prefect import flow, get_run_logger

from tasks.failures import RemediableError
from tasks.sources import materials_project, optimade
from tasks.sources.paging import holds_pages, saved_pages


@flow(name="fetch", flow_run_name="fetch {folder.name}")
def keep_fetched(url: str, folder: Path, query: str = "", fields: Sequence[str] = ()) -> int:
    """Bring a folder up to date with a query: what is new comes, what changed or left goes.

    Everything is asked for anew and saved in a hidden folder beside; when that is complete it
    takes the folder's place. A run that was interrupted is continued by the next one.

    Parameters
    ----------
    url : str
        Base URL of an OPTIMADE provider, or ``mp``.
    folder : pathlib.Path
        Folder of pages; a source for screenings, alone or inside of another folder.
    query : str
        As of `pages_saved`.
    fields : sequence of str
        As of `pages_saved`.

    Returns
    -------
    int
        Number of pages.

    Raises
    ------
    RemediableError
        When the folder holds other things, or the provider does not answer as it should.
    """
    if folder.exists() and any(folder.iterdir()) and not holds_pages(folder):
        message = f"{folder} does not hold the pages of a query"
        raise RemediableError(message, "give a folder of its own to each query")
    # What an earlier run began is continued only if it asked the same.
    asked = hashlib.sha256(json.dumps([url, query, *fields]).encode()).hexdigest()[:8]
    fresh = folder.with_name(f".{folder.name}.{asked}")
    logger = get_run_logger()
    for n_structures in pages_saved(url, fresh, query, fields=fields):
        logger.debug("%d structures on a page", n_structures)
    _replace(folder, fresh)
    n_pages = len(saved_pages(folder))
    logger.info("%d pages in %s", n_pages, folder)
    return n_pages


def pages_saved(
    url: str,
    output: Path,
    query: str = "",
    *,
    fields: Sequence[str] = (),
    page_limit: int = 100,
    max_pages: int | None = None,
    charges: bool = True,
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

    Yields
    ------
    int
        Number of structures on each new page.
    """
    if url == "mp":
        conditions = materials_project.conditions_of(query)
        wanted = materials_project.Query(conditions, page_limit, charges)
        yield from materials_project.fetch(wanted, output, max_pages=max_pages)
    else:
        asked = optimade.Query(url, query, page_limit, tuple(fields))
        yield from optimade.fetch(asked, output, max_pages=max_pages)


def _replace(folder: Path, fresh: Path) -> None:
    """Let a complete folder take the place of another one."""
    outdated = folder.with_name(f".{folder.name}.outdated")
    shutil.rmtree(outdated, ignore_errors=True)
    if folder.exists():
        folder.replace(outdated)
    fresh.replace(folder)
    shutil.rmtree(outdated, ignore_errors=True)
