"""What readers see: the committed rows at one moment, each once."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds

from tasks.folders import get_parts_folder, get_receipts_folder
from tasks.storage.errors import DatasetError
from tasks.storage.parts import Selection, list_identities, scan_part
from tasks.storage.receipts import Receipt, list_receipt_paths, read_receipt
from tasks.tables.columns import Table
from tasks.tables.declarations import PLANNED_KEYS, TABLES
from tasks.tables.rows import get_key, join_identity


def get_part_path(root: Path, table: str, chunk: str) -> Path:
    """Return the path of a part."""
    return get_parts_folder(root) / table / f"{chunk}.parquet"


def load_receipts(root: Path, stage: str | None = None) -> tuple[Receipt, ...]:
    """Load the receipts that hold, oldest first; superseded ones are left out.

    Parameters
    ----------
    root : Path
        Folder of the dataset.
    stage : str, optional
        Load the receipts of this stage only.

    Returns
    -------
    tuple of Receipt
        Ordered by time and name.

    Raises
    ------
    DatasetError
        When a receipt is damaged or written by a newer program.
    """
    folder = get_receipts_folder(root)
    while True:
        paths = list_receipt_paths(folder, stage)
        try:
            return drop_superseded(_read_cached_receipt(path) for path in paths)
        except DatasetError:
            # A superseded receipt may have been pruned since the folder was listed.
            if all(path.exists() for path in paths):
                raise


def _read_cached_receipt(path: Path) -> Receipt:
    """Receipt of a file, which a process that reads often parses once."""
    try:
        state = path.stat()
    except OSError:
        return read_receipt(path)
    return _parse_cached(path, state.st_mtime_ns, state.st_size, state.st_ino)


@cache
def _parse_cached(path: Path, *_state: int) -> Receipt:
    return read_receipt(path)


def drop_superseded(receipts: Iterable[Receipt]) -> tuple[Receipt, ...]:
    """Leave out what other chunks superseded.

    Parameters
    ----------
    receipts : iterable of Receipt
        All receipts of a stage or of a dataset.

    Returns
    -------
    tuple of Receipt
        Those that hold, oldest first.
    """
    every = tuple(receipts)
    superseded = {chunk for receipt in every for chunk in receipt.supersedes}
    kept = (receipt for receipt in every if receipt.chunk not in superseded)
    return tuple(sorted(kept, key=lambda receipt: (receipt.created, receipt.chunk)))


@dataclass(frozen=True)
class Snapshot:
    """The rows that a set of receipts vouches for.

    Attributes
    ----------
    root : Path
        Folder of the dataset.
    receipts : tuple of Receipt
        Receipts that hold, oldest first. Of rows with the same identity those of a success hold
        before those of a failure, and then the youngest.
    """

    root: Path
    receipts: tuple[Receipt, ...]

    @cached_property
    def holders(self) -> Mapping[str, tuple[Receipt, ...]]:
        """Receipts of each key, oldest first."""
        found: defaultdict[str, list[Receipt]] = defaultdict(list)
        for receipt in self.receipts:
            for key in receipt.keys:
                found[key].append(receipt)
        return {key: tuple(receipts) for key, receipts in found.items()}

    @cached_property
    def succeeded(self) -> frozenset[str]:
        """Keys of all stages that have a result, which a plan is not."""
        results = (r for r in self.receipts if r.files.keys() & PLANNED_KEYS.keys())
        return frozenset().union(*(receipt.succeeded for receipt in results))

    def read(
        self,
        table: str,
        *,
        keys: Collection[str] | None = None,
        material_ids: Collection[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Read rows into memory; see `Dataset.read`."""
        batches = self.scan(table, keys=keys, material_ids=material_ids, columns=columns)
        empty = TABLES[table].arrow_schema.empty_table()
        return pa.concat_tables([empty.select(columns) if columns else empty, *batches])

    def scan(
        self,
        table: str,
        *,
        keys: Collection[str] | None = None,
        material_ids: Collection[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.Table]:
        """Read rows batch by batch; see `Dataset.scan`."""
        for selection in self.select(table, keys, material_ids):
            yield from scan_part(selection, TABLES[table], columns)

    def select(
        self, table: str, keys: Collection[str] | None, material_ids: Collection[str] | None
    ) -> list[Selection]:
        """Find the parts that hold wanted rows, such that every identity comes from one part.

        Parameters
        ----------
        table : str
            Name of the table.
        keys, material_ids : collection of str, optional
            Take only rows with these keys, and of these materials.

        Returns
        -------
        list of Selection
            Parts in the order of their receipts.
        """
        chosen = None if keys is None else frozenset(keys)
        ids = None if material_ids is None else frozenset(material_ids)
        found = [
            (receipt, wanted)
            for receipt in self._find_receipts(table, chosen)
            if (wanted := _select_wanted(receipt, chosen, ids))
        ]
        return _resolve(self.root, TABLES[table], found, restricted=ids is not None)

    def _find_receipts(self, table: str, keys: frozenset[str] | None) -> Iterator[Receipt]:
        """Yield the receipts with a part of the table and one of the keys."""
        for receipt in self.receipts:
            if table in receipt.files and (keys is None or not keys.isdisjoint(receipt.keys)):
                yield receipt


_Wanted = Mapping[str, tuple[str, ...]]  # materials by key


def _select_wanted(
    receipt: Receipt, keys: frozenset[str] | None, ids: frozenset[str] | None
) -> _Wanted:
    """Choose the keys of a receipt, and the materials under each, that are asked for."""
    chosen = receipt.keys if keys is None else _intersect(keys, receipt.keys)
    if ids is None:
        return {key: receipt.keys[key] for key in chosen}
    pairs = ((key, tuple(m for m in receipt.keys[key] if m in ids)) for key in chosen)
    return {key: materials for key, materials in pairs if materials}


def _intersect(some: Collection[str], others: Collection[str]) -> list[str]:
    """Members of both collections, in time that grows with the smaller one."""
    small, large = sorted((some, others), key=len)
    return [key for key in small if key in large]


def _resolve(
    root: Path, table: Table, found: Sequence[tuple[Receipt, _Wanted]], *, restricted: bool
) -> list[Selection]:
    """Select rows from each part such that every identity comes from one part only."""
    selections = []
    for receipt, wanted in found:
        every = not restricted and len(wanted) == len(receipt.keys)
        path = get_part_path(root, table.name, receipt.chunk)
        condition = None if every else _make_condition(table, wanted)
        selections.append(Selection(path, condition, part=receipt.files[table.name]))
    names = [frozenset(_list_identities(table, wanted)) for _, wanted in found]
    counts = Counter(name for part in names for name in part)
    contested = frozenset(name for name, count in counts.items() if count > 1)
    disputed = [
        list_identities(selection, table) & contested if here & contested else frozenset()
        for selection, here in zip(selections, names, strict=True)
    ]
    holder = _choose_holders([receipt for receipt, _ in found], disputed)
    return [
        replace(s, dropped=frozenset(name for name in here if holder[name] != number))
        for number, (s, here) in enumerate(zip(selections, disputed, strict=True))
    ]


def _choose_holders(
    receipts: Sequence[Receipt], disputed: Sequence[frozenset[str]]
) -> dict[str, int]:
    """Choose the part of each disputed identity: a success before a failure, then the youngest."""
    ranks: dict[str, tuple[bool, int]] = {}
    for number, (receipt, here) in enumerate(zip(receipts, disputed, strict=True)):
        failed = frozenset(receipt.failed)
        for name in here:
            rank = (get_key(name) not in failed, number)
            ranks[name] = max(rank, ranks.get(name, rank))
    return {name: number for name, (_, number) in ranks.items()}


def _list_identities(table: Table, wanted: _Wanted) -> Iterator[str]:
    if len(table.identity) == 1:
        yield from wanted
    else:
        yield from (join_identity(m, key) for key, materials in wanted.items() for m in materials)


def _make_condition(table: Table, wanted: _Wanted) -> ds.Expression:
    """Condition on key and material; sorted parts can skip row groups by the latter."""
    *others, key = table.identity
    condition = ds.field(key).isin(sorted(wanted))
    for name in others:
        ids = {m for materials in wanted.values() for m in materials}
        condition &= ds.field(name).isin(sorted(ids))
    return condition
