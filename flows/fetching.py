"""Structures of databases on the web: saved once, or kept up to date with a query."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from prefect import flow, get_run_logger

from flows.labels import complete_with_message
from tasks.failures import RemediableError
from tasks.sources.fetching import fetch_pages
from tasks.sources.paging import has_pages, list_saved_pages


@flow(name="fetch", flow_run_name="fetch {folder.name}")
def keep_fetched(
    url: str,
    folder: Path,
    query: str = "",
    fields: Sequence[str] = (),
    hosts: Sequence[str] = (),
) -> int:
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
        As of `tasks.sources.fetching.fetch_pages`.
    fields, hosts : sequence of str
        As of `tasks.sources.fetching.fetch_pages`.

    Returns
    -------
    int
        Number of pages.

    Raises
    ------
    RemediableError
        When the folder holds other things, or the provider does not answer as it should.
    """
    if folder.exists() and any(folder.iterdir()) and not has_pages(folder):
        message = f"{folder} does not hold the pages of a query"
        raise RemediableError(message, "give a folder of its own to each query")
    # What an earlier run began is continued only if it asked the same.
    asked = hashlib.sha256(json.dumps([url, query, *fields]).encode()).hexdigest()[:8]
    fresh = folder.with_name(f".{folder.name}.{asked}")
    logger = get_run_logger()
    for n_structures in fetch_pages(url, fresh, query, fields=fields, hosts=hosts):
        logger.debug("%d structures on a page", n_structures)
    _replace(folder, fresh)
    n_pages = len(list_saved_pages(folder))
    logger.info("%d pages in %s", n_pages, folder)
    return complete_with_message(n_pages, f"{n_pages} pages")


def _replace(folder: Path, fresh: Path) -> None:
    """Let a complete folder take the place of another one."""
    outdated = folder.with_name(f".{folder.name}.outdated")
    shutil.rmtree(outdated, ignore_errors=True)
    if folder.exists():
        folder.replace(outdated)
    fresh.replace(folder)
    shutil.rmtree(outdated, ignore_errors=True)
