"""How far a screening is: a bar in the terminal and an artifact in the Prefect UI."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from flows.server import UNREACHABLE, tell_when_stopped

# The server takes a moment for each update; more than one a second only makes a queue.
_SECONDS_BETWEEN_UPDATES = 1.0


@dataclass
class Meter:
    """Shows how much of a known amount of work is done; made by `metered`.

    Attributes
    ----------
    total, done : float
        Amount of work, and how much of it is finished.
    bar : rich.progress.Progress
        The bar in the terminal.
    line : rich.progress.TaskID
        Its line.
    artifact : UUID
        Progress artifact in the Prefect UI.
    updated : float
        When the artifact was last updated.
    since : float
        When the work began.
    """

    total: float
    bar: Progress
    line: TaskID
    artifact: UUID
    done: float = 0.0
    updated: float = 0.0
    since: float = field(default_factory=time.monotonic)

    def advance(self, amount: float, note: str) -> None:
        """Add finished work.

        Parameters
        ----------
        amount : float
            In the unit of the total.
        note : str
            Text beside the bar.
        """
        self.done += amount
        self.bar.update(self.line, advance=amount, description=note)
        now = time.monotonic()
        if now - self.updated > _SECONDS_BETWEEN_UPDATES:
            self.updated = now
            self._publish(note)

    def finish(self, note: str) -> None:
        """Show the last state, whatever was shown before.

        Parameters
        ----------
        note : str
            Text beside the bar.
        """
        self.bar.update(self.line, description=note)
        self._publish(note)

    def _publish(self, note: str) -> None:
        share = min(self.done / self.total, 1.0) if self.total else 1.0
        text = f"{note}{self._time_left(share)}"
        # A server that cannot be reached for a moment costs an update, not the run.
        with suppress(*UNREACHABLE):
            update_progress_artifact(self.artifact, progress=100 * share, description=text)

    def _time_left(self, share: float) -> str:
        """Text of the time left, at the rate so far."""
        if not 0 < share < 1:
            return ""
        seconds = (time.monotonic() - self.since) * (1 - share) / share
        return f"; about {timedelta(seconds=round(seconds))} left"


@contextmanager
def metered(total: float, key: str) -> Iterator[Meter]:
    """Show a bar where there is a terminal, and a progress artifact on the flow run.

    Parameters
    ----------
    total : float
        Amount of work.
    key : str
        Key of the artifact: lower-case letters, digits and dashes.

    Yields
    ------
    Meter
        To be advanced.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tell_when_stopped()
    artifact = create_progress_artifact(progress=0.0, key=key, description="starting")
    assert isinstance(artifact, UUID)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        yield Meter(total, bar, bar.add_task("starting", total=total), artifact)
