"""Special points, lines and planes of the Brillouin zone of any space group, found exactly.

A symmetry element S of the reciprocal lattice (a rotation of the group, or minus one where time
reversal is joined) leaves q unchanged modulo a reciprocal-lattice vector where (S - 1) q is
integer. Diagonalising the integer matrix S - 1 over the integers turns this into independent
congruences, so that the fixed set is a finite number of parallel points, lines or planes. Every
special set is found so:

- planes are fixed by a reflection;
- the elements that fix a line form C_n or C_nv with n >= 2, hence contain a rotation;
- the elements that fix an isolated point have no common fixed direction: they contain -1, -3, -4 or
  -6, or two rotations about different axes.

Coordinates are fractions of the primitive reciprocal lattice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, product
from operator import mul
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from tasks.symmetry.operations import FloatArray, IntArray

_PARAMETERS = "uvw"
# Rationally independent coordinates: as a wave vector, in general position for every space group.
GENERAL_WAVE_VECTOR = np.array([np.sqrt(2) - 1.2, np.sqrt(3) - 1.6, np.sqrt(5) - 2.05])

_Rational: TypeAlias = int | Fraction
# Rows [n_1, n_2, n_3, c] of the congruences n . q = c (mod 1), in Hermite normal form.
_Congruences: TypeAlias = tuple[tuple[_Rational, ...], ...]


@dataclass(frozen=True)
class WaveVectorSet:
    """Special point, line or plane of the Brillouin zone, or the general position.

    The members are q = offset + sum_i u_i directions_i with real u_i, modulo reciprocal-lattice
    vectors.

    Attributes
    ----------
    offset : tuple of Fraction, length 3
        One member.
    directions : tuple of tuple of int
        Primitive reciprocal-lattice vectors that span the set; their number is its dimension.
    star : int
        Number of equivalent sets, time reversal included.
    """

    offset: tuple[Fraction, ...]
    directions: tuple[tuple[int, ...], ...]
    star: int

    @property
    def dimension(self) -> int:
        """0 for a point, 1 for a line, 2 for a plane, 3 for the general position."""
        return len(self.directions)

    @property
    def label(self) -> str:
        """Coordinates of a member, e.g. ``(1/3, 1/3, u)``."""
        columns = zip(*self.directions, strict=True) if self.directions else [()] * 3
        return f"({', '.join(map(_format_coordinate, self.offset, columns))})"

    def sample(self) -> FloatArray:
        """Return a general member of the set, shape (3,)."""
        parameters = GENERAL_WAVE_VECTOR[: self.dimension]
        offset = np.array([float(x) for x in self.offset])
        return np.asarray(offset + parameters @ np.reshape(self.directions, (-1, 3)))


def find_special_wave_vectors(rotations: ArrayLike) -> tuple[WaveVectorSet, ...]:
    """Find the special points, lines and planes of a space group, one of each star.

    Parameters
    ----------
    rotations : array_like of int, shape (n, 3, 3)
        Rotations of the space group in the primitive basis.

    Returns
    -------
    tuple of WaveVectorSet
        Points, then lines, then planes, and last the general position.
    """
    return _find_special_sets(
        _make_reciprocal_elements(np.asarray(rotations, dtype=np.int64)).tobytes()
    )


@lru_cache(maxsize=256)
def _find_special_sets(group: bytes) -> tuple[WaveVectorSet, ...]:
    """Special sets of a group of elements; the 230 space groups share 24 of them or so."""
    elements = np.frombuffer(group, dtype=np.int64).reshape(-1, 3, 3)
    remaining = {
        congruences
        for generators in _list_fixing_generators(elements)
        for congruences in _find_fixed_sets(generators)
    }
    sets = []
    while remaining:
        star = {_transform(next(iter(remaining)), element) for element in elements}
        remaining -= star
        sets.append(_choose_representative(star))
    return tuple(sorted(sets, key=lambda s: (s.dimension, s.offset, s.directions)))


def _make_reciprocal_elements(rotations: IntArray) -> IntArray:
    """Matrices R^-T and -R^-T that act on wave vectors, time reversal included."""
    inverse = np.rint(np.linalg.inv(rotations)).astype(np.int64).transpose(0, 2, 1)
    return np.unique(np.concatenate([inverse, -inverse]), axis=0)


def _list_fixing_generators(elements: IntArray) -> Iterator[IntArray]:
    """Sets of one or two elements whose fixed sets are all the special sets."""
    yield from elements[:, None]
    is_rotation = np.linalg.det(elements) > 0
    is_rotation &= np.trace(elements, axis1=1, axis2=2) < 3
    for pair in combinations(elements[is_rotation], 2):
        yield np.array(pair)


def _find_fixed_sets(generators: IntArray) -> Iterator[_Congruences]:
    """All sets of wave vectors that every generator leaves unchanged modulo the lattice."""
    stacked = np.concatenate(generators - np.eye(3, dtype=np.int64))
    divisors, columns = diagonalize(stacked)
    rows = np.rint(np.linalg.inv(columns)).astype(np.int64)[: len(divisors)]
    for numerators in product(*map(range, divisors)):
        values = map(Fraction, numerators, divisors)
        yield _reduce_to_hermite(
            [*map(int, row), value] for row, value in zip(rows, values, strict=True)
        )


def diagonalize(matrix: IntArray) -> tuple[list[int], IntArray]:
    """Diagonalise an integer matrix by unimodular row and column operations, U A V = D.

    Parameters
    ----------
    matrix : ndarray of int, shape (m, n)
        Matrix A.

    Returns
    -------
    divisors : list of int
        Non-zero diagonal elements of D, positive (they need not divide one another).
    columns : ndarray of int, shape (n, n)
        Unimodular matrix V.
    """
    work = matrix.copy()
    columns = np.eye(work.shape[1], dtype=np.int64)
    divisors: list[int] = []
    for t in range(min(work.shape)):
        while np.any(work[t:, t:]):
            _choose_pivot(work, columns, t)
            if not work[t + 1 :, t].any() and not work[t, t + 1 :].any():
                divisors.append(abs(int(work[t, t])))
                break
    return divisors, columns


def _choose_pivot(work: IntArray, columns: IntArray, t: int) -> None:
    """Bring the smallest element to (t, t) and reduce its row and column by it, in place."""
    block = np.abs(work[t:, t:])
    smallest = np.where(block == 0, np.iinfo(np.int64).max, block).argmin()
    row, column = divmod(int(smallest), block.shape[1])
    work[[t, t + row]] = work[[t + row, t]]
    for array in (work, columns):
        array[:, [t, t + column]] = array[:, [t + column, t]]
    work[t + 1 :] -= np.outer(work[t + 1 :, t] // work[t, t], work[t])
    quotients = work[t, t + 1 :] // work[t, t]
    for array in (work, columns):
        array[:, t + 1 :] -= np.outer(array[:, t], quotients)


def _reduce_to_hermite(rows: Iterable[list[_Rational]]) -> _Congruences:
    """Hermite normal form of congruences [n, c], the right-hand sides c reduced to [0, 1)."""
    work = list(rows)
    top = 0
    for column in range(3):
        if _clear_column(work, top, column):
            _reduce(work, range(top), top, column)
            top += 1
    return tuple((*row[:3], row[3] % 1) for row in work)


def _clear_column(work: list[list[_Rational]], top: int, column: int) -> bool:
    """Leave the (positive) greatest common divisor of a column in row `top`, zeros below it."""
    while below := [k for k in range(top, len(work)) if work[k][column]]:
        smallest = min(below, key=lambda k: abs(float(work[k][column])))
        work[top], work[smallest] = work[smallest], work[top]
        if len(below) == 1:
            if work[top][column] < 0:
                work[top] = [-x for x in work[top]]
            return True
        _reduce(work, range(top + 1, len(work)), top, column)
    return False


def _reduce(work: list[list[_Rational]], targets: Iterable[int], pivot: int, column: int) -> None:
    """Subtract the pivot row from the target rows as often as it fits, in place."""
    for k in targets:
        quotient = work[k][column] // work[pivot][column]
        work[k] = [x - quotient * y for x, y in zip(work[k], work[pivot], strict=True)]


def _transform(congruences: _Congruences, element: IntArray) -> _Congruences:
    """Image of a set of wave vectors under the inverse of a symmetry element: n -> n S."""
    columns = element.T.tolist()
    return _reduce_to_hermite(
        [*(sum(map(mul, row, column)) for column in columns), row[3]] for row in congruences
    )


def _choose_representative(star: set[_Congruences]) -> WaveVectorSet:
    """Member of a star with the shortest label."""
    members = [WaveVectorSet(*_solve(congruences), len(star)) for congruences in star]
    return min(members, key=lambda s: (len(s.label), s.label.count("-"), s.label[::-1]))


def _solve(
    congruences: _Congruences,
) -> tuple[tuple[Fraction, ...], tuple[tuple[int, ...], ...]]:
    """Offset and directions of the set that satisfies the congruences."""
    normals = np.array([row[:3] for row in congruences], dtype=np.int64).reshape(-1, 3)
    _, columns = diagonalize(normals)
    rank = len(congruences)
    inverse = np.rint(np.linalg.inv(normals @ columns[:, :rank])).astype(np.int64)
    particular = (columns[:, :rank] @ inverse).tolist()
    values = [row[3] for row in congruences]
    offset = [sum(map(mul, values, row), Fraction(0)) for row in particular]
    directions = _reduce_to_hermite([*map(int, row), Fraction(0)] for row in columns[:, rank:].T)
    for *direction, _ in directions:
        offset = _remove_leading(offset, direction)
    wrapped = (x % 1 for x in offset)
    return (
        tuple(x - 1 if x > Fraction(1, 2) else x for x in wrapped),
        tuple(tuple(map(int, direction[:3])) for direction in directions),
    )


def _remove_leading(offset: list[_Rational], direction: list[_Rational]) -> list[_Rational]:
    """Member of offset + u direction that vanishes where the direction first does not."""
    leading = next(k for k in range(3) if direction[k])
    shift = Fraction(offset[leading]) / direction[leading]
    return [x - shift * y for x, y in zip(offset, direction, strict=True)]


def _format_coordinate(offset: Fraction, multiples: Iterable[int]) -> str:
    """One coordinate of the label, e.g. ``1/2-u``."""
    terms = [str(offset)] if offset else []
    for multiple, name in zip(multiples, _PARAMETERS, strict=False):
        if multiple:
            size = "" if abs(multiple) == 1 else str(abs(multiple))
            terms.append(("-" if multiple < 0 else "+") + size + name)
    return "".join(terms).removeprefix("+") or "0"
