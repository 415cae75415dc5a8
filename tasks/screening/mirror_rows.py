"""Rows of a crystal that follow from those of its mirror image."""

import numpy as np

from potentials import invert
from tasks.crystals.rows import Row, make_structure_columns, read_atoms
from tasks.phonons.mirror import make_mirror_image
from tasks.phonons.rows import make_phonon_columns, read_phonon
from tasks.symmetry import classify_space_group

_SPACE_GROUPS = ("space_group_number_initial", "space_group_number_final")
_NO_COST = {"wall_time": 0.0, "potential_time": 0.0}


def mirror_relaxation(row: Row) -> Row:
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
    groups = {name: _find_partner(row[name]) for name in _SPACE_GROUPS}
    return {
        **row,
        **make_structure_columns(invert(read_atoms(row))),
        "masses": row.get("masses"),
        **groups,
        **_NO_COST,
        "space_groups": [_find_partner(number) for number in row["space_groups"]],
        "n_evaluations": 0,
    }


def mirror_phonons(row: Row) -> Row:
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


def mirror_force_constants(row: Row) -> Row:
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
        **make_phonon_columns(make_mirror_image(read_phonon(row))),
        "clamped_stiffness": row["clamped_stiffness"],
        "residual_stress": row.get("residual_stress"),
        "strain_forces": None if forces is None else -np.asarray(forces),
    }


def _find_partner(number: int) -> int:
    """Space group of the mirror image; 0, for none found, stays."""
    return (classify_space_group(number).enantiomorphic_partner or number) if number else 0
