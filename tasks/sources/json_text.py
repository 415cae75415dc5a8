"""JSON text of others, parsed only where its nesting is harmless."""

import json
import re
from typing import Any, Final

import numpy as np

# The interpreter's own parser recurses, and where libraries have raised its limit of recursion a
# hostile text ends the process. orjson does not, but it refuses NaN, which pymatgen and ASE write.
_DEEPEST: Final = 100
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)

_OTHERS: Final = bytes(code for code in range(256) if code not in b"[]{}")
# Change of the depth at each bracket; one byte each, since there may be many.
_STEPS: Final = np.zeros(256, dtype=np.int8)
_STEPS[[*b"[{"]], _STEPS[[*b"]}"]] = 1, -1


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """Parse JSON text.

    Parameters
    ----------
    text : str or bytes
        One value.

    Returns
    -------
    object
        The value.

    Raises
    ------
    ValueError
        For text that is no JSON, or is nested more than 100 deep.
    """
    content = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    brackets = _STRING.sub(b"", content).translate(None, _OTHERS)
    steps = _STEPS[np.frombuffer(brackets, dtype=np.uint8)]
    if np.cumsum(steps, dtype=np.int32).max(initial=0) > _DEEPEST:
        raise ValueError(f"JSON is nested more than {_DEEPEST} deep")
    return json.loads(text)
