"""Space-group operations of a crystal acting on its modes, and its rotation and screw axes.

Conventions, stated once for the modules that use them:

- An operation g = {R|t} carries the point x to R x + t; ``sites[k]`` is the atom on whose site
  (modulo a lattice vector) atom k lands.
- The sense of an axis is that of the shortest lattice vector v = u a + v b + w c along it whose
  primitive components have a positive sum (a zero sum: a positive first non-zero component). It
  turns with the crystal. g turns by +2 pi / n about it, counter-clockwise seen from its tip.
- The screw part is (m / n) v with 0 <= m < n. It does not depend on the sense.
- Parallel axes of one order differ in m (centred lattices) and in the point they pass through, the
  rotation centre. The axis of least m is taken, and of those the one about which the atoms have
  the least moment of inertia, each counted at its image nearest to the axis. Neither the choice of
  origin nor the order of the atoms enters. Centres that still tie are mirror images or copies of
  each other; then the one nearest to the origin is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
from numpy.typing import NDArray
from phonopy.structure.atoms import PhonopyAtoms

from tasks.phonons.fourier import HarmonicCrystal

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
IntArray = NDArray[np.int64]

_ORDER_OF_TRACE = {-1: 2, 0: 3, 1: 4, 2: 6}
# Moments of inertia closer than this fraction count as equal.
_RELATIVE_TIE = 1e-5
# Cosine between two axes from which they are one; others of a crystal are degrees apart.
PARALLEL = 1 - 1e-6
# Fraction of a reciprocal vector by which equivalent q-points may differ: rounding only.
_SAME_Q = 1e-6
_NEIGHBOUR_CELLS = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3), axis=-1).reshape(-1, 3)


@dataclass(frozen=True, eq=False)
class CrystalOperations:
    """Space-group operations of a primitive cell.

    Attributes
    ----------
    rotations : ndarray of int, shape (n_operations, 3, 3)
        Rotations in fractional coordinates.
    cartesian : ndarray, shape (n_operations, 3, 3)
        The same in Cartesian coordinates, orthogonal.
    translations : ndarray, shape (n_operations, 3)
        Translations in fractional coordinates.
    sites : ndarray of int, shape (n_operations, n_atoms)
        Site on which each atom lands.
    """

    rotations: IntArray
    cartesian: FloatArray
    translations: FloatArray
    sites: IntArray


@dataclass(frozen=True, eq=False)
class RotationAxis:
    """Rotation axis n or screw axis n_m, with the operation g = {R|t} that belongs to it.

    Attributes
    ----------
    order : int
        n: 2, 3, 4 or 6.
    screw : int
        m, 0 <= m < n.
    direction : ndarray, shape (3,)
        Cartesian unit vector along the axis, in its sense.
    lattice_vector : ndarray of int, shape (3,)
        Shortest lattice vector along ``direction``, primitive components.
    centre : ndarray, shape (3,)
        Point of the axis nearest to the origin, Cartesian, in Å.
    rotation : ndarray of int, shape (3, 3)
        R in fractional coordinates.
    cartesian : ndarray, shape (3, 3)
        R in Cartesian coordinates.
    translation : ndarray, shape (3,)
        t in fractional coordinates.
    sites : ndarray of int, shape (n_atoms,)
        Site on which each atom lands.
    positions : ndarray, shape (n_atoms, 3)
        Fractional coordinates of the atoms.
    """

    order: int
    screw: int
    direction: FloatArray
    lattice_vector: IntArray
    centre: FloatArray
    rotation: IntArray
    cartesian: FloatArray
    translation: FloatArray
    sites: IntArray
    positions: FloatArray


def find_crystal_operations(phonon: HarmonicCrystal) -> CrystalOperations:
    """Return the space-group operations of the primitive cell of a phonopy object."""
    symmetry = phonon.primitive_symmetry
    operations = symmetry.symmetry_operations
    rotations = np.asarray(operations["rotations"], dtype=np.int64)
    columns = phonon.primitive.cell.T
    left, _, right = np.linalg.svd(columns @ rotations @ np.linalg.inv(columns))
    translations = np.asarray(operations["translations"], dtype=float)
    sites = np.asarray(symmetry.atomic_permutations, dtype=np.int64)
    return CrystalOperations(rotations, left @ right, translations, sites)


def find_rotation_axes(phonon: HarmonicCrystal) -> tuple[RotationAxis, ...]:
    """Find the rotation and screw axes of a crystal, one for each direction and order.

    A direction of order 6 is listed with its orders 3 and 2 too (at a K-like point only the
    three-fold rotation is left), one of order 4 with its order 2.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        Any, with or without force constants.

    Returns
    -------
    tuple of RotationAxis
        Highest order first. See the module's head for sense, screw part and centre.
    """
    operations = find_crystal_operations(phonon)
    axes = []
    for rotation in np.unique(operations.rotations, axis=0):
        order = _find_rotation_order(rotation)
        if order and _has_positive_sense(rotation, order, phonon.primitive):
            axes.append(_make_axis(phonon.primitive, operations, rotation, order))
    return tuple(sorted(axes, key=lambda a: (-a.order, *(-a.lattice_vector[::-1]))))


def select_principal_axes(
    phonon: HarmonicCrystal, minimum_order: int = 3, axes: Sequence[RotationAxis] | None = None
) -> tuple[RotationAxis, ...]:
    """Select the highest order of each direction and one direction of each symmetry-equal set.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        Any, with or without force constants.
    minimum_order : int
        Axes of lower order are left out.
    axes : sequence of RotationAxis, optional
        From `find_rotation_axes`; found if left out.

    Returns
    -------
    tuple of RotationAxis
        Highest order first.
    """
    rotations = find_crystal_operations(phonon).cartesian
    chosen: list[RotationAxis] = []
    for axis in find_rotation_axes(phonon) if axes is None else axes:
        images = rotations @ axis.direction
        known = any(np.max(np.abs(images @ other.direction)) > PARALLEL for other in chosen)
        if axis.order >= minimum_order and not known:
            chosen.append(axis)
    return tuple(chosen)


def is_on_axis(
    axis: RotationAxis, q_points: FloatArray, tolerance: float = _SAME_Q
) -> NDArray[np.bool_]:
    """Tell which q-points the axis leaves in place: R q = q + G.

    Parameters
    ----------
    axis : RotationAxis
        Axis.
    q_points : ndarray, shape (nq, 3)
        Fractional coordinates of the primitive reciprocal lattice.
    tolerance : float
        Largest deviation of a fractional coordinate.

    Returns
    -------
    ndarray of bool, shape (nq,)
        True where the rotation changes q by a reciprocal lattice vector.
    """
    shift = q_points @ np.linalg.inv(axis.rotation) - q_points
    return np.asarray(np.abs(shift - np.rint(shift)).max(axis=-1) < tolerance)


def rotate_modes(axis: RotationAxis, q_points: FloatArray, vectors: ComplexArray) -> ComplexArray:
    """Apply T(g) of the axis to polarisation vectors at q-points that it leaves in place.

    T(g)_{kk'} = R exp{2 pi i [G.x_k - (q + G).t]} delta(k, g k') with R q = q + G: the matrix of
    the operation on displacements u ~ e exp(i q.r), phase convention of phonopy. It obeys
    T(g)^n = exp(-2 pi i m q.v), where g^n is the lattice translation m v.

    Parameters
    ----------
    axis : RotationAxis
        Axis that contains every q-point.
    q_points : ndarray, shape (nq, 3)
        Fractional coordinates of the primitive reciprocal lattice.
    vectors : ndarray, shape (nq, 3 n_atoms, nb)
        Polarisation vectors as columns.

    Returns
    -------
    ndarray, shape (nq, 3 n_atoms, nb)
        T(g) times each column.
    """
    n_q, n_rows, n_bands = vectors.shape
    rotated_q = q_points @ np.linalg.inv(axis.rotation)
    shift = np.rint(rotated_q - q_points)
    angle = shift @ axis.positions[axis.sites].T - (rotated_q @ axis.translation)[:, None]
    atoms = vectors.reshape(n_q, -1, 3, n_bands) * np.exp(2j * np.pi * angle)[..., None, None]
    result = np.empty_like(atoms)
    result[:, axis.sites] = axis.cartesian @ atoms
    return np.asarray(result.reshape(n_q, n_rows, n_bands))


def _find_rotation_order(rotation: IntArray) -> int:
    """Order of a proper rotation; 0 for the identity and for improper operations."""
    if round(np.linalg.det(rotation)) != 1:
        return 0
    return _ORDER_OF_TRACE.get(int(np.trace(rotation)), 0)


def _sum_powers(rotation: IntArray, order: int) -> IntArray:
    """1 + R + ... + R^(n-1): n times the projector on the axis."""
    powers = [np.linalg.matrix_power(rotation, p) for p in range(order)]
    return np.asarray(np.sum(powers, axis=0))


def _find_vector_along(rotation: IntArray, order: int) -> IntArray:
    """Shortest integer vector that R leaves unchanged, in the sense of the module's head."""
    total = _sum_powers(rotation, order)
    column = total[:, np.abs(total).sum(axis=0).argmax()]
    vector = column // gcd(*(int(c) for c in column))
    leading = vector.sum() or vector[np.flatnonzero(vector)[0]]
    return np.asarray(vector * np.sign(leading))


def _has_positive_sense(rotation: IntArray, order: int, primitive: PhonopyAtoms) -> bool:
    """Whether R turns counter-clockwise about its lattice vector; R^-1 does where R does not."""
    if order == 2:
        return True
    columns = primitive.cell.T
    cartesian = columns @ rotation @ np.linalg.inv(columns)
    curl = np.array([cartesian[2, 1], cartesian[0, 2], cartesian[1, 0]])
    curl -= np.array([cartesian[1, 2], cartesian[2, 0], cartesian[0, 1]])
    return bool(curl @ columns @ _find_vector_along(rotation, order) > 0)


def _make_axis(
    primitive: PhonopyAtoms, operations: CrystalOperations, rotation: IntArray, order: int
) -> RotationAxis:
    """Axis of one rotation: least screw part, then the centre of the module's head."""
    vector = _find_vector_along(rotation, order)
    members = np.flatnonzero((operations.rotations == rotation).all(axis=(1, 2)))
    cartesian = operations.cartesian[members[0]]
    choices = (operations.translations[members][:, None] + _NEIGHBOUR_CELLS).reshape(-1, 3)
    choices, screws = _reduce_screw(choices, rotation, order, vector)
    least = np.flatnonzero(screws == screws.min())
    plane = (choices[least] - screws.min() / order * vector) @ primitive.cell
    # Singular values of 1 - R are zero along the axis, and of order one across it.
    centres = plane @ np.linalg.pinv(np.eye(3) - cartesian, rcond=1e-6).T
    direction = vector @ primitive.cell / np.linalg.norm(vector @ primitive.cell)
    best = _choose_centre(centres, direction, primitive)
    return RotationAxis(
        order=order,
        screw=int(screws.min()),
        direction=direction,
        lattice_vector=vector,
        centre=centres[best],
        rotation=rotation,
        cartesian=cartesian,
        translation=choices[least][best],
        sites=operations.sites[members[least[best] // len(_NEIGHBOUR_CELLS)]],
        positions=primitive.scaled_positions,
    )


def _reduce_screw(
    translations: FloatArray, rotation: IntArray, order: int, vector: IntArray
) -> tuple[FloatArray, IntArray]:
    """Translations shifted along the axis so that 0 <= m < n, and their m."""
    total = translations @ _sum_powers(rotation, order).T
    screws = np.rint(total @ vector / (vector @ vector)).astype(np.int64)
    return translations - (screws // order)[:, None] * vector, screws % order


def _choose_centre(centres: FloatArray, direction: FloatArray, primitive: PhonopyAtoms) -> int:
    """Index of the centre of least moment of inertia, then of the one nearest to the origin."""
    keys, inverse = np.unique(np.round(centres, 6), axis=0, return_inverse=True)
    moments = _compute_moments_of_inertia(keys, direction, primitive)
    tied = np.flatnonzero(moments <= moments.min() * (1 + _RELATIVE_TIE) + _RELATIVE_TIE)
    distances = np.round(np.linalg.norm(keys[tied], axis=1), 4)
    winner = tied[np.lexsort((*(-keys[tied].T), distances))[0]]
    return int(np.flatnonzero(inverse.ravel() == winner)[0])


def _compute_moments_of_inertia(
    centres: FloatArray, direction: FloatArray, primitive: PhonopyAtoms
) -> FloatArray:
    """Sums of mass times squared distance from each axis, each atom at its nearest image."""
    shifts = centres @ np.linalg.inv(primitive.cell)
    fractional = primitive.scaled_positions - shifts[:, None]
    images = (fractional - np.rint(fractional))[:, :, None] + _NEIGHBOUR_CELLS
    across = primitive.cell - np.outer(primitive.cell @ direction, direction)
    squares = ((images @ across) ** 2).sum(axis=-1).min(axis=-1)
    return np.asarray(squares @ primitive.masses)
