"""Folders of a dataset: what is in them tells a dataset from a source of structures."""

from pathlib import Path


def parts_folder(root: Path) -> Path:
    """Return the folder of the parts of a dataset."""
    return root / "parts"


def receipts_folder(root: Path) -> Path:
    """Return the folder of its receipts."""
    return root / "receipts"


def is_dataset(folder: Path) -> bool:
    """Tell whether a folder is a dataset with something committed."""
    return receipts_folder(folder).is_dir() and parts_folder(folder).is_dir()
