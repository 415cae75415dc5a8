"""The catalogue site of one or more datasets, as a job of its own."""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from prefect import flow, get_run_logger

from flows.artifacts import publish_address
from flows.labels import complete_with_message
from flows.workers import choose_n_processes
from tasks.site.build import PageBatch, build_site

# Environment variable that tells where browsers find the site.
SITE_URL = "CHIRALSCREEN_SITE_URL"


@flow(name="publish", flow_run_name="publish {site}")
def publish(
    folders: list[Path],
    site: Path,
    title: str = "Chiral phonons",
    full: bool = True,
    workers: int | None = None,
) -> int:
    """Write a site, or bring it up to date with its datasets.

    Parameters
    ----------
    folders : list of pathlib.Path
        Folders of datasets, one per potential.
    site : pathlib.Path
        Folder of the site; pages of unchanged results are left as they are.
    title : str
        Heading of the site.
    full : bool
        Offer force constants and animations as files.
    workers : int, optional
        Processes; one per CPU unless given.

    Returns
    -------
    int
        Number of pages.

    Raises
    ------
    RemediableError
        When a folder has no catalogue.
    """
    logger, n_pages = get_run_logger(), 0
    for n_pages, n_all in write_pages_in_batches(
        folders, site, title=title, full=full, workers=workers
    ):
        logger.debug("%d of %d pages", n_pages, n_all)
    logger.info("%d pages in %s", n_pages, site)
    if url := os.environ.get(SITE_URL):
        publish_address(site, url)
    return complete_with_message(n_pages, f"{n_pages} pages in {site}")


def write_pages_in_batches(
    folders: list[Path], site: Path, *, title: str, full: bool, workers: int | None
) -> Iterator[tuple[int, int]]:
    """Write a site, with a count of its pages after each batch.

    Parameters
    ----------
    folders, site, title, full, workers
        As of `publish`.

    Yields
    ------
    n_done, n_all : int
        Materials whose pages are written, and all of them.
    """
    n_workers = choose_n_processes(workers)
    spreading = partial(_map_batches, n_workers) if n_workers > 1 else map
    yield from build_site(folders, site, title=title, full=full, parallel_map=spreading)


def _map_batches(
    workers: int, function: Callable[[PageBatch], int], batches: Iterable[PageBatch]
) -> Iterator[int]:
    """Counts of batches as they are finished, by processes of one thread each."""
    from joblib import Parallel, delayed, parallel_config  # noqa: PLC0415 - slow to load

    with parallel_config("loky", inner_max_num_threads=1):
        parallel = Parallel(workers, return_as="generator_unordered")
        yield from parallel(delayed(function)(batch) for batch in batches)
