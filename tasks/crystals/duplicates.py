"""Repetitions: the same crystal under another name, in the same or another database.

Four comparisons, the cheap ones first: the digest of the idealised cell; formula, space group and
occupied sites; among crystals equal in these, the nearest distances between each two elements; and
the mapping of one crystal onto the other. The mapping is blind to the hand of a crystal where its
operation is improper, so that for chiral crystals only a proper one counts: a mirror image is no
repetition.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from pymatgen.core import Lattice

from tasks.crystals.alignment import align_crystals
from tasks.crystals.masses import find_special_masses
from tasks.crystals.rows import read_atoms
from tasks.crystals.structures import PackedCell, compute_structure_hash
from tasks.symmetry import classify_space_group, find_dataset

FloatArray = NDArray[np.float64]

# Two relaxations that ended in one minimum differ by what their convergence leaves.
_RELAXED_ENERGY: Final = 2e-3  # eV/atom
_RELAXED_VOLUME: Final = 0.02  # of the volume
_RELAXED_DISTANCE: Final = 0.05  # of the cube root of the volume per atom
_RELAXED_SYMPREC: Final = 0.01  # Å
_RELAXED_ALIKE: Final = ("space_group_number_final", "checkpoint_digest")


class _Entry(NamedTuple):
    """A crystal, and what tells it quickly from others, once there is another one."""

    name: str
    cell: PackedCell
    nearest: bytes = b""

    def measure(self) -> "_Entry":
        """The same with its nearest distances."""
        if self.nearest:
            return self
        return self._replace(nearest=_pack_distances(measure_nearest_distances(self.cell.atoms)))

    def is_near(self, nearest: FloatArray, distance: float) -> bool:
        """Whether the nearest distances allow a repetition: both atoms of a pair may move."""
        mine = np.frombuffer(self.nearest, dtype=np.float32).reshape(nearest.shape)
        return bool(np.abs(mine - nearest).max() <= 2 * distance)


@dataclass
class Duplicates:
    """Crystals so far, to recognise their repetitions.

    Attributes
    ----------
    distance : float
        Largest mean displacement between repetitions, relative to the cube root of the volume per
        atom.
    """

    distance: float
    _hashes: dict[bytes, str] = field(default_factory=dict)
    _crystals: dict[bytes, list[_Entry]] = field(default_factory=lambda: defaultdict(list))

    def find_original(
        self,
        material_id: str,
        structure_hash: str,
        atoms: Atoms,
        number: int,
        equivalent_sites: tuple[str, ...],
        *,
        chiral: bool,
    ) -> str | None:
        """Find the earlier crystal that a crystal repeats; remember the given one if there is none.

        Parameters
        ----------
        material_id, structure_hash : str
            Name and digest of the crystal.
        atoms : ase.Atoms
            Its idealised primitive cell.
        number : int
            Its space-group number.
        equivalent_sites : tuple of str
            Wyckoff letter of each atom.
        chiral : bool
            Whether its mirror image is another crystal.

        Returns
        -------
        str or None
            Name of the earlier crystal.
        """
        digest = bytes.fromhex(structure_hash)
        if known := self._hashes.get(digest):
            return known
        if find_special_masses(atoms) is not None:
            # The comparison sees elements: it cannot tell the isotopes of one from each other.
            self._hashes[digest] = material_id
            return None
        bucket = self._crystals[_compute_bucket(atoms, number, equivalent_sites)]
        if not bucket:
            # Few crystals ever share a bucket, and need the distances.
            bucket.append(_Entry(material_id, PackedCell.from_atoms(atoms)))
        else:
            bucket[0] = bucket[0].measure()
            nearest = measure_nearest_distances(atoms)
            for entry in bucket:
                near = entry.is_near(nearest, self.distance)
                if near and are_repetitions(entry.cell.atoms, atoms, self.distance, chiral=chiral):
                    return entry.name
            bucket.append(
                _Entry(material_id, PackedCell.from_atoms(atoms), _pack_distances(nearest))
            )
        self._hashes[digest] = material_id
        return None


def find_relaxed_originals(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Find crystals that came out of their relaxations as one crystal.

    Parameters
    ----------
    rows : iterable of mapping
        Rows of ``relaxations``.

    Returns
    -------
    dict from str to str
        Of each set of equal crystals, the name of the one that its relaxation changed the least,
        by names of the others. Crystals of special masses are left out: the comparison sees
        elements alone.
    """
    groups: dict[tuple[Any, ...], list[_EnergyGroup]] = defaultdict(list)
    found: dict[str, str] = {}
    for row in sorted(rows, key=_rank_by_change):
        if row["masses"] is not None or not row["space_group_number_final"]:
            continue
        atoms = read_atoms(row)
        kind = (atoms.get_chemical_formula(), *(row[name] for name in _RELAXED_ALIKE))
        if original := _find_energy_group(row, groups[kind]).find_original(
            row["material_id"], atoms
        ):
            found[row["material_id"]] = original
    return found


def select_possible_repetitions(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Select crystals that share elements, energy and space group with another relaxed one.

    Parameters
    ----------
    rows : iterable of mapping
        Columns ``key``, ``numbers``, ``energy``, ``space_group_number_final`` and
        ``checkpoint_digest`` of ``relaxations``.

    Returns
    -------
    list of str
        Keys of those that `find_relaxed_originals` has to look at.
    """
    kinds: dict[tuple[Any, ...], list[tuple[float, str]]] = defaultdict(list)
    for row in rows:
        kind = (tuple(sorted(row["numbers"])), *(row[name] for name in _RELAXED_ALIKE))
        kinds[kind].append((row["energy"], row["key"]))
    found: list[str] = []
    for members in kinds.values():
        energies, keys = zip(*sorted(members), strict=True)
        close = np.diff(energies) < _RELAXED_ENERGY
        alike = np.append(close, False) | np.append(False, close)
        found += [keys[i] for i in np.flatnonzero(alike)]
    return found


def _rank_by_change(row: Mapping[str, Any]) -> tuple[bool, float, str]:
    """What sorts relaxed crystals, the least changed first."""
    return row["symmetry_changed"], abs(row["volume_change"]), row["material_id"]


class _EnergyGroup(NamedTuple):
    """Crystals of one energy and volume after their relaxation, and the row of the first."""

    first: Mapping[str, Any]
    crystals: Duplicates

    def matches(self, row: Mapping[str, Any]) -> bool:
        """Whether another relaxed crystal has its energy and volume."""
        volume = _compute_volume(row) / _compute_volume(self.first)
        close = abs(row["energy"] - self.first["energy"]) < _RELAXED_ENERGY
        return close and abs(volume - 1) < _RELAXED_VOLUME

    def find_original(self, material_id: str, atoms: Atoms) -> str | None:
        """Earlier crystal that a relaxed one is; without one, or without symmetry, None."""
        try:
            dataset = find_dataset(atoms, _RELAXED_SYMPREC)
        except ValueError:
            return None
        number, letters = int(dataset.number), tuple(dataset.wyckoffs)
        chiral = classify_space_group(number).chirality_class == "II"
        digest = compute_structure_hash(atoms)
        return self.crystals.find_original(
            material_id, digest, atoms, number, letters, chiral=chiral
        )


def _find_energy_group(row: Mapping[str, Any], groups: list[_EnergyGroup]) -> _EnergyGroup:
    """Group that a relaxed crystal belongs to, a new one where none fits."""
    known = next((group for group in groups if group.matches(row)), None)
    if known is None:
        known = _EnergyGroup(row, Duplicates(_RELAXED_DISTANCE))
        groups.append(known)
    return known


def _compute_volume(row: Mapping[str, Any]) -> float:
    """Volume of the cell of a row (Å^3)."""
    return abs(float(np.linalg.det(np.reshape(row["cell"], (3, 3)))))


def _pack_distances(nearest: FloatArray) -> bytes:
    return nearest.astype(np.float32).tobytes()


def measure_nearest_distances(atoms: Atoms) -> FloatArray:
    """Mean distance from the atoms of one element to the nearest atom of another one.

    Parameters
    ----------
    atoms : ase.Atoms
        Crystal; its own periodic images count for an atom as one distance, the shortest lattice
        vector.

    Returns
    -------
    ndarray, shape (n_elements, n_elements)
        Relative to the cube root of the volume per atom; elements by atomic number.
    """
    lattice, fractions = Lattice(atoms.cell.array), atoms.get_scaled_positions()
    distances = np.array(lattice.get_all_distances(fractions, fractions))
    np.fill_diagonal(distances, min(lattice.get_niggli_reduced_lattice().abc))
    masks = [np.flatnonzero(atoms.numbers == z) for z in np.unique(atoms.numbers)]
    means = np.array([[distances[a][:, b].min(axis=1).mean() for b in masks] for a in masks])
    length = float(np.cbrt(atoms.get_volume() / len(atoms)))
    return np.asarray(means / length, dtype=np.float64)


def are_repetitions(first: Atoms, second: Atoms, distance: float, *, chiral: bool) -> bool:
    """Tell whether two crystals are the same up to a motion, a scale and small displacements.

    Parameters
    ----------
    first, second : ase.Atoms
        Primitive cells with the same numbers of atoms; right-handed.
    distance : float
        Largest mean displacement, relative to the cube root of the volume per atom.
    chiral : bool
        Whether the operation that carries one to the other has to be proper.

    Returns
    -------
    bool
        True for a repetition.
    """
    found = align_crystals(first, second, distance)
    return found is not None and (not chiral or found.is_proper)


def _compute_bucket(atoms: Atoms, number: int, letters: tuple[str, ...]) -> bytes:
    """Digest of formula, space group, and the sizes of the sets of equal sites of each element.

    Letters themselves depend on the choice of the origin.
    """
    sites: dict[tuple[int, str], int] = defaultdict(int)
    for atomic_number, letter in zip(atoms.numbers, letters, strict=True):
        sites[int(atomic_number), letter] += 1
    sizes = tuple(sorted((element, size) for (element, _), size in sites.items()))
    text = repr((atoms.get_chemical_formula(), number, sizes))
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
