"""How far a screening is: a bar in the terminal and an artifact in the Prefect UI."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import accumulate
from typing import Self
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

from flows.logs import print_logs_above_bar
from flows.server import UNREACHABLE, find_run_page, report_cancellation
from flows.status_line import STAGE_ACTIVITIES
from tasks.screening.planning import STAGE_NAMES, WorkItem
from tasks.screening.stages import StageReport

# The server takes a moment for each update; more than one a second only makes a queue.
_SECONDS_BETWEEN_UPDATES = 1.0
# Words, bar and times fit into 80 columns.
_BAR_WIDTH = 20


@dataclass
class ProgressReporter:
    """Shows how much of a known amount of work is done; made by `report_progress`.

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
        """Add finished work."""
        self.done += amount
        self.bar.update(self.line, advance=amount, description=note)
        now = time.monotonic()
        if now - self.updated > _SECONDS_BETWEEN_UPDATES:
            self.updated = now
            self._publish(note)

    def finish(self, note: str) -> None:
        """Show that all work is done that could be done."""
        self.done = self.total
        self.bar.update(self.line, completed=self.total or 1.0, description=note)
        self._publish(note)

    def _publish(self, note: str) -> None:
        share = min(self.done / self.total, 1.0) if self.total else 1.0
        text = f"{note}{self._describe_time_left(share)}"
        # A server that cannot be reached for a moment costs an update, not the run.
        with suppress(*UNREACHABLE):
            update_progress_artifact(self.artifact, progress=100 * share, description=text)

    def _describe_time_left(self, share: float) -> str:
        """Text of the time left, at the rate so far."""
        if not 0 < share < 1:
            return ""
        seconds = (time.monotonic() - self.since) * (1 - share) / share
        return f"; about {timedelta(seconds=round(seconds))} left"


@dataclass
class StageCounts:
    """Counts structures in each stage, for words beside a bar.

    Attributes
    ----------
    wanted, done : dict from str to int
        Structures that a stage has to treat, and those that it has treated.
    failed, left : int
        Structures of which a stage failed, and those that are left to the next run.
    """

    wanted: dict[str, int]
    done: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STAGE_NAMES, 0))
    failed: int = 0
    left: int = 0

    @classmethod
    def from_open(cls, opened: Mapping[str, Sequence[WorkItem]]) -> Self:
        """Begin to count.

        Parameters
        ----------
        opened : mapping from str to sequence of WorkItem
            Structures by the first stage that has something left to do.

        Returns
        -------
        StageCounts
            With nothing done.
        """
        counts = [len(opened.get(stage, ())) for stage in STAGE_NAMES]
        return cls(dict(zip(STAGE_NAMES, accumulate(counts), strict=True)))

    def add(self, stage: str, size: int, report: StageReport | None) -> None:
        """Count a chunk that has finished a stage.

        Parameters
        ----------
        stage : str
            The stage.
        size : int
            Its structures.
        report : StageReport or None
            What became of them; None when they are left to the next run.
        """
        ended = len(report.failures) if report else size
        self.done[stage] += size
        self.failed += ended if report else 0
        self.left += 0 if report else ended
        for later in STAGE_NAMES[STAGE_NAMES.index(stage) + 1 :]:
            self.wanted[later] -= ended

    def __str__(self) -> str:
        """Words such as "relaxing 3 of 7"; of the first stage that has something left to do."""
        busy = (
            f"{STAGE_ACTIVITIES[stage]} {self.done[stage] + 1} of {wanted}"
            for stage, wanted in self.wanted.items()
            if self.done[stage] < wanted
        )
        parts = [next(busy, "done")]
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.left} left"] if self.left else []
        return ", ".join(parts)


@contextmanager
def report_progress(total: float, key: str, note: str) -> Iterator[ProgressReporter]:
    """Show a bar where there is a terminal, and a progress artifact on the flow run.

    Parameters
    ----------
    total : float
        Amount of work.
    key : str
        Key of the artifact: lower-case letters, digits and dashes.
    note : str
        Text beside the bar, to begin with.

    Yields
    ------
    ProgressReporter
        To be advanced.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(_BAR_WIDTH),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    report_cancellation()
    artifact = create_progress_artifact(progress=0.0, key=key, description=note)
    assert isinstance(artifact, UUID)
    if console.is_terminal and (page := find_run_page()):
        console.print(f"watch it: {page}", soft_wrap=True, highlight=False)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        # A bar of no work has no share: it is full.
        line = bar.add_task(note, total=total or 1.0, completed=0 if total else 1)
        with print_logs_above_bar():
            yield ProgressReporter(total, bar, line, artifact)
