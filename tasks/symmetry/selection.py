"""Which angular momentum symmetry allows at a wave vector, and which the atoms realise.

l(Rq) = det(R) R l(q) for an operation {R|t}, and l(-q) = -l(q) by time reversal. Hence an operation
with Rq = q + G demands l = det(R) R l of every symmetry-adapted (degenerate) set of modes at q, and
one with Rq = -q + G, joined with time reversal, l = -det(R) R l. The allowed l form a linear space.

Allowed and realised
--------------------
The set's angular momentum along n is Tr(P M_n) with P a spectral projector of the dynamical matrix
D(q). D(q) and P lie in the space of Hermitian matrices that commute with the mechanical
representation of the little group, anti-unitary operations included, and force constants of
sufficient range realise every member of that space. So with Pi the projector on it,

    Tr(P M_n) = Tr[P Pi(M_n)],

which vanishes for all force constants if and only if Pi(M_n) = 0: where Pi(M_n) is not zero, it is
itself a possible D(q), and its eigenspaces have l_n != 0. M_n is the same matrix on every atom and
permutations and phases leave that unchanged, hence Pi(M_n) = M_m with m the projection of n on the
allowed l. So a crystal realises at q exactly what its own operations allow, those that carry the
occupied sites onto occupied sites of the same species. It may be less than the space group stated
for it allows: occupied positions can have a symmetry higher than the stated one. Which modes carry
l, and between which bounds, does depend on the occupied positions: ``tasks.symmetry.mechanical``.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.symmetry.operations import (
    CrystalSymmetry,
    FloatArray,
    SymmetryOperations,
    read_database_operations,
)
from tasks.symmetry.point_groups import find_invariant_basis
from tasks.symmetry.wave_vectors import (
    GENERAL_WAVE_VECTOR,
    WaveVectorSet,
    find_special_wave_vectors,
)
from tasks.symmetry.zone import find_zone_images

# Two wave vectors are equivalent within this tolerance (fractions of the reciprocal lattice).
_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class LittleGroup:
    """Operations that leave a wave vector unchanged, modulo reciprocal-lattice vectors.

    Attributes
    ----------
    unitary : ndarray of int
        Indices of the operations with Rq = q + G.
    antiunitary : ndarray of int
        Indices of the operations with Rq = -q + G, to be joined with time reversal.
    """

    unitary: NDArray[np.intp]
    antiunitary: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class SelectionRule:
    """Angular momentum that a space group allows on one special set of wave vectors.

    Attributes
    ----------
    wave_vectors : WaveVectorSet
        Point, line, plane or general position.
    n_unitary, n_antiunitary : int
        Number of operations in the little co-group without and with time reversal.
    angular_momentum : ndarray, shape (k, 3)
        Orthonormal Cartesian basis of the allowed l.
    helicity_allowed : bool
        Whether h = l . q/|q| may differ from zero.
    """

    wave_vectors: WaveVectorSet
    n_unitary: int
    n_antiunitary: int
    angular_momentum: FloatArray
    helicity_allowed: bool


def find_little_group(operations: SymmetryOperations, q_point: ArrayLike) -> LittleGroup:
    """Find the operations that leave a wave vector unchanged.

    Parameters
    ----------
    operations : SymmetryOperations
        Operations in the primitive basis.
    q_point : array_like, shape (3,)
        Wave vector in fractions of the primitive reciprocal lattice.

    Returns
    -------
    LittleGroup
        Indices into the operations; the anti-unitary ones carry q to -q.
    """
    q = np.asarray(q_point, dtype=float)
    images = q @ np.linalg.inv(operations.rotations)
    return LittleGroup(
        np.flatnonzero(_is_lattice_vector(images - q)),
        np.flatnonzero(_is_lattice_vector(images + q)),
    )


def find_allowed_angular_momentum(operations: SymmetryOperations, q_point: ArrayLike) -> FloatArray:
    """Return the angular momenta that a space group allows at a wave vector.

    Parameters
    ----------
    operations : SymmetryOperations
        Operations in the primitive basis, of a space group or of one crystal.
    q_point : array_like, shape (3,)
        Wave vector in fractions of the primitive reciprocal lattice.

    Returns
    -------
    ndarray, shape (k, 3)
        Orthonormal Cartesian basis, in the frame of ``operations.lattice``; k = 0 where l = 0.
    """
    return _find_allowed(operations, find_little_group(operations, q_point))


def is_helicity_allowed(operations: SymmetryOperations, q_point: ArrayLike) -> bool:
    """Return whether a space group allows helicity at a wave vector.

    h = l . q/|q| is averaged over the equivalent shortest images of q, so it is allowed where an
    allowed l has a component along the averaged direction. Every element of the little co-group
    (R, or -R with time reversal) permutes the images and leaves that direction unchanged. At an
    isolated special point no direction is left unchanged, so that h = 0. Elsewhere the averaged
    direction may vanish all the same. At K and H of P3, P312 and their screw forms the little
    co-group holds the three-fold rotation and, in P312, two-fold rotations with time reversal; it
    leaves c unchanged and allows l along c. Screw parts do not enter. But q is normal to c at K,
    and at H the images above and below cancel: h = 0. So do the four images of W in F23, where l
    along a cubic axis is allowed. Among the named points of all groups there are no others.

    Parameters
    ----------
    operations : SymmetryOperations
        Operations in the primitive basis, of a space group or of one crystal.
    q_point : array_like, shape (3,)
        Wave vector in fractions of the primitive reciprocal lattice.

    Returns
    -------
    bool
        Whether h may differ from zero.
    """
    return _has_helicity(operations, q_point, find_allowed_angular_momentum(operations, q_point))


@cache
def list_selection_rules(number: int) -> tuple[SelectionRule, ...]:
    """Return the selection rules of all special points, lines and planes of a space group.

    Parameters
    ----------
    number : int
        Space-group number, 1-230.

    Returns
    -------
    tuple of SelectionRule
        One for each star: points, lines, planes and the general position, in the primitive basis
        and the Cartesian frame of ``database_operations(number)``.

    Raises
    ------
    ValueError
        When the number is outside 1-230.
    """
    operations = read_database_operations(number)
    return tuple(_make_rule(operations, s) for s in find_special_wave_vectors(operations.rotations))


def list_crystal_selection_rules(crystal: CrystalSymmetry) -> tuple[SelectionRule, ...]:
    """Return the selection rules of all special points, lines and planes of a crystal.

    Parameters
    ----------
    crystal : CrystalSymmetry
        Primitive cell with its operations.

    Returns
    -------
    tuple of SelectionRule
        One for each star, in the primitive basis and the Cartesian frame of the crystal.
    """
    operations = crystal.operations
    return tuple(_make_rule(operations, s) for s in find_special_wave_vectors(operations.rotations))


def find_realised_angular_momentum(crystal: CrystalSymmetry, q_point: ArrayLike) -> FloatArray:
    """Return the angular momenta that the occupied sites of a crystal realise at a wave vector.

    Parameters
    ----------
    crystal : CrystalSymmetry
        Primitive cell with the operations that carry its sites onto sites of the same species.
    q_point : array_like, shape (3,)
        Wave vector in fractions of the primitive reciprocal lattice.

    Returns
    -------
    ndarray, shape (k, 3)
        Orthonormal Cartesian basis; along each of its members some force constants with the
        symmetry of the crystal give some set of modes a non-zero l (see this module).
    """
    return find_allowed_angular_momentum(crystal.operations, q_point)


def is_realised(crystal: CrystalSymmetry) -> bool:
    """Return whether the occupied sites of a crystal realise angular momentum anywhere.

    The little group of a general wave vector is contained in that of every special one, so the
    general wave vector decides.

    Parameters
    ----------
    crystal : CrystalSymmetry
        Primitive cell with the operations that carry its sites onto sites of the same species.

    Returns
    -------
    bool
        False for arrangements with an inversion centre.
    """
    return len(find_realised_angular_momentum(crystal, GENERAL_WAVE_VECTOR)) > 0


def _make_rule(operations: SymmetryOperations, wave_vectors: WaveVectorSet) -> SelectionRule:
    """Selection rule of one set, from a general member of it."""
    q_point = wave_vectors.sample()
    group = find_little_group(operations, q_point)
    allowed = _find_allowed(operations, group)
    return SelectionRule(
        wave_vectors,
        len(group.unitary),
        len(group.antiunitary),
        allowed,
        _has_helicity(operations, q_point, allowed),
    )


def _find_allowed(operations: SymmetryOperations, group: LittleGroup) -> FloatArray:
    """Basis of the allowed l from the projector of the little co-group."""
    rotations = operations.cartesian_rotations
    axial = np.linalg.det(rotations)[:, None, None] * rotations
    return find_invariant_basis(
        _average_representation(axial[group.unitary], -axial[group.antiunitary])
    )


def _has_helicity(operations: SymmetryOperations, q_point: ArrayLike, allowed: FloatArray) -> bool:
    """Whether an allowed l has a component along the mean direction of the images of q."""
    direction = find_zone_images(q_point, operations.lattice).mean_direction[0]
    return bool(np.any(np.abs(allowed @ direction) > _TOLERANCE))


def _average_representation(unitary: FloatArray, antiunitary: FloatArray) -> FloatArray:
    """Mean over a little co-group of its representation matrices, a projector."""
    return np.asarray(np.concatenate([unitary, antiunitary]).mean(axis=0))


def _is_lattice_vector(q_points: FloatArray) -> NDArray[np.bool_]:
    """Whether each row is integer."""
    return np.asarray(np.abs(q_points - np.rint(q_points)).max(axis=-1) < _TOLERANCE)
