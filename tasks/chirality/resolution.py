"""Angular momentum that is left where a linewidth does not tell neighbouring modes apart.

A line at the frequency of mode n shows all modes m that overlap with it. With widths (FWHM) g of
Lorentzian lines, overlap and mean are

    w_nm = 1 / (1 + [2 (f_n - f_m) / (g_n + g_m)]^2),      l'_n = sum_m w_nm l_m / sum_m w_nm .

Inside a degenerate set all weights are one: l' is the mean over the set, now without a sharp
tolerance. Two modes of opposite l whose frequencies differ by D have l' = l D^2 / (D^2 + 2 g^2): l'
is a splitting weighted by the l of what it splits, and compared with a linewidth. It goes to zero
with l and with D.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.constants import electron_volt, h, milli, tera

FloatArray = NDArray[np.float64]

MEV_PER_THZ: Final = h * tera / (milli * electron_volt)
"""Energy of a phonon of 1 THz, in meV."""

# Elements of the overlaps held at a time.
_CHUNK = 2**20
# A width (THz) below which lines are sharp; keeps the overlap of a line with itself at one.
_SHARP = 1e-9


def resolve_angular_momentum(
    angular_momentum: FloatArray,
    frequencies: FloatArray,
    widths: FloatArray,
    counted: NDArray[np.bool_],
) -> FloatArray:
    """Average the angular momentum of modes over what their linewidths do not resolve.

    Parameters
    ----------
    angular_momentum : ndarray, shape (nq, nb, 3)
        Angular momenta, means of the degenerate sets, in hbar.
    frequencies : ndarray, shape (nq, nb)
        In THz.
    widths : ndarray, shape (nq, nb)
        Full widths at half maximum, in THz.
    counted : ndarray of bool, shape (nq, nb)
        Modes that have a line: neither imaginary nor a translation.

    Returns
    -------
    ndarray, shape (nq, nb, 3)
        In hbar; zero for modes that do not count.
    """
    found = np.zeros_like(angular_momentum)
    step = max(1, _CHUNK // frequencies.shape[1] ** 2)
    for rows in (slice(start, start + step) for start in range(0, len(frequencies), step)):
        weights = _compute_overlaps(frequencies[rows], widths[rows]) * counted[rows, None]
        total = np.maximum(weights.sum(axis=-1), 1e-300)
        found[rows] = (weights @ angular_momentum[rows]) / total[..., None]
    return np.where(counted[..., None], found, 0.0)


def _compute_overlaps(frequencies: FloatArray, widths: FloatArray) -> FloatArray:
    """Overlap of each two lines at each q-point, shape (nq, nb, nb)."""
    found = frequencies[:, :, None] - frequencies[:, None]
    half = np.maximum(widths, _SHARP) / 2
    found /= half[:, :, None] + half[:, None]
    np.square(found, out=found)
    found += 1
    return np.reciprocal(found, out=found)
