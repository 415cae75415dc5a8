"""Receipts of format 1 rewritten in the present format, once their parts confirm them."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from tasks.folders import get_receipts_folder
from tasks.storage.dataset import collect_failed_keys, collect_materials
from tasks.storage.errors import DatasetError, explain_os_errors
from tasks.storage.lease import hold_lease
from tasks.storage.parts import Selection, scan_part
from tasks.storage.quarantine import quarantine_chunks
from tasks.storage.receipts import (
    Receipt,
    list_receipt_paths,
    name_chunk,
    parse_format,
    parse_old_receipt,
    write_receipt,
)
from tasks.storage.snapshot import get_part_path
from tasks.storage.verification import Problem, check_parts
from tasks.tables.columns import SCHEMA_VERSION
from tasks.tables.declarations import TABLES


def upgrade_receipts(root: Path, tell: Callable[[str], None]) -> tuple[int, list[Problem]]:
    """Check the receipts of format 1 against their parts, and write them in the present format.

    Chunks whose receipt and parts disagree are moved to the folder ``damaged``; the next run does
    their work again. Until the last receipt is upgraded readers refuse the stage it is of, so
    that a killed upgrade shows nothing wrong and can be started again. It has the dataset alone.

    Nothing in the parts confirms a receipt's time, its timings, sizes in memory, and which chunks
    it supersedes: these are taken as they are.

    Parameters
    ----------
    root : Path
        Folder of the dataset.
    tell : callable
        Told why this takes so long, when a run is at work.

    Returns
    -------
    int
        Number of upgraded receipts.
    list of Problem
        What disagreed.

    Raises
    ------
    DatasetError
        When a file cannot be read for another reason than damage, written or moved.
    """
    with hold_lease(root, "an upgrade", tell):
        return _upgrade_all(root)


def _upgrade_all(root: Path) -> tuple[int, list[Problem]]:
    folder = get_receipts_folder(root)
    old = [path for path in list_receipt_paths(folder) if parse_format(path) == 1]
    checked = [(path, _check_receipt(root, path)) for path in old]
    problems = [problem for _, found in checked if isinstance(found, list) for problem in found]
    quarantine_chunks(root, problems)
    sound = {path: found for path, found in checked if isinstance(found, Receipt)}
    for receipt in sound.values():
        write_receipt(folder, receipt)
    for path in sound:
        with explain_os_errors("remove", path):
            path.unlink()
    return len(sound), problems


def _check_receipt(root: Path, path: Path) -> Receipt | list[Problem]:
    """Read a receipt of format 1; what is wrong with it or its parts takes its place."""
    with explain_os_errors("read", path):
        content = path.read_bytes()
    try:
        receipt = parse_old_receipt(path, content)
        if problems := check_parts(root, receipt):
            return problems
        contradiction = _find_contradiction(root, receipt)
    except DatasetError as error:
        return [Problem("unreadable receipt", path, str(error))]
    if not contradiction:
        return receipt
    return [Problem("unreadable receipt", path, f"{path} and its parts disagree: {contradiction}")]


def _find_contradiction(root: Path, receipt: Receipt) -> str:
    """Say what the rows of a chunk tell otherwise than its receipt; empty where they agree."""
    if receipt.schema_version != SCHEMA_VERSION:
        return f"schema version {receipt.schema_version}, but format 1 ended with {SCHEMA_VERSION}"
    name = name_chunk(receipt.stage, receipt.keys, receipt.files, receipt.generation)
    if name != receipt.chunk:
        return f"its keys and digests make the name {name}"
    rows = {table: _read_identities(root, table, receipt.chunk) for table in receipt.files}
    if collect_materials(rows) != receipt.keys:
        return "other keys or materials"
    failed, transient = collect_failed_keys(rows)
    # A compacted chunk keeps the failures of keys that succeeded in another of its sources.
    superfluous = {*failed} - {*receipt.failed} | {*transient} - {*receipt.transient}
    lacking = {*receipt.failed} - {*failed} | {*receipt.transient} - {*transient}
    if lacking or (superfluous and not receipt.generation):
        return "other failures"
    return ""


def _read_identities(root: Path, table: str, chunk: str) -> pa.Table:
    """Identities of the rows of a part, and of failures whether they are transient."""
    names = [*TABLES[table].identity, *(["transient"] if table == "failures" else [])]
    schema = pa.schema([TABLES[table].column(name).field for name in names])
    found = scan_part(Selection(get_part_path(root, table, chunk)), TABLES[table], names)
    return pa.concat_tables([schema.empty_table(), *found])
