"""Exchange of a dataset with its copy in an object store.

Chunks are named after their content and never change, so two copies come to the same state when
each gets the chunks it lacks. An object store has no rename, and none is needed: a file appears
when its upload has ended, parts are uploaded first and receipts last. Nothing has to be locked:
programs on many machines may send and fetch at once.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec  # type: ignore[import-untyped]

from tasks.folders import get_receipts_folder
from tasks.storage.durable import compute_file_digest, discard, publish, stage_file, write_durably
from tasks.storage.errors import DatasetError
from tasks.storage.receipts import (
    RECEIPT_FORMAT,
    PartFile,
    Receipt,
    list_receipt_paths,
    name_receipt,
    parse_chunk_name,
    parse_format,
    parse_old_receipt,
    parse_receipt,
    read_receipt,
)
from tasks.storage.snapshot import drop_superseded, get_part_path, load_receipts


def pull(url: str, root: Path) -> int:
    """Bring the chunks that an object store has and a folder lacks.

    Parameters
    ----------
    url : str
        Copy of the dataset in a store that fsspec knows, such as ``s3://bucket/folder``.
    root : Path
        Folder of the dataset; made where it is missing.

    Returns
    -------
    int
        Number of chunks that came; what others superseded stays away. Receipts of an older format
        come as they are, for `tasks.storage.upgrade` to check.

    Raises
    ------
    DatasetError
        When the store cannot be read, or has not what its receipts say.
    """
    store = _open_store(url)
    here = [read_receipt(path) for path in list_receipt_paths(get_receipts_folder(root))]
    known = {receipt.chunk for receipt in here}
    absent = [path for chunk, path in store.list_receipts().items() if chunk not in known]
    found = {path: (_parse_receipt(path, content), content) for path, content in store.read(absent)}
    held = {
        receipt.chunk
        for receipt in drop_superseded([*here, *(receipt for receipt, _ in found.values())])
    }
    wanted = {path: pair for path, pair in found.items() if pair[0].chunk in held}
    for path, (receipt, content) in wanted.items():
        for table, part in receipt.files.items():
            store.fetch(get_part_path(root, table, receipt.chunk), root, part)
        _place_file(get_receipts_folder(root) / path.name, content)
    return len(wanted)


def push(root: Path, url: str, *, catalog: bool = True) -> int:
    """Send the chunks that an object store lacks.

    Parameters
    ----------
    root : Path
        Folder of the dataset.
    url : str
        Its copy in a store that fsspec knows.
    catalog : bool
        Send the catalogue as well.

    Returns
    -------
    int
        Number of chunks that were sent.

    Raises
    ------
    DatasetError
        When the store cannot be written; what was sent is no harm, and counts or is sent again.
    """
    store = _open_store(url)
    there = {
        chunk
        for chunk, path in store.list_receipts().items()
        if parse_format(path) >= RECEIPT_FORMAT
    }
    sent = [receipt for receipt in load_receipts(root) if receipt.chunk not in there]
    parts = [
        get_part_path(root, table, receipt.chunk) for receipt in sent for table in receipt.files
    ]
    store.send(parts, root)
    store.send([get_receipts_folder(root) / name_receipt(receipt.chunk) for receipt in sent], root)
    if catalog:
        store.send(sorted(root.glob("catalog/*.parquet")), root)
    return len(sent)


@dataclass(frozen=True)
class _Store:
    """A folder in an object store."""

    system: Any
    base: str
    url: str

    def list_receipts(self) -> dict[str, PurePosixPath]:
        """Receipt of each chunk; of those in several formats the newest."""
        with self._explain_errors("list"):
            self.system.invalidate_cache()
            found = self.system.find(f"{self.base}/receipts")
        paths = (PurePosixPath(path) for path in found if path.endswith(".json"))
        return {parse_chunk_name(path): path for path in sorted(paths, key=parse_format)}

    def read(self, paths: Collection[PurePosixPath]) -> Iterator[tuple[PurePosixPath, bytes]]:
        """Receipts and their bytes."""
        names = [str(path) for path in sorted(paths)]
        with self._explain_errors("read"):
            found = self.system.cat(names) if names else {}
        yield from ((PurePosixPath(path), content) for path, content in found.items())

    def fetch(self, final: Path, root: Path, part: PartFile) -> None:
        """Bring a part that is what its receipt says."""
        source = self._get_path(final, root)
        with self._explain_errors("read"):
            staged = stage_file(final.parent, lambda path: self.system.get_file(source, str(path)))
        try:
            if compute_file_digest(staged) != part.sha256:
                message = f"{self.url} has a {final.name} that differs from the committed one"
                raise DatasetError(f"{message}: remove its receipt there and run again")
            publish(staged, final)
        finally:
            discard(staged)

    def send(self, files: Collection[Path], root: Path) -> None:
        """Upload files; each is there as a whole or not at all."""
        names = [str(file) for file in files]
        with self._explain_errors("write"):
            if names:
                self.system.put(names, [self._get_path(file, root) for file in files])

    def _get_path(self, file: Path, root: Path) -> str:
        """Name in the store of a file of the dataset."""
        return f"{self.base}/{file.relative_to(root).as_posix()}"

    @contextmanager
    def _explain_errors(self, action: str) -> Iterator[None]:
        """Turn whatever a store's library raises into a DatasetError."""
        try:
            yield
        except DatasetError:
            raise
        except Exception as error:
            message = f"cannot {action} {self.url} ({type(error).__name__}: {error})"
            raise DatasetError(f"{message}: check address, credentials and rights") from error


def _open_store(url: str) -> _Store:
    """Open the store of a URL."""
    try:
        system, base = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError, OSError) as error:
        remedy = "for s3:// pip install 'chiralscreen[s3]'"
        raise DatasetError(f"cannot open {url} ({error}): {remedy}") from error
    if "file" in system.protocol:
        raise DatasetError(f"{url} is no object store: work in the folder itself")
    return _Store(system, base.rstrip("/"), url)


def _parse_receipt(path: PurePosixPath, content: bytes) -> Receipt:
    """Parse a receipt of this format, or of the first, which readers of the folder will refuse."""
    return (parse_old_receipt if parse_format(path) == 1 else parse_receipt)(path, content)


def _place_file(final: Path, content: bytes) -> None:
    def write(path: Path) -> None:
        path.write_bytes(content)

    write_durably(final, write)
