"""Crystals as columns of a row, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms

from tasks.crystals.masses import find_special_masses, set_special_masses

Row = Mapping[str, Any]


def make_structure_columns(atoms: Atoms) -> dict[str, Any]:
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
        "masses": find_special_masses(atoms),
    }


def read_atoms(row: Row) -> Atoms:
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
