"""Rows of a crystal that follow from those of its mirror image."""

import numpy as np

from potentials import inverted
from tasks.crystals.rows import Row, atoms_of, structure_columns
from tasks.phonons.mirror import mirror_image
from tasks.phonons.rows import phonon_columns, phonon_of
from tasks.symmetry import classify_space_group

_SPACE_GROUPS = ("space_group_number_initial", "space_group_number_final")
_NO_COST = {"wall_time": 0.0, "potential_time": 0.0}


def mirrored_relaxation(row: Row) -> Row:
    """Row of a relaxed mirror image.

    Parameters
    ----------
    row : mapping
        Row of ``relaxations``.

    Returns
    -------
    mapping
        That of the inverted crystal; no evaluation was needed for it.
    """
    groups = {name: _partner(row[name]) for name in _SPACE_GROUPS}
    return {
        **row,
        **structure_columns(inverted(atoms_of(row))),
        "masses": row.get("masses"),
        **groups,
        **_NO_COST,
        "space_groups": [_partner(number) for number in row["space_groups"]],
        "n_evaluations": 0,
    }


def mirrored_phonons(row: Row) -> Row:
    """Row that tells how the force constants of a mirror image were made.

    Parameters
    ----------
    row : mapping
        Row of ``phonons``.

    Returns
    -------
    mapping
        That of the inverted crystal: the same frequencies, without displacements.
    """
    return {**row, **_NO_COST, "n_displacements": 0}


def mirrored_force_constants(row: Row) -> Row:
    """Row of the force constants of a mirror image.

    Parameters
    ----------
    row : mapping
        Row of ``force_constants``.

    Returns
    -------
    mapping
        That of the inverted crystal.
    """
    forces = row["strain_forces"]
    return {
        **phonon_columns(mirror_image(phonon_of(row))),
        "clamped_stiffness": row["clamped_stiffness"],
        "residual_stress": row.get("residual_stress"),
        "strain_forces": None if forces is None else -np.asarray(forces),
    }


def _partner(number: int) -> int:
    """Space group of the mirror image; 0, for none found, stays."""
    return (classify_space_group(number).enantiomorphic_partner or number) if number else 0
