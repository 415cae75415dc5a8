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
from tasks.crystals.records import make_safe_id
from tasks.sources.reading import (
    ParallelMap,
    Read,
    list_paths,
    list_source_files,
    name_file,
    parse_record,
    read_path_records,
    read_raw_records,
)
from tasks.sources.records import STAGE, RawRecord, make_read_failure, require_new
from tasks.sources.settings import SourceSettings

__all__ = [
    "STAGE",
    "ParallelMap",
    "Provenance",
    "RawRecord",
    "Read",
    "Record",
    "SourceSettings",
    "list_paths",
    "list_source_files",
    "make_read_failure",
    "make_safe_id",
    "name_file",
    "parse_record",
    "read_path_records",
    "read_raw_records",
    "require_new",
]
