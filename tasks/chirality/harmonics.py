"""Helicity density of states and its spherical harmonics.

    chi(w) = (1/N_q) sum_{q,nu} h(q,nu) delta(w - w_qnu),    h = l . qhat

At each q the helicities of all bands add up to zero, so an amplitude needs their frequencies. chi
is odd under reflection and vanishes in every achiral crystal. There the helicity is a function of
the direction of q of higher order L = 2, 4 or 6, which shows in

    S_L(w) = [4 pi sum_M |(1/N_q) sum_{q,nu} h Y_LM(qhat) delta(w - w_qnu)|^2]^(1/2).

The sum over all M makes S_L independent of the orientation of the crystal and takes no knowledge
of its symmetry: that the orders forbidden by it vanish is a result. S_0 = |chi|, and for a
helicity with one order only, S_L is its root mean square. The delta function is a histogram bin, on
whose width the relative amplitude depends,

    A_L = sum_bins S_L / sum |h|  <=  (2L + 1)^(1/2).

A_0 = sum_bins |sum h| / sum |h| is a share: 1 where all helicity of a bin has one sign. The others
compare a root mean square with a mean size, and may exceed 1.
"""

from dataclasses import dataclass
from math import factorial
from typing import Literal

import numpy as np
from numpy.polynomial.legendre import leg2poly, legder
from numpy.typing import NDArray

from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.axes import ComplexArray, FloatArray, IntArray, find_crystal_operations
from tasks.chirality.brillouin import compute_helicity_size
from tasks.chirality.degeneracy import average_over_sets
from tasks.chirality.histogram import make_bin_edges, make_bin_matrix
from tasks.chirality.modes import Modes
from tasks.phonons.fourier import HarmonicCrystal
from tasks.symmetry.point_groups import count_helicity_harmonics
from tasks.symmetry.zone import ZoneImages, find_zone_images
from tasks.tolerances import FREQUENCY_CUTOFF

Wave = Literal["none", "s", "d", "g", "i"]

ORDERS = (0, 2, 4, 6)
_WAVES: dict[int, Wave] = {0: "s", 2: "d", 4: "g", 6: "i"}
# Order L and m >= 0 of the harmonics summed; those of m < 0 are their conjugates.
_ORDER = np.repeat(ORDERS, [order + 1 for order in ORDERS])
_M = np.concatenate([np.arange(order + 1) for order in ORDERS])
_ORDER_ALL = np.repeat(ORDERS, [2 * order + 1 for order in ORDERS])
_M_ALL = np.concatenate([np.arange(-order, order + 1) for order in ORDERS])


@dataclass(frozen=True, eq=False)
class HelicitySpectrum:
    """Helicity density of states of a crystal, and its spherical harmonics.

    Attributes
    ----------
    bin_edges : ndarray, shape (n_bins + 1,)
        Limits of the frequency bins in THz, multiples of the bin width from 0.
    chi : ndarray, shape (n_bins,)
        Helicity density of states, hbar per THz and primitive cell, with its sign.
    absolute : ndarray, shape (n_bins,)
        The same with |h| in place of h; on the zone boundary the mean of |h| over the images of q.
    orders : tuple of int
        L = 0, 2, 4, 6.
    amplitudes : ndarray, shape (4, n_bins)
        S_L, hbar per THz and primitive cell.
    relative_amplitudes : ndarray, shape (4,)
        A_L = sum_bins S_L / sum_bins |h|; 0 where no mode has a helicity.
    mean_absolute : float
        Mean of |h| over the modes, in hbar.
    wave : {"none", "s", "d", "g", "i"}
        Lowest order whose relative amplitude exceeds the threshold.
    symmetry_wave : {"none", "s", "d", "g", "i"}
        Lowest order the point group allows.
    """

    bin_edges: FloatArray
    chi: FloatArray
    absolute: FloatArray
    orders: tuple[int, ...]
    amplitudes: FloatArray
    relative_amplitudes: FloatArray
    mean_absolute: float
    wave: Wave
    symmetry_wave: Wave

    @property
    def bin_width(self) -> float:
        """Width of the bins in THz."""
        return float(self.bin_edges[1] - self.bin_edges[0])

    @property
    def agrees(self) -> bool:
        """Whether the wave found is the one the point group announces."""
        return self.wave == self.symmetry_wave


def compute_helicity_spectrum(
    phonon: HarmonicCrystal,
    modes: Modes,
    sets: IntArray,
    weights: IntArray | FloatArray,
    *,
    irreducible: bool,
    bin_width: float = 0.1,
    frequency_cutoff: float = FREQUENCY_CUTOFF,
    threshold: float = 1e-2,
    angular_momentum: FloatArray | None = None,
    images: ZoneImages | None = None,
) -> HelicitySpectrum:
    """Sum the helicity of the modes of a mesh by frequency and direction.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        The crystal the modes belong to.
    modes : Modes
        Modes at the q-points of a Gamma-centred mesh invariant under the point group.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.
    weights : ndarray, shape (nq,)
        Multiplicities of the q-points.
    irreducible : bool
        True where the q-points are one of each star of the point group, whose other members are
        then added by h(Rq) = det(R) h(q); False where they are the whole mesh, or one of each
        pair q, -q.
    bin_width : float
        In THz.
    frequency_cutoff : float
        Modes below this frequency (THz), imaginary ones among them, are left out.
    threshold : float
        Least relative amplitude that counts as a wave.
    angular_momentum : ndarray, shape (nq, nb, 3), optional
        Angular momenta, means of the degenerate sets, where they are known (hbar).
    images : ZoneImages, optional
        Images of the q-points in the first Brillouin zone, where they are known.

    Returns
    -------
    HelicitySpectrum
        With the wave found and the one the point group announces.
    """
    if images is None:
        images = find_zone_images(modes.q_points, phonon.primitive.cell)
    if angular_momentum is None:
        angular_momentum = compute_mean_angular_momentum(modes.eigenvectors, sets)
    frequencies = average_over_sets(modes.frequencies, sets)
    weight = np.asarray(weights, dtype=float)
    share = (weight / weight.sum())[:, None] * (frequencies > frequency_cutoff)
    rotations = find_crystal_operations(phonon).cartesian
    fields = _compute_harmonic_fields(images, rotations if irreducible else np.eye(3)[None])
    edges = make_bin_edges(frequencies, bin_width)
    gather = make_bin_matrix(frequencies, edges)
    # Real and imaginary parts beside each other: the angular momenta are real.
    pseudoscalar = share[..., None] * (
        angular_momentum @ fields.swapaxes(1, 2).copy().view(np.float64)
    )
    harmonics = (gather @ pseudoscalar.reshape(share.size, -1)).view(np.complex128)
    absolute = gather @ (share * compute_helicity_size(angular_momentum, images)).ravel()
    amplitudes = _compute_amplitudes(harmonics)
    relative = amplitudes.sum(axis=1) / (absolute.sum() or 1.0)
    return HelicitySpectrum(
        bin_edges=edges,
        chi=np.sqrt(4 * np.pi) * harmonics[:, 0].real / bin_width,
        absolute=absolute / bin_width,
        orders=ORDERS,
        amplitudes=amplitudes / bin_width,
        relative_amplitudes=relative,
        mean_absolute=float(absolute.sum() / (share.sum() or 1.0)),
        wave=_find_lowest_wave(relative > threshold),
        symmetry_wave=_find_lowest_wave(
            np.array([count_helicity_harmonics(rotations, order) > 0 for order in ORDERS])
        ),
    )


def _compute_harmonic_fields(images: ZoneImages, rotations: FloatArray) -> ComplexArray:
    """Vectors F with l . F = h Y_LM, averaged over images and star; shape (nq, n_harmonics, 3).

    A member R q of the star has l(Rq) . F(Rq) = l(q) . det(R) R^T F(Rq).
    """
    used = images.weights > 0
    directions, first = images.directions[used], np.cumsum(used.sum(axis=1)) - used.sum(axis=1)
    values = _evaluate_all_harmonics(directions) @ _average_pseudoscalar(rotations)
    vectors = directions * images.weights[used][:, None]
    return np.asarray(np.add.reduceat(values[..., None] * vectors[:, None], first, axis=0))


def _average_pseudoscalar(rotations: FloatArray) -> ComplexArray:
    """Matrix A with mean_R det(R) Y_LM(R n) = sum_h Y_h(n) A_h,LM for all n.

    The harmonics of one order turn among themselves; twenty-eight of them are told apart by their
    values in a hundred directions.
    """
    directions = np.random.default_rng(0).normal(size=(100, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    turned = _evaluate_all_harmonics(directions @ rotations.swapaxes(1, 2))[..., _M_ALL >= 0]
    average = np.mean(np.linalg.det(rotations)[:, None, None] * turned, axis=0)
    return np.asarray(np.linalg.lstsq(_evaluate_all_harmonics(directions), average)[0])


def _evaluate_all_harmonics(directions: FloatArray) -> ComplexArray:
    """Y_LM of unit vectors (..., 3) for all M of `ORDERS`; shape (..., 28).

    For M >= 0 (x + iy)^M times a polynomial in z; those of -M are (-1)^M times the conjugates.
    """
    x, y, z = np.moveaxis(directions, -1, 0)[..., None]
    powers = np.arange(len(_POLYNOMIALS))
    positive = ((x + 1j * y) ** powers)[..., _M] * (z**powers @ _POLYNOMIALS)
    found = positive[..., _PLACE]
    np.conjugate(found, out=found, where=_M_ALL < 0)
    return np.asarray(found * np.where((_M_ALL < 0) & (_M_ALL % 2 > 0), -1, 1))


def _compute_polynomial(order: int, m: int) -> FloatArray:
    """Coefficients of Y_LM / (x + iy)^M in powers of z: N_LM (-1)^M d^M P_L / dz^M."""
    norm = np.sqrt((2 * order + 1) / (4 * np.pi) * factorial(order - m) / factorial(order + m))
    coefficients = leg2poly(legder(np.eye(order + 1)[order], m))
    return np.pad((-1) ** m * norm * coefficients, (0, max(ORDERS) + 1 - len(coefficients)))


_POLYNOMIALS = np.stack(
    [_compute_polynomial(*pair) for pair in zip(_ORDER, _M, strict=True)], axis=-1
)
# Where Y_L|M| stands among those of M >= 0: after (L / 2)^2 others of lower orders.
_PLACE = _ORDER_ALL**2 // 4 + np.abs(_M_ALL)


def _compute_amplitudes(harmonics: ComplexArray) -> FloatArray:
    """S_L times the bin width from sums of h Y_LM (n_bins, n_harmonics); shape (4, n_bins)."""
    squares = np.where(_M > 0, 2, 1) * np.abs(harmonics) ** 2
    per_order = [squares[:, order == _ORDER].sum(axis=1) for order in ORDERS]
    return np.sqrt(4 * np.pi * np.array(per_order))


def _find_lowest_wave(present: NDArray[np.bool_]) -> Wave:
    """Wave of the lowest order present."""
    return _WAVES[ORDERS[int(present.argmax())]] if present.any() else "none"
