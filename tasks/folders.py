"""Folders of a dataset: what is in them tells a dataset from a source of structures."""

from pathlib import Path
from typing import Final

MATERIALS: Final = "chirality"
"""Table of the materials, without which the others are no results."""

SECOND_OPINION: Final = "second-opinion"
"""Folder of a dataset that holds those of other potentials about the same crystals."""


def get_parts_folder(root: Path) -> Path:
    """Return the folder of the parts of a dataset."""
    return root / "parts"


def get_receipts_folder(root: Path) -> Path:
    """Return the folder of its receipts."""
    return root / "receipts"


def get_table_file(root: Path, table: str) -> Path:
    """File of a table that people read, whether it exists or not.

    Parameters
    ----------
    root : pathlib.Path
        Folder of a dataset, or of tables alone.
    table : str
        Name of the table.

    Returns
    -------
    pathlib.Path
        In ``catalog`` of a dataset, or where the table of materials lies by itself.
    """
    catalog = root / "catalog"
    is_bare = not catalog.is_dir() and (root / f"{MATERIALS}.parquet").is_file()
    return (root if is_bare else catalog) / f"{table}.parquet"


def is_dataset(folder: Path) -> bool:
    """Tell whether a folder is a dataset with something committed."""
    return get_receipts_folder(folder).is_dir() and get_parts_folder(folder).is_dir()
