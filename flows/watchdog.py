"""Ending processes that hang, and recording what they were computing."""

import faulthandler
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

_CALL_OF_CHUNK = "in run_chunk"


@contextmanager
def limit_seconds(seconds: float, log: Path) -> Iterator[None]:
    """End this process if the block takes too long, whatever it is busy with.

    The watch runs outside of the interpreter, so that code which never returns to it ends as well.

    Parameters
    ----------
    seconds : float
        Time for the block.
    log : pathlib.Path
        Gets the calls it is busy with when it is ended; gone where the block comes to its end.

    Yields
    ------
    None
        Control.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as stream:
        faulthandler.dump_traceback_later(seconds, exit=True, file=stream)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            log.unlink(missing_ok=True)


def find_hanging_call(log: Path) -> str | None:
    """Tell whether a process was ended for hanging, and remove what it left.

    Parameters
    ----------
    log : pathlib.Path
        As for `limit_seconds`.

    Returns
    -------
    str or None
        File, line and function it was busy with; None when it ended in another way.
    """
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    log.unlink(missing_ok=True)
    calls = next((block for block in text.split("Thread 0x") if _CALL_OF_CHUNK in block), text)
    lines = [line.strip() for line in calls.splitlines() if line.startswith("  File")]
    return (lines[0] if lines else "unknown") if text else None


def remove_logs(folder: Path, older_than: timedelta) -> list[Path]:
    """Remove what processes left that were killed by others, and whose run was as well.

    Parameters
    ----------
    folder : pathlib.Path
        Where logs of `limit_seconds` are; it may be missing.
    older_than : datetime.timedelta
        Longer than a chunk takes.

    Returns
    -------
    list of pathlib.Path
        What was removed.
    """
    latest, removed = time.time() - older_than.total_seconds(), []
    for log in folder.glob("*.txt"):
        # A process that comes to its end removes its own.
        with suppress(FileNotFoundError):
            if log.stat().st_mtime < latest:
                log.unlink()
                removed.append(log)
    return removed
