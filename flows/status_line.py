"""A line in the terminal that says what a command does before its work can be counted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console

STAGE_ACTIVITIES: Final = {
    "relaxation": "relaxing",
    "phonons": "computing forces",
    "chirality": "analysing modes",
}
"""What a stage does with a crystal, in words."""


@contextmanager
def show_status(text: str) -> Iterator[Callable[[str], None]]:
    """Show what is being done, while it lasts, where there is a terminal.

    Parameters
    ----------
    text : str
        Such as "reading crystals".

    Yields
    ------
    callable
        Takes another text in its place.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(text) as status:
        yield status.update
