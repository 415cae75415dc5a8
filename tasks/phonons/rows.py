"""Crystals and force constants as columns of a row, and back, bit by bit."""

from typing import Any

import numpy as np
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from tasks.crystals.rows import Row
from tasks.phonons.elasticity import StrainResponse
from tasks.phonons.phonopy_objects import compute_commensurate_frequencies, make_phonopy
from tasks.phonons.sum_rules import SumRules, impose_sum_rules
from tasks.phonons.supercells import find_nearest_image_distance


def read_phonon(row: Row) -> Phonopy:
    """Phonopy object of a row of ``force_constants``."""
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
    phonon = make_phonopy(unit_cell, supercell_matrix, primitive_matrix)
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


def make_phonon_columns(phonon: Phonopy) -> dict[str, Any]:
    """Columns of ``force_constants`` that hold a phonopy object.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With compact force constants, with or without Born charges.

    Returns
    -------
    dict
        Values by column; `read_phonon` reads them.
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


def make_strain_columns(response: StrainResponse) -> dict[str, Any]:
    """Columns of ``force_constants`` that hold the response to strain.

    Parameters
    ----------
    response : StrainResponse
        Of the primitive cell.

    Returns
    -------
    dict
        Values by column; `read_strain_response` reads them.
    """
    columns = {"clamped_stiffness": response.stiffness, "strain_forces": response.forces}
    return columns if response.stress is None else columns | {"residual_stress": response.stress}


def read_strain_response(row: Row) -> StrainResponse | None:
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


def interpolate_row(row: Row) -> SumRules:
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
    return impose_sum_rules(read_phonon(row), read_strain_response(row))


def make_cell_columns(phonon: Phonopy, nac_source: str, nac_note: str | None) -> dict[str, Any]:
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
    frequencies = compute_commensurate_frequencies(phonon)
    return {
        "supercell_matrix": phonon.supercell_matrix,
        "primitive_matrix": phonon.primitive_matrix,
        "n_supercell_atoms": len(phonon.supercell),
        "image_distance": find_nearest_image_distance(phonon.supercell.cell),
        "nac": phonon.nac_params is not None,
        "nac_source": nac_source if phonon.nac_params is not None else None,
        "nac_note": nac_note if phonon.nac_params is not None else None,
        "min_frequency_commensurate": float(frequencies.min()),
        "max_frequency": float(frequencies.max()),
    }
