"""Born charges and dielectric tensors that a source gives."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from tasks.failures import RemediableError

FloatArray = NDArray[np.float64]

BORN_CHARGES: Final = "born_charges"
DIELECTRIC_TENSOR: Final = "dielectric_tensor"
REMEDY: Final = "correct the record, or remove its Born charges"
ASSUMED_ORDER: Final = (
    "order of indices assumed: field, displacement, as in phonopy; nothing says which program "
    "wrote the Born charges"
)
"""Note of charges of unknown origin. Neither symmetry nor sum rule tells a tensor from its
transpose, which CASTEP and Euphonic give."""


@dataclass(frozen=True)
class DielectricResponse:
    """What the correction for long-range dipoles needs of a crystal.

    Attributes
    ----------
    born_charges : ndarray, shape (n_atoms, 3, 3)
        In e; the order of the indices is that of phonopy.
    dielectric : ndarray, shape (3, 3)
        Electronic (high-frequency) dielectric tensor.
    """

    born_charges: FloatArray
    dielectric: FloatArray

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over values rounded to 1e-6."""
        values = np.append(self.born_charges.ravel(), self.dielectric.ravel())
        return hashlib.sha256((np.round(values, 6) + 0.0).astype("<f8").tobytes()).hexdigest()

    @property
    def columns(self) -> dict[str, FloatArray]:
        """Columns of ``materials`` and ``relaxations`` that hold it."""
        return {BORN_CHARGES: self.born_charges, DIELECTRIC_TENSOR: self.dielectric}


def take_response(atoms: Atoms) -> DielectricResponse | None:
    """Take the tensors that a crystal carries.

    Parameters
    ----------
    atoms : ase.Atoms
        With the array ``born_charges`` (nine numbers for each atom) and ``dielectric_tensor`` in
        its information, as a file of extended XYZ has them.

    Returns
    -------
    DielectricResponse or None
        None for a crystal without them.

    Raises
    ------
    RemediableError
        When they are incomplete, no numbers, or no tensors of an insulator.
    """
    born, tensor = atoms.arrays.get(BORN_CHARGES), atoms.info.get(DIELECTRIC_TENSOR)
    if born is None and tensor is None:
        return None
    if born is None or tensor is None:
        missing = BORN_CHARGES if born is None else DIELECTRIC_TENSOR
        raise RemediableError(f"unreadable: {missing} is missing beside its partner", REMEDY)
    try:
        charges = np.asarray(born, dtype=float).reshape(len(atoms), 3, 3)
        dielectric = np.asarray(tensor, dtype=float).reshape(3, 3)
    except (TypeError, ValueError) as error:
        raise RemediableError(f"unreadable: Born charges: {error}", REMEDY) from error
    response = DielectricResponse(charges, dielectric)
    require_insulating(response)
    return response


def require_insulating(response: DielectricResponse) -> None:
    """Refuse tensors that are no numbers, or not those of an insulator.

    Parameters
    ----------
    response : DielectricResponse
        Tensors.

    Raises
    ------
    RemediableError
        With what is wrong.
    """
    charges, dielectric = response.born_charges, response.dielectric
    if not (np.isfinite(charges).all() and np.isfinite(dielectric).all()):
        raise RemediableError("unreadable: a Born charge is not a number", REMEDY)
    if not is_insulating(response):
        raise RemediableError("unreadable: a dielectric tensor below that of vacuum", REMEDY)


def is_insulating(response: DielectricResponse) -> bool:
    """Tell whether a dielectric tensor is nowhere below that of vacuum."""
    symmetric = (response.dielectric + response.dielectric.T) / 2
    return bool(np.linalg.eigvalsh(symmetric).min() >= 1)


def read_response(row: Mapping[str, Any]) -> DielectricResponse | None:
    """Take the tensors of a row.

    Parameters
    ----------
    row : mapping
        Row of ``materials`` or ``relaxations``.

    Returns
    -------
    DielectricResponse or None
        None where the source gave none.
    """
    born, tensor = row.get(BORN_CHARGES), row.get(DIELECTRIC_TENSOR)
    if born is None or tensor is None:
        return None
    return DielectricResponse(np.reshape(born, (-1, 3, 3)), np.reshape(tensor, (3, 3)))
