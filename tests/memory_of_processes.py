"""Peak memory of a process with all that it starts, as the kernel counts it."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

_SECONDS_BETWEEN_LOOKS = 0.02


def peak_of_tree(pid: int) -> Callable[[], float]:
    """Watch a process until it ends; what is returned waits for that and gives GiB.

    Pages that several processes share count once: each has its part of them (PSS).
    """
    peaks = [0.0]

    def watch() -> None:
        while (found := sum(map(_memory, _tree(pid)))) > 0:
            peaks.append(max(peaks[-1], found))
            time.sleep(_SECONDS_BETWEEN_LOOKS)

    thread = Thread(target=watch, daemon=True)
    thread.start()

    def peak() -> float:
        thread.join()
        return peaks[-1]

    return peak


def _tree(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    with suppress(OSError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in children.read_text().split():
                yield from _tree(int(child))


def _memory(pid: int) -> float:
    """Memory of a process in GiB; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0) / 2**20
