"""A bound on the memory of a process, so that one structure does not use up the machine's."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DATA = 5  # place of data and stack in /proc/self/statm


@contextmanager
def limit_memory(gib: float | None) -> Iterator[None]:
    """Refuse this process more memory than a bound, for the time of a block.

    An allocation beyond it raises ``MemoryError``, or what the library makes of it. Bounded is what
    a process may write to (``RLIMIT_DATA``): unlike addresses as a whole, this leaves alone what
    GPU drivers reserve without using it.

    Parameters
    ----------
    gib : float or None
        Memory, that of interpreter and potential included; None for no bound of ours (GiB).

    Yields
    ------
    None
        Control.
    """
    before, most = resource.getrlimit(resource.RLIMIT_DATA)
    if gib is None:
        yield
        return
    wanted = int(gib * 2**30)
    if before != resource.RLIM_INFINITY:
        wanted = min(wanted, before)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, most))


def measure_memory() -> float | None:
    """Measure what `limit_memory` bounds: the memory that this process may write to.

    Returns
    -------
    float or None
        GiB, used or not; None where the kernel does not tell (it does on Linux).
    """
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[_DATA])
    except OSError:
        return None
    return pages * resource.getpagesize() / 2**30
