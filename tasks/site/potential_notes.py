"""What is known of the limits of each potential, in words for readers of its results.

The card of a potential says it; a run keeps the card (table ``runs``), and the site tells it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PotentialNote:
    """What to keep in mind about results of one potential.

    Attributes
    ----------
    citation : str
        Work to cite; empty where it is not known.
    licence : str
        Licence of the weights; empty where it is not known.
    limits : tuple of str
        One sentence each.
    """

    citation: str
    licence: str
    limits: tuple[str, ...]


_EXTERNAL = PotentialNote(
    "",
    "",
    ("Force constants were read from a file; how they were made is for their source to say.",),
)
_UNKNOWN = PotentialNote(
    "", "", ("No statement about this potential is stored; judge it by known phonons first.",)
)


def get_potential_note(name: str | None, run: Mapping[str, Any] | None) -> PotentialNote:
    """Limits of a potential.

    Parameters
    ----------
    name : str or None
        As recorded with the results; None for force constants from a file.
    run : mapping or None
        Row of ``runs`` of a run that used it.

    Returns
    -------
    PotentialNote
        A statement that nothing is known, where an older program kept no card.
    """
    if name is None:
        return _EXTERNAL
    if run is None or run["potential_limits"] is None:
        return _UNKNOWN
    limits = tuple(run["potential_limits"])
    return PotentialNote(run["potential_citation"], run["potential_licence"], limits)


def list_works(citations: Iterable[str | None], databases: Iterable[str | None]) -> set[str]:
    """Works to cite with some results.

    Parameters
    ----------
    citations : iterable of str or None
        Of potentials.
    databases : iterable of str or None
        Names of the databases of the structures.

    Returns
    -------
    set of str
        What is not known is left out.
    """
    return {text for text in citations if text} | {
        f"{name}, database of structures" for name in databases if name
    }
