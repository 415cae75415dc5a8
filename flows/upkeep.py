"""Upkeep of a dataset that grows every night."""

from datetime import timedelta
from pathlib import Path

from prefect import flow, get_run_logger

from flows.labels import complete_with_message
from flows.watchdog import remove_logs
from tasks.storage import Dataset, compact, prune


@flow(name="keep-up", flow_run_name="keep up {folder.name}")
def keep_up(folder: Path, prune_after_days: float = 7.0) -> list[str]:
    """Check a dataset, merge its small files, and remove what was superseded long ago.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the dataset; others may read and write meanwhile.
    prune_after_days : float
        Keep superseded files for so long; longer than any reader or writer lives.

    Returns
    -------
    list of str
        What is wrong with the dataset. The next screening sets it aside and does its work again.

    Raises
    ------
    DatasetError
        When the dataset cannot be read or written.
    """
    logger, dataset = get_run_logger(), Dataset(folder)
    age = timedelta(days=prune_after_days)
    logger.info("%d logs of killed processes removed", len(remove_logs(folder / ".watch", age)))
    problems = [str(problem) for problem in dataset.verify()]
    for problem in problems:
        logger.error(problem)
    if not problems:
        logger.info("%d merged chunks", len(compact(dataset)))
        removed = prune(dataset, older_than=age)
        logger.info("%d files removed", len(removed))
    return complete_with_message(problems, f"{len(problems)} problems")
