"""Whether a crystal was observed, and its numbers in other databases, as records state them."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_YES: Final = frozenset(("true", "t", "yes", "y", "1", "1.0"))
_NO: Final = frozenset(("false", "f", "no", "n", "0", "0.0"))
_YEAR: Final = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
# An identifier of digits, alone or behind a name such as "icsd-"; decimals are no part of it.
_NUMBER: Final = re.compile(r"(?<![\d.])\d+")


class Observation(NamedTuple):
    """Whether a crystal was observed, and who says so; None where nobody does."""

    observed: bool | None = None
    source: str | None = None


def parse_flag(value: object) -> bool | None:
    """Read a yes or no; None for an empty cell.

    Raises
    ------
    ValueError
        For anything else.
    """
    text = "" if value is None else str(value).strip().lower()
    if text in _YES | _NO:
        return text in _YES
    if text in {"", "nan", "none", "null", "?", "unknown"}:
        return None
    raise ValueError(f"{text[:40]!r} is neither yes nor no")


def choose_observation(statements: Sequence[Observation]) -> Observation:
    """Choose the latest of several statements.

    Parameters
    ----------
    statements : sequence of Observation
        The year is the last one in the name of the source; one without a year is the oldest.

    Returns
    -------
    Observation
        The first of those of the latest year; an empty one where nothing is stated.
    """
    known = [statement for statement in statements if statement.observed is not None]
    return max(known, key=_find_year, default=Observation())


def name_source(*parts: str | None) -> str:
    """Name of a source from those of its parts that are known; ``record`` where none is."""
    return ", ".join(part for part in parts if part) or "record"


def read_identifiers(value: object) -> str | None:
    """Numbers of a crystal in another database, with commas between several; None for none."""
    return ", ".join(dict.fromkeys(_NUMBER.findall(str(value)))) or None


def _find_year(statement: Observation) -> int:
    """Last year that the source names; 0 where it names none."""
    return max(map(int, _YEAR.findall(statement.source or "")), default=0)
