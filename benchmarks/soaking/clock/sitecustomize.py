"""A clock that jumps, for the processes whose PYTHONPATH names this folder; CPython only.

``SOAK_CLOCK`` is a list of jumps, such as ``81234.5:-3600,81240:86400``: a moment of the monotonic
clock, which all processes of a machine share, and the seconds by which the time of day is wrong
from then on. What Python asks for the time jumps (``time.time``, ``time.time_ns``,
``datetime.now``, ``datetime.utcnow``, ``datetime.today``); what compiled libraries and the file
system ask for does not.
"""

import ctypes
import gc
import os
import time
from datetime import datetime, timedelta, tzinfo

_JUMPS = sorted(
    tuple(map(float, jump.split(":")))
    for jump in os.environ.get("SOAK_CLOCK", "").split(",")
    if jump
)
_time, _time_ns, _monotonic = time.time, time.time_ns, time.monotonic
_now, _utcnow = (datetime.__dict__[name] for name in ("now", "utcnow"))


def _shift() -> float:
    """Seconds by which the clock is wrong now."""
    now = _monotonic()
    return next((shift for moment, shift in reversed(_JUMPS) if moment <= now), 0.0)


def _wrong_now(cls: type[datetime], tz: tzinfo | None = None) -> datetime:
    """Time of day of `datetime.now` and `datetime.today`."""
    return _now.__get__(None, cls)(tz) + timedelta(seconds=_shift())


def _wrong_utcnow(cls: type[datetime]) -> datetime:
    """Time of day of `datetime.utcnow`."""
    return _utcnow.__get__(None, cls)() + timedelta(seconds=_shift())


def _put_into_datetime(**methods: object) -> None:
    """Give the class other methods; compiled code knows the class itself, so it has to stay."""
    gc.get_referents(datetime.__dict__)[0].update(methods)
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(datetime))


if _JUMPS:
    wrong = classmethod(_wrong_now)
    _put_into_datetime(now=wrong, today=wrong, utcnow=classmethod(_wrong_utcnow))
    time.time = lambda: _time() + _shift()
    time.time_ns = lambda: _time_ns() + int(1e9 * _shift())
