"""Mapping records over worker processes under limits, in order and without holding the input."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from queue import LifoQueue
from typing import TypeVar

from flows.isolation import READERS, IsolatedWorker, start_server
from flows.reading import read_limits
from tasks.failures import Failure, RemediableError
from tasks.sources import RawRecord, SourceSettings, make_read_failure

Result = TypeVar("Result")
OfRecord = Callable[[RawRecord | Failure], Result]

_RECORDS_AHEAD = 8  # records per process that wait for it, or for an earlier one


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
    idle: LifoQueue[IsolatedWorker[RawRecord, Result]] = LifoQueue()
    for worker in reversed(worker_options):
        idle.put(worker)
    threads, ahead = ThreadPoolExecutor(workers), deque[Future[Result]]()
    try:
        for record in records:
            ahead.append(threads.submit(_apply_to_record, function, record, idle))
            if len(ahead) >= _RECORDS_AHEAD * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for worker in worker_options:
            worker.close()
        threads.shutdown()


def _apply_to_record(
    function: OfRecord[Result],
    record: RawRecord | Failure,
    idle: "LifoQueue[IsolatedWorker[RawRecord, Result]]",
) -> Result:
    """Result of a record, from a process that is idle."""
    if isinstance(record, Failure):
        return function(record)
    worker = idle.get()
    try:
        [result] = worker.apply(record)
    except RemediableError as error:
        return function(make_read_failure(error, record.source_record))
    finally:
        idle.put(worker)
    return result


def _yield_result(function: OfRecord[Result], record: RawRecord) -> Iterator[Result]:
    """Only result of a record."""
    yield function(record)
