"""The command `chiralscreen`: ready to be stopped before it loads anything."""

import os

from flows.garbage import collect_rarely
from flows.interruption import watch_signals


def main() -> None:
    """Run the command line.

    Processes that it starts do not take modules from the working directory, whose files may have
    the names of modules.
    """
    watch_signals()
    collect_rarely()
    os.environ["PYTHONSAFEPATH"] = "1"
    from flows.cli import app  # noqa: PLC0415 - a signal may come meanwhile

    app()
