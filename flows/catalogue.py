"""Building the catalogue and the report of a dataset again after a commit."""

from tasks.results.building import build_catalog
from tasks.results.catalogue import REPORT
from tasks.storage import Dataset
from tasks.storage.object_store import push


def renew_catalogue(dataset: Dataset, store: str | None = None) -> None:
    """Build the catalogue and write the report.

    Parameters
    ----------
    dataset : Dataset
        With what is committed.
    store : str, optional
        URL of the object store that gets what is new.
    """
    build_catalog(dataset)
    if store:
        push(dataset.root, store)
    # It draws, which workers need not know.
    from tasks.site.report import write_report  # noqa: PLC0415

    write_report(dataset, dataset.root / REPORT, n_drawn=0)
