"""Space groups that records state, in numbers and symbols of several dialects."""

import re
from functools import cache
from typing import Final

import spglib

_N_HALL: Final = 530
_CIF_NUMBER: Final = re.compile(
    r"^_(?:symmetry_Int_Tables_number|space_group_IT_number)\s+(\S+)", re.IGNORECASE | re.MULTILINE
)
_CIF_SYMBOL: Final = re.compile(
    r"^_(?:symmetry_space_group_name_H-M|space_group_name_H-M(?:_alt|_ref)?)[ \t]+(.+?)[ \t\r]*$",
    re.IGNORECASE | re.MULTILINE,
)
_SETTING: Final = re.compile(r"(:\w+| [HRSZ])$")


def space_group_of(value: object) -> int | None:
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
        return _numbers().get(_plain(text))
    return int(number) if number in range(1, 231) else None


def stated_in_cif(text: str) -> int | None:
    """Find the space group that a data block of a CIF states.

    Parameters
    ----------
    text : str
        The block.

    Returns
    -------
    int or None
        None also for P1, which programs write for any crystal whose symmetry they did not look for.
    """
    for pattern in (_CIF_NUMBER, _CIF_SYMBOL):
        found = pattern.search(text)
        number = space_group_of(found.group(1)) if found else None
        if number is not None:
            return number if number > 1 else None
    return None


def _plain(symbol: str) -> str:
    """Symbol without the setting, blanks and underscores."""
    return re.sub(r"[\s_]", "", _SETTING.sub("", symbol.strip())).casefold()


@cache
def _numbers() -> dict[str, int]:
    """Number by symbol, short and full ones, of all settings."""
    found: dict[str, int] = {}
    for hall in range(1, _N_HALL + 1):
        kind = spglib.get_spacegroup_type(hall)
        full = kind.international.split("=")
        # P 1 21/n 1 is also written P 21/n.
        brief = (" ".join(part for part in symbol.split() if part != "1") for symbol in full)
        for symbol in (kind.international_short, kind.international_full, *full, *brief):
            found.setdefault(_plain(symbol), kind.number)
    return found
