"""BORN files of phonopy that lie beside a structure."""

import json
from pathlib import Path
from typing import Final

from ase import Atoms
from phonopy.file_IO import BORNFileParseError, parse_BORN
from phonopy.structure.atoms import PhonopyAtoms

from tasks.dielectric import BORN_CHARGES, DIELECTRIC_TENSOR
from tasks.failures import RemediableError

_MAX_BYTES: Final = 2**20
_SYMPREC: Final = 0.01  # Å; rounded coordinates must not make equivalent atoms look different
_REMEDY: Final = "correct the BORN file, or remove it"
_BARE: Final = frozenset(("POSCAR", "CONTCAR"))


def born_file(path: Path | None) -> Path | None:
    """Find the BORN file of a structure.

    Parameters
    ----------
    path : pathlib.Path or None
        File of one structure.

    Returns
    -------
    pathlib.Path or None
        ``<name>.BORN`` beside ``<name>.cif`` or ``<name>.vasp``; ``BORN`` beside a file with
        VASP's own name, as in phonopy; None where there is none.
    """
    if path is None:
        return None
    named = path.with_name(f"{path.name.split('.')[0]}.BORN")
    beside = [named, *([path.with_name("BORN")] if path.name.upper() in _BARE else [])]
    return next((file for file in beside if file.is_file()), None)


def with_charges(atoms: Atoms, born: Path) -> str:
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
    if born.stat().st_size > _MAX_BYTES:
        raise RemediableError(f"unreadable: {born.name} is larger than 1 MiB", _REMEDY)
    try:
        found = parse_BORN(cell, symprec=_SYMPREC, filename=born)
    except (BORNFileParseError, OSError, ValueError) as error:
        message = f"unreadable: {born.name}: {error}"
        raise RemediableError(message, _REMEDY) from error
    return json.dumps(
        {
            "lattice": atoms.cell.array.tolist(),
            "numbers": atoms.numbers.tolist(),
            "fractional": atoms.get_scaled_positions().tolist(),
            BORN_CHARGES: found["born"].tolist(),
            DIELECTRIC_TENSOR: found["dielectric"].tolist(),
        }
    )
