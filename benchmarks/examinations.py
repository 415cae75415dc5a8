"""Examine potentials one after the other, and compare what was found.

    python -m benchmarks.examinations --reference DIR
    python -m benchmarks.examinations --only chgnet --output chgnet.parquet

DIR holds ``phonondb103_pbe_frequencies.json.gz``. Without `--output` the file that travels with the
package is written, in which `chiralscreen screen` looks; what it has of other potentials stays.
With `--print` nothing is examined. Prints the verdicts and a table in Markdown.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import torch

from potentials import load_potential
from tasks.examination import LAWS, examine, make_rows
from tasks.examination.records import SHIPPED, write_examination

NAMES = (
    "nequix-mp-1-pft",
    "nequix-oam-1-pft",
    "7net-l3i5",
    "7net-l3i5@bare",
    "7net-0",
    "7net-0@bare",
    "facet-tetrahedra",
    "facet-aln",
    "facet-aln-attention",
)
Row = Mapping[str, Any]


def main() -> None:
    """Examine, write and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", default=NAMES, help="names of potentials")
    parser.add_argument("--reference", type=Path, help="folder of the frequencies of PBE")
    parser.add_argument("--output", type=Path, default=SHIPPED, help="Parquet file")
    parser.add_argument("--print", action="store_true", help="print what the file has")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in () if options.print else options.only:
        rows = examined(name, options.reference)
        kept = [row for row in read_rows(options.output) if row["potential"] != name]
        write_examination([*kept, *rows], options.output)
        print(f"{name}: {rows[0]['verdict']}", flush=True)
    print_tables(read_rows(options.output))


def examined(name: str, reference: Path | None) -> list[Row]:
    """Rows of one potential."""
    potential, rounded = (load_potential(name, dtype=dtype) for dtype in ("float64", "float32"))
    return make_rows(examine(potential, rounded=rounded, reference=reference))


def read_rows(path: Path) -> list[Row]:
    """Rows of a file; none where there is no file."""
    return list(pq.read_table(path).to_pylist()) if path.exists() else []


def print_tables(rows: Sequence[Row]) -> None:
    """Print verdicts, and one line for each law with a column for each potential."""
    table = pd.DataFrame(rows)
    table["number"] = [f"{row['value']:.2g}{MARKS[row['grade']]}" for row in rows]
    # The file is sorted by digests.
    names = sorted(set(table.potential), key=lambda name: (*NAMES, name).index(name))
    verdicts = table.groupby("potential").verdict.first().loc[names]
    print(verdicts.to_markdown())
    fates = table.law == "fate"
    table["measured"] = table.title + " (" + table.unit + ")"
    table.loc[fates, "measured"] = table.subject + ": " + table.measured
    order = {law: number for number, law in enumerate(LAWS)}
    table = table.sort_values("law", key=lambda laws: laws.map(order), kind="stable")
    wide = table.pivot_table("number", "measured", "potential", aggfunc="first", sort=False)
    print(wide[names].fillna("").to_markdown())


MARKS = {"good": "", "told": "", "poor": " (poor)", "bad": " (**bad**)"}


if __name__ == "__main__":
    main()
