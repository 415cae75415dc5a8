"""Text of strangers, such that terminals, tables of failures and spreadsheets can have it.

Names, formulas, paths and messages come from files and servers of strangers. What they say
is shown as it stands; what would act instead of being read is spelled out.
"""

import codecs
import re
import unicodedata
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # the command line loads this module before it knows that a table is wanted
    import pandas as pd

_ACTING: Final = re.compile(
    # Control characters but for line breaks, marks that hide or turn text, halves of characters.
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    r"\ud800-\udfff]"
)
_NAMES: Final = {
    "Å": "Ang.",
    "ħ": "hbar",
    "ν": "nu",
    "π": "pi",
    "Γ": "Gamma",
    "×": "x",
    "·": "*",
    "→": "->",
    "°": " deg",
    "±": "+-",
    "≤": "<=",
    "≥": ">=",
    "−": "-",
    "–": "-",
    "—": "-",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
}
# But for point groups such as -43m, and negative numbers.
_FORMULA: Final = re.compile(r"(?!-\d[\da-z.]*\Z)[-=+@＝＋－＠]")
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]()#!|<>~&])")
TRANSLITERATING: Final = "chiralscreen.spelled"
"""Name of the error handler of codecs that gives names in ASCII for what an encoding lacks."""


def escape_control_characters(text: str) -> str:
    r"""Spell out the characters that would act on a terminal instead of being read.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The same with control characters but for line breaks, marks of direction and bytes that
        are no characters in the notation of Python.

    Examples
    --------
    >>> print(visible("a\x1b[31mb"))
    a\x1b[31mb
    """
    return _ACTING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def escape_surrogates(text: str) -> str:
    """Spell out what is no character, and can therefore be in no file of text.

    Parameters
    ----------
    text : str
        Such as a name of a file with bytes of another encoding, or half a character from JSON.

    Returns
    -------
    str
        All else as it was.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def transliterate(text: str, encoding: str) -> str:
    """Write with the characters of an encoding.

    Parameters
    ----------
    text : str
        Any text.
    encoding : str
        Such as ``latin-1``.

    Returns
    -------
    str
        With names for symbols that the encoding lacks, or a question mark.

    Examples
    --------
    >>> spelled("2 Å, SiO₂", "ascii")
    '2 Ang., SiO2'
    """
    return text.encode(encoding, TRANSLITERATING).decode(encoding)


def escape_markdown(text: str) -> str:
    r"""Write a text such that Markdown shows it in one line as it stands.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        Without links, pictures, tags and emphasis.

    Examples
    --------
    >>> print(in_markdown("![x](http://example.org)"))
    \!\[x\]\(http://example.org\)
    """
    return _MARKDOWN.sub(r"\\\1", escape_control_characters(" ".join(text.splitlines())))


def escape_formulas(table: "pd.DataFrame") -> "pd.DataFrame":
    """Keep spreadsheets from computing what a cell of text says.

    Parameters
    ----------
    table : pandas.DataFrame
        To be written as CSV.

    Returns
    -------
    pandas.DataFrame
        With an apostrophe before texts that begin with ``=``, ``+``, ``-`` or ``@``, also in full
        width, and control characters spelled out. Numbers stay, and so do texts such as the point
        group ``-43m``.
    """
    return table.map(lambda value: _escape_cell(value) if isinstance(value, str) else value)


def _escape_cell(text: str) -> str:
    """Text of a cell."""
    shown = escape_control_characters(text)
    return f"'{shown}" if _FORMULA.match(shown) else shown


def _replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    """Stand in for characters that an encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_name_in_ascii, error.object[error.start : error.end])), error.end


def _name_in_ascii(character: str) -> str:
    """Name of a character, its letter without accents, or a question mark."""
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return _NAMES.get(character) or plain or "?"


codecs.register_error(TRANSLITERATING, _replace_unencodable)
