"""A command in a real terminal of a chosen width."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from pathlib import Path

_STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def printed_in_terminal(
    folder: Path,
    *arguments: object,
    columns: int = 80,
    environment: Mapping[str, str] = os.environ,
) -> tuple[int, str]:
    """Run the command line in a pseudo-terminal: its exit code and all that was on the screen."""
    own, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    given = {k: v for k, v in environment.items() if k not in {"COLUMNS", "LINES", "NO_COLOR"}}
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", *map(str, arguments)],
        cwd=folder,
        env=given | {"TERM": "xterm-256color", "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    received = b"".join(iter(lambda: _read(own), b""))
    os.close(own)
    return process.wait(timeout=60), _STYLE.sub("", received.decode()).replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    """What comes next; nothing when the other side is closed."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
