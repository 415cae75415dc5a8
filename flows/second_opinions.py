"""Second opinions: the crystals of a run, computed by another potential."""

from collections.abc import Sequence
from dataclasses import replace

from flows.catalogue import renew_catalogue
from flows.logs import get_logger
from flows.result import ScreenResult
from tasks.failures import RemediableError
from tasks.results.agreement import compare_datasets, keep_agreement
from tasks.screening.decisions import RunContext


def compare_opinions(
    contexts: Sequence[RunContext], results: Sequence[ScreenResult], store: str | None = None
) -> ScreenResult:
    """Compare the second opinion of a run with the first, whose catalogue then tells of both.

    Parameters
    ----------
    contexts : sequence of RunContext
        One, or the first and the second opinion; both with a catalogue.
    results : sequence of ScreenResult
        What was done for each.
    store : str, optional
        URL of the object store that has the first dataset.

    Returns
    -------
    ScreenResult
        That of the first, with what of all was lost.
    """
    for second in contexts[1:]:
        _compare(contexts[0], second, store)
    return replace(results[0], lost=tuple(name for result in results for name in result.lost))


def _compare(first: RunContext, second: RunContext, store: str | None) -> None:
    """Commit what is new in the comparison of two datasets, and renew catalogue and report."""
    n_compared = 0
    try:
        for found in keep_agreement(first.dataset, compare_datasets(first.dataset, second.dataset)):
            if isinstance(found, str):
                get_logger().warning("second opinion: %s", found)
            else:
                n_compared += 1
    except RemediableError as error:
        get_logger().warning("second opinion: %s", error)
    if n_compared:
        renew_catalogue(first.dataset, store)
