"""Digests that identify a checkpoint."""

import hashlib
from pathlib import Path


def compute_file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
