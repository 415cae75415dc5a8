"""Splines follow the functions that they replace, and their slopes."""

import numpy as np
import pytest
from scipy.interpolate import BSpline

from potentials.kernels.splines import compute_interval_polynomials, make_intervals, tabulate

CUTOFF, KINK = 6.0, 4.5
DISTANCES = np.linspace(0.8, CUTOFF, 997)


def smooth(r: np.ndarray) -> np.ndarray:
    """Two functions like those of a radial network."""
    return np.stack([np.sin(4 * r) / r, (1 - (r / CUTOFF) ** 6) ** 2], axis=1)


def kinked(r: np.ndarray) -> np.ndarray:
    """A function whose second derivative jumps."""
    return np.where(r < KINK, 1, 1 - (r - KINK) ** 2)[:, None]


def evaluate(functions, intervals) -> tuple[np.ndarray, np.ndarray]:
    """Values and slopes of the splines of functions at the distances."""
    tables = tabulate(functions, intervals)
    at = np.log(DISTANCES + intervals.shift)
    piece = np.searchsorted(intervals.start, at, side="right") - 1
    x = (at - intervals.start[piece]) / intervals.step[piece]
    k = np.minimum(x.astype(int), intervals.count[piece] - 1)
    found = []
    for degree, table in zip((5, 4), tables, strict=True):
        powers = (x - k)[:, None] ** np.arange(degree + 1)
        basis = powers @ compute_interval_polynomials(degree).T
        rows = (intervals.first[piece] + k)[:, None] + np.arange(degree + 1)
        found.append(np.einsum("nj,njw->nw", basis, table[rows]))
    return found[0], found[1] / (DISTANCES + intervals.shift)[:, None]


def slopes_of(functions) -> np.ndarray:
    """Slopes by differences."""
    step = 1e-5
    return (functions(DISTANCES + step) - functions(DISTANCES - step)) / (2 * step)


@pytest.mark.parametrize("degree", [1, 4, 5])
def test_polynomials_are_those_of_scipy(degree):
    s = np.linspace(0, 1, 7)[:-1]
    knots = np.arange(-degree, degree + 2, dtype=float)
    expected = BSpline.design_matrix(s, knots, degree).toarray()
    powers = s[:, None] ** np.arange(degree + 1)
    assert np.allclose(
        powers @ compute_interval_polynomials(degree).T, expected, rtol=0, atol=1e-14
    )


def test_values_and_slopes_are_those_of_the_functions():
    values, slopes = evaluate(smooth, make_intervals(CUTOFF, 768))
    assert np.allclose(values, smooth(DISTANCES), rtol=0, atol=1e-10)
    assert np.allclose(slopes, slopes_of(smooth), rtol=0, atol=1e-7)


def test_error_falls_with_the_sixth_power_of_the_interval():
    errors = [
        np.abs(evaluate(smooth, make_intervals(CUTOFF, n))[0] - smooth(DISTANCES)).max()
        for n in (128, 256)
    ]
    assert 40 < errors[0] / errors[1] < 90


def test_a_break_point_keeps_a_kink():
    whole, parted = (
        evaluate(kinked, make_intervals(CUTOFF, 256, breaks)) for breaks in ((), (KINK,))
    )
    assert np.abs(whole[0] - kinked(DISTANCES)).max() > 1e-6
    assert np.abs(parted[0] - kinked(DISTANCES)).max() < 1e-11
    assert np.abs(parted[1] - slopes_of(kinked)).max() < 1e-8
