"""Mapping records over worker processes under limits, in order and without holding the input."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from queue import LifoQueue
from typing import TypeVar

from flows.isolation import READERS, IsolatedWorker, start_server
from flows.reading import read_limits
from tasks.failures import Failure, RemediableError
from tasks.sources import RawRecord, SourceSettings, make_read_failure

Result = TypeVar("Result")
OfRecord = Callable[[RawRecord | Failure], Result]

# Records that travel to a process together: it need not wait, between two, for a thread of a busy
# main process. Of these batches, so many per process wait for it, or for an earlier one.
_BATCH, _BATCHES_AHEAD = 4, 2


def map_records(
    function: OfRecord[Result],
    records: Iterable[RawRecord | Failure],
    *,
    workers: int,
    limits: SourceSettings,
) -> Iterator[Result]:
    """Apply a function to many records, each within limits of time and memory.

    Parameters
    ----------
    function : callable
        Pure; a module's own, or a partial of one. It passes failures on in some form.
    records : iterable
        Records, or what was made of them and knows its ``source_record``; taken as they are needed.
    workers : int
        Processes at most; no more are started than there are records.
    limits : SourceSettings
        ``record_seconds`` and ``record_memory``.

    Yields
    ------
    object
        Results in the order of the records. Of a record that is beyond the limits, or ends its
        process, the function gets the failure.
    """
    start_server(READERS)
    worker_options = [
        IsolatedWorker(partial(_yield_result, function), read_limits(limits))
        for _ in range(workers)
    ]
    idle: LifoQueue[IsolatedWorker[RawRecord | Failure, Result]] = LifoQueue()
    for worker in reversed(worker_options):
        idle.put(worker)
    threads, ahead = ThreadPoolExecutor(workers), deque[Future[list[Result]]]()
    remaining = iter(records)
    try:
        while batch := list(islice(remaining, _BATCH)):
            ahead.append(threads.submit(_apply_to_batch, function, batch, idle))
            if len(ahead) >= _BATCHES_AHEAD * workers:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for worker in worker_options:
            worker.close()
        threads.shutdown()


def _apply_to_batch(
    function: OfRecord[Result],
    batch: list[RawRecord | Failure],
    idle: "LifoQueue[IsolatedWorker[RawRecord | Failure, Result]]",
) -> list[Result]:
    """Results of records, from a process that is idle."""
    worker, results = idle.get(), list[Result]()
    try:
        while len(results) < len(batch):
            try:
                results.extend(worker.apply(*batch[len(results) :]))
            except RemediableError as error:
                results.append(function(_make_failure(error, batch[len(results)])))
    finally:
        idle.put(worker)
    return results


def _make_failure(error: RemediableError, record: RawRecord | Failure) -> Failure:
    """Say of a record, unless it was none before, that it ended its process."""
    return record if isinstance(record, Failure) else make_read_failure(error, record.source_record)


def _yield_result(function: OfRecord[Result], record: RawRecord | Failure) -> Iterator[Result]:
    """Only result of a record."""
    yield function(record)
