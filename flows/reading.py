"""Records of a source, cut in a process that may hang, use up its memory or die of a file."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

from flows.isolation import READERS, IsolatedWorker, ResourceLimits, start_server
from tasks.failures import Failure, RemediableError
from tasks.sources import (
    RawRecord,
    SourceSettings,
    list_paths,
    make_read_failure,
    name_file,
    read_path_records,
)


def read_records(source: Path, settings: SourceSettings) -> Iterator[RawRecord | Failure]:
    """Cut every file of a source into records, as `read_raw_records` does, under limits.

    Parameters
    ----------
    source : pathlib.Path
        Anything that `tasks.sources.read_raw_records` reads.
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
    paths = list_paths(source)
    start_server(READERS)
    cut = partial(read_path_records, source=source, settings=settings)
    with closing(IsolatedWorker[Path, RawRecord | Failure](cut, read_limits(settings))) as reader:
        for path in paths:
            count = 0
            try:
                for record in reader.apply(path):
                    count += 1
                    yield record
            except RemediableError as error:
                yield make_read_failure(_make_rest_failure(error, count), name_file(path, source))


def read_limits(settings: SourceSettings) -> ResourceLimits:
    """Limits of a process that reads."""
    remedy = (
        "remove the file or record, divide it, or raise source.record_seconds or "
        "source.record_memory"
    )
    return ResourceLimits(settings.record_seconds, settings.record_memory, remedy)


def _make_rest_failure(error: RemediableError, count: int) -> RemediableError:
    """Say what of a file is not read."""
    message = f"nothing after its first {count} records is read: {error}" if count else str(error)
    return RemediableError(f"unreadable: {message}", error.remedy)
