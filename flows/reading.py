"""Records of a source, cut in a process that may hang, use up its memory or die of a file."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from flows.isolation import READERS, IsolatedWorker, Limits, start_server
from tasks.failures import Failure, RemediableError
from tasks.sources import (
    RawRecord,
    SourceSettings,
    name_in_source,
    paths_to_read,
    read_failure,
    records_of_path,
)


def read_records(source: Path, settings: SourceSettings) -> Iterator[RawRecord | Failure]:
    """Cut every file of a source into records, as `tasks.sources.raw_records` does, under limits.

    Parameters
    ----------
    source : pathlib.Path
        Anything that `tasks.sources.raw_records` reads.
    settings : SourceSettings
        Provenance, meaning of columns, limits.

    Yields
    ------
    RawRecord or Failure
        In the order of the sorted file names. A file of which no next record comes within the
        limits is one failure, behind the records that came.

    Raises
    ------
    FileNotFoundError
        When the source does not exist.
    ValueError
        When a folder holds no file of a known kind.
    """
    paths = paths_to_read(source)
    start_server(READERS)
    cut = partial(records_of_path, source=source, settings=settings)
    with closing(IsolatedWorker[Path, RawRecord | Failure](cut, limits_of(settings))) as reader:
        for path in paths:
            count = 0
            try:
                for record in reader.results(path):
                    count += 1
                    yield record
            except RemediableError as error:
                yield read_failure(_rest_lost(error, count), name_in_source(path, source))


def limits_of(settings: SourceSettings) -> Limits:
    """Limits of a process that reads.

    Parameters
    ----------
    settings : SourceSettings
        The settings.

    Returns
    -------
    Limits
        For each record.
    """
    remedy = (
        "remove the file or record, divide it, or raise source.record_seconds or "
        "source.record_memory"
    )
    return Limits(settings.record_seconds, settings.record_memory, remedy)


def _rest_lost(error: RemediableError, count: int) -> RemediableError:
    """Say what of a file is not read."""
    told = f"nothing after its first {count} records is read: {error}" if count else str(error)
    return RemediableError(f"unreadable: {told}", error.remedy)
