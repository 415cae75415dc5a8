"""The program that replaces a stopped run: it ends its processes and says what is kept."""

import shutil
import sys
import time
from contextlib import suppress

import psutil

# Processes that just start may start others (seconds).
_MAX_SECONDS = 2.0


def main() -> None:
    """End all processes that this one has started, under whichever program.

    The arguments of the program are the exit code, the line to print, and a folder to remove.
    """
    code, line, folder = sys.argv[1:]
    _end_processes()
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
    if sys.stderr.isatty():
        # The bar of the run stands in this line, and the cursor is hidden.
        line = f"\r\x1b[2K\x1b[?25h{line}"
    print(line, file=sys.stderr)
    sys.exit(int(code))


def _end_processes() -> None:
    end = time.monotonic() + _MAX_SECONDS
    while started := psutil.Process().children(recursive=True):
        for process in started:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        _, left = psutil.wait_procs(started, timeout=max(end - time.monotonic(), 0.0))
        if left:
            break


if __name__ == "__main__":
    main()
