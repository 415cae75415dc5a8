"""Python's garbage collector in programs of which most is imported once and kept to the end."""

import atexit
import gc

# Between two looks at new objects; Python's 700 to 2000 cost a quarter of the time of imports.
_OBJECTS_BETWEEN_LOOKS = 50_000


def collect_rarely() -> None:
    """Let this process look for garbage rarely, and not at all when it ends.

    The last look goes through all that was imported: a second, of which the system frees the memory
    in no time.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_LOOKS)
    atexit.register(gc.freeze)
