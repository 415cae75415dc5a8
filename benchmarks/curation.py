"""Curate a large source: seconds, memory, crystals by class and by reason to skip them.

    python benchmarks/curation.py mp20.parquet --workers 2 --output curation.json

With ``--expected COLUMN=TOLERANCE`` the space groups that a column of a Parquet source states are
compared with those found at this tolerance (Å).
"""

import argparse
import json
import resource
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from flows.classification import classify_records
from tasks.failures import Failure
from tasks.screening.settings import ScreenSettings, read_settings
from tasks.symmetry import classify_space_group

_REPORT_EVERY = 10_000


def main() -> None:
    """Curate the source named on the command line and print what was found."""
    arguments = _arguments()
    settings = read_settings(arguments.config, {"symmetry.symprec": arguments.symprec})
    expected = _expected(arguments.source, arguments.expected)
    began = time.perf_counter()
    rows = classify_records(arguments.source, settings, arguments.workers)
    report = count(islice(rows, arguments.limit), expected, settings)
    report["wall_seconds"] = round(time.perf_counter() - began, 1)
    text = json.dumps(report, indent=1)
    print(text)
    if arguments.output:
        arguments.output.write_text(text + "\n", encoding="utf-8")


def count(
    rows: Iterator[Mapping[str, Any] | Failure],
    expected: Mapping[str, Mapping[str, int]],
    settings: ScreenSettings,
) -> dict[str, Any]:
    """Count crystals by what became of them.

    Parameters
    ----------
    rows : iterator of mapping or Failure
        Curated records.
    expected : mapping from str to mapping
        Space-group number stated at a tolerance, by material.
    settings : ScreenSettings
        Tolerances.

    Returns
    -------
    dict
        Counts.
    """
    counters: dict[str, Counter[str]] = {
        name: Counter() for name in ("classes", "skipped", "failed", "charge_balance", "changes")
    }
    agreement: Counter[str] = Counter()
    memory: dict[int, int] = {}
    n_records = 0
    for n_records, row in enumerate(rows, start=1):
        if n_records % _REPORT_EVERY == 0:
            memory[n_records] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            so_far = {name: dict(counter) for name, counter in counters.items()}
            print(f"{n_records} records, {memory[n_records]} MiB, {so_far}", flush=True)
        if isinstance(row, Failure):
            counters["failed"][row.message.split(":")[0]] += 1
            continue
        counters["classes"][row["chirality_class"]] += 1
        counters["charge_balance"][row["charge_balance"]] += 1
        counters["skipped"][(row["skipped"] or "candidate").split(":")[0]] += 1
        if row.get("classes_differ"):
            counters["changes"][_change(row["space_groups"])] += 1
        agreement.update(_agreement(row, expected, settings))
    found = {name: dict(counter.most_common()) for name, counter in counters.items()}
    return {"records": n_records, **found, "agreement": dict(agreement), "peak_parent_mib": memory}


def _change(numbers: list[int]) -> str:
    """Classes at the tightest and the loosest tolerance."""
    first, last = (classify_space_group(n).chirality_class for n in (numbers[0], numbers[-1]))
    return f"{first} to {last}"


def _agreement(
    row: Mapping[str, Any], expected: Mapping[str, Mapping[str, int]], settings: ScreenSettings
) -> Iterator[str]:
    """Whether the space groups found are those that the source states."""
    found = {f"{settings.symmetry.symprec:g}": row["space_group_number"]}
    tolerances = row.get("tolerances") or ()
    found |= {f"{t:g}": n for t, n in zip(tolerances, row.get("space_groups") or (), strict=True)}
    for tolerance, stated in expected.items():
        if tolerance in found:
            same = stated.get(str(row["database_id"])) == found[tolerance]
            yield f"{tolerance} {'same' if same else 'other'}"


def _expected(source: Path, columns: list[str]) -> dict[str, dict[str, int]]:
    """Stated space-group numbers by tolerance and material."""
    expected = {}
    for item in columns:
        column, tolerance = item.split("=")
        names = pq.read_schema(source).names
        identity = next(name for name in ("material_id", "file") if name in names)
        table = pq.read_table(source, columns=[identity, column])
        expected[f"{float(tolerance):g}"] = dict(
            zip(table[identity].to_pylist(), table[column].to_pylist(), strict=True)
        )
    return expected


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="anything that `chiralscreen screen` reads")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--symprec", type=float, default=0.01, help="Å")
    parser.add_argument("--limit", type=int, default=None, help="records")
    parser.add_argument("--config", type=Path, default=None, help="YAML file of settings")
    parser.add_argument("--expected", action="append", default=[], metavar="COLUMN=TOLERANCE")
    parser.add_argument("--output", type=Path, default=None, help="JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
