"""Sources of structures: found, cut into records, and parsed.

Cutting is cheap and done in one place, in order; parsing a record is dear and independent of all
others, so that it can be done anywhere. Nothing that a file says is ever run: no pickle is read,
and no name in a file is used as a path or as the name of a class.
"""

from tasks.sources.reading import (
    Read,
    Spread,
    name_in_source,
    parsed,
    paths_to_read,
    raw_records,
    records_of_path,
    source_files,
)
from tasks.sources.records import (
    STAGE,
    Provenance,
    RawRecord,
    Record,
    read_failure,
    require_new,
    safe_id,
)
from tasks.sources.settings import SourceSettings

__all__ = [
    "STAGE",
    "Provenance",
    "RawRecord",
    "Read",
    "Record",
    "SourceSettings",
    "Spread",
    "name_in_source",
    "parsed",
    "paths_to_read",
    "raw_records",
    "read_failure",
    "records_of_path",
    "require_new",
    "safe_id",
    "source_files",
]
