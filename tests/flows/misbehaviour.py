"""What a process may do that treats one thing; light, since each process imports it."""

import os
import signal
import time
from pathlib import Path


def behave(how: str) -> str:
    """Do what is asked."""
    if how == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "leave":
        os._exit(7)
    if how == "hang":
        time.sleep(600)
    return how


def write_number_and_hang(path: Path) -> None:
    """Tell the number of the process, and never return."""
    path.write_text(str(os.getpid()))
    time.sleep(600)


def write_number_and_compute(path: Path) -> None:
    """Tell the number of the process, and compute for ever."""
    path.write_text(str(os.getpid()))
    while True:
        pass


def write_number_and_be_stopped(path: Path) -> str:
    """Tell the number of the process, and wait until somebody lets it go on."""
    path.write_text(str(os.getpid()))
    os.kill(os.getpid(), signal.SIGSTOP)
    return "went on"


def grow(gib: int) -> int:
    """Take so much memory; tell how much there was."""
    try:
        return len(bytearray(gib * 2**30))
    except MemoryError:
        return -1
