"""Space groups that records state, in numbers and symbols of several dialects."""

import re
from functools import cache
from typing import Final

import spglib

_N_HALL: Final = 530
_SETTING: Final = re.compile(r"(:\w+| [HRSZ])$")


def parse_space_group(value: object) -> int | None:
    """Read a space group.

    Parameters
    ----------
    value : object
        A number, its text, or an international symbol such as ``P 31 2 1``, ``P3_121`` or
        ``R -3 m :H``.

    Returns
    -------
    int or None
        1 to 230; None for anything else, because nothing depends on it.
    """
    text = str(value).strip().strip("'\"").strip()
    try:
        number = float(text)
    except ValueError:
        return _list_numbers().get(normalize_symbol(text))
    return int(number) if number in range(1, 231) else None


def normalize_symbol(symbol: str) -> str:
    """Bring an international symbol into a form that can be compared.

    Parameters
    ----------
    symbol : str
        Such as ``R -3 m :H`` or ``P3_121``.

    Returns
    -------
    str
        Without the setting, blanks, underscores and brackets as in P2(1), in lower case.
    """
    return re.sub(r"[\s_()]", "", _SETTING.sub("", symbol.strip())).casefold()


@cache
def _list_numbers() -> dict[str, int]:
    """Number by symbol, short and full ones, of all settings."""
    found: dict[str, int] = {}
    for hall in range(1, _N_HALL + 1):
        kind = spglib.get_spacegroup_type(hall)
        full = kind.international.split("=")
        # P 1 21/n 1 is also written P 21/n.
        brief = (" ".join(part for part in symbol.split() if part != "1") for symbol in full)
        for symbol in (kind.international_short, kind.international_full, *full, *brief):
            found.setdefault(normalize_symbol(symbol), kind.number)
    return found
