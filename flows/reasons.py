"""Crystals that failed or were skipped, grouped by their reasons."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from tasks.failures import Failure

T = TypeVar("T")
_MAX_NAMES: Final = 3
# What differs between two reasons of one kind: numbers, names with numbers in them, and files.
_PARTICULAR: Final = re.compile(r"\S*[\d/.]\S*")


@dataclass(frozen=True)
class Reason:
    """Why some crystals have no results.

    Attributes
    ----------
    count : int
        How many they are.
    message : str
        The reason, in the words of the first one.
    names : str
        The first ones by name.
    stage : str
        Where they failed; empty for those that were skipped.
    remedy : str
        What to do about it; empty where there is nothing to do.
    """

    count: int
    message: str
    names: str
    stage: str = ""
    remedy: str = ""

    @property
    def details(self) -> list[str]:
        """Lines below the message: what to do, and who it is."""
        remedy = [f"what to do: {self.remedy}"] if self.remedy else []
        return [*remedy, f"{self.stage}: {self.names}" if self.stage else self.names]


def group_failures(failures: Iterable[Failure]) -> list[Reason]:
    """Put failures together that differ in nothing but names and numbers."""
    groups = _group_alike(
        failures, lambda failure: (failure.stage, failure.message, failure.remedy)
    )
    return [_make_reason(group) for group in groups]


def group_skipped(skipped: Iterable[tuple[str, str]]) -> list[Reason]:
    """Put skipped crystals together whose reasons differ in nothing but names and numbers."""
    groups = _group_alike(skipped, lambda item: item[1:])
    return [Reason(len(g), g[0][1], abbreviate_names([name for name, _ in g])) for g in groups]


def abbreviate_names(names: Sequence[str]) -> str:
    """Tell the first of some names, and how many there are besides.

    Parameters
    ----------
    names : sequence of str
        At least one.

    Returns
    -------
    str
        Such as "si, ge, sn and 4 more".
    """
    left = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {left} more" if left > 0 else "")


def _make_reason(group: Sequence[Failure]) -> Reason:
    first, names = group[0], [failure.source_record or failure.material_id for failure in group]
    return Reason(len(group), first.message, abbreviate_names(names), first.stage, first.remedy)


def _group_alike(items: Iterable[T], texts: Callable[[T], Iterable[str]]) -> list[list[T]]:
    groups = defaultdict(list)
    for item in items:
        groups[tuple(_PARTICULAR.sub("#", text) for text in texts(item))].append(item)
    return sorted(groups.values(), key=len, reverse=True)
