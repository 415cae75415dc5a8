"""Arrays and rows as plain values for JSON, short and without numbers that JSON lacks."""

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_DIGITS = 6


def round_nested(values: ArrayLike, decimals: int = 4) -> Any:  # noqa: ANN401 - nested lists
    """Nested lists of numbers with few decimals."""
    array = np.round(np.asarray(values, dtype=np.float64), decimals) + 0.0
    whole = array.astype(object)
    if decimals == 0:
        finite = np.isfinite(array)
        whole[finite] = array[finite].astype(np.int64)
    whole[~np.isfinite(array)] = None
    return whole.tolist()


def pack_numbers(values: ArrayLike) -> str:
    """Numbers between -1 and 1 as base64 of little-endian 16-bit integers, 1 being 32767.

    Parameters
    ----------
    values : array_like
        Real numbers; clipped to the interval.

    Returns
    -------
    str
        In C order.
    """
    clipped = np.clip(np.nan_to_num(np.asarray(values, dtype=np.float64)), -1.0, 1.0)
    return base64.b64encode(np.rint(clipped * 32767).astype("<i2").tobytes()).decode("ascii")


def to_json_value(value: Any) -> Any:  # noqa: ANN401 - any cell of a table
    """Cell of a table as JSON can hold it.

    Parameters
    ----------
    value : object
        Text, number, flag, time, list of these, or None.

    Returns
    -------
    object
        Numbers with six significant digits; NaN and infinities become None.
    """
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, list):
        return [to_json_value(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def write_json(path: Path, content: Any) -> Path:  # noqa: ANN401 - any JSON
    """Write JSON without spaces, all of it or nothing; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    return part.replace(path)
