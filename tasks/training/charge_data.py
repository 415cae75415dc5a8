"""Crystals with calculated Born charges, as a charge model learns from them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor

from potentials.charges import (
    Batch,
    Labelled,
    describe,
    find_supported_elements,
    tensor_basis,
    to_irreps,
)
from tasks.crystals.rows import read_atoms
from tasks.failures import RemediableError
from tasks.symmetry import find_dataset
from tasks.tolerances import AS_GIVEN
from tasks.training.charge_settings import ChargeTrainingSettings

COLUMNS: Final = (
    "material_id",
    "formula",
    "functional",
    "symmetry_class",
    "lattice",
    "atomic_numbers",
    "frac_coords",
    "born",
    "dielectric",
    "good",
    "asr_max",
    "born_sym_dev",
)
"""Columns of the file; charges in e with the field's index first, flat lists in C order."""
_DEGREES: Final = ("scalars", "vectors", "tensors", "octupoles")
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class ChargedCrystals:
    """Crystals with labels, and what the potentials know of their atoms.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per crystal: columns of `COLUMNS`, and the ``fold`` in which it is left out.
    data : Labelled
        Inequivalent atoms, in float32.
    """

    table: pd.DataFrame
    data: Labelled

    def select_fold(self, number: int, *, left_out: bool) -> Labelled:
        """Crystals that are left out in a fold, or those that are not."""
        chosen = (self.table["fold"] == number).to_numpy() == left_out
        return self.data.select(torch.from_numpy(np.flatnonzero(chosen)))


def read_table(settings: ChargeTrainingSettings) -> pd.DataFrame:
    """Read the crystals that are used, and divide them into folds by formula.

    Parameters
    ----------
    settings : ChargeTrainingSettings
        All settings.

    Returns
    -------
    pandas.DataFrame
        As in `ChargedCrystals`.

    Raises
    ------
    RemediableError
        When the file cannot be read or holds no such crystals.
    """
    try:
        table = pd.read_parquet(settings.file, columns=list(COLUMNS))
    except (OSError, ValueError) as error:
        message = f"cannot read Born charges from {settings.file}: {error}"
        raise RemediableError(message, "name a file with the columns of the manual") from error
    known = find_supported_elements()
    covered = table["atomic_numbers"].map(known.issuperset)
    used = table["good"] & table["functional"].isin(settings.functionals) & covered
    table = table[used].reset_index(drop=True)
    if table["formula"].nunique() < settings.folds:
        raise RemediableError(f"{settings.file} holds too few crystals", "give another file")
    formulas = sorted(set(table["formula"]))
    order = np.random.default_rng(settings.seed).permutation(len(formulas)) % settings.folds
    table["fold"] = table["formula"].map(dict(zip(formulas, order, strict=True)))
    return table


def describe_all(table: pd.DataFrame, report: Callable[[int], None]) -> Arrays:
    """Compute the features of all inequivalent atoms.

    Parameters
    ----------
    table : pandas.DataFrame
        From `read_table`.
    report : callable
        Told of each crystal that is done.

    Returns
    -------
    dict of str to ndarray
        What `join_labels` reads; can be kept in a file.
    """
    parts: dict[str, list[NDArray[Any]]] = {}
    for number, arrays in enumerate(_describe_each(table)):
        for name, array in arrays.items():
            parts.setdefault(name, []).append(array)
        report(number)
    whole = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    sizes = [len(arrays) for arrays in parts["atoms"]]
    return whole | {"crystals": np.repeat(np.arange(len(sizes)), sizes)}


def join_labels(
    table: pd.DataFrame, arrays: Arrays, settings: ChargeTrainingSettings
) -> ChargedCrystals:
    """Put labels and features together.

    Parameters
    ----------
    table : pandas.DataFrame
        From `read_table`.
    arrays : dict of str to ndarray
        From `describe_all`.
    settings : ChargeTrainingSettings
        All settings.

    Returns
    -------
    ChargedCrystals
        Ready to be learned.
    """
    crystals, atoms = arrays["crystals"], arrays["atoms"]
    pairs = list(zip(crystals, atoms, strict=True))
    charges = [np.reshape(born, (-1, 3, 3)) for born in table["born"]]
    dielectric = np.stack([np.reshape(x, (3, 3)) for x in table["dielectric"]])
    first, second, third = (_make_tensor(arrays[name]) for name in _DEGREES[1:])
    functionals = [settings.functionals.index(name) for name in table["functional"]]
    batch = Batch(
        scalars=_make_tensor(arrays["scalars"]),
        others=(first, second, third),
        numbers=torch.tensor([int(table["atomic_numbers"][c][a]) for c, a in pairs]),
        crystals=torch.from_numpy(crystals),
        counts=_make_tensor(arrays["counts"]),
        functionals=torch.tensor(functionals),
        projectors=_make_tensor(arrays["projectors"]),
    )
    born = np.stack([charges[c][a] for c, a in pairs]).astype(np.float64)
    violations = table[["asr_max", "born_sym_dev"]].to_numpy() / settings.half_weight
    labelled = Labelled(
        batch,
        to_irreps(torch.from_numpy(born)).float(),
        to_irreps(torch.from_numpy(dielectric.astype(np.float64))).float(),
        _make_tensor(1 / (1 + (violations**2).sum(axis=1))),
    )
    return ChargedCrystals(table, labelled)


def read_row_atoms(row: Any) -> Atoms:  # noqa: ANN401 - a row of pandas
    """Crystal of a row of the file."""
    return read_atoms(
        {"numbers": row.atomic_numbers, "cell": row.lattice, "positions": row.frac_coords}
    )


def _describe_each(table: pd.DataFrame) -> Iterator[Arrays]:
    """Features of the inequivalent atoms of each crystal, and how the others follow."""
    for row in table.itertuples():
        atoms = read_row_atoms(row)
        found = find_dataset(atoms, AS_GIVEN)
        chosen, counts = np.unique(found.equivalent_atoms, return_counts=True)
        features = describe(atoms)
        degrees = {name: getattr(features, name)[chosen].astype("f4") for name in _DEGREES}
        projector = _make_projector(atoms, np.unique(found.rotations, axis=0))
        yield {**degrees, "atoms": chosen, "counts": counts, "projectors": projector[None]}


def _make_projector(atoms: Atoms, rotations: NDArray[Any]) -> NDArray[np.float64]:
    """Mean of a tensor over operations, shape (9, 9), in components of `tensor_basis`."""
    lattice, basis = atoms.cell.array.T, tensor_basis().numpy()
    turns = lattice @ rotations @ np.linalg.inv(lattice)
    turned = np.einsum("rab,rcd,bdk->ack", turns, turns, basis, optimize=True) / len(turns)
    projector: NDArray[np.float64] = np.einsum("acj,ack->jk", basis, turned)
    return projector


def _make_tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(array).float()
