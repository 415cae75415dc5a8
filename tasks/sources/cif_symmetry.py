"""Symmetry operations that a CIF states: as a list, by a Hall symbol, or by a space group.

A symbol that several settings share is read with the cell: the operations have to leave its
metric as it is,

    R^T G R = G.

If more than one setting is left, the file is refused. Only the short symbol of a monoclinic group
means the unique axis b, as International Tables have it.
"""

import re
from functools import cache, lru_cache
from typing import Final, NamedTuple

import numpy as np
import spglib
from numpy.typing import NDArray

from tasks.failures import RemediableError
from tasks.sources.cif_blocks import CifBlock
from tasks.sources.space_groups import normalize_symbol, parse_space_group
from tasks.tolerances import LISTED

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_N_HALL: Final = 530
_LISTS: Final = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_MAGNETIC: Final = "_space_group_symop_magn_operation_xyz"
_MAGNETIC_CENTRINGS: Final = "_space_group_symop_magn_centering_xyz"
_HALL: Final = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_SYMBOLS: Final = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_ref",
    "_space_group_name_h-m",
    "_space_group_name_h-m_full",
)
_NUMBERS: Final = ("_space_group_it_number", "_symmetry_int_tables_number")
_SETTING: Final = re.compile(r"(?:\s*:\s*(\w[\w-]*)|\s+([HRSZ]))$")
_ORIGINS: Final = {"S": "1", "Z": "2"}  # as in the database of inorganic crystals
_TERM: Final = re.compile(r"([+-]?)(?:(\d*\.?\d+)(?:/(\d+))?)?\*?([xyz]?)")
_METRIC: Final = 0.005  # of the lengths, or 0.3 degrees
_SAME_TRANSLATION: Final = 0.01  # as rounded as 0.33 for 1/3
_REMEDY: Final = "list the operations (_space_group_symop_operation_xyz)"


class Operations(NamedTuple):
    """Symmetry operations of a cell, centrings included.

    Attributes
    ----------
    rotations : ndarray of int, shape (n, 3, 3)
        In fractional coordinates, x' = R x + t.
    translations : ndarray, shape (n, 3)
        Fractions.
    """

    rotations: IntArray
    translations: FloatArray


class _Setting(NamedTuple):
    """A setting of a space group, and the names it has."""

    hall_number: int
    number: int
    choice: str
    hall: str
    short: str
    names: frozenset[str]


def read_stated_group(block: CifBlock) -> int | None:
    """Find the space group that a data block states.

    Parameters
    ----------
    block : CifBlock
        The block.

    Returns
    -------
    int or None
        None also for P1, which programs write for any crystal whose symmetry they did not look for.

    Raises
    ------
    RemediableError
        When number and symbol are those of two groups.
    """
    told = [block.get_value(*_NUMBERS), *(block.get_value(name) for name in _SYMBOLS)]
    numbers = {parse_space_group(value) for value in told if value is not None} - {None, 1}
    if len(numbers) > 1:
        found = " and ".join(str(number) for number in sorted(filter(None, numbers)))
        message = f"the file states two space groups: {found}"
        raise RemediableError(message, "correct the number or the symbol")
    return next(iter(numbers), None)


def read_block_operations(block: CifBlock, metric: FloatArray) -> Operations:
    """Operations of a data block.

    Parameters
    ----------
    block : CifBlock
        The block; told in its notes is where the operations are from, unless it lists them.
    metric : ndarray, shape (3, 3)
        Scalar products of the cell vectors in Å^2.

    Returns
    -------
    Operations
        A group that leaves the metric as it is.

    Raises
    ------
    RemediableError
        When the block states none, an incomplete list, such as do not fit the cell, or a space
        group of several settings.
    """
    listed = _read_listed_operations(block)
    if listed is None:
        return _find_by_name(block, metric)
    if not is_metric_invariant(listed, metric):
        message = "the symmetry operations do not leave the cell as it is"
        raise RemediableError(message, "correct the operations or the cell")
    return listed


def is_metric_invariant(operations: Operations, metric: FloatArray) -> bool:
    """Tell whether operations leave a cell as it is.

    Parameters
    ----------
    operations : Operations
        In fractional coordinates.
    metric : ndarray, shape (3, 3)
        Of the cell, in Å^2.

    Returns
    -------
    bool
        Lengths to 0.25 %, angles to 0.3 degrees.
    """
    rotations = operations.rotations
    turned = rotations.transpose(0, 2, 1) @ metric @ rotations
    lengths = np.sqrt(np.diag(metric))
    return bool((np.abs(turned - metric) / np.outer(lengths, lengths)).max() < _METRIC)


def find_group(operations: Operations, cell: FloatArray) -> int:
    """Space group that operations form.

    Parameters
    ----------
    operations : Operations
        A group.
    cell : ndarray, shape (3, 3)
        Lattice vectors as rows in Å.

    Returns
    -------
    int
        1 to 230; 0 where spglib does not know it.
    """
    try:
        found = spglib.get_spacegroup_type_from_symmetry(*operations, lattice=cell, symprec=LISTED)
    except spglib.SpglibError:
        return 0
    return 0 if found is None else int(found.number)


def _read_listed_operations(block: CifBlock) -> Operations | None:
    """Operations that a block lists, magnetic ones without their time reversal."""
    for name in _LISTS:
        if (texts := block.get_column(name)) is not None:
            return _find_listed_group(texts)
    magnetic = block.get_column(_MAGNETIC)
    if magnetic is None:
        return None
    block.notes.append("the magnetic moments are not read")
    rotations, translations = read_operations(tuple(map(_drop_time_reversal, magnetic)))
    centrings = tuple(map(_drop_time_reversal, block.get_column(_MAGNETIC_CENTRINGS) or ("x,y,z",)))
    shifts = read_operations(centrings).translations
    moved = (translations[None] + shifts[:, None]).reshape(-1, 3) % 1.0
    found = _remove_repetitions(np.tile(rotations, (len(shifts), 1, 1)), moved)
    _require_group(found)
    return found


@lru_cache(maxsize=64)
def _find_listed_group(texts: tuple[str, ...]) -> Operations:
    """Operations of a complete list; the records of a source often share one."""
    found = read_operations(texts)
    _require_group(found)
    return found


def _drop_time_reversal(text: str) -> str:
    """Operation of space alone: the fourth component is time."""
    return ",".join(text.split(",")[:3])


def read_operations(texts: tuple[str, ...]) -> Operations:
    """Read operations such as ``-y,x-y,z+1/3``.

    Parameters
    ----------
    texts : tuple of str
        One for each operation.

    Returns
    -------
    Operations
        Each one once; rounded translations are made multiples of 1/24 again.

    Raises
    ------
    RemediableError
        When one is no operation.
    """
    rows = np.array([_read_operation(text) for text in texts])
    rotations = np.rint(rows[:, :, :3]).astype(np.int64)
    if not np.isin(np.rint(np.linalg.det(rotations)), (-1, 1)).all():
        raise RemediableError("a symmetry operation is no rotation", "correct the operations")
    translations = rows[:, :, 3]
    whole = np.rint(24 * translations) / 24
    exact = np.where(np.abs(translations - whole) < 2e-3, whole, translations)
    return _remove_repetitions(rotations, exact % 1.0)


def _remove_repetitions(rotations: IntArray, translations: FloatArray) -> Operations:
    """Each operation once, in order."""
    told = np.column_stack([rotations.reshape(-1, 9), np.round(translations, 4) % 1.0])
    _, first = np.unique(told, axis=0, return_index=True)
    kept = np.sort(first)
    return Operations(rotations[kept], translations[kept])


def _read_operation(text: str) -> FloatArray:
    """Rotation and translation of an operation, shape (3, 4)."""
    parts = re.sub(r"\s", "", text.lower()).split(",")
    if len(parts) != 3 or not all(parts):
        raise _make_no_operation_error(text)
    return np.array([_read_component(part, text) for part in parts])


def _read_component(part: str, text: str) -> FloatArray:
    """Coefficients of x, y, z and 1 of one component."""
    row, place = np.zeros(4), 0
    while place < len(part):
        match = _TERM.match(part, place)
        if match is None or match.end() == place or not (match[2] or match[4]):
            raise _make_no_operation_error(text)
        if place and not match[1]:
            raise _make_no_operation_error(text)
        if match[3] and not int(match[3]):
            raise _make_no_operation_error(text)
        size = float(match[2] or 1) / int(match[3] or 1)
        row["xyz1".index(match[4] or "1")] += -size if match[1] == "-" else size
        place = match.end()
    return row


def _make_no_operation_error(text: str) -> RemediableError:
    message = f"unreadable: {text[:60]!r} is no symmetry operation"
    return RemediableError(message, "correct the operations")


def _require_group(operations: Operations) -> None:
    """Refuse operations of which a product of two is missing."""
    rotations, translations = operations
    codes = _encode_rotations(rotations)
    known, counts = np.unique(codes, return_counts=True)
    products = _encode_rotations(rotations[:, None] @ rotations[None])
    place = np.searchsorted(known, products).clip(max=len(known) - 1)
    if (counts == counts[0]).all() and (known[place] == products).all():
        shifts = translations[np.argsort(codes, kind="stable")].reshape(len(known), -1, 3)
        moved = translations @ rotations.transpose(0, 2, 1) + translations[:, None]
        apart = moved[:, :, None] - shifts[place]
        near = np.abs(apart - np.rint(apart)).max(axis=-1) < _SAME_TRANSLATION
        if near.any(axis=-1).all():
            return
    message = "the symmetry operations are no group: one of them is missing or wrong"
    raise RemediableError(message, "correct the list of operations")


def _encode_rotations(rotations: IntArray) -> IntArray:
    """A number for each rotation, whose elements are -3 to 3, shape (...)."""
    weights = 7 ** np.arange(9)
    return np.asarray(rotations.reshape(*rotations.shape[:-2], 9) @ weights, dtype=np.int64)


def _find_by_name(block: CifBlock, metric: FloatArray) -> Operations:
    """Operations of the one setting that the names in a block mean."""
    hall, number = block.get_value(*_HALL), block.get_value(*_NUMBERS)
    symbol = block.get_value(*_SYMBOLS)
    if not (hall or symbol or number):
        message = "the file states no symmetry operations and no space group"
        raise RemediableError(message, _REMEDY)
    named = _find_hall_settings(hall) if hall else []
    if not named and symbol:
        named = _find_symbol_settings(symbol)
    if not (named or hall or symbol):
        named = [
            setting for setting in _list_settings() if setting.number == parse_space_group(number)
        ]
    told = hall or symbol or number
    if not named:
        raise RemediableError(f"the space group {told!r} is not known", _REMEDY)
    stated = parse_space_group(number) if number else None
    if stated not in {None, *(setting.number for setting in named)}:
        message = f"the file states two space groups: {told!r} and {stated}"
        raise RemediableError(message, "correct the number or the symbol")
    found = _choose_setting([s for s in named if stated in (None, s.number)], metric, str(told))
    block.notes.append(f"symmetry operations of {_describe_setting(found)}, named by {told!r}")
    return _list_setting_operations(found)


def _choose_setting(named: list[_Setting], metric: FloatArray, told: str) -> _Setting:
    """Setting among those of a name whose operations leave the cell as it is."""
    fit = [
        setting
        for setting in named
        if is_metric_invariant(_list_setting_operations(setting), metric)
    ]
    if not fit:
        message = f"the operations of the space group {told!r} do not leave the cell as it is"
        raise RemediableError(message, _REMEDY)
    axis_b = [setting for setting in fit if setting.choice.lstrip("-").startswith("b")]
    if len(fit) > 1 and 3 <= fit[0].number <= 15 and len(axis_b) == 1:
        fit = axis_b
    if len(fit) > 1:
        choices = ", ".join(f"{s.hall!r}" for s in fit[:4])
        message = f"the space group {told!r} has several settings of this cell (Hall: {choices})"
        raise RemediableError(message, f"{_REMEDY}, or the Hall symbol")
    return fit[0]


def _describe_setting(setting: _Setting) -> str:
    choice = f", choice {setting.choice}" if setting.choice else ""
    return f"group {setting.number}{choice} (Hall {setting.hall!r})"


def _list_setting_operations(setting: _Setting) -> Operations:
    """Operations of a setting."""
    table = spglib.get_symmetry_from_database(setting.hall_number)
    return Operations(table["rotations"].astype(np.int64), table["translations"] % 1.0)


def _find_hall_settings(symbol: str) -> list[_Setting]:
    """Settings of a Hall symbol: one, or none that is known."""
    return [setting for setting in _list_settings() if setting.hall == _normalize_hall(symbol)]


def _normalize_hall(symbol: str) -> str:
    """Hall symbol with single blanks and letters in their usual case."""
    words = symbol.replace("_", " ").split()
    return " ".join(
        [word.upper() if index == 0 else word.lower() for index, word in enumerate(words)]
    )


def _find_symbol_settings(text: str) -> list[_Setting]:
    """Settings of an international symbol, with the choice that it may state."""
    stated = _SETTING.search(text)
    plain = normalize_symbol(text)
    named = [setting for setting in _list_settings() if plain in setting.names]
    named = named or [setting for setting in _list_settings() if plain == setting.short]
    if not stated:
        return named
    said = stated[1] or stated[2]
    choice = _ORIGINS.get(said.upper(), said)
    return [s for s in named if s.choice.lower().startswith(choice.lower())]


@cache
def _list_settings() -> tuple[_Setting, ...]:
    """All settings that spglib knows."""
    found = []
    for hall_number in range(1, _N_HALL + 1):
        kind = spglib.get_spacegroup_type(hall_number)
        # "P 2_1/c = P 1 2_1/n 1": the short symbol of the group, then that of the setting.
        *_, international = kind.international.split("=")
        full = [international, kind.international_full]
        # P 1 21/n 1 is also written P 21/n; elsewhere P 3 1 2 would become P 32.
        short_of = (" ".join(part for part in symbol.split() if part != "1") for symbol in full)
        brief = short_of if 3 <= kind.number <= 15 else ()
        names = frozenset(normalize_symbol(name) for name in (*full, *brief))
        hall, short = _normalize_hall(kind.hall_symbol), normalize_symbol(kind.international_short)
        found.append(_Setting(hall_number, kind.number, kind.choice, hall, short, names))
    return tuple(found)
