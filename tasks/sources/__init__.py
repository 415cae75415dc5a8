"""Sources of structures: found, cut into records, and parsed.

What comes in: a file, folder, archive, table or provider. What goes out: `RawRecord`, `Record`,
and checked crystals (`materials`), or the reason why there is none. From outside import the names
below, `materials` and the fetchers. It knows `tasks.crystals` and `tasks.symmetry`, and loads
neither phonopy nor a potential.

Cutting is cheap and done in one place, in order; parsing a record is dear and independent of all
others, so that it can be done anywhere. Nothing that a file says is ever run: no pickle is read,
and no name in a file is used as a path or as the name of a class.
"""

from tasks.crystals import Provenance, Record
from tasks.crystals.records import safe_id
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
from tasks.sources.records import STAGE, RawRecord, read_failure, require_new
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
