"""What must hold for the dataset of a round, whatever was done to its runs."""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.results.catalogue import REPORT
from tasks.screening.planning import STAGE_NAMES
from tasks.storage import CATALOG_TABLES, Dataset, prune
from tasks.storage.receipts import name_receipt
from tasks.storage.snapshot import get_part_path

# When, where and for how long something was computed differs from run to run.
UNCOMPARED = frozenset({"run_id", "planned_at", "wall_time", "potential_time"})
TOLERANCE = 1e-6
"""Largest difference of a number, as a fraction of the largest of its column or of one."""

_OF_SCREENED = ("materials", "relaxations", "phonons", "force_constants")
_ROOT = {".lease", ".crew", ".watch", "catalog", "parts", "receipts", REPORT}


def faults_in(root: Path, reference: Path) -> list[str]:
    """List what is wrong with a dataset after its last run has ended undisturbed.

    Parameters
    ----------
    root, reference : pathlib.Path
        The dataset, and one of the same source that nobody disturbed.

    Returns
    -------
    list of str
        Empty where nothing is.
    """
    dataset = Dataset(root)
    found = [str(problem) for problem in dataset.verify()]
    return [*found, *_computed_twice(dataset), *_miscounted(root), *_different(root, reference)]


def largest_difference(root: Path, reference: Path) -> float:
    """Largest difference of two datasets' numbers, as `TOLERANCE` counts it.

    Parameters
    ----------
    root, reference : pathlib.Path
        Datasets with the same rows.

    Returns
    -------
    float
        Zero where all are equal to the last bit.
    """
    return max((d for *_, d in _differences(root, reference)), default=0.0)


def stray_files(root: Path) -> list[str]:
    """List files that neither hold results nor are documented, once the upkeep was there.

    Parameters
    ----------
    root : pathlib.Path
        A dataset in which nobody works; what is superseded is removed from it.

    Returns
    -------
    list of str
        Their paths inside the dataset.
    """
    dataset = Dataset(root)
    prune(dataset, older_than=timedelta(0))
    kept = set(_named(dataset))
    files = {path for path in root.rglob("*") if not path.is_dir()}
    strays = {path for path in files - kept if path.parent != root / ".watch"}
    beside = {path for path in root.iterdir() if path.name not in _ROOT}
    return sorted(str(path.relative_to(root)) for path in strays | beside)


def _named(dataset: Dataset) -> Iterator[Path]:
    """Files that belong to a dataset."""
    yield from (dataset.root / name for name in _ROOT)
    yield from (dataset.root / "catalog" / f"{name}.parquet" for name in CATALOG_TABLES)
    for receipt in dataset.receipts():
        yield dataset.root / "receipts" / name_receipt(receipt.chunk)
        yield from (get_part_path(dataset.root, name, receipt.chunk) for name in receipt.files)


def _computed_twice(dataset: Dataset) -> Iterator[str]:
    for stage in STAGE_NAMES:
        counts = Counter(key for receipt in dataset.receipts(stage) for key in receipt.keys)
        twice = [key for key, count in counts.items() if count > 1]
        if twice:
            yield f"{stage}: {len(twice)} keys committed more than once, {twice[0]} among them"


def _miscounted(root: Path) -> Iterator[str]:
    """Crystals without exactly one row, or one failure."""
    tables = {name: _counts(root, name) for name in (*_OF_SCREENED, "chirality", "failures")}
    outcomes = _read(root, "chirality").select(["material_id", "outcome"]).to_pylist()
    for row in outcomes:
        name, outcome = row["material_id"], row["outcome"]
        if tables["chirality"][name] != 1:
            yield f"{name} has {tables['chirality'][name]} rows in chirality"
        if outcome == "screened":
            yield from (
                f"{name} has {tables[table][name]} rows in {table}"
                for table in _OF_SCREENED
                if tables[table][name] != 1
            )
        if tables["failures"][name] != (outcome == "failed"):
            yield f"{name} is {outcome} and has {tables['failures'][name]} failures"
        if outcome == "pending":
            yield f"{name} is pending after a run that ended well"


def _counts(root: Path, table: str) -> Counter[str]:
    return Counter(_read(root, table)["material_id"].to_pylist())


def _different(root: Path, reference: Path) -> Iterator[str]:
    """What differs from the dataset that nobody disturbed."""
    for table in CATALOG_TABLES:
        if table == "runs":
            continue
        ours, theirs = _read(root, table), _read(reference, table)
        if ours.num_rows != theirs.num_rows:
            yield f"{table}: {ours.num_rows} rows, {theirs.num_rows} in the reference"
    for table, column, difference in _differences(root, reference):
        if difference > TOLERANCE:
            yield f"{table}.{column} differs from the reference by {difference:.3g}"


def _differences(root: Path, reference: Path) -> Iterator[tuple[str, str, float]]:
    """Table, column and largest difference of each; infinite where texts or counts differ."""
    for table in CATALOG_TABLES:
        ours, theirs = _read(root, table), _read(reference, table)
        if table == "runs" or ours.num_rows != theirs.num_rows:
            continue
        for name in set(ours.column_names) - UNCOMPARED:
            yield table, name, _difference(ours[name], theirs[name])


def _difference(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> float:
    if ours.equals(theirs):
        return 0.0
    flat = [_flat(column) for column in (ours, theirs)]
    if flat[0] is None or flat[1] is None or flat[0].shape != flat[1].shape:
        return math.inf
    if (np.isnan(flat[0]) != np.isnan(flat[1])).any():
        return math.inf
    scale = max(1.0, float(np.nanmax(np.abs(flat[1]))))
    return float(np.nanmax(np.abs(flat[0] - flat[1]))) / scale


def _flat(column: pa.ChunkedArray) -> np.ndarray | None:
    """All numbers of a column of real numbers, or of lists of them; None of another one."""
    if pa.types.is_list(column.type):
        if not pa.types.is_floating(column.type.value_type):
            return None
        # Lists of other lengths would be other numbers in the same places.
        lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy()
        values = pc.list_flatten(column).to_numpy()
        return np.concatenate([lengths.astype(float), values])
    if not pa.types.is_floating(column.type):
        return None
    return pd.Series(column.to_pandas()).to_numpy(float)


def _read(root: Path, table: str) -> pa.Table:
    return pq.read_table(root / "catalog" / f"{table}.parquet")
