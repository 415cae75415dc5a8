"""Data blocks of a CIF, cut as the format defines them, and their values by name.

Names and keywords have no case. A defect is an error only when a value of the defective part is
needed: a broken list of authors, for example, does no harm.
"""

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tasks.crystals.records import make_safe_id
from tasks.failures import Failure, RemediableError
from tasks.sources.documents import Document, read_text
from tasks.sources.records import RawRecord, make_read_failure
from tasks.sources.settings import SourceSettings

_HEAD: Final = re.compile(r"\s*data_(\S*)", re.IGNORECASE)
_SITES: Final = re.compile(
    r"\s*_atom_site[_.](?:label|type_symbol|fract_[xyz]|cartn_[xyz]|id|group_pdb)\b", re.IGNORECASE
)
_NO_STRUCTURE: Final = "powder_pattern"  # blocks of diffraction data of some databases
_TOKEN: Final = re.compile(
    r"""\#.*|'(?P<single>.*?)'(?=\s|$)|"(?P<double>.*?)"(?=\s|$)|(?P<bare>\S+)"""
)
_KEYWORDS: Final = ("data_", "loop_", "save_", "stop_", "global_")
ABSENT: Final = frozenset(("?", ".", ""))
"""Values that stand for none."""
_REMEDY: Final = "correct the file"


class _Token(NamedTuple):
    """A word or text, where it stands, and whether it may be a name or a keyword."""

    text: str
    line: int
    is_bare: bool

    @property
    def is_name(self) -> bool:
        """Whether it is the name of a value."""
        return self.is_bare and self.text.startswith("_")

    @property
    def is_keyword(self) -> bool:
        """Whether it is a word of the format itself."""
        return self.is_bare and self.text.lower().startswith(_KEYWORDS)


@dataclass
class CifBlock:
    """Values of a data block.

    Attributes
    ----------
    values : dict of tuple of str
        By name in lower case with ``_`` in place of every dot; several in a loop.
    defects : dict of str
        Why the values of a name cannot be used.
    notes : list of str
        What was read against the letter of the format.
    """

    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    defects: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def get_column(self, *names: str) -> tuple[str, ...] | None:
        """Values of the first name that has any.

        Parameters
        ----------
        *names : str
            In lower case.

        Returns
        -------
        tuple of str or None
            None where every one is absent or unknown.

        Raises
        ------
        RemediableError
            When they cannot be used.
        """
        for name in names:
            if name in self.defects:
                raise RemediableError(f"unreadable: {self.defects[name]}", _REMEDY)
            found = self.values.get(name, ())
            if any(value not in ABSENT for value in found):
                return found
        return None

    def get_value(self, *names: str) -> str | None:
        """Single value of the first name that has one; see `get_column`."""
        found = self.get_column(*names)
        return None if found is None else found[0]

    def has_known(self, *beginnings: str) -> bool:
        """Whether a name that begins in one of these ways has a known value."""
        found = (values for name, values in self.values.items() if name.startswith(beginnings))
        return any(value not in ABSENT for values in found for value in values)

    def add(self, name: str, values: tuple[str, ...], line: int) -> None:
        """Remember values, or that a name has others already."""
        key = name.lower().replace(".", "_")
        if self.values.setdefault(key, values) != values:
            self.defects[key] = f"line {line}: {name} has two values"


def cut_cif(document: Document, settings: SourceSettings) -> Iterator[RawRecord | Failure]:
    """Give every data block of a CIF that holds atoms.

    Parameters
    ----------
    document : Document
        The file.
    settings : SourceSettings
        Limits.

    Yields
    ------
    RawRecord or Failure
        A single block is named by its file; a failure for a file whose blocks hold no atom.
    """
    text = read_text(document.stream, settings.max_record_bytes)
    if not text.strip():
        return
    blocks, headers = _split_blocks(text), Counter[str]()
    if not any(holds_sites for _, _, holds_sites in blocks):
        yield make_read_failure(_make_no_structure_error(text, blocks), document.name)
    for header, block, holds_sites in blocks:
        headers[header] += 1
        label = f"{header}-{headers[header]}" if headers[header] > 1 else header
        if holds_sites and len(blocks) == 1:
            yield RawRecord(make_safe_id(document.stem), "cif", block, document.name)
        elif holds_sites:
            place = f"{document.name}#{label}"
            yield RawRecord(make_safe_id(f"{document.stem}-{label}"), "cif", block, place)


def read_block(text: str) -> CifBlock:
    """Read the only data block of a text that holds atoms.

    Parameters
    ----------
    text : str
        A CIF.

    Returns
    -------
    CifBlock
        Its values.

    Raises
    ------
    RemediableError
        When no block holds atoms, or several do, or the text does not follow the format.
    """
    blocks = _split_blocks(text)
    found = [block for _, block, holds_sites in blocks if holds_sites]
    if not found:
        raise _make_no_structure_error(text, blocks)
    if len(found) > 1:
        message = f"unreadable: {len(found)} structures in one record"
        raise RemediableError(message, "give each a record of its own")
    return _read_values(deque(_tokenize(found[0])))


def _make_no_structure_error(text: str, blocks: list[tuple[str, str, bool]]) -> RemediableError:
    """Say why a text holds no structure."""
    *_, (_, ends_quoted) = _split_lines(f"{text}\n ")
    if ends_quoted:
        message = "unreadable: a text that begins with a semicolon has no end"
        return RemediableError(message, _REMEDY)
    if not blocks:
        return RemediableError("unreadable: no CIF: it has no data block", "give a CIF file")
    message = "unreadable: no structure found: no data block lists atoms (_atom_site_)"
    return RemediableError(message, "correct or remove the file")


def _split_blocks(text: str) -> list[tuple[str, str, bool]]:
    """Header and text of each data block, and whether it lists atoms."""
    blocks: list[tuple[str, list[str]]] = []
    with_sites: set[int] = set()
    for line, is_quoted in _split_lines(text):
        if not is_quoted and (header := _HEAD.match(line)):
            blocks.append((header.group(1), []))
        if blocks:
            blocks[-1][1].append(line)
            if not is_quoted and _SITES.match(line):
                with_sites.add(len(blocks) - 1)
    return [
        (header, "".join(lines), index in with_sites)
        for index, (header, lines) in enumerate(blocks)
        if _NO_STRUCTURE not in header
    ]


def _split_lines(text: str) -> Iterator[tuple[str, bool]]:
    """Lines of a CIF, and whether each belongs to a text between semicolons."""
    is_quoted = False
    for line in text.splitlines(keepends=True):
        delimits = line.startswith(";")
        yield line, is_quoted or delimits
        is_quoted ^= delimits


def _tokenize(text: str) -> Iterator[_Token]:
    """Words and texts of a data block."""
    inside: list[str] | None = None
    start = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(";") and inside is None:
            inside, start = [line[1:]], number
            continue
        if inside is not None and not line.startswith(";"):
            inside.append(line)
            continue
        if inside is not None:
            yield _Token("\n".join(inside).strip(), start, is_bare=False)
            inside, line = None, line[1:]  # noqa: PLW2901 - the rest of the line is read as any
        yield from _split_words(line, number)
    if inside is not None:
        raise RemediableError(
            f"unreadable: line {start}: a text that begins with a semicolon has no end", _REMEDY
        )


def _split_words(line: str, number: int) -> Iterator[_Token]:
    """Words of a line that is no text."""
    for match in _TOKEN.finditer(line):
        if match.lastgroup:
            word = match.group(match.lastgroup)
            yield _Token(word.strip(), number, is_bare=match.lastgroup == "bare")


def _read_values(tokens: deque[_Token]) -> CifBlock:
    """Values by name."""
    block = CifBlock()
    while tokens:
        token = tokens.popleft()
        if token.is_name:
            _read_value(block, token, tokens)
        elif token.is_bare and token.text.lower() == "loop_":
            _read_loop(block, token, tokens)
        elif not token.is_keyword:
            message = f"unreadable: line {token.line}: {token.text[:40]!r} belongs to no name"
            raise RemediableError(message, "correct the file; texts with blanks need quotes")
    return block


def _read_value(block: CifBlock, name: _Token, tokens: deque[_Token]) -> None:
    """Read the value after a name; one of several words without quotes is taken with a note."""
    words: list[str] = []
    while tokens and not (tokens[0].is_name or tokens[0].is_keyword):
        if words and (tokens[0].line != name.line or not tokens[0].is_bare):
            break
        words.append(tokens.popleft().text)
    if len(words) > 1:
        block.notes.append(f"{name.text}: taken for {' '.join(words)!r}, which has no quotes")
    block.add(name.text, (" ".join(words) if words else "?",), name.line)


def _read_loop(block: CifBlock, keyword: _Token, tokens: deque[_Token]) -> None:
    """Read names and rows of a loop; one that does not come out even is told when it is wanted."""
    names, values = [], []
    while tokens and tokens[0].is_name:
        names.append(tokens.popleft())
    while tokens and not (tokens[0].is_name or tokens[0].is_keyword):
        values.append(tokens.popleft().text)
    n = len(names)
    for index, name in enumerate(names):
        block.add(name.text, tuple(values[index::n]), name.line)
        if len(values) % n:
            key = name.text.lower().replace(".", "_")
            told = f"{len(values)} values for {n} columns"
            block.defects[key] = f"line {keyword.line}: the loop of {names[0].text} has {told}"
