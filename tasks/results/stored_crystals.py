"""Crystals and force constants of a dataset, fit for all q-points."""

import shlex
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from ase import Atoms
from phonopy import Phonopy

from tasks.chirality.settings import ChiralitySettings
from tasks.crystals.rows import Row, read_atoms
from tasks.failures import RemediableError
from tasks.phonons.charges import restore_charges
from tasks.phonons.rows import interpolate_row
from tasks.phonons.sum_rules import SumRules
from tasks.results.catalogue import read_catalog, read_material, read_run_settings
from tasks.sources import make_safe_id
from tasks.storage import TableSource
from tasks.tables.declarations import PLANNED_KEYS


def read_interpolation(tables: TableSource, row: Row) -> SumRules:
    """Force constants of a screened crystal, fit for all q-points, as its modes were computed.

    Parameters
    ----------
    tables : Dataset or TableFolder
        With force constants.
    row : mapping
        Row of the catalogue ``chirality``, with its lists: it tells the Born charges.

    Returns
    -------
    SumRules
        Its `crystal` serves modes, its `phonon` everything that phonopy does.

    Raises
    ------
    RemediableError
        When there are no such force constants.
    """
    constants = read_force_constants(tables, row)
    return interpolate_row(restore_charges(constants, row))


def read_stored_phonon(tables: TableSource, row: Row) -> Phonopy:
    """Phonopy object of a screened crystal, whose force constants obey the sum rules.

    Parameters
    ----------
    tables, row
        As of `read_interpolation`.

    Returns
    -------
    phonopy.Phonopy
        Ready for modes at any q.

    Raises
    ------
    RemediableError
        When there are no such force constants.
    """
    return read_interpolation(tables, row).phonon


def read_screened_material(tables: TableSource, material_id: str) -> Row:
    """Row of a material that has results.

    Parameters
    ----------
    tables : Dataset or TableFolder
        With a catalogue.
    material_id : str
        The material.

    Returns
    -------
    mapping
        All columns of ``chirality``.

    Raises
    ------
    RemediableError
        When the material is not there, or has no results.
    """
    row = read_material(tables.root, material_id)
    if row is None:
        names = [str(name) for name in read_catalog(tables.root, "chirality")["material_id"]]
        near = get_close_matches(material_id, names, n=3)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        message = f"{tables.root} has no material {material_id!r}"
        raise RemediableError(message, f"{meant}see `chiralscreen status` for the names")
    if row["outcome"] != "screened":
        message = f"{material_id!r} has no results: {row['outcome']}, {row['reason']}"
        raise RemediableError(message, "choose one that `chiralscreen status` lists")
    return row


def read_material_phonon(tables: TableSource, material_id: str) -> Phonopy:
    """Phonopy object of a material by its name.

    Parameters
    ----------
    tables : Dataset or TableFolder
        With a catalogue.
    material_id : str
        The material.

    Returns
    -------
    phonopy.Phonopy
        As of `read_stored_phonon`.

    Raises
    ------
    RemediableError
        When there is no such material, or no force constants of it.
    """
    return read_stored_phonon(tables, read_screened_material(tables, material_id))


def read_chirality_settings(tables: TableSource, row: Row) -> ChiralitySettings:
    """Settings with which the modes of a screened crystal were analysed.

    Parameters
    ----------
    tables, row
        As of `read_interpolation`.

    Returns
    -------
    ChiralitySettings
        The defaults where none were recorded.
    """
    settings = read_run_settings(tables.root, row["run_id"])
    return ChiralitySettings(**settings.get("chirality", {}))


def has_force_constants(tables: TableSource, phonon_key: str) -> bool:
    """Whether force constants are stored; released tables have none, nor what goes on from them."""
    return bool(tables.read("force_constants", keys=[phonon_key], columns=["key"]).num_rows)


def read_force_constants(tables: TableSource, row: Row) -> Row:
    """Force constants of a screened crystal.

    Parameters
    ----------
    tables : Dataset or TableFolder
        Where results are.
    row : mapping
        Row of the catalogue ``chirality``.

    Returns
    -------
    mapping
        Row of ``force_constants``.

    Raises
    ------
    RemediableError
        When there is no such row, as in a released catalogue; says how to get them.
    """
    found: list[Row] = tables.read("force_constants", keys=[row["phonon_key"]]).to_pylist()
    if found:
        return found[0]
    name = row["material_id"]
    message = f"{name!r}: its force constants are not stored in {tables.root}"
    raise RemediableError(message, describe_computation(tables.root, name, row.get("potential")))


def describe_computation(folder: Path, material_id: str = "NAME", potential: object = None) -> str:
    """Say in one line how what a folder of tables lacks of a crystal is computed.

    Parameters
    ----------
    folder, material_id, potential
        As of `list_commands`.

    Returns
    -------
    str
        Its two commands.
    """
    export, show = list_commands(folder, material_id, potential)
    return f"`{export}` writes the relaxed crystal, `{show}` computes all of it anew"


def list_commands(
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
    show = shlex.join(["chiralscreen", "show", f"{make_safe_id(material_id)}.cif", *with_it])
    return export, show


def read_crystal(
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
        return read_atoms(found[0])
    message = f"{tables.root} holds no coordinates of {row['material_id']!r} in table {table}"
    raise RemediableError(message, f"take them from its source: {row['source_record']}")
