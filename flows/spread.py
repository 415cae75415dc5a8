"""Mapping over worker processes, in order and without holding the input."""

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from joblib import Parallel, cpu_count, delayed
from joblib.externals.loky.backend import resource_tracker as loky_tracker

from flows.interruption import shielded

Item = TypeVar("Item")
Result = TypeVar("Result")

# Fewer things are done before other processes have even started.
_WORTH_A_PROCESS = 300
_BATCH = 50


def n_processes(asked: int | None) -> int:
    """Choose a number of worker processes.

    Parameters
    ----------
    asked : int or None
        What the user wants.

    Returns
    -------
    int
        As asked; else one per CPU that this process may use, which on a cluster is its share.
    """
    return asked or int(cpu_count())


def spread(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Apply a function to many things, in worker processes once there are enough of them.

    Parameters
    ----------
    function : callable
        Pure; a module's own, or a partial of one.
    items : iterable
        Taken as they are needed.
    workers : int
        Processes.

    Yields
    ------
    object
        Results in the order of the items.
    """
    rest = iter(items)
    yield from map(function, itertools.islice(rest, _WORTH_A_PROCESS))
    ahead = list(itertools.islice(rest, 1))
    if ahead and workers > 1:
        parallel = Parallel(workers, return_as="generator", batch_size=_BATCH)
        loky_tracker.ensure_running()
        with shielded():
            results = parallel(delayed(function)(item) for item in itertools.chain(ahead, rest))
        try:
            for result in results:  # noqa: UP028 - the results are closed below, not by the caller
                yield result
        finally:
            # Results that nobody takes any more are no reason for joblib's warning.
            with warnings.catch_warnings(action="ignore", category=UserWarning):
                results.close()
    else:
        yield from map(function, itertools.chain(ahead, rest))
