"""Wyckoff positions of a space group, and crystals described by them.

The points that a site-symmetry group S leaves in place are the image of the affine map

    x -> 1/|S| sum_S {R|t} x = P x + p,

whose rank is the number of free coordinates. Every position is where such subspaces of single
operations meet. Coordinates are those of the primitive basis of the standard setting, as in
`tasks.symmetry.operations`. Letters and symbols of site symmetries are those of spglib.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from tasks.symmetry.operations import (
    PRIMITIVE_MATRICES,
    SymmetryOperations,
    find_dataset,
    idealize_primitive,
    read_database_operations,
)
from tasks.tolerances import AS_GIVEN, AS_MADE

FloatArray = NDArray[np.float64]

_EXACT = 1e-6  # of fractional coordinates that are computed, not measured
_DECIMALS = 9
# Every position has a point in the cell at which its operations need no larger lattice vectors.
_LATTICE_VECTORS = np.array(list(product(range(-2, 3), repeat=3)))
_PROBE_SIZE = 40.0  # Å per unit of a generic lattice: no two points of the probe are near
_ORDERS = 12  # a multiple of the order of every rotation
# Without any relation to each other.
_GENERIC_POINTS = np.array(
    [
        [0.1234771, 0.3819213, 0.7423497],
        [0.2871939, 0.0917347, 0.5613073],
        [0.4190721, 0.6523919, 0.1374137],
    ]
)


@dataclass(frozen=True, eq=False)
class Subspace:
    """Points that a site-symmetry group leaves in place: the image of x -> P x + p.

    Attributes
    ----------
    projector, offset : ndarray, shapes (3, 3) and (3,)
        P and p.
    """

    projector: FloatArray
    offset: FloatArray

    def project(self, points: FloatArray) -> FloatArray:
        """Carry points, shape (..., 3), into the subspace."""
        found: FloatArray = points @ self.projector.T + self.offset
        return found

    @property
    def generic_point(self) -> FloatArray:
        """One of its points that lies in no smaller subspace."""
        return self.project(_GENERIC_POINTS[0])

    @property
    def dimension(self) -> int:
        """Number of free coordinates, 0 to 3."""
        return round(float(np.trace(self.projector)))


@dataclass(frozen=True, eq=False)
class WyckoffPosition:
    """A Wyckoff position.

    Attributes
    ----------
    letter : str
        Its letter.
    site_symmetry : str
        Oriented symbol of its site symmetry, such as ``.m.``.
    enumeration : int
        Place among the positions of the group with the same site symmetry, from 0, by letter.
    multiplicity : int
        Points in the primitive cell.
    space : Subspace
        Where one of these points may be.
    """

    letter: str
    site_symmetry: str
    enumeration: int
    multiplicity: int
    space: Subspace

    @property
    def is_fixed(self) -> bool:
        """Whether it has no free coordinate, so that it can be occupied once only."""
        return self.space.dimension == 0


@dataclass(frozen=True, eq=False)
class Site:
    """An element on a Wyckoff position.

    Attributes
    ----------
    atomic_number : int
        The element.
    position : WyckoffPosition
        Where it is.
    point : ndarray, shape (3,)
        One of its points, in the position's subspace.
    """

    atomic_number: int
    position: WyckoffPosition
    point: FloatArray


@dataclass(frozen=True, eq=False)
class WyckoffCrystal:
    """A crystal as its space group, its occupied positions and its cell.

    Attributes
    ----------
    number : int
        Space-group number.
    sites : tuple of Site
        In no particular order.
    cell : ndarray, shape (3, 3)
        Vectors of the primitive cell of the standard setting as rows (Å).
    """

    number: int
    sites: tuple[Site, ...]
    cell: FloatArray

    def make_atoms(self) -> Atoms:
        """Make the crystal: every site with all points that the space group makes of it.

        Raises
        ------
        ValueError
            When a point has more symmetry than its position.
        """
        operations = read_database_operations(self.number)
        orbits = [make_orbit(operations, site.position, site.point) for site in self.sites]
        numbers = [s.atomic_number for s in self.sites for _ in range(s.position.multiplicity)]
        return Atoms(
            numbers=numbers, cell=self.cell, scaled_positions=np.concatenate(orbits), pbc=True
        )


@cache
def list_wyckoff_positions(number: int) -> tuple[WyckoffPosition, ...]:
    """List the Wyckoff positions of a space group.

    Parameters
    ----------
    number : int
        Space-group number, 1-230.

    Returns
    -------
    tuple of WyckoffPosition
        By letter; the last is the general position.

    Raises
    ------
    ValueError
        When the number is outside 1-230.
    """
    operations = read_database_operations(number)
    found, seen = [], Counter[str]()
    spaces = _find_subspaces(operations)
    # Capital letters come after z.
    for letter, symbol, space in sorted(
        _name_subspaces(operations, spaces), key=lambda named: (named[0].isupper(), named[0])
    ):
        multiplicity = len(_list_images(operations, space.generic_point))
        found.append(WyckoffPosition(letter, symbol, seen[symbol], multiplicity, space))
        seen[symbol] += 1
    return tuple(found)


def make_orbit(
    operations: SymmetryOperations, position: WyckoffPosition, point: FloatArray
) -> FloatArray:
    """Make all points to which a space group carries one.

    Parameters
    ----------
    operations : SymmetryOperations
        Of the space group.
    position : WyckoffPosition
        To which the point belongs.
    point : ndarray, shape (3,)
        Fractional coordinates.

    Returns
    -------
    ndarray, shape (multiplicity, 3)
        In the cell.

    Raises
    ------
    ValueError
        When the point has more symmetry than the position.
    """
    images = _list_images(operations, point)
    if len(images) != position.multiplicity:
        message = f"{point} has {len(images)} images and not the {position.multiplicity} of "
        raise ValueError(f"{message}position {position.letter}: give another point")
    return images


def read_wyckoff_crystal(atoms: Atoms, symprec: float = AS_GIVEN) -> WyckoffCrystal:
    """Describe a crystal by its occupied Wyckoff positions.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal; isotopes are not told apart.
    symprec : float
        Tolerance of the symmetry search in Å.

    Returns
    -------
    WyckoffCrystal
        In the standard setting, idealised.

    Raises
    ------
    ValueError
        When spglib finds no symmetry.
    """
    plain = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    dataset = find_dataset(plain, symprec)
    cell, points, numbers = idealize_primitive(dataset)
    operations = read_database_operations(int(dataset.number))
    tolerance = symprec / float(np.linalg.norm(cell, axis=1).min())
    sites, left = [], np.ones(len(points), dtype=bool)
    while left.any():
        first = int(left.argmax())
        members = _find_members(operations, points[first], points, tolerance)
        position, point = _find_position(
            int(dataset.number), points[first], int(members.sum()), tolerance
        )
        sites.append(Site(int(numbers[first]), position, point))
        left &= ~members
    return WyckoffCrystal(int(dataset.number), tuple(sites), cell)


def _find_members(
    operations: SymmetryOperations, start: FloatArray, points: FloatArray, tolerance: float
) -> NDArray[np.bool_]:
    """Which points are images of one."""
    images = operations.rotations @ start + operations.translations
    apart = images[:, None] - points
    distance = np.abs(apart - np.rint(apart)).max(axis=-1)
    return np.asarray((distance < tolerance).any(axis=0))


def _find_position(
    number: int, start: FloatArray, multiplicity: int, tolerance: float
) -> tuple[WyckoffPosition, FloatArray]:
    """Position to which a point belongs, and an image of the point in its subspace."""
    images = _list_near_images(read_database_operations(number), start)
    for position in list_wyckoff_positions(number):
        if position.multiplicity == multiplicity:
            projected = position.space.project(images)
            distance = np.abs(projected - images).max(axis=1)
            if distance.min() < tolerance:
                return position, projected[distance.argmin()]
    raise ValueError(f"no position of space group {number} has {multiplicity} points like {start}")


def _find_subspaces(operations: SymmetryOperations) -> list[Subspace]:
    """One subspace of each position."""
    projectors, offsets = _list_fixed_spaces(operations)
    found: list[Subspace] = []
    queue = [Subspace(np.eye(3), np.zeros(3))]
    while queue:
        space = queue.pop()
        if _find_space(operations, found, space.generic_point) is None:
            found.append(space)
            meeting_points = _intersect(space, projectors, offsets)
            queue += [_average_stabilizer(operations, point) for point in meeting_points]
    return found


def _list_fixed_spaces(operations: SymmetryOperations) -> tuple[FloatArray, FloatArray]:
    """Subspaces that single operations leave in place: P (m, 3, 3) and p (m, 3)."""
    found = []
    for rotation, translation in zip(operations.rotations, operations.translations, strict=True):
        powers = np.array([np.linalg.matrix_power(rotation, k) for k in range(_ORDERS)])
        # {R|t}^k carries 0 to (1 + R + ... + R^(k-1)) t.
        sums = np.cumsum([np.zeros((3, 3)), *powers[:-1]], axis=0)
        translations = translation + _LATTICE_VECTORS
        offsets = translations @ sums.mean(axis=0).T
        stays = np.abs(offsets @ rotation.T + translations - offsets).max(axis=1) < _EXACT
        projector = powers.mean(axis=0)
        found += [np.column_stack([projector, offset]) for offset in offsets[stays]]
    maps = np.unique(np.round(found, _DECIMALS) + 0.0, axis=0)
    return maps[:, :, :3], maps[:, :, 3]


def _intersect(space: Subspace, projectors: FloatArray, offsets: FloatArray) -> FloatArray:
    """Generic points, moved into the cell, where a subspace meets others in less than itself."""
    count = len(projectors)
    own = np.broadcast_to(np.eye(3) - space.projector, (count, 3, 3))
    matrices = np.concatenate([own, np.eye(3) - projectors], axis=1)
    wanted = np.concatenate([np.broadcast_to(space.offset, (count, 3)), offsets], axis=1)
    start = space.generic_point
    steps = np.linalg.pinv(matrices, rcond=_EXACT) @ (wanted - matrices @ start)[..., None]
    points = start + steps[..., 0]
    errors = np.abs((matrices @ points[..., None])[..., 0] - wanted).max(axis=1)
    smaller = np.abs(points - start).max(axis=1) > _EXACT
    return np.unique(np.round(_wrap(points[(errors < _EXACT) & smaller]), _DECIMALS), axis=0)


def _average_stabilizer(operations: SymmetryOperations, point: FloatArray) -> Subspace:
    """Subspace of the operations that leave a point in place, up to lattice vectors."""
    moved = operations.rotations @ point + operations.translations - point
    rotations = operations.rotations[np.abs(moved - np.rint(moved)).max(axis=1) < _EXACT]
    return Subspace(rotations.mean(axis=0), (point - rotations @ point).mean(axis=0))


def _find_space(
    operations: SymmetryOperations, spaces: Sequence[Subspace], point: FloatArray
) -> Subspace | None:
    """Subspace in which an image of a point is generic; None where there is none."""
    dimension = _average_stabilizer(operations, point).dimension
    images = _list_near_images(operations, point)
    for space in spaces:
        if space.dimension == dimension:
            distance = np.abs(space.project(images) - images).max(axis=1)
            if distance.min() < _EXACT:
                return space
    return None


def _list_near_images(operations: SymmetryOperations, point: FloatArray) -> FloatArray:
    """Images of a point in the cell and in those around it."""
    images = _wrap(operations.rotations @ point + operations.translations)
    return np.reshape(images[:, None] + _LATTICE_VECTORS, (-1, 3))


def _list_images(operations: SymmetryOperations, point: FloatArray) -> FloatArray:
    """Images of a point in the cell, each once."""
    images = operations.rotations @ point + operations.translations
    apart = images[:, None] - images
    same = np.abs(apart - np.rint(apart)).max(axis=-1) < _EXACT
    return _wrap(images[same.argmax(axis=1) == np.arange(len(images))])


def _wrap(points: FloatArray) -> FloatArray:
    """Move points into the cell; one that is a little below zero stays there."""
    found: FloatArray = points - np.floor(points + _EXACT)
    return found


def _name_subspaces(
    operations: SymmetryOperations, spaces: Sequence[Subspace]
) -> Iterator[tuple[str, str, Subspace]]:
    """Letter, site symmetry and subspace of each position, as spglib names them in a crystal.

    The crystal occupies all positions. In some groups spglib moves its origin to one as good.
    """
    starts = [*(space.generic_point for space in spaces), *_GENERIC_POINTS[1:]]
    orbits = [_list_images(operations, start) for start in starts]
    kinds = np.repeat(np.arange(1, len(orbits) + 1), list(map(len, orbits)))
    cell, points = _PROBE_SIZE * operations.lattice, np.concatenate(orbits)
    probe = Atoms(numbers=kinds, cell=cell, scaled_positions=points, pbc=True)
    dataset = find_dataset(probe, AS_MADE)
    to_primitive = np.linalg.inv(PRIMITIVE_MATRICES[dataset.international[0]])
    moved = (points @ dataset.transformation_matrix.T + dataset.origin_shift) @ to_primitive.T
    for kind in range(1, len(spaces) + 1):
        atom = int((kinds == kind).argmax())
        space = _find_space(operations, spaces, moved[atom])
        assert space is not None  # the operations are those of the standard setting
        yield dataset.wyckoffs[atom], dataset.site_symmetry_symbols[atom], space
