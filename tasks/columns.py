"""Crystals and force constants as columns of a row, and back, bit by bit."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from tasks.elasticity import StrainResponse
from tasks.failures import RemediableError
from tasks.masses import set_special_masses, special_masses
from tasks.phonons import commensurate_frequencies, phonopy_of
from tasks.sources import safe_id
from tasks.storage import Dataset, TableSource
from tasks.storage.schema import PLANNED_KEYS
from tasks.sum_rules import SumRules, impose_sum_rules
from tasks.supercells import nearest_image_distance

Row = Mapping[str, Any]


def structure_columns(atoms: Atoms) -> dict[str, Any]:
    """Columns that hold a crystal.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.

    Returns
    -------
    dict
        ``numbers``, ``cell`` (Å), ``positions`` (fractions), and ``masses`` (u) where they are
        special.
    """
    return {
        "numbers": atoms.numbers,
        "cell": np.asarray(atoms.cell),
        "positions": atoms.get_scaled_positions(),
        "masses": special_masses(atoms),
    }


def atoms_of(row: Row) -> Atoms:
    """Crystal held by the structure columns of a row.

    Parameters
    ----------
    row : mapping
        With ``numbers``, ``cell``, ``positions`` and perhaps ``masses``.

    Returns
    -------
    ase.Atoms
        Periodic crystal.
    """
    atoms = Atoms(
        numbers=row["numbers"],
        cell=np.reshape(row["cell"], (3, 3)),
        scaled_positions=np.reshape(row["positions"], (-1, 3)),
        pbc=True,
    )
    set_special_masses(atoms, row.get("masses"))
    return atoms


def phonon_of(row: Row) -> Phonopy:
    """Phonopy object of a row of ``force_constants``.

    Parameters
    ----------
    row : mapping
        A row.

    Returns
    -------
    phonopy.Phonopy
        With force constants.
    """
    # Coordinates are taken as they were stored, bit by bit: the order of the supercell's atoms,
    # which the force constants follow, can depend on the last digit.
    unit_cell = PhonopyAtoms(
        numbers=row["numbers"],
        cell=np.reshape(row["cell"], (3, 3)),
        scaled_positions=np.reshape(row["positions"], (-1, 3)),
        masses=row["masses"],
    )
    supercell_matrix = np.reshape(row["supercell_matrix"], (3, 3))
    primitive_matrix = np.reshape(row["primitive_matrix"], (3, 3))
    phonon = phonopy_of(unit_cell, supercell_matrix, primitive_matrix)
    phonon.force_constants = np.reshape(row["force_constants"], row["force_constants_shape"])
    if row["born"] is not None:
        charges = {
            "born": np.reshape(row["born"], (-1, 3, 3)),
            "dielectric": np.reshape(row["dielectric"], (3, 3)),
            "factor": row["nac_factor"],
        }
        method = {"method": row["nac_method"]} if row["nac_method"] else {}
        phonon.nac_params = charges | method
    return phonon


def phonon_columns(phonon: Phonopy) -> dict[str, Any]:
    """Columns of ``force_constants`` that hold a phonopy object.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With compact force constants, with or without Born charges.

    Returns
    -------
    dict
        Values by column; `phonon_of` reads them.
    """
    charges = phonon.nac_params or {}
    return {
        "numbers": phonon.unitcell.numbers,
        "cell": phonon.unitcell.cell,
        "positions": phonon.unitcell.scaled_positions,
        "masses": phonon.unitcell.masses,
        "supercell_matrix": phonon.supercell_matrix,
        "primitive_matrix": phonon.primitive_matrix,
        "force_constants": phonon.force_constants,
        "force_constants_shape": phonon.force_constants.shape,
        "born": charges.get("born"),
        "dielectric": charges.get("dielectric"),
        "nac_factor": charges.get("factor"),
        "nac_method": charges.get("method"),
    }


def strain_columns(response: StrainResponse) -> dict[str, Any]:
    """Columns of ``force_constants`` that hold the response to strain.

    Parameters
    ----------
    response : StrainResponse
        Of the primitive cell.

    Returns
    -------
    dict
        Values by column; `response_of` reads them.
    """
    columns = {"clamped_stiffness": response.stiffness, "strain_forces": response.forces}
    return columns if response.stress is None else columns | {"residual_stress": response.stress}


def response_of(row: Row) -> StrainResponse | None:
    """Response to strain of a row of ``force_constants``.

    Parameters
    ----------
    row : mapping
        A row.

    Returns
    -------
    StrainResponse or None
        None where it is not known, as of force constants from elsewhere.
    """
    if row["strain_forces"] is None:
        return None
    stress = row.get("residual_stress")
    return StrainResponse(
        np.reshape(row["clamped_stiffness"], (3, 3, 3, 3)),
        np.reshape(row["strain_forces"], (-1, 3, 3, 3)),
        None if stress is None else np.reshape(stress, (3, 3)),
    )


def interpolation_of(row: Row) -> SumRules:
    """Force constants of a row, made fit for all q-points.

    Parameters
    ----------
    row : mapping
        A row of ``force_constants``.

    Returns
    -------
    SumRules
        Its `phonon` serves between the q-points commensurate with the supercell as well.
    """
    return impose_sum_rules(phonon_of(row), response_of(row))


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


def cell_columns(phonon: Phonopy, nac_source: str, nac_note: str | None) -> dict[str, Any]:
    """Columns of ``phonons`` that tell which frequencies the forces determine.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With force constants.
    nac_source : str
        Where its Born charges are from, if it has any.
    nac_note : str or None
        What was assumed of them.

    Returns
    -------
    dict
        Values by column.
    """
    frequencies = commensurate_frequencies(phonon)
    return {
        "supercell_matrix": phonon.supercell_matrix,
        "primitive_matrix": phonon.primitive_matrix,
        "n_supercell_atoms": len(phonon.supercell),
        "image_distance": nearest_image_distance(phonon.supercell.cell),
        "nac": phonon.nac_params is not None,
        "nac_source": nac_source if phonon.nac_params is not None else None,
        "nac_note": nac_note if phonon.nac_params is not None else None,
        "min_frequency_commensurate": float(frequencies.min()),
        "max_frequency": float(frequencies.max()),
    }
