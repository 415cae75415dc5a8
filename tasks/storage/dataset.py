"""The dataset: committing chunks of rows, and reading them back."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from tasks.storage.commit import ReceiptDraft, commit_parts
from tasks.storage.errors import DatasetError
from tasks.storage.receipts import Receipt
from tasks.storage.snapshot import Snapshot, load_receipts
from tasks.storage.verification import Problem, find_problems
from tasks.tables.declarations import TABLES
from tasks.tables.rows import Rows, make_arrow_table


@dataclass(frozen=True)
class Dataset:
    """A folder of committed chunks.

    Any number of programs may write into the folder at once, and each may be killed at any
    moment: a chunk is there with all its rows, or not at all.

    Attributes
    ----------
    root : Path
        The folder; made by the first commit.
    not_before : datetime or None
        Commits claim to be no older, even where the clock is behind that of earlier ones (UTC).
    """

    root: Path
    not_before: datetime | None = None

    def __post_init__(self) -> None:
        """Accept a string as well."""
        object.__setattr__(self, "root", Path(self.root))

    def commit(
        self,
        stage: str,
        tables: Mapping[str, Rows],
        keys: Collection[str],
        *,
        timings: Mapping[str, float] | None = None,
    ) -> Receipt:
        """Commit the rows of one chunk.

        Committing the same rows again changes nothing. Other rows of the same keys take the place
        of the earlier ones, unless the earlier commit has results that this one lacks.

        Parameters
        ----------
        stage : str
            Name of the stage, in lower-case letters, digits and underscores.
        tables : mapping from str to rows
            Rows by name of the table. A structure with a row in ``failures`` has failed, even
            where it has other rows too.
        keys : collection of str
            Keys of the stage the chunk settles. Each needs a row in some table.
        timings : mapping from str to float, optional
            Seconds to note in the receipt.

        Returns
        -------
        Receipt
            What was committed.

        Raises
        ------
        DatasetError
            When rows do not fit the schema or the keys, or the disk refuses them.
        """
        arrow = _prepare(tables)
        materials = collect_materials(arrow)
        _check_keys(keys, materials)
        failed, transient = collect_failed_keys(arrow)
        now = datetime.now(UTC)
        draft = ReceiptDraft(
            stage=stage,
            keys={key: materials[key] for key in sorted(materials)},
            failed=failed,
            transient=transient,
            created=max(now, self.not_before or now),
            timings=dict(timings or {}),
        )
        return commit_parts(self.root, draft, {name: [rows] for name, rows in arrow.items()})

    def receipts(self, stage: str | None = None) -> tuple[Receipt, ...]:
        """Return the receipts that hold, oldest first.

        Parameters
        ----------
        stage : str, optional
            Take the receipts of this stage only.

        Returns
        -------
        tuple of Receipt
            Receipts; those a compaction superseded are left out.

        Raises
        ------
        DatasetError
            When a receipt is damaged or written by a newer program.
        """
        return load_receipts(self.root, stage)

    def list_done_keys(self, stage: str) -> frozenset[str]:
        """Return the keys of a stage that need no further work.

        These are finished or failed for good. Keys that failed for a passing reason only are
        left out. Only receipts are read.

        Parameters
        ----------
        stage : str
            Name of the stage.

        Returns
        -------
        frozenset of str
            Keys.

        Raises
        ------
        DatasetError
            When a receipt is damaged or written by a newer program.
        """
        return frozenset().union(*(receipt.done for receipt in self.receipts(stage)))

    def list_succeeded_keys(self, stage: str) -> frozenset[str]:
        """Return the keys of a stage that have a result.

        Parameters
        ----------
        stage : str
            Name of the stage.

        Returns
        -------
        frozenset of str
            Keys.

        Raises
        ------
        DatasetError
            When a receipt is damaged or written by a newer program.
        """
        return frozenset().union(*(receipt.succeeded for receipt in self.receipts(stage)))

    def take_snapshot(self) -> Snapshot:
        """Return a view of everything committed so far, for many reads of the same state.

        Returns
        -------
        Snapshot
            A view that later commits do not change.

        Raises
        ------
        DatasetError
            When a receipt is damaged or written by a newer program.
        """
        return Snapshot(self.root, self.receipts())

    def read(
        self,
        table: str,
        *,
        keys: Collection[str] | None = None,
        material_ids: Collection[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Read rows into memory, each material and key once.

        Parameters
        ----------
        table : str
            Name of the table.
        keys, material_ids : collection of str, optional
            Take only rows with these keys, and of these materials.
        columns : sequence of str, optional
            Columns to read; all by default.

        Returns
        -------
        pyarrow.Table
            Rows. Rows of the same material and key come from one commit, the youngest.

        Raises
        ------
        DatasetError
            When there is no such table, or a file is missing or damaged.
        KeyError
            When there is no such column.
        """
        _check_tables([table])
        return self.take_snapshot().read(
            table, keys=keys, material_ids=material_ids, columns=columns
        )

    def scan(
        self,
        table: str,
        *,
        keys: Collection[str] | None = None,
        material_ids: Collection[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.Table]:
        """Read rows batch by batch, for tables larger than the memory.

        Parameters
        ----------
        table : str
            Name of the table.
        keys, material_ids : collection of str, optional
            Take only rows with these keys, and of these materials.
        columns : sequence of str, optional
            Columns to read; all by default.

        Returns
        -------
        iterator of pyarrow.Table
            The rows that `read` returns, a row group at a time.

        Raises
        ------
        DatasetError
            When there is no such table, or a file is missing or damaged.
        KeyError
            When there is no such column.
        """
        _check_tables([table])
        return self.take_snapshot().scan(
            table, keys=keys, material_ids=material_ids, columns=columns
        )

    def verify(self) -> list[Problem]:
        """Check every committed file against its receipt.

        Returns
        -------
        list of Problem
            What is missing, damaged or left over; empty for a sound dataset.
        """
        return find_problems(self.root)


def _prepare(tables: Mapping[str, Rows]) -> dict[str, pa.Table]:
    """Bring all rows into their schemas; tables without rows get no file."""
    _check_tables(tables)
    arrow = {name: make_arrow_table(TABLES[name], rows) for name, rows in tables.items()}
    return {name: rows for name, rows in arrow.items() if rows.num_rows}


def _check_tables(names: Iterable[str]) -> None:
    if unknown := set(names) - set(TABLES):
        known = ", ".join(TABLES)
        raise DatasetError(f"unknown table {', '.join(sorted(unknown))}; tables are {known}")


def collect_materials(tables: Mapping[str, pa.Table]) -> dict[str, tuple[str, ...]]:
    """Collect the keys of all rows, and the materials with rows under each.

    Parameters
    ----------
    tables : mapping from str to pyarrow.Table
        Rows of a chunk by name of the table; other columns than those of the identity may lack.

    Returns
    -------
    dict from str to tuple of str
        Materials in the order of their names.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, rows in tables.items():
        *others, key = TABLES[name].identity
        pairs = rows.select([key, *others]).group_by([key, *others]).aggregate([])
        for row in pairs.to_pylist():
            found[row[key]].update(row[other] for other in others)
    return {key: tuple(sorted(materials)) for key, materials in found.items()}


def _check_keys(keys: Collection[str], materials: Mapping[str, tuple[str, ...]]) -> None:
    """Demand that the rows settle the announced keys, no less and no more."""
    if not keys:
        raise DatasetError("a chunk needs at least one key")
    for key in keys:
        if not key or not key.isprintable():
            raise DatasetError(f"key {key!r} is empty or has control characters")
    if idle := set(keys) - set(materials):
        raise DatasetError(f"key {min(idle)} has neither a result nor a row in failures")
    if foreign := set(materials) - set(keys):
        raise DatasetError(f"a row has the key {min(foreign)}, which is not among the chunk's")


def collect_failed_keys(tables: Mapping[str, pa.Table]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the keys that failed, and those of them worth another try.

    Parameters
    ----------
    tables : mapping from str to pyarrow.Table
        Rows of a chunk by name of the table; only `failures` is read.

    Returns
    -------
    tuple of str
        Keys with a row in `failures`, in order.
    tuple of str
        Those with a row that says that the failure is transient.
    """
    if "failures" not in tables:
        return (), ()
    rows = tables["failures"].select(["key", "transient"]).to_pylist()
    failed = {row["key"] for row in rows}
    transient = {row["key"] for row in rows if row["transient"]}
    return tuple(sorted(failed)), tuple(sorted(transient))
