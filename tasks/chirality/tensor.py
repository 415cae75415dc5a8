"""Velocity-angular-momentum tensor: the angular momentum a temperature gradient creates.

    J_i / V = alpha_ij dT/dx_j
    alpha_ij / tau = -(1 / (N_q V_c)) sum_q sum_sets Tr[P L_i P V_j P] df0/dT
    df0/dT = (x / T) e^x / (e^x - 1)^2,    x = hbar omega / (k_B T)

(Hamada et al., arXiv:1810.05359, with the trace over degenerate sets in place of the product of
expectation values, which depends on the eigensolver.) Unit of alpha / tau: J s m^-2 K^-1 per s.

The sum runs over a Gamma-centred mesh that the point group leaves invariant, and is then projected
on the tensors alpha = det(R) R alpha R^T that the point group allows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import angstrom, h, hbar, k, tera

from tasks.chirality.axes import ComplexArray, FloatArray, IntArray, find_crystal_operations
from tasks.chirality.degeneracy import average_over_sets, find_degenerate_sets
from tasks.chirality.histogram import make_bin_edges, make_bin_matrix
from tasks.chirality.modes import Modes, compute_modes
from tasks.chirality.statistics import find_translations
from tasks.chirality.velocity import (
    METRE_PER_SECOND,
    compute_angular_momentum_elements,
    compute_block_traces,
    compute_velocity_elements,
)
from tasks.phonons.fourier import HarmonicCrystal
from tasks.symmetry.point_groups import make_tensor_projector
from tasks.tolerances import DEGENERACY, FREQUENCY_CUTOFF

# hbar (m/s) / Å^3, the unit of alpha / tau before the factor df0/dT in 1/K.
ANGULAR_MOMENTUM_UNIT = hbar * METRE_PER_SECOND / angstrom**3
# Irreducible q-points on whose stars the violation of the symmetry is measured.
_N_STARS = 3
# A response below this fraction of its scale is rounding noise.
_NOISE = 1e-6


@dataclass(frozen=True, eq=False)
class ThermalSample:
    """Modes, weights and velocities over which a thermal response is summed.

    Attributes
    ----------
    modes : Modes
        Modes at the q-points.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.
    weights : ndarray, shape (nq,)
        Weights of the q-points, of sum 1.
    velocities : ndarray, shape (size, nq, nb, 3)
        Blocks of the velocity operator in Å THz, from ``velocity.compute_velocity_elements``.
    counted : ndarray of bool, shape (nq, nb)
        False for the three translations at Gamma.
    volume : float
        Volume of the primitive cell in Å^3.
    projector : ndarray, shape (9, 9)
        Projector on the tensors the point group allows.
    stars : ThermalSample or None
        For irreducible q-points: whole stars of some of them, on which the violation of the
        symmetry is measured. None where the q-points themselves are closed under the point group
        up to q -> -q.
    """

    modes: Modes
    sets: IntArray
    weights: FloatArray
    velocities: ComplexArray
    counted: NDArray[np.bool_]
    volume: float
    projector: FloatArray
    stars: "ThermalSample | None"

    def take_q_points(self, rows: IntArray, weights: IntArray) -> "ThermalSample":
        """Take some of the q-points, with weights of their own.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
            Which.
        weights : ndarray of int, shape (n,)
            Their weights, of any sum.

        Returns
        -------
        ThermalSample
            Without stars.
        """
        return replace(
            self,
            modes=self.modes[rows],
            sets=self.sets[rows],
            weights=weights / weights.sum(),
            velocities=self.velocities[:, rows],
            counted=self.counted[rows],
            stars=None,
        )


@dataclass(frozen=True, eq=False)
class AxialQuantity:
    """An axial vector that the modes carry.

    Attributes
    ----------
    elements : callable
        Blocks of its operator in the degenerate sets of a sample, shape (size, nq, nb, 3).
    scale : float
        Unit of elements x (Å THz) / Å^3 in SI units.
    unit : str
        Unit of the response per relaxation time, in words.
    """

    elements: Callable[[ThermalSample], ComplexArray]
    scale: float
    unit: str


_ANGULAR_MOMENTUM = AxialQuantity(
    lambda part: compute_angular_momentum_elements(part.modes.eigenvectors, part.sets),
    ANGULAR_MOMENTUM_UNIT,
    "J s m^-2 K^-1 per s",
)


@dataclass(frozen=True, eq=False)
class TensorResult:
    """Response of an axial quantity A to a temperature gradient, A_i = response_ij dT/dx_j.

    Attributes
    ----------
    temperatures : ndarray, shape (n_temperatures,)
        In K.
    response : ndarray, shape (n_temperatures, 3, 3)
        Response per relaxation time, projected on the form the point group allows; first index:
        the axial quantity, second: the gradient; Cartesian.
    scale : ndarray, shape (n_temperatures,)
        Sum of the norms of the sets' contributions: what the response would be if they did not
        cancel.
    violation : ndarray, shape (n_temperatures,)
        ||(1 - P) response|| / ||response|| before the projection; NaN where the whole response is
        rounding noise, below 1e-6 of ``scale``.
    largest_share : ndarray, shape (n_temperatures,)
        Norm of the largest contribution of one q-point (with its star, where the q-points are
        irreducible) in units of the norm of the response. Above about 0.2 the number is not to be
        trusted: the mesh is too coarse, or interpolation has left a false soft mode near Gamma,
        where the contribution grows as the inverse square of the frequency.
    by_band : ndarray, shape (n_temperatures, nb, 3, 3)
        Share of each band, bands numbered by frequency at each q; their sum is ``response``.
    window_edges : ndarray, shape (n_windows + 1,)
        Limits of the frequency windows in THz.
    by_window : ndarray, shape (n_temperatures, n_windows, 3, 3)
        Share of each frequency window; their sum is ``response``.
    unit : str
        Unit of the response per relaxation time.
    n_imaginary : int
        Modes of the sampled q-points left out because they are imaginary.
    imaginary_fraction : float
        Their weight among all modes.
    """

    temperatures: FloatArray
    response: FloatArray
    scale: FloatArray
    violation: FloatArray
    largest_share: FloatArray
    by_band: FloatArray
    window_edges: FloatArray
    by_window: FloatArray
    unit: str
    n_imaginary: int
    imaginary_fraction: float

    @property
    def pseudoscalar(self) -> FloatArray:
        """One third of the trace, shape (n_temperatures,); odd under reflection."""
        return np.asarray(np.trace(self.response, axis1=1, axis2=2) / 3)

    @property
    def polar_vector(self) -> FloatArray:
        """Antisymmetric part g_k = eps_kij response_ij / 2, shape (n_temperatures, 3)."""
        antisymmetric = (self.response - self.response.swapaxes(1, 2)) / 2
        return np.asarray(antisymmetric[:, (1, 2, 0), (2, 0, 1)])


def make_thermal_sample(
    phonon: HarmonicCrystal,
    modes: Modes,
    sets: IntArray,
    weights: ArrayLike,
    *,
    irreducible: bool,
    tolerance: float = DEGENERACY,
) -> ThermalSample:
    """Prepare the sum over a mesh: velocities, weights and the allowed form of the tensor.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants, and Born charges where the crystal is polar.
    modes : Modes
        Modes at the q-points of a Gamma-centred mesh invariant under the point group.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.
    weights : array_like, shape (nq,)
        Multiplicities of the q-points.
    irreducible : bool
        True where the q-points are one of each star of the point group; False where they are
        the whole mesh, or one of each pair q, -q.
    tolerance : float
        Bands closer than this (THz) belong to one degenerate set; used for the stars on which the
        violation of the symmetry is measured.

    Returns
    -------
    ThermalSample
        Ready for ``compute_velocity_angular_momentum_tensor`` and
        ``magnetic.compute_magnetization_tensor``.
    """
    rotations = find_crystal_operations(phonon).cartesian
    weight = np.asarray(weights, dtype=float)
    return ThermalSample(
        modes=modes,
        sets=sets,
        weights=weight / weight.sum(),
        velocities=compute_velocity_elements(phonon, modes, sets),
        counted=~find_translations(modes, phonon.primitive.masses),
        # phonopy's volume is negative for a left-handed cell.
        volume=abs(float(phonon.primitive.volume)),
        projector=make_tensor_projector(rotations),
        stars=_sample_stars(phonon, modes, weight, tolerance) if irreducible else None,
    )


def compute_velocity_angular_momentum_tensor(
    sample: ThermalSample,
    temperatures: ArrayLike = (100.0, 300.0, 1000.0),
    *,
    window_width: float = 1.0,
    frequency_cutoff: float = FREQUENCY_CUTOFF,
) -> TensorResult:
    """Return the response of the angular momentum to a temperature gradient.

    Parameters
    ----------
    sample : ThermalSample
        From ``make_thermal_sample``.
    temperatures : array_like, shape (n_temperatures,)
        In K.
    window_width : float
        Width of the frequency windows in THz.
    frequency_cutoff : float
        Modes below this frequency (THz) are left out; those below its negative count as imaginary.

    Returns
    -------
    TensorResult
        alpha / tau in J s m^-2 K^-1 per s.

    References
    ----------
    Hamada et al., Phys. Rev. Lett. 121, 175301 (2018), arXiv:1810.05359.
    """
    return compute_thermal_response(
        sample,
        _ANGULAR_MOMENTUM,
        temperatures,
        window_width=window_width,
        frequency_cutoff=frequency_cutoff,
    )


def compute_mean_response(
    sample: ThermalSample, temperatures: ArrayLike, frequency_cutoff: float
) -> FloatArray:
    """Return the response of the angular momentum and nothing besides.

    Parameters
    ----------
    sample : ThermalSample
        Any q-points.
    temperatures : array_like, shape (n_temperatures,)
        In K.
    frequency_cutoff : float
        Modes below this frequency (THz) are left out.

    Returns
    -------
    ndarray, shape (n_temperatures, 3, 3)
        As `TensorResult.response`.
    """
    kelvin = np.asarray(temperatures, dtype=float)
    traces, factors = _compute_summands(sample, _ANGULAR_MOMENTUM, kelvin, frequency_cutoff)
    total = np.einsum("tqb,qbij->tij", factors, traces, optimize=True)
    return _project(total, sample.projector)


def compute_thermal_response(
    sample: ThermalSample,
    quantity: AxialQuantity,
    temperatures: ArrayLike,
    *,
    window_width: float,
    frequency_cutoff: float,
) -> TensorResult:
    """Return the response of any axial quantity to a temperature gradient.

    Parameters
    ----------
    sample : ThermalSample
        From ``make_thermal_sample``.
    quantity : AxialQuantity
        Its blocks in the degenerate sets, and the unit of the result.
    temperatures : array_like, shape (n_temperatures,)
        In K.
    window_width : float
        Width of the frequency windows in THz.
    frequency_cutoff : float
        Modes below this frequency (THz) are left out; those below its negative count as imaginary.

    Returns
    -------
    TensorResult
        Response per relaxation time.
    """
    kelvin = np.asarray(temperatures, dtype=float)
    traces, factors = _compute_summands(sample, quantity, kelvin, frequency_cutoff)
    by_band = np.einsum("tqb,qbij->tbij", factors, traces, optimize=True)
    by_q = _project(np.einsum("tqb,qbij->tqij", factors, traces, optimize=True), sample.projector)
    frequencies = average_over_sets(sample.modes.frequencies, sample.sets)
    edges = make_bin_edges(frequencies, window_width)
    rows, gather = traces.reshape(frequencies.size, 9), make_bin_matrix(frequencies, edges)
    sums = np.stack([gather @ (factor.reshape(-1, 1) * rows) for factor in factors])
    imaginary = (sample.modes.frequencies < -frequency_cutoff) & sample.counted
    return TensorResult(
        temperatures=kelvin,
        response=_project(by_band.sum(axis=1), sample.projector),
        scale=_compute_scale(traces, factors),
        violation=_compute_violation(sample.stars or sample, quantity, kelvin, frequency_cutoff),
        largest_share=_find_largest_share(by_q),
        by_band=_project(by_band, sample.projector),
        window_edges=edges,
        by_window=_project(sums.reshape(*sums.shape[:2], 3, 3), sample.projector),
        unit=quantity.unit,
        n_imaginary=int(imaginary.sum()),
        imaginary_fraction=float(sample.weights @ imaginary.mean(axis=1)),
    )


def compute_occupation_derivative(frequencies: FloatArray, temperatures: FloatArray) -> FloatArray:
    """Return df0/dT of the Bose-Einstein occupation.

    Parameters
    ----------
    frequencies : ndarray, shape (...)
        In THz, above zero.
    temperatures : ndarray, shape (n_temperatures,)
        In K.

    Returns
    -------
    ndarray, shape (n_temperatures, ...)
        (x / T) / (4 sinh^2(x / 2)) with x = h nu / (k_B T), in K^-1.
    """
    kelvin = temperatures.reshape(-1, *np.ones(frequencies.ndim, dtype=int))
    x = h * tera * frequencies / (k * kelvin)
    # e^x / (e^x - 1)^2, written so that it does not overflow at large x.
    return np.asarray(x / kelvin * np.exp(-x) / np.expm1(-x) ** 2)


def _compute_summands(
    sample: ThermalSample, quantity: AxialQuantity, temperatures: FloatArray, cutoff: float
) -> tuple[FloatArray, FloatArray]:
    """Traces (nq, nb, 3, 3) and their factors (n_temperatures, nq, nb)."""
    traces = compute_block_traces(quantity.elements(sample), sample.velocities, sample.sets)
    frequencies = average_over_sets(sample.modes.frequencies, sample.sets)
    occupied = (frequencies > cutoff) & sample.counted
    derivative = compute_occupation_derivative(np.where(occupied, frequencies, 1.0), temperatures)
    scale = -quantity.scale / sample.volume * sample.weights[:, None] * occupied
    return traces, derivative * scale


def _project(tensors: FloatArray, projector: FloatArray) -> FloatArray:
    """Allowed part of tensors of shape (..., 3, 3)."""
    rows = tensors.reshape(*tensors.shape[:-2], 9) @ projector.T
    return np.asarray(rows.reshape(tensors.shape))


def _compute_scale(traces: FloatArray, factors: FloatArray) -> FloatArray:
    """Sum of the norms of all contributions, shape (n_temperatures,)."""
    return np.asarray(
        np.einsum("tqb,qb->t", np.abs(factors), np.linalg.norm(traces, axis=(-2, -1)))
    )


def _find_largest_share(by_q: FloatArray) -> FloatArray:
    """Largest contribution of one q-point over the response; NaN where nothing contributes."""
    largest = np.linalg.norm(by_q, axis=(-2, -1)).max(axis=1)
    total = np.linalg.norm(by_q.sum(axis=1), axis=(-2, -1))
    return np.asarray(np.where(total > 0, largest / np.where(total > 0, total, 1.0), np.nan))


def _compute_violation(
    sample: ThermalSample, quantity: AxialQuantity, temperatures: FloatArray, cutoff: float
) -> FloatArray:
    """||(1 - P) raw|| / ||raw|| on q-points closed under the point group; (n_temperatures,)."""
    traces, factors = _compute_summands(sample, quantity, temperatures, cutoff)
    raw = np.einsum("tqb,qbij->tij", factors, traces)
    rest = np.linalg.norm(raw - _project(raw, sample.projector), axis=(1, 2))
    total = np.linalg.norm(raw, axis=(1, 2))
    noise = total <= _NOISE * _compute_scale(traces, factors)
    return np.asarray(np.where(noise, np.nan, rest / np.where(noise, 1.0, total)))


def _sample_stars(
    phonon: HarmonicCrystal, modes: Modes, weights: FloatArray, tolerance: float
) -> ThermalSample:
    """Whole stars of the q-points of largest multiplicity."""
    operations = find_crystal_operations(phonon)
    chosen = modes.q_points[np.argsort(-weights, kind="stable")[:_N_STARS]]
    turned = chosen @ np.linalg.inv(operations.rotations)
    star = compute_modes(phonon, turned.reshape(-1, 3))
    sets = find_degenerate_sets(star.frequencies, tolerance)
    return make_thermal_sample(phonon, star, sets, np.ones(len(star.q_points)), irreducible=False)
