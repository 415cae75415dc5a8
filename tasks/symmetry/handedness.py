"""Which hand a chiral crystal has.

Two criteria, both odd under inversion. The 22 space groups of the 11 enantiomorphic pairs tell the
hand by themselves: right where the axis of highest order is a right-handed screw. In the other
43 Sohncke types both hands share one number; there the structure decides, by the mean sine of the
dihedral angles of its chains of atoms:

    value = sum c sin(phi) / sum c,    over all chains i-j-k-l of three bonds,
    c = w_i w_j w_k w_l f(r_ij) f(r_jk) f(r_kl) g_j g_k sin(theta_j) sin(theta_k),

with phi the dihedral angle of the chain, positive where j -> k is a right-handed screw (seen along
the bond, the far end is turned clockwise), theta the bond angles, w = sqrt(Z),
g = ((1 - cos theta) / 2)^2 and

    f(r_ij) = cut(r_ij) (d_i d_j / r_ij^2)^4,   cut(r) = (1 - (r / r_c)^2)^3 up to
    r_c = 2.2 (V / N)^(1/3),   d_i = [sum_j cut(r_ij) r_ij^-12]^(-1/12),

d_i being a smooth distance of the nearest neighbours: chains of bonds count most,
longer ones enter with the eighth power of the distance. A right-handed
helix of atoms is positive. The triple product behind sin(phi) makes the value a pseudoscalar; sums
over all chains with smooth weights make it invariant under translation, rotation, permutation,
scale and the choice of cell, and continuous in the positions. The bond j -> k factorises the sum,
hence its cost grows with the square of the number of neighbours only. The idea, a four-point
pseudoscalar of chains, is that of Osipov, Pickup and Dunmur, Mol. Phys. 84, 1193 (1995).

No continuous pseudoscalar is non-zero for every chiral structure, so a value close to zero tells
little about the degree of chirality. The sign is a label by convention, and the two criteria may
differ in sign for one crystal (the axis of P3_121 quartz is a right-handed screw, its mean sine
is slightly negative, that of P3_121 tellurium clearly positive): hands are to be compared between
crystals of one structure type.
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from tasks.symmetry.classification import classify_space_group
from tasks.symmetry.operations import (
    FloatArray,
    IntArray,
    find_dataset,
    read_database_operations,
)
from tasks.tolerances import AS_MADE

Sign = Literal[-1, 0, 1]
HandCriterion = Literal["none", "screw", "structure"]

# Reach of the chains in units of (V/N)^(1/3): some 45 neighbours.
_REACH = 2.2
# Power of d_i d_j / r^2 in the weight of a bond, and the power of 1/r behind d_i.
_DECAY = 4
_SOFT_POWER = 12
# Values below this are rounding of the coordinates; those of real chiral crystals exceed 1e-6.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Handedness:
    """Hand of a crystal.

    Attributes
    ----------
    sign : {-1, 0, 1}
        +1 right, -1 left; 0 for a crystal with improper operations, and where a value at the
        level of rounding (1e-9) would have to decide.
    value : float
        Mean sine of the dihedral angles, in [-1, 1]; 0 for a crystal with improper operations.
    criterion : {"none", "screw", "structure"}
        What decided the sign: nothing (not chiral), the screw axes of the space group, or `value`.
    """

    sign: Sign
    value: float
    criterion: HandCriterion


def find_handedness(atoms: Atoms, symprec: float = AS_MADE) -> Handedness:
    """Find the hand of a crystal.

    Parameters
    ----------
    atoms : ase.Atoms
        Crystal; any cell, also a supercell.
    symprec : float
        Distance tolerance in Å with which the space group is found.

    Returns
    -------
    Handedness
        The two hands of a crystal have opposite signs and values.

    Raises
    ------
    ValueError
        When spglib finds no symmetry.
    """
    return find_handedness_in_group(atoms, int(find_dataset(atoms, symprec).number))


def find_handedness_in_group(atoms: Atoms, number: int) -> Handedness:
    """Find the hand of a crystal whose space group is known.

    Parameters
    ----------
    atoms : ase.Atoms
        Crystal; any cell, also a supercell.
    number : int
        Its space-group number, 1-230.

    Returns
    -------
    Handedness
        See ``handedness``.
    """
    if classify_space_group(number).chirality_class != "II":
        return Handedness(0, 0.0, "none")
    value = compute_mean_dihedral_sine(atoms)
    sign = find_screw_sign(number)
    if sign:
        return Handedness(sign, value, "screw")
    return Handedness(_take_sign(value, _ROUNDING), value, "structure")


@cache
def find_screw_sign(number: int) -> Sign:
    """Return the sense of the screw axes of highest order of a space group.

    Parameters
    ----------
    number : int
        Space-group number, 1-230.

    Returns
    -------
    {-1, 0, 1}
        +1 for right-handed screws (3_1, 4_1, 6_1, 6_2), -1 for left-handed ones, 0 where the axes
        have no sense or both, or where the group is not of the Sohncke type. Non-zero for the 22
        groups of the enantiomorphic pairs.
    """
    operations = read_database_operations(number)
    if np.any(np.linalg.det(operations.rotations) < 0):
        return 0
    orders = [_find_order(rotation) for rotation in operations.rotations]
    highest = int(np.argmax(orders))
    if orders[highest] < 3:
        return 0
    fraction = _compute_screw_fraction(
        operations.rotations[highest],
        operations.translations[highest],
        operations.cartesian_rotations[highest],
        operations.lattice,
    )
    # Screw parts are quarters or sixths of a lattice vector: any small number tells zero.
    return _take_sign(float(np.sin(2 * np.pi * fraction)), 1e-6)


def compute_mean_dihedral_sine(atoms: Atoms) -> float:
    """Return the mean sine of the dihedral angles of a crystal, a pseudoscalar.

    Parameters
    ----------
    atoms : ase.Atoms
        Crystal; any cell, also a supercell.

    Returns
    -------
    float
        Dimensionless, in [-1, 1]; formula and sign in the description of this module.
    """
    reach = _REACH * (atoms.get_volume() / len(atoms)) ** (1 / 3)
    i, j, lengths, vectors, cells = neighbor_list("ijdDS", atoms, reach)
    units = vectors / lengths[:, None]
    decay = _compute_bond_weights(i, j, lengths, reach)
    weights = np.sqrt(atoms.numbers)
    arms, norms = _sum_arms(i, units, weights[j] * decay)
    back = _find_reversed_bonds(i, j, cells)
    strength = weights[i] * weights[j] * decay
    triple = np.einsum("ba,ba->b", units, np.cross(arms, arms[back]))
    total = float(strength @ (norms * norms[back]))
    return float(strength @ triple) / total if total > 0 else 0.0


def _compute_bond_weights(
    i: IntArray, j: IntArray, lengths: FloatArray, reach: float
) -> FloatArray:
    """Weight f of each bond; lengths and reach in Å."""
    cut = (1 - (lengths / reach) ** 2) ** 3
    nearest = np.bincount(i, weights=cut * lengths**-_SOFT_POWER) ** (-1 / _SOFT_POWER)
    return np.asarray(cut * (nearest[i] * nearest[j] / lengths**2) ** _DECAY)


def _sum_arms(i: IntArray, units: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted sum of the bonds of atom i seen along each of its bonds, and of their sines.

    Shapes (n_bonds, 3) and (n_bonds,). Along bond b: sum_a w_a g_ab r_a and sum_a w_a g_ab
    sin(theta_ab).
    """
    arms = np.zeros_like(units)
    norms = np.zeros(len(units))
    for bonds in np.split(np.arange(len(i)), np.flatnonzero(np.diff(i)) + 1):
        cosine = units[bonds] @ units[bonds].T
        strength = ((1 - cosine) / 2) ** 2 * weights[bonds]
        arms[bonds] = strength @ units[bonds]
        norms[bonds] = (strength * np.sqrt(np.clip(1 - cosine**2, 0, None))).sum(axis=1)
    return arms, norms


def _find_reversed_bonds(i: IntArray, j: IntArray, cells: IntArray) -> IntArray:
    """Index of the bond j -> i that belongs to each bond i -> j."""
    forward = np.lexsort(np.column_stack([cells, j, i]).T)
    backward = np.lexsort(np.column_stack([-cells, i, j]).T)
    reversed_bonds = np.empty(len(i), dtype=np.int64)
    reversed_bonds[backward] = forward
    return reversed_bonds


def _find_order(rotation: IntArray) -> int:
    """Order of a proper rotation."""
    return {-1: 2, 0: 3, 1: 4, 2: 6, 3: 1}[int(np.trace(rotation))]


def _compute_screw_fraction(
    rotation: IntArray, translation: FloatArray, cartesian: FloatArray, lattice: FloatArray
) -> float:
    """Advance per turn of 2 pi / n in units of the lattice period along the axis, modulo 1.

    The sum of the powers of the rotation is a (x) mu, with a the shortest lattice vector along the
    axis; mu . w is the advance and the greatest common divisor of mu the period.
    """
    powers = [np.linalg.matrix_power(rotation, k) for k in range(_find_order(rotation))]
    total = np.sum(powers, axis=0)
    column = total[:, np.abs(total).sum(axis=0).argmax()]
    axis = column // np.gcd.reduce(column)
    curl = cartesian - cartesian.T
    sense = np.sign(np.array([curl[2, 1], curl[0, 2], curl[1, 0]]) @ (axis @ lattice))
    largest = np.abs(axis).argmax()
    advance = (total @ translation)[largest] / (np.gcd.reduce(total.ravel()) * axis[largest])
    return float(sense * advance)


def _take_sign(value: float, tolerance: float) -> Sign:
    """Sign of a number, 0 within the tolerance."""
    if abs(value) <= tolerance:
        return 0
    return 1 if value > 0 else -1
