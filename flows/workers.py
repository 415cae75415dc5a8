"""What a worker process gets before its first chunk."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

from joblib import cpu_count

from flows.garbage import collect_rarely

# One prepares supercells and analyses modes while the other one has the GPU.
_WORKERS_ON_A_GPU = 2
_SECONDS_BETWEEN_LOOKS = 1.0
# Files by which Linux shows GPUs: of NVIDIA, of AMD, and of either inside of Windows.
_GPU_FILES = ("nvidiactl", "kfd", "dxg")


def choose_n_processes(asked: int | None) -> int:
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


def count_workers(asked: int | None, device: str) -> int:
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
    return _WORKERS_ON_A_GPU if _is_on_a_gpu(device) else choose_n_processes(None)


def _is_on_a_gpu(device: str) -> bool:
    """Whether a potential would be on a GPU; torch is asked only where there may be one."""
    if device == "cpu" or (device == "auto" and not any(map(_has_device_file, _GPU_FILES))):
        return False
    from potentials.devices import resolve_device  # noqa: PLC0415 - slow to load

    return resolve_device(device) != "cpu"


def _has_device_file(name: str) -> bool:
    return Path("/dev", name).exists()


def use_one_thread() -> None:
    """Keep torch to one thread in this process: processes scale, threads of small cells do not."""
    import torch  # noqa: PLC0415 - slow to load

    torch.set_num_threads(1)


def initialize_worker(parent: int, server: int | None) -> None:
    """Let a worker process end with its parent, and spare it what takes time without use.

    A parent that is killed without warning cannot end its workers; each looks for itself.

    Parameters
    ----------
    parent : int
        Process id of the run; a worker may come to life after its death.
    server : int or None
        Process id of the run's temporary Prefect server, which is ended as well.
    """
    collect_rarely()
    watch = threading.Thread(target=_end_with_parent, args=(parent, server), daemon=True)
    watch.start()


def _end_with_parent(parent: int, server: int | None) -> None:
    """Wait until the parent is gone, then end the server and this process."""
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    if server:
        with contextlib.suppress(ProcessLookupError):
            os.kill(server, signal.SIGTERM)
    # What is not committed yet is computed again by the next run.
    os._exit(1)
