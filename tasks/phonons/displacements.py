"""Displacements that determine force constants with as few evaluations as symmetry allows.

A displacement d of one atom gives the force constants along d and, rotated, along all directions
to which the site group carries d. Let F(d) be the forces. Their odd part [F(d) - F(-d)] / 2 is
free of the cubic term of the energy, so that each direction takes the opposite displacement too,
unless an operation S of the site group reverses d: then F(-d) is F(d) carried by S.

A potential that is invariant under proper rotations only is averaged over the inversion. With F of
the crystal and F' of its mirror image, carried back, the odd part is taken as [F(d) - F'(-d)] / 2:
its harmonic term is that of the average, and of the cubic term only a quarter of the difference
between crystal and image is left, which for a potential of nearly full symmetry is far less than
what a displacement in one direction alone would leave. Now the opposite displacement comes for
free where an *improper* operation reverses d, and costs one evaluation otherwise: the average over
the inversion adds nothing to what central differences cost.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, permutations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from spglib import SpglibDataset

from potentials import Equivariance

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# The directions to which a site group carries a set of unit vectors, as rows of a matrix divided
# by the square root of their number: its squared singular values add up to 1. All sets chosen
# reach 1/4 at least; 1/3 is the best.
_MIN_SQUARED_SINGULAR_VALUE = 0.2
_SAME = 1e-3  # of a unit vector; directions that differ are tenths apart
_ROUND = 6
# Of 6/mmm. All directions of a cubic site group are equally good.
_MAX_AXES_NOT_CUBIC = 7


@dataclass(frozen=True)
class Directions:
    """Directions along which one atom is displaced.

    Attributes
    ----------
    vectors : ndarray, shape (n, 3)
        Cartesian unit vectors.
    paired : ndarray of bool, shape (n,)
        Whether the opposite displacement must be evaluated as well.
    """

    vectors: FloatArray
    paired: NDArray[np.bool_]

    @property
    def n_evaluations(self) -> int:
        """Displaced crystals to be evaluated."""
        return len(self.vectors) + int(self.paired.sum())


def choose_directions(rotations: FloatArray, equivariance: Equivariance) -> Directions:
    """Choose the directions in which an atom is displaced.

    The fewest directions whose images under the site group span space, of these the ones that
    take the fewest evaluations, of these the best conditioned. A direction takes two evaluations at
    most, so that one direction is never dearer than two; nor are two dearer than three, because
    no site group that needs two reverses all directions of a spanning set of three.

    Parameters
    ----------
    rotations : ndarray, shape (n, 3, 3)
        Site group in Cartesian form, the identity included.
    equivariance : Equivariance
        Of the potential, before any average over the inversion.

    Returns
    -------
    Directions
        One to three. The squared singular values of the matrix of all their images, divided by
        the number of images, are 1/4 at least (1/3 at best, for unit vectors).
    """
    candidates = _list_candidates(rotations)
    images = np.einsum("gij,cj->cgi", rotations, candidates)
    moments = np.einsum("cgi,cgj->cij", images, images) / len(rotations)
    usable = np.linalg.det(rotations) < 0 if equivariance is Equivariance.SO3 else slice(None)
    opposite = np.linalg.norm(images[:, usable] + candidates[:, None], axis=-1)
    paired = ~(opposite < _SAME).any(axis=1)
    for size in (1, 2, 3):
        sets = np.array(list(combinations(range(len(candidates)), size)))
        quality = np.linalg.eigvalsh(moments[sets].mean(axis=1))[:, 0]
        cost = np.where(quality > _MIN_SQUARED_SINGULAR_VALUE, paired[sets].sum(axis=1), np.inf)
        best = sets[np.lexsort([-np.round(quality, _ROUND), cost])[0]]
        if np.isfinite(cost.min()):
            break
    return Directions(candidates[best], paired[best])


def count_site_evaluations(rotations: IntArray, equivariance: Equivariance) -> int:
    """Count the evaluations that one atom takes.

    Parameters
    ----------
    rotations : ndarray of int, shape (n, 3, 3)
        Site group in the basis of any lattice, acting on columns.
    equivariance : Equivariance
        Of the potential, before any average over the inversion.

    Returns
    -------
    int
        Displaced crystals to be evaluated.
    """
    return _count_site_evaluations(rotations.astype(np.int8).tobytes(), equivariance)


def find_site_operations(atoms: Atoms, found: SpglibDataset, site: int) -> IntArray:
    """Find the operations that leave an atom in place, up to lattice translations.

    As many as the operations of the space group over the equivalent atoms: those that move the
    atom least, so that no tolerance enters.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.
    found : spglib.SpglibDataset
        Its symmetry.
    site : int
        Index of the atom.

    Returns
    -------
    ndarray of int
        Indices of operations of `found`, ascending.
    """
    position = atoms.get_scaled_positions(wrap=False)[site]
    moves = found.rotations @ position + found.translations - position
    distances = np.linalg.norm((moves - np.rint(moves)) @ np.asarray(atoms.cell), axis=1)
    n_equivalent = int((found.equivalent_atoms == found.equivalent_atoms[site]).sum())
    return np.sort(np.argsort(distances)[: len(distances) // n_equivalent])


def find_site_groups(atoms: Atoms, found: SpglibDataset) -> list[IntArray]:
    """Find the site group of one atom of each kind of equivalent ones.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.
    found : spglib.SpglibDataset
        Its symmetry.

    Returns
    -------
    list of ndarray of int, each of shape (n, 3, 3)
        Rotations in the basis of the lattice.
    """
    sites = np.unique(found.equivalent_atoms)
    return [found.rotations[find_site_operations(atoms, found, site)] for site in sites]


@lru_cache(maxsize=4096)
def _count_site_evaluations(rotations: bytes, equivariance: Equivariance) -> int:
    """Evaluations of one atom, in the frame of a metric that the site group leaves unchanged."""
    fractional = np.frombuffer(rotations, dtype=np.int8).reshape(-1, 3, 3).astype(np.float64)
    frame = np.linalg.cholesky(np.einsum("gki,gkj->ij", fractional, fractional)).T
    cartesian = frame @ fractional @ np.linalg.inv(frame)
    return choose_directions(cartesian, equivariance).n_evaluations


def _list_candidates(rotations: FloatArray) -> FloatArray:
    """Unit vectors on the symmetry axes and between them, shape (n, 3)."""
    frame = _find_axes(rotations)
    if len(frame) > _MAX_AXES_NOT_CUBIC:
        return frame
    pairs = [(e, f) for e, f in permutations(frame, 2) if abs(e @ f) < _SAME]
    triples = [
        (e, f, g)
        for e, f, g in combinations(frame, 3)
        if max(abs(e @ f), abs(f @ g), abs(g @ e)) < _SAME
    ]
    between = [*((e + f) for e, f in pairs), *((np.sqrt(2) * e + f) for e, f in pairs)]
    vectors = np.array([*frame, *between, *(e + f + g for e, f, g in triples)])
    candidates: FloatArray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return candidates


def _find_axes(rotations: FloatArray) -> FloatArray:
    """Rotation axes and normals of mirrors, and the directions normal to two of them, (n, 3).

    Where there are fewer than two, axes of the Cartesian frame complete them.
    """
    proper = rotations * np.linalg.det(rotations)[:, None, None]
    # The axis spans the kernel of R - 1, whose other singular values are 1 or more.
    _, singular, rows = np.linalg.svd(proper - np.eye(3))
    found = _remove_repetitions(rows[:, 2][singular[:, 1] > _SAME])
    if not len(found):
        return np.eye(3)
    if len(found) == 1:
        nearest = np.eye(3)[np.argmin(np.round(np.abs(found[0]), _ROUND))]
        found = np.array([found[0], nearest - found[0] * (found[0] @ nearest)])
    normals = [np.cross(e, f) for e, f in combinations(found, 2)]
    return _remove_repetitions(np.array([*found, *normals]))


def _remove_repetitions(vectors: FloatArray) -> FloatArray:
    """Unit vectors along some vectors, each line once."""
    lines: list[FloatArray] = []
    for vector in vectors:
        unit = vector / np.linalg.norm(vector)
        if all(abs(unit @ line) < 1 - _SAME**2 for line in lines):
            lines.append(unit * np.sign(unit[np.argmax(np.abs(unit) > _SAME)]))
    return np.array(lines).reshape(-1, 3)
