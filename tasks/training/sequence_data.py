"""Crystals as a model of Wyckoff sequences learns from them, divided without leakage."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pandas as pd

from tasks.crystals.rows import read_atoms
from tasks.failures import RemediableError
from tasks.generation.sequences import MAX_ATOMS, N_ELEMENTS, WyckoffSequence
from tasks.symmetry.wyckoff import read_wyckoff_crystal
from tasks.tolerances import AS_GIVEN

COLUMNS: Final = ("material_id", "spacegroup_number", "lattice", "atomic_numbers", "frac_coords")
"""Columns of the file; flat lists in C order, lattice in Å, positions as fractions."""
PARTS: Final = ("training", "validation", "test")


def read_sequences(
    path: Path, most_of_group: int, seed: int, on_read: Callable[[int], None] = lambda _: None
) -> pd.DataFrame:
    """Describe crystals of a file by their Wyckoff positions.

    Parameters
    ----------
    path : pathlib.Path
        Parquet file with `COLUMNS`.
    most_of_group : int
        How many crystals of a space group are described at most, chosen at random.
    seed : int
        Of the choice.
    on_read : callable
        Told how many crystals were described.

    Returns
    -------
    pandas.DataFrame
        One row per crystal: ``material_id``, ``formula``, ``prototype``, ``number`` of its space
        group, ``positions`` and ``elements`` of its sites, ``cell`` (nine numbers, Å) of the
        primitive cell. Left out are crystals in which spglib finds no symmetry, that have more than
        `MAX_ATOMS` atoms, or an element beyond `N_ELEMENTS`.

    Raises
    ------
    RemediableError
        When the file cannot be read or holds no such crystals.
    """
    try:
        table = pd.read_parquet(path, columns=list(COLUMNS))
    except (OSError, ValueError) as error:
        message = f"cannot read crystals from {path}: {error}"
        raise RemediableError(message, "name a file with the columns of the manual") from error
    table = table.sample(frac=1, random_state=seed).groupby("spacegroup_number").head(most_of_group)
    rows = []
    for count, row in enumerate(table.itertuples(), 1):
        rows.append(_describe(row))
        on_read(count)
    found = pd.DataFrame([row for row in rows if row is not None])
    if found.empty:
        raise RemediableError(f"{path} holds no usable crystals", "give another file")
    return found


def divide_formulas(formulas: "pd.Series[str]", held_out: float, seed: int) -> "pd.Series[str]":
    """Divide crystals, so that all of one formula, and hence all copies of one, stay together.

    Parameters
    ----------
    formulas : pandas.Series
        Reduced formula of each crystal.
    held_out : float
        Share of the formulas for validation, and for the test.
    seed : int
        Of the division, which depends on nothing else: not on the order, nor on the company.

    Returns
    -------
    pandas.Series
        One of `PARTS` for each.
    """

    def choose(formula: str) -> str:
        digest = hashlib.blake2b(f"{seed} {formula}".encode(), digest_size=8).digest()
        share = int.from_bytes(digest) / 2**64
        return PARTS[1 if share < held_out else 2 if share < 2 * held_out else 0]

    return formulas.map(choose)


def _describe(row: Any) -> dict[str, Any] | None:  # noqa: ANN401 - a row of pandas
    """Row of a crystal; None for one that is not used."""
    columns = {"numbers": row.atomic_numbers, "cell": row.lattice, "positions": row.frac_coords}
    try:
        crystal = read_wyckoff_crystal(read_atoms(columns), AS_GIVEN)
    except ValueError:
        return None
    sequence = WyckoffSequence.read(crystal)
    if sequence.n_atoms > MAX_ATOMS or max(sequence.composition) > N_ELEMENTS:
        return None
    return {
        "material_id": row.material_id,
        "formula": sequence.formula,
        "prototype": sequence.prototype,
        "number": sequence.number,
        "positions": [occupation.position for occupation in sequence.occupations],
        "elements": [occupation.atomic_number for occupation in sequence.occupations],
        "cell": crystal.cell.ravel(),
    }
