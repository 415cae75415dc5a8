"""Repetitions: the same crystal under another name, in the same or another database.

Four sieves, the cheap ones first: the digest of the idealised cell; formula, space group and
occupied sites; within such a bucket the nearest distances between each two elements; and the
mapping of one crystal onto the other. The mapping is blind to the hand of a crystal where its
operation is improper, so that for chiral crystals only a proper one counts: a mirror image is no
repetition.
"""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from pymatgen.analysis.structure_matcher import ElementComparator, StructureMatcher
from pymatgen.core import Lattice
from pymatgen.io.ase import AseAtomsAdaptor

from tasks.masses import special_masses
from tasks.structures import PackedCell

FloatArray = NDArray[np.float64]


class _Entry(NamedTuple):
    """A crystal, and what tells it quickly from others, once there is another one."""

    name: str
    cell: PackedCell
    nearest: bytes = b""

    def measured(self) -> "_Entry":
        """The same with its nearest distances."""
        if self.nearest:
            return self
        return self._replace(nearest=_packed(nearest_distances(self.cell.atoms)))

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

    def original_of(
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
        if special_masses(atoms) is not None:
            # The comparison sees elements: it cannot tell the isotopes of one from each other.
            self._hashes[digest] = material_id
            return None
        bucket = self._crystals[_bucket_of(atoms, number, equivalent_sites)]
        if not bucket:
            # Few crystals ever share a bucket, and need the distances.
            bucket.append(_Entry(material_id, PackedCell.of(atoms)))
        else:
            bucket[0] = bucket[0].measured()
            nearest = nearest_distances(atoms)
            for entry in bucket:
                near = entry.is_near(nearest, self.distance)
                if near and are_repetitions(entry.cell.atoms, atoms, self.distance, chiral=chiral):
                    return entry.name
            bucket.append(_Entry(material_id, PackedCell.of(atoms), _packed(nearest)))
        self._hashes[digest] = material_id
        return None


def _packed(nearest: FloatArray) -> bytes:
    return nearest.astype(np.float32).tobytes()


def nearest_distances(atoms: Atoms) -> FloatArray:
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
    matcher = StructureMatcher(
        ltol=0.1,
        stol=distance,
        angle_tol=5,
        primitive_cell=False,
        scale=True,
        comparator=ElementComparator(),
    )
    one, other = (AseAtomsAdaptor.get_structure(atoms) for atoms in (first, second))
    found = matcher.get_transformation(one, other)
    return found is not None and (not chiral or float(np.linalg.det(found[0])) > 0)


def _bucket_of(atoms: Atoms, number: int, letters: tuple[str, ...]) -> bytes:
    """Digest of formula, space group, and the sizes of the sets of equal sites of each element.

    Letters themselves depend on the choice of the origin.
    """
    sites: dict[tuple[int, str], int] = defaultdict(int)
    for atomic_number, letter in zip(atoms.numbers, letters, strict=True):
        sites[int(atomic_number), letter] += 1
    sizes = tuple(sorted((element, size) for (element, _), size in sites.items()))
    told = repr((atoms.get_chemical_formula(), number, sizes))
    return hashlib.blake2b(told.encode(), digest_size=16).digest()
