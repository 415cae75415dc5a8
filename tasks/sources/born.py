"""BORN files of phonopy that lie beside a structure or beside force constants."""

import json
from pathlib import Path
from typing import Final

import numpy as np
from ase import Atoms
from phonopy.file_IO import BORNFileParseError, parse_BORN_from_strings
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.symmetry import Symmetry

from tasks.crystals.born_charges import require_sound_charges
from tasks.crystals.dielectric import (
    ASSUMED_ORDER,
    BORN_CHARGES,
    DIELECTRIC_TENSOR,
    DielectricResponse,
)
from tasks.failures import RemediableError
from tasks.tolerances import AS_GIVEN

_MAX_BYTES: Final = 2**20
_REMEDY: Final = "correct the BORN file, or remove it"
# First line of what `phonopy-vasp-born` writes, whose order of indices is therefore known.
_OF_PHONOPY: Final = "# epsilon and Z* of atoms"


def read_born(
    born: Path, cell: PhonopyAtoms, symprec: float
) -> tuple[DielectricResponse, str | None]:
    """Read a BORN file: dielectric tensor, and charges of the inequivalent atoms in their order.

    Parameters
    ----------
    born : pathlib.Path
        The file.
    cell : phonopy.structure.atoms.PhonopyAtoms
        Crystal that it belongs to.
    symprec : float
        Tolerance by which atoms are equivalent (Å).

    Returns
    -------
    response : DielectricResponse
        With the charges of all atoms.
    note : str or None
        What was assumed, where the file does not say which program wrote it.

    Raises
    ------
    RemediableError
        When the file does not belong to the crystal, or is none.
    """
    text = _read_text_file(born)
    lines = [line.split() for line in text.rstrip().splitlines()[1:]]
    wrong = next((i for i, words in enumerate(lines, 2) if len(words) != 9), None)
    if wrong or len(lines) < 2:
        where = f"line {wrong} has not the 9 numbers" if wrong else "too few lines: no numbers"
        message = f"unreadable: {born.name}: {where} of a tensor"
        raise RemediableError(message, _REMEDY)
    n_sites = len(Symmetry(cell, symprec=symprec).get_independent_atoms())
    if len(lines) - 1 != n_sites:
        message = (
            f"unreadable: {born.name}: {len(lines) - 1} Born charges for {n_sites} inequivalent "
            f"atoms; is it of this structure?"
        )
        raise RemediableError(message, _REMEDY)
    try:
        found = parse_BORN_from_strings(text, cell, symprec=symprec)
    except (BORNFileParseError, ValueError) as error:
        message = f"unreadable: {born.name} holds text in place of a number"
        raise RemediableError(message, _REMEDY) from error
    response = DielectricResponse(np.asarray(found["born"]), np.asarray(found["dielectric"]))
    return response, None if text.startswith(_OF_PHONOPY) else ASSUMED_ORDER


def _read_text_file(born: Path) -> str:
    """Text of a file of a bearable size."""
    if born.stat().st_size > _MAX_BYTES:
        raise RemediableError(f"unreadable: {born.name} is larger than 1 MiB", _REMEDY)
    # The first line may be a remark in any encoding.
    return born.read_text(encoding="utf-8", errors="replace")


def add_charges(atoms: Atoms, born: Path) -> str:
    """Text of kind ``json`` that holds a crystal and its Born charges.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal as given.
    born : pathlib.Path
        Its BORN file: dielectric tensor, and charges of the inequivalent atoms in their order.

    Returns
    -------
    str
        With the charges of all atoms.

    Raises
    ------
    RemediableError
        When the file does not belong to the crystal, or is none.
    """
    cell = PhonopyAtoms(
        numbers=atoms.numbers, cell=atoms.cell.array, scaled_positions=atoms.get_scaled_positions()
    )
    found, _ = read_born(born, cell, AS_GIVEN)
    require_sound_charges(found, cell, AS_GIVEN, born.name)
    return json.dumps(
        {
            "lattice": atoms.cell.array.tolist(),
            "numbers": atoms.numbers.tolist(),
            "fractional": atoms.get_scaled_positions().tolist(),
            BORN_CHARGES: found.born_charges.tolist(),
            DIELECTRIC_TENSOR: found.dielectric.tolist(),
        }
    )
