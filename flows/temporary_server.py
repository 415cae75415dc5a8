"""A Prefect server that ends with the run that started it: the program of its process."""

import os
import signal
import socket
import sys
import threading
import time

from flows.garbage import collect_rarely

_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_TO_END = 3.0


def main() -> None:
    """Serve on a socket that the run has opened, as long as the run lives.

    The arguments of the program are the number of the socket and the process id of the run.
    """
    handle, parent = map(int, sys.argv[1:])
    collect_rarely()
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    # Half of the start is these imports; the run may end meanwhile.
    import uvicorn  # noqa: PLC0415
    from prefect.server.api.server import create_app  # noqa: PLC0415

    config = uvicorn.Config(create_app, factory=True, log_level="error", lifespan="on")
    uvicorn.Server(config).run([socket.socket(fileno=handle)])


def _end_with_parent(parent: int) -> None:
    """Wait until the run is gone, then end as if it had asked for it."""
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os.kill(os.getpid(), signal.SIGTERM)
    # Whoever still waits for an answer, as a browser may, does not keep it.
    time.sleep(_SECONDS_TO_END)
    os._exit(0)


if __name__ == "__main__":
    main()
