"""Supercells for finite displacements, judged by the distance between periodic images.

A supercell is a sublattice of the crystal's lattice. Those that the point group maps onto
themselves depend on the rotation matrices in the lattice basis alone, and are found once for all
crystals that share them. A sublattice of index n is held as a matrix C of integers: the lattice
vector x lies in it where C x = 0 modulo n.
"""

import itertools
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from tasks.failures import RemediableError
from tasks.symmetry import find_dataset
from tasks.tolerances import AS_MADE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_SAME_LENGTH = 1e-6  # Å; above the rounding of lattice vectors
_BLOCK = 32  # lattice vectors looked at in one go
_IMAGE_POWER = 6
_ROUND = 6
_MAX_SUBLATTICES = 5_000  # of one index
_MAX_PRIME_POWER = 256  # in an index


def find_nearest_image_distance(lattice: FloatArray) -> float:
    """Return the shortest distance between a point and its periodic images.

    Parameters
    ----------
    lattice : ndarray, shape (3, 3)
        Basis vectors in rows (Å).

    Returns
    -------
    float
        Length of the shortest lattice vector in Å.
    """
    reduced, _ = minkowski_reduce(lattice)
    return float(np.linalg.norm(reduced, axis=1).min())


def choose_supercell(
    atoms: Atoms, min_length: float, max_atoms: int, symprec: float = AS_MADE
) -> IntArray:
    """Choose the smallest supercell whose images are far enough apart.

    Candidates are all sublattices that the point group maps onto themselves, so that the supercell
    keeps the crystal's symmetry. When none with at most `max_atoms` atoms reaches `min_length`, the
    one with the largest distance is taken.

    Parameters
    ----------
    atoms : ase.Atoms
        Primitive cell.
    min_length : float
        Wanted distance between images in Å.
    max_atoms : int
        Largest number of atoms in the supercell.
    symprec : float
        Tolerance of the symmetry search in Å.

    Returns
    -------
    ndarray of int, shape (3, 3)
        Matrix M in phonopy's convention: the supercell's basis vectors are ``M.T @ lattice``,
        with the basis vectors in rows. They are a Minkowski-reduced basis, of the handedness of
        the cell.

    Raises
    ------
    RemediableError
        When the primitive cell itself has more than `max_atoms` atoms.
    """
    require_size(atoms, max_atoms)
    rotations = find_dataset(atoms, symprec).rotations
    return choose_sublattice(np.asarray(atoms.cell), rotations, min_length, max_atoms // len(atoms))


def require_size(atoms: Atoms, max_atoms: int) -> None:
    """Refuse a crystal that has no supercell of the allowed size.

    Parameters
    ----------
    atoms : ase.Atoms
        Primitive cell.
    max_atoms : int
        Largest number of atoms in the supercell.

    Raises
    ------
    RemediableError
        When the primitive cell itself has more atoms.
    """
    if len(atoms) > max_atoms:
        message = f"the primitive cell has {len(atoms)} atoms, more than the limit of {max_atoms}"
        raise RemediableError(message, "raise --max-atoms, at a cost that grows with its square")


def choose_sublattice(
    lattice: FloatArray, rotations: IntArray, min_length: float, max_index: int
) -> IntArray:
    """Choose a sublattice that the rotations map onto itself.

    The densest packing of spheres bounds the index from below: a lattice whose shortest vector has
    length L has a cell of at least L^3 / sqrt(2).

    Parameters
    ----------
    lattice : ndarray, shape (3, 3)
        Basis vectors in rows (Å).
    rotations : ndarray of int, shape (n, 3, 3)
        Rotations in the basis of the lattice, acting on columns.
    min_length : float
        Wanted length of the shortest vector in Å.
    max_index : int
        Largest index: volume of the sublattice's cell over that of the lattice.

    Returns
    -------
    ndarray of int, shape (3, 3)
        Basis vectors in columns, Minkowski-reduced. The sublattice of the least index whose
        shortest vector has `min_length`, of several the one with the longest shortest vector;
        where there is none, the one with the longest shortest vector of all.
    """
    volume = abs(np.linalg.det(lattice))
    key = rotations.astype(np.int8).tobytes()
    vectors = _Vectors.list_within(lattice, _bound_packing(max_index * volume))
    smallest = max(1, int(np.ceil(min_length**3 / (np.sqrt(2) * volume) - _SAME_LENGTH)))
    for index in range(smallest, max_index + 1):
        length, widest = _select_widest(_list_invariant_sublattices(key, index), index, vectors)
        if length >= min_length - _SAME_LENGTH:
            return _reduce_basis(_select_most_isotropic(widest, index, vectors), index, lattice)
    longest, n_cells, best = 0.0, 1, np.zeros((0, 3, 3), dtype=np.int64)
    for index in range(max_index, 0, -1):
        if _bound_packing(index * volume) < longest:
            break
        length, widest = _select_widest(_list_invariant_sublattices(key, index), index, vectors)
        if length >= longest - _SAME_LENGTH:
            longest, n_cells, best = length, index, widest
    return _reduce_basis(_select_most_isotropic(best, n_cells, vectors), n_cells, lattice)


@dataclass(frozen=True)
class _Vectors:
    """Lattice vectors by length, one of each pair x, -x."""

    components: IntArray  # (n, 3)
    lengths: FloatArray  # (n,), Å

    @staticmethod
    def list_within(lattice: FloatArray, radius: float) -> "_Vectors":
        """All vectors of a lattice up to a length, the zero vector left out."""
        reach = np.floor(radius * np.linalg.norm(np.linalg.inv(lattice), axis=0) + _SAME_LENGTH)
        box = np.indices(tuple((2 * reach + 1).astype(int))).reshape(3, -1).T - reach
        half = box[len(box) // 2 + 1 :][::-1]
        lengths = np.linalg.norm(half @ lattice, axis=1)
        near = np.flatnonzero(lengths <= radius + _SAME_LENGTH)
        # Of vectors equally long up to rounding those along the axes come first.
        steps = np.abs(half[near]).sum(axis=1)
        order = near[np.lexsort([steps, np.round(lengths[near] / _SAME_LENGTH)])]
        return _Vectors(half[order].astype(np.int64), lengths[order])


def _bound_packing(volume: float) -> float:
    """Length that the shortest vector of a lattice with this volume cannot exceed."""
    return float((np.sqrt(2) * volume) ** (1 / 3) + _SAME_LENGTH)


def _select_widest(sublattices: IntArray, index: int, vectors: _Vectors) -> tuple[float, IntArray]:
    """Length of the longest shortest vector, 0 for no sublattice, and the sublattices with it."""
    alive, last = sublattices, len(vectors.lengths) if len(sublattices) else 0
    for start in range(0, last, _BLOCK):
        block = slice(start, start + _BLOCK)
        member = _has_vectors(alive, index, vectors.components[block])
        free = ~member.any(axis=1)
        if not free.any():
            shortest = vectors.lengths[block][member.argmax(axis=1)]
            return float(shortest.max()), alive[shortest >= shortest.max() - _SAME_LENGTH]
        alive = alive[free]
    return 0.0, alive


def _select_most_isotropic(sublattices: IntArray, index: int, vectors: _Vectors) -> IntArray:
    """Sublattice with the least sum of inverse powers of the lengths of its vectors."""
    member = _has_vectors(sublattices, index, vectors.components)
    crowding = member @ vectors.lengths ** -float(_IMAGE_POWER)
    best: IntArray = sublattices[np.argmin(np.round(crowding / crowding.min(), _ROUND))]
    return best


def _has_vectors(sublattices: IntArray, index: int, components: IntArray) -> NDArray[np.bool_]:
    """Whether sublattices contain lattice vectors; shape (n_sublattices, n_vectors)."""
    # Products of small integers are exact in single precision, and much faster than integers.
    turns = sublattices.astype(np.float32).reshape(-1, 3) @ components.T.astype(np.float32) / index
    whole = np.abs(turns - np.rint(turns)) < 0.5 / index
    return np.asarray(whole.reshape(-1, 3, len(components)).all(axis=1))


def _reduce_basis(sublattice: IntArray, index: int, lattice: FloatArray) -> IntArray:
    """Basis of a sublattice in columns: its shortest vectors, which in three dimensions are one."""
    radius = _bound_packing(index * abs(np.linalg.det(lattice)))
    while True:
        vectors = _Vectors.list_within(lattice, radius)
        member = _has_vectors(sublattice[None], index, vectors.components)[0]
        basis: list[IntArray] = []
        for vector in vectors.components[member]:
            if np.linalg.matrix_rank([*basis, vector]) > len(basis):
                basis.append(vector)
            if len(basis) == 3:
                matrix = np.array(basis).T
                return matrix * int(np.sign(round(np.linalg.det(matrix))))
        radius *= 2


@lru_cache(maxsize=1024)
def _list_invariant_sublattices(rotations: bytes, index: int) -> IntArray:
    """Sublattices of an index that the rotations (int8) map onto themselves, shape (n, 3, 3).

    A sublattice whose index is a product of coprime factors is the intersection of one sublattice
    for each factor, and is invariant where these are. Of more than `_MAX_SUBLATTICES`, which only
    the smallest triclinic and monoclinic cells have, an even choice is returned; none for an index
    with a prime power beyond `_MAX_PRIME_POWER`.
    """
    factor = _find_prime_power(index)
    if factor > _MAX_PRIME_POWER:
        return np.zeros((0, 3, 3), dtype=np.int64)
    if factor < index:
        rest = index // factor
        one = _list_invariant_sublattices(rotations, factor)
        other = _list_invariant_sublattices(rotations, rest)
        pairs = _select_evenly(np.arange(len(one) * len(other)))
        i, j = np.divmod(pairs, max(len(other), 1))
        return (rest * one[i] + factor * other[j]) % index
    bases, congruences = _list_sublattices(index)
    for rotation in np.frombuffer(rotations, dtype=np.int8).reshape(-1, 3, 3):
        images = congruences @ (rotation.astype(np.int64) @ bases)
        kept = ~(images % index).any(axis=(1, 2))
        bases, congruences = bases[kept], congruences[kept]
    return _select_evenly(congruences % index)


def _select_evenly(items: IntArray) -> IntArray:
    """At most `_MAX_SUBLATTICES` of some items, evenly spread."""
    return items[:: max(1, -(-len(items) // _MAX_SUBLATTICES))]


@lru_cache(maxsize=64)
def _list_sublattices(index: int) -> tuple[IntArray, IntArray]:
    """All sublattices of an index: bases H in Hermite normal form (columns), and index H^-1."""
    blocks = []
    for a, c in itertools.product(range(1, index + 1), repeat=2):
        if index % (a * c) == 0:
            f = index // (a * c)
            b, d, e = np.indices((c, f, f)).reshape(3, -1)
            zero = np.zeros_like(b)
            blocks.append([zero + a, zero, zero, b, zero + c, zero, d, e, zero + f])
    H = np.concatenate([np.array(block).T for block in blocks]).reshape(-1, 3, 3)
    return H, np.rint(index * np.linalg.inv(H)).astype(np.int64)


def _find_prime_power(number: int) -> int:
    """Largest power of the smallest prime factor that divides a number; 1 for 1."""
    prime = next((p for p in range(2, number + 1) if number % p == 0), 1)
    power = prime
    while prime > 1 and number % (power * prime) == 0:
        power *= prime
    return power
