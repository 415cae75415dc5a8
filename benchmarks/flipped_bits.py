"""What becomes of single flipped bits in the parts and in the catalogue of a small dataset.

    cp -r tests/tasks/storage/fixtures/version_1 small
    chiralscreen upgrade small
    python benchmarks/flipped_bits.py small --read-every 101

Each bit of each part is flipped in a copy, one at a time, and the part is compared with its receipt
as ``chiralscreen verify`` does. Every n-th of the damaged parts is read as well, as all commands
read parts, where ``--read-every`` is n. The catalogue is built anew, and its files are read as
commands read them; they have no receipt to be compared with. The receipts are left alone:
``tests/tasks/storage/test_flipped_bits.py`` flips bits of each of their bytes.
"""

import argparse
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from tasks.failures import RemediableError
from tasks.results import read_catalog
from tasks.results.building import build_catalog
from tasks.storage import TABLES, Dataset, DatasetError, Receipt
from tasks.storage.parts import Selection, scan_part
from tasks.storage.snapshot import get_part_path
from tasks.storage.verification import check_parts
from tasks.tables.columns import Table as TableOfRows

OUTCOMES = ("bits", "found", "read", "refused", "same rows", "other rows")


@dataclass(frozen=True)
class Target:
    """A file whose bits are flipped."""

    name: str
    path: Path
    rows: Callable[[], pa.Table]
    is_found: Callable[[], bool]


def parts_of(root: Path) -> Iterator[Target]:
    """All parts of a dataset."""
    for receipt in Dataset(root).receipts():
        for table, file in receipt.files.items():
            path = get_part_path(root, table, receipt.chunk)
            alone = replace(receipt, files={table: file})
            read = partial(_rows_of_part, TABLES[table], Selection(path, part=file))
            yield Target(table, path, read, partial(_is_found, root, alone))


def catalogue_of(root: Path) -> Iterator[Target]:
    """All files of the catalogue that have rows."""
    for table, path in build_catalog(Dataset(root)).items():
        read = partial(_rows_of_catalogue, root, table)
        if read().num_rows:
            yield Target(f"catalog/{table}", path, read, lambda: False)


def _rows_of_part(table: TableOfRows, selection: Selection) -> pa.Table:
    return pa.concat_tables([table.arrow_schema.empty_table(), *scan_part(selection, table)])


def _rows_of_catalogue(root: Path, table: str) -> pa.Table:
    return pa.Table.from_pandas(read_catalog(root, table))


def _is_found(root: Path, receipt: Receipt) -> bool:
    return bool(check_parts(root, receipt))


def reading(target: Target, rows: pa.Table) -> str:
    """What a reader of a damaged file gets."""
    try:
        return "same rows" if target.rows().equals(rows) else "other rows"
    except (DatasetError, RemediableError):
        return "refused"


def outcomes(target: Target, read_every: int) -> Counter[str]:
    """Flip each bit of a file, one at a time, and leave it as it was."""
    content, rows, counts = target.path.read_bytes(), target.rows(), Counter[str]()
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        target.path.write_bytes(flipped)
        counts["found"] += target.is_found()
        counts["bits"] += 1
        if bit % read_every == 0:
            counts["read"] += 1
            counts[reading(target, rows)] += 1
    target.path.write_bytes(content)
    return counts


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each file, and one for all parts and all of the catalogue."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--read-every", type=int, default=13, help="odd, to read all places")
    options = parser.parse_args(arguments)
    table = Table("file", *OUTCOMES)
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(options.dataset, Path(folder) / "copy")
        for name, targets in (("parts", parts_of(copy)), ("catalogue", catalogue_of(copy))):
            total: Counter[str] = Counter()
            for target in list(targets):
                counts = outcomes(target, options.read_every)
                table.add_row(target.name, *(str(counts[name]) for name in OUTCOMES))
                total += counts
            table.add_row(f"all {name}", *(str(total[name]) for name in OUTCOMES))
    Console().print(table)


if __name__ == "__main__":
    main()
