"""Functions of a distance as quintic splines, for the compiled convolution.

A trained radial network is smooth, and a few hundred coefficients for each of its weights replace
it (the idea of Facet, arXiv:2509.08418). Knots are equidistant in ``log(r + shift)``, denser where
atoms are close. The splines have four continuous derivatives, so that energies and forces agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline, PPoly, make_interp_spline

from potentials.interface import FloatArray

# From distances (n,) in Å to functions (n, width).
Functions = Callable[[FloatArray], FloatArray]

_DEGREE = 5
# Å. With 0.3 as many knots lie between 1.4 and 6 Å, where the pairs of a crystal are, as below.
_SHIFT = 0.3
# Å. Radial functions divide by the distance; closer atoms have no meaning for any potential.
_CLOSEST = 1e-6
# Intervals from 0 to the cutoff, such that the error stays below the rounding of the precision.
INTERVALS = {"float32": 256, "float64": 768}


@dataclass(frozen=True)
class Intervals:
    """Intervals of equal length in ``log(r + shift)``, in pieces with a break point between them.

    Attributes
    ----------
    shift : float
        In Å.
    start, step : ndarray, shape (n_pieces,)
        Logarithm at which each piece begins, and length of its intervals.
    count, first : ndarray of int, shape (n_pieces,)
        Number of intervals of each piece, and row of its first coefficient in a table.
    """

    shift: float
    start: FloatArray
    step: FloatArray
    count: NDArray[np.int64]
    first: NDArray[np.int64]


def make_intervals(cutoff: float, number: int, breaks: Sequence[float] = ()) -> Intervals:
    """Divide the distances from 0 to a cutoff.

    Parameters
    ----------
    cutoff : float
        Largest distance in Å.
    number : int
        Intervals in all, about.
    breaks : sequence of float
        Distances in Å at which a derivative of the functions jumps; no spline crosses them.

    Returns
    -------
    Intervals
        One piece more than there are break points.
    """
    ends = np.log(np.array([0, *breaks, cutoff]) + _SHIFT)
    lengths = np.diff(ends)
    count = np.ceil(number * lengths / lengths.sum()).astype(np.int64)
    first = np.cumsum([0, *(count[:-1] + _DEGREE)])
    return Intervals(_SHIFT, ends[:-1], lengths / count, count, first)


def tabulate(functions: Functions, intervals: Intervals) -> tuple[FloatArray, FloatArray]:
    """Interpolate functions by splines.

    Parameters
    ----------
    functions : callable
        Smooth between the break points, continuous at them.
    intervals : Intervals
        Where the knots are.

    Returns
    -------
    coefficients, slopes : ndarray, shape (n_rows, width)
        Coefficients of B-splines of degree 5 for the functions, and of degree 4 for their
        derivatives by the logarithm. Interval k of a piece has the 6 (5) rows from ``first + k``.
    """
    pieces = [
        _tabulate_piece(functions, intervals.shift, start, step, count)
        for start, step, count in zip(intervals.start, intervals.step, intervals.count, strict=True)
    ]
    coefficients, slopes = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    return coefficients, slopes


@cache
def compute_interval_polynomials(degree: int) -> FloatArray:
    """Return the B-splines that are not zero in an interval, as polynomials on it.

    Parameters
    ----------
    degree : int
        Of the splines, on equidistant knots.

    Returns
    -------
    ndarray, shape (degree + 1, degree + 1)
        Row i has the coefficients of powers 0 to `degree` of spline i, on an interval from 0 to 1.
    """
    knots = np.arange(-degree, degree + 2, dtype=np.float64)
    splines = (PPoly.from_spline(BSpline(knots, row, degree)) for row in np.eye(degree + 1))
    return np.stack([spline.c[::-1, degree] for spline in splines])


def _tabulate_piece(
    functions: Functions, shift: float, start: float, step: float, count: int
) -> tuple[FloatArray, FloatArray]:
    """Coefficients of one piece; a row is added to the slopes, so that rows have equal numbers."""
    # All knots are equidistant, those beyond the ends too: four more sites determine the splines.
    ends = np.array([0.5, 1.5])
    sites = np.sort(np.concatenate([np.arange(count + 1), ends, count - ends])) * step
    knots = np.arange(-_DEGREE, count + _DEGREE + 1) * step
    values = functions(np.maximum(np.exp(start + sites) - shift, _CLOSEST))
    coefficients = np.asarray(make_interp_spline(sites, values, k=_DEGREE, t=knots).c)
    slopes = np.diff(coefficients, axis=0) / step
    return coefficients, np.concatenate([slopes, slopes[-1:]])
