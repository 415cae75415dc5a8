"""Members of zip and tar archives, read where they are: nothing is ever extracted to a path."""

import tarfile
import zipfile
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

from tasks.failures import Failure, RemediableError
from tasks.sources.documents import FREE_BYTES, Document, decompress, find_kind, is_hidden
from tasks.sources.records import explain_parser_error, make_read_failure
from tasks.sources.settings import SourceSettings


def read_zip_members(archive: Document, settings: SourceSettings) -> Iterator[Document | Failure]:
    """Give the files in a zip archive.

    Parameters
    ----------
    archive : Document
        The archive; seekable.
    settings : SourceSettings
        Limits.

    Yields
    ------
    Document or Failure
        Each file, in the order of the archive; a failure for one that is encrypted or beyond a
        limit.

    Raises
    ------
    RemediableError
        For too many members.
    """
    with zipfile.ZipFile(archive.stream) as opened:
        members = [m for m in opened.infolist() if not (m.is_dir() or is_hidden(m.filename))]
        _require_few(len(members), settings)
        for member in members:
            try:
                _require_small(member.file_size, member.compress_size, settings)
                stream = opened.open(member)
            except Exception as error:  # noqa: BLE001 - the other members may be sound
                yield make_read_failure(
                    explain_parser_error(error), f"{archive.name}/{member.filename}"
                )
                continue
            with stream:
                yield _open_member(archive, member.filename, stream, member.file_size, settings)


def read_tar_members(archive: Document, settings: SourceSettings) -> Iterator[Document | Failure]:
    """Give the files in a tar archive, read as a stream.

    Parameters
    ----------
    archive : Document
        The archive, decompressed or with a compression that tarfile knows.
    settings : SourceSettings
        Limits.

    Yields
    ------
    Document or Failure
        Each regular file, in the order of the archive; a failure for a link or device with the
        name of a structure file, which is not followed.

    Raises
    ------
    RemediableError
        Beyond a limit.
    """
    with tarfile.open(fileobj=archive.stream, mode="r|") as opened:
        for count, member in enumerate(opened, start=1):
            _require_few(count, settings)
            _require_contained(member, archive, settings)
            opened.members = []  # type: ignore[attr-defined]  # it would remember all of them
            if is_hidden(member.name):
                continue
            if not (member.isreg() or member.isdir()) and find_kind(member.name):
                yield make_read_failure(
                    _make_no_file_error(member), f"{archive.name}/{member.name}"
                )
            stream = opened.extractfile(member) if member.isreg() else None
            if stream is not None:
                yield _open_member(archive, member.name, stream, member.size, settings)


def _require_contained(
    member: tarfile.TarInfo, archive: Document, settings: SourceSettings
) -> None:
    """Refuse a member that is larger than its archive can be: what is behind it is not found."""
    if member.size > settings.max_expansion * archive.size + FREE_BYTES:
        message = f"a member of {member.size} bytes is suspiciously large for its archive"
        raise RemediableError(message, "extract it yourself, or raise source.max_expansion")


def _make_no_file_error(member: tarfile.TarInfo) -> RemediableError:
    """Say of a link or a device that it is not followed."""
    target = f" to {member.linkname[:80]}" if member.issym() or member.islnk() else ""
    message = f"no file: a link{target} or a device in an archive is not followed"
    return RemediableError(message, "put the file itself into the archive")


def _open_member(
    archive: Document, name: str, stream: IO[bytes], size: int, settings: SourceSettings
) -> Document:
    """Member of an archive, decompressed where it is compressed once more."""
    content = decompress(cast("BinaryIO", stream), name, size, settings.max_expansion)
    return Document(f"{archive.name}/{name}", content, size)


def _require_few(count: int, settings: SourceSettings) -> None:
    """Refuse an archive of too many members."""
    if count > settings.max_members:
        message = f"the archive has more than {settings.max_members} members"
        raise RemediableError(message, "divide the archive, or raise source.max_members")


def _require_small(size: int, compressed: int, settings: SourceSettings) -> None:
    """Refuse a member that becomes suspiciously large."""
    if size > settings.max_expansion * compressed + FREE_BYTES:
        message = f"a member of {compressed} bytes claims to become {size} bytes"
        raise RemediableError(message, "extract it yourself, or raise source.max_expansion")
