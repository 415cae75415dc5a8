"""What a worker process is told before its first chunk."""

import contextlib
import os
import signal
import threading
import time

import torch

_SECONDS_BETWEEN_LOOKS = 1.0


def initialize_worker(parent: int, server: int | None) -> None:
    """Give a worker process one thread, and let it end with its parent.

    Processes scale, threads of small cells do not. A parent that is killed without warning cannot
    end its workers; each looks for itself.

    Parameters
    ----------
    parent : int
        Process id of the run; a worker may come to life after its death.
    server : int or None
        Process id of the run's temporary Prefect server, which is ended as well.
    """
    torch.set_num_threads(1)
    watch = threading.Thread(target=_end_with, args=(parent, server), daemon=True)
    watch.start()


def _end_with(parent: int, server: int | None) -> None:
    """Wait until the parent is gone, then end the server and this process."""
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    if server:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server, signal.SIGTERM)
    # What is not committed yet is computed again by the next run.
    os._exit(1)
