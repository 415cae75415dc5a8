"""The catalogue: what people read.

The newest plan row of each material decides which keys are valid. Rows of other keys stay in the
parts and are not shown.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tasks.storage.dataset import Dataset
from tasks.storage.durable import discard, publish, stage_file
from tasks.storage.ordering import read_rows_in_order
from tasks.storage.parts import write_rows
from tasks.storage.snapshot import Snapshot
from tasks.tables.declarations import (
    CATALOG_ORIGINS,
    CATALOG_TABLES,
    COMPLETED,
    JUDGED_COLUMNS,
    PLANNED_KEYS,
    TABLES,
)
from tasks.tables.rows import name_identities

_UNCLASSIFIED: Final = 231  # sorts after every space group
_MATERIALS_AT_ONCE: Final = 20_000
_KEY_COLUMNS: Final = ("key", *dict.fromkeys(PLANNED_KEYS.values()))
Row = Mapping[str, Any]


@dataclass(frozen=True)
class DerivedColumns:
    """What gives the columns of the catalogue of materials that follow from its others.

    Attributes
    ----------
    reads : tuple of str
        Columns of the catalogue that it reads.
    begin : callable
        Called once for a catalogue with the committed rows and the newest plan. Gives a function
        from ``material_id`` and the columns `reads` of one material, whose ``stable`` is known, to
        the values of `JUDGED_COLUMNS`, and of `COMPLETED` where these are empty.
    """

    reads: tuple[str, ...]
    begin: Callable[[Snapshot, pa.Table], Callable[[Row], Row]]


def write_catalog(dataset: Dataset, judge: DerivedColumns) -> Mapping[str, Path]:
    """Write the catalogue of a dataset, one file per table, sorted by space group.

    ``chirality`` gets one row per planned material, whatever became of it. The other tables get
    the rows whose keys the newest plan names. All files are written before the first takes the
    place of its predecessor.

    Parameters
    ----------
    dataset : Dataset
        The dataset; programs may go on writing into it.
    judge : DerivedColumns
        What the numbers of each material are worth.

    Returns
    -------
    mapping from str to Path
        File of each table.

    Raises
    ------
    DatasetError
        When a part is missing or damaged, or the disk refuses the files.
    """
    snapshot = dataset.take_snapshot()
    plan = _read_newest_plan(snapshot)
    folder = dataset.root / "catalog"
    files = {name: folder / f"{name}.parquet" for name in CATALOG_TABLES}
    staged: dict[str, Path] = {}
    try:
        for name in files:
            staged[name] = _stage_table(folder, name, _make_rows(snapshot, name, plan, judge))
        for name, final in files.items():
            publish(staged[name], final)
    finally:
        for temporary in staged.values():
            discard(temporary)
    return files


def _stage_table(folder: Path, table: str, batches: Iterable[pa.Table]) -> Path:
    schema = CATALOG_TABLES[table].arrow_schema
    return stage_file(folder, lambda path: _write_batches(path, schema, batches))


def _write_batches(path: Path, schema: pa.Schema, batches: Iterable[pa.Table]) -> None:
    write_rows(path, schema, batches)


def _make_rows(
    snapshot: Snapshot, table: str, plan: pa.Table, judge: DerivedColumns
) -> Iterable[pa.Table]:
    """Rows of one file of the catalogue."""
    if table == "plan":
        return [plan]
    if table == "runs":
        return [
            snapshot.read("runs").sort_by([("started_at", "ascending"), ("run_id", "ascending")])
        ]
    if table == "chirality":
        return _make_wide_rows(snapshot, plan, judge)
    if table == "failures":
        keys = [
            key for key in _list_distinct_keys(plan, _KEY_COLUMNS) if key not in snapshot.succeeded
        ]
        return read_rows_in_order(snapshot, table, keys)
    return read_rows_in_order(snapshot, table, _list_distinct_keys(plan, [PLANNED_KEYS[table]]))


def _read_newest_plan(snapshot: Snapshot) -> pa.Table:
    """Newest plan row of each material, sorted by space group and material."""
    order = [(name, "ascending") for name in ("material_id", "planned_at", "run_id", "key")]
    plan = snapshot.read("plan").sort_by(order)
    ids = plan["material_id"].combine_chunks()
    if len(ids) == 0:
        return plan
    newest = plan.filter(pa.concat_arrays([pc.not_equal(ids[1:], ids[:-1]), pa.array([True])]))
    ranks = pa.table(
        {"space_group": _read_space_groups(snapshot, newest), "id": newest["material_id"]}
    )
    return newest.take(pc.sort_indices(ranks, [("space_group", "ascending"), ("id", "ascending")]))


def _read_space_groups(snapshot: Snapshot, plan: pa.Table) -> pa.ChunkedArray:
    """Space-group number of each planned material."""
    rows = take_planned_rows(snapshot, plan, "materials", ["space_group_number"])
    return pc.fill_null(rows["space_group_number"], _UNCLASSIFIED)


def _list_distinct_keys(plan: pa.Table, columns: Iterable[str]) -> list[str]:
    """Keys in some columns of the plan, row by row, each once."""
    rows = zip(*(plan[name].to_pylist() for name in columns), strict=True)
    return list(dict.fromkeys(key for row in rows for key in row if key is not None))


def _make_wide_rows(
    snapshot: Snapshot, plan: pa.Table, judge: DerivedColumns
) -> Iterator[pa.Table]:
    """One row per planned material, a bounded number of them at a time."""
    judged = judge.begin(snapshot, plan)
    for start in range(0, plan.num_rows, _MATERIALS_AT_ONCE):
        yield _join_tables(snapshot, plan.slice(start, _MATERIALS_AT_ONCE), judge.reads, judged)


def _join_tables(
    snapshot: Snapshot, plan: pa.Table, reads: Iterable[str], judged: Callable[[Row], Row]
) -> pa.Table:
    """Join what is known about some planned materials."""
    origins = CATALOG_ORIGINS.values()
    found = {"plan": plan}
    for table in ("materials", "relaxations", "phonons", "chirality", "agreement"):
        columns = [column for origin, column in origins if origin == table]
        found[table] = take_planned_rows(snapshot, plan, table, columns)
    outcome, reason = _list_outcomes(snapshot, plan, pc.is_valid(found["chirality"]["key"]))
    joined = {name: found[table][column] for name, (table, column) in CATALOG_ORIGINS.items()}
    joined["nac_source"] = _list_charge_sources(joined)
    schema = CATALOG_TABLES["chirality"].arrow_schema
    named = {"material_id": plan["material_id"]} | {name: joined[name] for name in reads}
    added = _add_judged(pa.table(named | {"stable": joined["stable"]}), judged, schema)
    joined |= {name: pc.coalesce(joined[name], added.pop(name)) for name in COMPLETED}
    columns = [plan["material_id"], outcome, reason, *joined.values(), *added.values()]
    return pa.table(columns, schema=schema)


def _list_charge_sources(joined: Mapping[str, pa.ChunkedArray]) -> pa.ChunkedArray:
    """Where the Born charges of each analysis are from; before it, those that are given."""
    empty = pa.scalar(None, pa.string())
    given, used = joined["nac_source"], pc.fill_null(joined["nac"], True)
    source = pc.if_else(pc.is_valid(joined["charge_model"]), "predicted", given)
    return pc.if_else(used, source, empty)


def _add_judged(
    joined: pa.Table, judged: Callable[[Row], Row], schema: pa.Schema
) -> dict[str, pa.Array]:
    """Columns that are judged of some materials; empty for those without results."""
    rows = [{} if row["stable"] is None else judged(row) for row in joined.to_pylist()]
    names = [*COMPLETED, *(column.name for column in JUDGED_COLUMNS)]
    return {n: pa.array([row.get(n) for row in rows], schema.field(n).type) for n in names}


def take_planned_rows(
    snapshot: Snapshot, plan: pa.Table, table: str, columns: Iterable[str]
) -> pa.Table:
    """Take the row of a table for each planned material.

    Parameters
    ----------
    snapshot : Snapshot
        What is committed.
    plan : pyarrow.Table
        The newest decisions.
    table : str
        Name of the table.
    columns : iterable of str
        Its columns, besides those that tell its rows apart.

    Returns
    -------
    pyarrow.Table
        In the order of the plan; empty where there is none.
    """
    key = PLANNED_KEYS[table]
    names = [*TABLES[table].identity, *columns]
    rows = snapshot.read(table, keys=_list_distinct_keys(plan, [key]), columns=names)
    return rows.take(_find_positions(plan, key, table, rows))


def _find_positions(plan: pa.Table, key: str, table: str, rows: pa.Table) -> pa.ChunkedArray:
    """Position of each material's row under its planned key."""
    pairs = plan.select(["material_id", key]).rename_columns(list(TABLES[table].identity))
    return pc.index_in(name_identities(TABLES[table], pairs), name_identities(TABLES[table], rows))


def _list_outcomes(
    snapshot: Snapshot, plan: pa.Table, computed: pa.ChunkedArray
) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """How far each material came, and why no further."""
    why = _read_failure_texts(snapshot, plan)
    decided = plan["outcome"]
    to_screen = pc.equal(decided, "screen")
    unfinished = pc.if_else(pc.is_valid(why), "failed", "pending")
    outcome = pc.if_else(computed, "screened", pc.if_else(to_screen, unfinished, decided))
    planned = plan["reason"]
    reason = pc.if_else(to_screen, pc.coalesce(why, planned), pc.coalesce(planned, why))
    return outcome, pc.if_else(computed, pa.scalar(None, pa.string()), reason)


def _read_failure_texts(snapshot: Snapshot, plan: pa.Table) -> pa.ChunkedArray:
    """Stage and message of each material's failure, empty where there is none."""
    keys = [key for key in _list_distinct_keys(plan, _KEY_COLUMNS) if key not in snapshot.succeeded]
    columns = ["material_id", "key", "stage", "message"]
    rows = snapshot.read("failures", keys=keys, columns=columns)
    texts = pc.binary_join_element_wise(rows["stage"], rows["message"], ": ")
    return pc.coalesce(
        *(texts.take(_find_positions(plan, name, "failures", rows)) for name in _KEY_COLUMNS)
    )
