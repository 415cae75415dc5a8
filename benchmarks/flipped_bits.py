"""What becomes of single flipped bits in the parts of a small dataset.

    cp -r tests/tasks/storage/fixtures/version_1 small
    chiralscreen upgrade small
    python benchmarks/flipped_bits.py small --read-every 101

Each bit of each part is flipped in a copy, one at a time, and the part is compared with its receipt
as ``chiralscreen verify`` does. Readers open parts without that check; every n-th of the damaged
parts is read as well, where ``--read-every`` is n. The receipts are left alone:
``tests/tasks/storage/test_flipped_bits.py`` flips their bits.
"""

import argparse
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from tasks.storage import TABLES, Dataset, DatasetError, Receipt
from tasks.storage.parts import Selection, scan_part
from tasks.storage.snapshot import part_path
from tasks.storage.verification import check_parts

OUTCOMES = ("bits", "found", "read", "refused", "same rows", "other rows")


@dataclass(frozen=True)
class Part:
    """A part of a copy of the dataset, with the receipt that names no other."""

    root: Path
    table: str
    receipt: Receipt

    @property
    def path(self) -> Path:
        """Its file."""
        return part_path(self.root, self.table, self.receipt.chunk)

    def rows(self) -> pa.Table:
        """Its rows, as any reader gets them."""
        table = TABLES[self.table]
        batches = scan_part(Selection(self.path), table)
        return pa.concat_tables([table.arrow_schema.empty_table(), *batches])


def parts_of(root: Path) -> list[Part]:
    """All parts of a dataset."""
    return [
        Part(root, table, replace(receipt, files={table: file}))
        for receipt in Dataset(root).receipts()
        for table, file in receipt.files.items()
    ]


def reading(part: Part, rows: pa.Table) -> str:
    """What a reader of a damaged part gets."""
    try:
        return "same rows" if part.rows().equals(rows) else "other rows"
    except DatasetError:
        return "refused"


def outcomes(part: Part, read_every: int) -> Counter[str]:
    """Flip each bit of a part, one at a time, and leave the part as it was."""
    content, rows, counts = part.path.read_bytes(), part.rows(), Counter[str]()
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        part.path.write_bytes(flipped)
        counts["found"] += bool(check_parts(part.root, part.receipt))
        counts["bits"] += 1
        if bit % read_every == 0:
            counts["read"] += 1
            counts[reading(part, rows)] += 1
    part.path.write_bytes(content)
    return counts


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each part and one for all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--read-every", type=int, default=13, help="odd, to read all places")
    options = parser.parse_args(arguments)
    table = Table("part", *OUTCOMES)
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for part in parts_of(shutil.copytree(options.dataset, Path(folder) / "copy")):
            counts = outcomes(part, options.read_every)
            table.add_row(part.table, *(str(counts[name]) for name in OUTCOMES))
            total += counts
    table.add_row("all", *(str(total[name]) for name in OUTCOMES))
    Console().print(table)


if __name__ == "__main__":
    main()
