"""Force constants computed elsewhere, by DFT for example, read from phonopy's files."""

import hashlib
import io
import lzma
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import phonopy
from ase import Atoms
from phonopy import Phonopy
from phonopy.harmonic.force_constants import full_fc_to_compact_fc

from tasks.failures import RemediableError
from tasks.phonons import FloatArray, symmetrize

_MAX_BYTES = 2**31
_TAG = re.compile(r"^[^#\n]*!", re.MULTILINE)
_FORCE_SETS, _FORCE_CONSTANTS, _BORN = "FORCE_SETS", "FORCE_CONSTANTS", "BORN"


@dataclass(frozen=True)
class ExternalPhonons:
    """Force constants read from files.

    Attributes
    ----------
    phonon : phonopy.Phonopy
        With symmetrised compact force constants, and Born charges where they were given.
    digest : str
        SHA-256 (hex) of all files that were read.
    sum_rule_residual : float
        Largest violation of the acoustic sum rule before symmetrisation (eV/Å^2).
    symmetrisation : float
        Largest change of a force constant by the symmetrisation (eV/Å^2).
    """

    phonon: Phonopy
    digest: str
    sum_rule_residual: float
    symmetrisation: float

    @property
    def primitive(self) -> Atoms:
        """Primitive cell."""
        cell = self.phonon.primitive
        return Atoms(numbers=cell.numbers, cell=cell.cell, positions=cell.positions, pbc=True)


def read_phonopy(path: Path) -> ExternalPhonons:
    """Read a phonopy YAML file, with the force and charge files beside it.

    ``phonopy_params.yaml`` holds everything itself. What ``phonopy.yaml`` lacks is taken from
    ``FORCE_SETS``, ``FORCE_CONSTANTS`` and ``BORN`` in the same folder.

    Parameters
    ----------
    path : pathlib.Path
        YAML file, plain or compressed (``.xz``).

    Returns
    -------
    ExternalPhonons
        Ready for analysis.

    Raises
    ------
    RemediableError
        When a file is unreadable or unsafe, or there are no forces.
    """
    text = _text(path)
    beside = {
        name: path.parent / name
        for name in (_FORCE_SETS, _FORCE_CONSTANTS, _BORN)
        if (path.parent / name).is_file()
    }
    phonon = _loaded(text, path, beside)
    if phonon.force_constants is None:
        message = f"{path.name} has neither forces nor force constants"
        raise RemediableError(message, f"put {_FORCE_SETS} or {_FORCE_CONSTANTS} beside it")
    raw = _compact(phonon)
    phonon.force_constants = raw
    symmetrize(phonon)
    return ExternalPhonons(
        phonon,
        digest=_digest([path, *beside.values()]),
        sum_rule_residual=float(np.abs(raw.sum(axis=1)).max()),
        symmetrisation=float(np.abs(phonon.force_constants - raw).max()),
    )


def _text(path: Path) -> str:
    """Text of a YAML file that constructs nothing but plain values.

    phonopy parses with a loader that obeys tags which run code. Every tag of YAML begins with an
    exclamation mark, which phonopy never writes outside of comments.
    """
    opened = lzma.open if path.suffix == ".xz" else open
    try:
        with opened(path, "rb") as stream:
            content = stream.read(_MAX_BYTES + 1)
        text = content.decode()
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
        message = f"unreadable: {path.name}: {error}"
        raise RemediableError(message, "give a YAML file written by phonopy") from error
    if len(content) > _MAX_BYTES:
        raise RemediableError(f"{path.name} is larger than 2 GiB", "use compact force constants")
    if _TAG.search(text):
        message = f"{path.name} has a YAML tag (an exclamation mark), which could run code"
        raise RemediableError(message, "give a YAML file written by phonopy")
    return text


def _loaded(text: str, path: Path, beside: Mapping[str, Path]) -> Phonopy:
    """Phonopy object of a YAML text and the files beside it."""
    try:
        return phonopy.load(
            io.StringIO(text),
            force_sets_filename=beside.get(_FORCE_SETS),
            force_constants_filename=beside.get(_FORCE_CONSTANTS),
            born_filename=beside.get(_BORN),
            symmetrize_fc=False,
        )
    except Exception as error:
        message = f"phonopy cannot use {path.name}: {error or type(error).__name__}"
        raise RemediableError(message, "check the file with phonopy itself") from error


def _compact(phonon: Phonopy) -> FloatArray:
    """Force constants between the atoms of the primitive cell and all of the supercell."""
    constants: FloatArray = phonon.force_constants
    if len(constants) > len(phonon.primitive):
        constants = full_fc_to_compact_fc(phonon.primitive, constants)
    return constants


def _digest(paths: Iterable[Path]) -> str:
    """SHA-256 over the contents of some files."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
