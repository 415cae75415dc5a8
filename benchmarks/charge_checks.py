"""How many Born charges in the wrong order are refused, and how many right ones.

    python -m benchmarks.charge_checks --charges born_charges.parquet

The file holds crystals (``lattice``, ``atomic_numbers``, ``frac_coords``) with Born charges
(``born``, field index first), dielectric tensors (``dielectric``) and a flag ``good`` for charges
that obey sum rule and symmetry. Orders are spoilt as a BORN file spoils them: the tensors of the
inequivalent atoms are exchanged cyclically, and carried to all atoms by the space group.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.symmetry import Symmetry

from tasks.crystals.born_charges import require_sound_charges
from tasks.crystals.dielectric import DielectricResponse
from tasks.failures import RemediableError
from tasks.phonons.driver import FloatArray

SYMPREC = 0.01  # Å
SAME = 0.1  # e; an exchange that changes no charge by more is none


def judge_row(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was done to the charges of one crystal, and what came of it."""
    cell = PhonopyAtoms(
        numbers=row["atomic_numbers"],
        cell=np.reshape(row["lattice"], (3, 3)),
        scaled_positions=np.reshape(row["frac_coords"], (-1, 3)),
    )
    charges = np.reshape(row["born"], (-1, 3, 3)).astype(float)
    dielectric = np.reshape(row["dielectric"], (3, 3)).astype(float)
    group = "as computed" if row["good"] else "as computed, not good"
    yield group, _outcome(charges, dielectric, cell)
    if not row["good"]:
        return
    exchanged = _exchange_charges(charges, cell)
    if np.abs(exchanged - charges).max() > SAME:
        yield "exchanged", _outcome(exchanged, dielectric, cell)
    transposed = charges.transpose(0, 2, 1)
    if np.abs(transposed - charges).max() > SAME:
        yield "transposed", _outcome(transposed, dielectric, cell)


def _outcome(charges: FloatArray, dielectric: FloatArray, cell: PhonopyAtoms) -> str:
    """Which of the tests refuses the charges, if one does."""
    try:
        require_sound_charges(DielectricResponse(charges, dielectric), cell, SYMPREC, "charges")
    except RemediableError as error:
        words = {"add up": "sum", "violates": "symmetry", "is positive": "sign"}
        return next((name for word, name in words.items() if word in str(error)), "other")
    return "accepted"


def _exchange_charges(charges: FloatArray, cell: PhonopyAtoms) -> FloatArray:
    """Charges whose inequivalent atoms have one another's tensors."""
    symmetry = Symmetry(cell, symprec=SYMPREC)
    independent = symmetry.get_independent_atoms()
    other = dict(zip(independent, np.roll(independent, 1), strict=True))
    rotations, lattice = symmetry.symmetry_operations["rotations"], cell.cell.T
    found = np.empty_like(charges)
    for atom, operation in enumerate(symmetry.get_map_operations()):
        turn = lattice @ rotations[operation] @ np.linalg.inv(lattice)
        found[atom] = turn.T @ charges[other[symmetry.get_map_atoms()[atom]]] @ turn
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--charges", type=Path, required=True)
    rows = pd.read_parquet(parser.parse_args().charges).to_dict("records")
    counts = Counter(pair for row in rows for pair in judge_row(row))
    table = pd.Series(counts).unstack(fill_value=0)
    sys.stdout.write(f"{table.to_string()}\n")


if __name__ == "__main__":
    main()
