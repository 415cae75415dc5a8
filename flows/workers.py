"""What a worker process is told before its first chunk."""

import contextlib
import os
import signal
import threading
import time

import torch

from flows.spread import n_processes
from potentials.devices import device_name

# One prepares supercells and analyses modes while the other one has the GPU.
_WORKERS_ON_A_GPU = 2
_SECONDS_BETWEEN_LOOKS = 1.0


def worker_count(asked: int | None, device: str) -> int:
    """Number of worker processes of a run.

    Parameters
    ----------
    asked : int or None
        What the user wants.
    device : str
        Device of the potential.

    Returns
    -------
    int
        As asked; else one per CPU, and two where they share a GPU.
    """
    if asked:
        return asked
    return _WORKERS_ON_A_GPU if device_name(device) != "cpu" else n_processes(None)


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
