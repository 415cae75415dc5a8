"""Measured volumes of crystals, with which relaxed crystals are compared.

A crystal is identified by its formula, its space group (the two of an enantiomorphic pair count as
one) and the number of atoms in its primitive cell. Two sources are used: the published cells of the
demo, which travel with the package, and cells of the same dataset whose records say that they are
measured.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from pymatgen.core import Composition

from tasks.symmetry import classify_space_group

Kind = tuple[str, int, int]


@dataclass(frozen=True)
class MeasuredCells:
    """Measured volumes per atom (Å^3) by kind of crystal."""

    volumes: Mapping[Kind, frozenset[float]]

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> "MeasuredCells":
        """Gather those of the package and of a dataset.

        Parameters
        ----------
        rows : iterable of mapping
            Rows of ``materials`` whose cells are measured: ``formula``, ``space_group_number``,
            ``n_atoms``, ``cell``.

        Returns
        -------
        MeasuredCells
            Several volumes of a kind are kept.
        """
        found = defaultdict[Kind, set[float]](set)
        for kind, volume in _read_published():
            found[kind].add(volume)
        for row in rows:
            kind = _make_kind(row["formula"], row["space_group_number"], row["n_atoms"])
            found[kind].add(compute_volume_per_atom(row["cell"], row["n_atoms"]))
        return cls({kind: frozenset(volumes) for kind, volumes in found.items()})

    def compare_volume(
        self,
        formula: str,
        space_group: int,
        n_atoms: int,
        cell: Any,  # noqa: ANN401 - nine numbers of any kind
    ) -> float | None:
        """Compare the volume of a relaxed crystal with the measured one.

        Parameters
        ----------
        formula : str
            Reduced formula.
        space_group : int
            Space-group number of the relaxed crystal.
        n_atoms : int
            Atoms of its primitive cell.
        cell : array_like, 9 numbers
            Its lattice vectors (Å).

        Returns
        -------
        float or None
            As a fraction of the measured volume, of several the nearest; None where none is known.
        """
        known = self.volumes.get(_make_kind(formula, space_group, n_atoms))
        if not known:
            return None
        volume = compute_volume_per_atom(cell, n_atoms)
        return min((volume / measured - 1 for measured in known), key=abs)


def compute_volume_per_atom(cell: Any, n_atoms: int) -> float:  # noqa: ANN401 - nine numbers of any kind
    """Volume per atom of a cell.

    Parameters
    ----------
    cell : array_like, 9 numbers
        Lattice vectors (Å).
    n_atoms : int
        Its atoms.

    Returns
    -------
    float
        In Å^3.
    """
    return abs(float(np.linalg.det(np.reshape(cell, (3, 3))))) / n_atoms


def _make_kind(formula: str, space_group: int, n_atoms: int) -> Kind:
    """What tells a crystal from others."""
    partner = classify_space_group(space_group).enantiomorphic_partner
    return formula, min(space_group, partner or space_group), n_atoms


@cache
def _read_published() -> tuple[tuple[Kind, float], ...]:
    """Kinds and volumes of the demo crystals."""
    text = (files("chiralscreen_data") / "measured_cells.csv").read_text("utf-8")
    return tuple(
        (
            _make_kind(
                str(Composition(row["formula"]).reduced_formula),
                int(row["space_group"]),
                int(row["n_atoms"]),
            ),
            float(row["volume"]),
        )
        for row in csv.DictReader(text.splitlines())
    )
