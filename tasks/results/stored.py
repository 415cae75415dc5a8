"""Crystals and force constants of a dataset, fit for all q-points."""

import shlex
from pathlib import Path
from typing import Literal

from ase import Atoms
from phonopy import Phonopy

from tasks.crystals.rows import Row, atoms_of
from tasks.failures import RemediableError
from tasks.phonons.rows import interpolation_of
from tasks.phonons.sum_rules import SumRules
from tasks.sources import safe_id
from tasks.storage import Dataset, TableSource
from tasks.tables.declarations import PLANNED_KEYS


def stored_interpolation(tables: TableSource, phonon_key: str) -> SumRules:
    """Force constants of a screened crystal, fit for all q-points, as its modes were computed.

    Parameters
    ----------
    tables : Dataset or TableFolder
        With force constants.
    phonon_key : str
        Key of their row.

    Returns
    -------
    SumRules
        Its `crystal` serves modes, its `phonon` everything that phonopy does.

    Raises
    ------
    RemediableError
        When there is no such row.
    """
    return interpolation_of(stored_constants(tables, phonon_key))


def stored_phonon(tables: TableSource, phonon_key: str) -> Phonopy:
    """Phonopy object of a screened crystal, whose force constants obey the sum rules.

    Parameters
    ----------
    tables, phonon_key
        As of `stored_interpolation`.

    Returns
    -------
    phonopy.Phonopy
        Ready for modes at any q.

    Raises
    ------
    RemediableError
        When there are no such force constants.
    """
    return stored_interpolation(tables, phonon_key).phonon


def stored_constants(tables: TableSource, phonon_key: str) -> Row:
    """Force constants of a screened crystal.

    Parameters
    ----------
    tables : Dataset or TableFolder
        Where results are.
    phonon_key : str
        Their key.

    Returns
    -------
    mapping
        Row of ``force_constants``.

    Raises
    ------
    RemediableError
        When there is no such row, as in a released catalogue; says how to get them.
    """
    rows: list[Row] = tables.read("force_constants", keys=[phonon_key]).to_pylist()
    if rows:
        return rows[0]
    if isinstance(tables, Dataset):
        message = f"the dataset has no force constants of key {phonon_key!r}"
        raise RemediableError(message, "see `chiralscreen verify` for damaged files")
    message = f"its force constants are not stored in {tables.root}"
    raise RemediableError(message, how_to_compute(tables.root))


def how_to_compute(folder: Path, material_id: str = "NAME", potential: object = None) -> str:
    """Say in one line how what a folder of tables lacks of a crystal is computed.

    Parameters
    ----------
    folder, material_id, potential
        As of `commands_to_compute`.

    Returns
    -------
    str
        Its two commands.
    """
    export, show = commands_to_compute(folder, material_id, potential)
    return f"`{export}` writes the relaxed crystal, `{show}` computes all of it anew"


def commands_to_compute(
    folder: Path, material_id: str = "NAME", potential: object = None
) -> tuple[str, str]:
    """Tell the commands that compute what a folder of tables lacks of a crystal.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of tables with relaxed crystals.
    material_id : str
        The crystal.
    potential : object
        Potential with which it was screened; what is no text is not known.

    Returns
    -------
    tuple of str
        The first writes the relaxed crystal, the second computes all of it anew.
    """
    export = shlex.join(["chiralscreen", "export", str(folder), material_id])
    with_it = ["--potential", potential] if isinstance(potential, str) else []
    show = shlex.join(["chiralscreen", "show", f"{safe_id(material_id)}.cif", *with_it])
    return export, show


def stored_crystal(
    tables: TableSource, table: Literal["materials", "relaxations"], row: Row
) -> Atoms:
    """Crystal of a material as given, or relaxed.

    Parameters
    ----------
    tables : Dataset or TableFolder
        Where results are.
    table : {"materials", "relaxations"}
        Crystals as given, or relaxed.
    row : mapping
        Row of the catalogue ``chirality``.

    Returns
    -------
    ase.Atoms
        In its primitive cell.

    Raises
    ------
    RemediableError
        When it did not come so far, or coordinates are not stored, as those of sources whose
        licence keeps them out of a release.
    """
    key = row[PLANNED_KEYS[table]]
    found = tables.read(table, keys=[key]).to_pylist() if isinstance(key, str) else []
    if found and found[0]["numbers"] is not None:
        return atoms_of(found[0])
    message = f"{tables.root} holds no coordinates of {row['material_id']!r} in table {table}"
    raise RemediableError(message, f"take them from its source: {row['source_record']}")
