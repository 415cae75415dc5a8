"""Responses to heat as experiments state them, and the helicity of thermal phonons.

With one relaxation time tau for all modes,

    J / V = alpha grad T,      j = -kappa grad T,      J / V = -alpha kappa^-1 j,

where alpha / tau is the tensor of `tasks.chirality.tensor` and

    kappa_ij / tau = (1 / N_q V_c) sum_q sum_sets Tr[P V_i P V_j P] h nu df0/dT.

So the angular momentum per heat flux does not depend on tau. A heat flux that changes in time turns
the crystal: the torque on its lattice is -dJ/dt. A measured conductivity gives tau, as the ratio of
the traces.

The thermal helicity of a crystal is that of its phonons, sum over the cell,

    H(T) = (1 / N_q) sum h(q, nu) n(nu, T),

and H(T) over (1 / N_q) sum n(nu, T) their mean helicity. Zero-point motion adds nothing, since h
adds up to zero at each q. H is a pseudoscalar: it is zero in every crystal with an improper
operation. (Y.-C. Huang et al., arXiv:2604.10231, weigh a chirality of phonons by their thermal
occupation; this definition is our own and its numbers are not theirs.)
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.constants import angstrom, h, k, tera

from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.axes import FloatArray, IntArray, find_crystal_operations
from tasks.chirality.brillouin import compute_helicity, make_irreducible_mesh
from tasks.chirality.degeneracy import average_over_sets, find_degenerate_sets
from tasks.chirality.magnetic import compute_magnetization_tensor
from tasks.chirality.modes import compute_modes
from tasks.chirality.settings import ChiralitySettings
from tasks.chirality.tensor import (
    ThermalSample,
    compute_occupation_derivative,
    compute_velocity_angular_momentum_tensor,
    make_thermal_sample,
)
from tasks.chirality.velocity import METRE_PER_SECOND, compute_block_traces
from tasks.phonons.fourier import HarmonicCrystal
from tasks.symmetry.zone import find_zone_images

# h nu (m/s)^2 / Å^3 of THz and 100 m/s, the unit of kappa / tau before df0/dT.
_CONDUCTIVITY_UNIT = h * tera * METRE_PER_SECOND**2 / angstrom**3


@dataclass(frozen=True, eq=False)
class HeatResponse:
    """What a gradient of temperature does, at some temperatures.

    Attributes
    ----------
    temperatures : ndarray, shape (n,)
        In K.
    relaxation_times : ndarray, shape (n,)
        In s.
    angular_momentum : ndarray, shape (n, 3, 3)
        alpha in J s m^-2 K^-1; first index angular momentum, second gradient.
    conductivity : ndarray, shape (n, 3, 3)
        kappa of the lattice with these relaxation times, in W m^-1 K^-1.
    per_heat_flux : ndarray, shape (n, 3, 3)
        -alpha kappa^-1 in s^2 m^-1: angular momentum per volume and heat flux.
    magnetization : ndarray, shape (n, 3, 3), or None
        beta in A/K; None without Born charges.
    helicity : ndarray, shape (n,)
        H in hbar per primitive cell.
    mean_helicity : ndarray, shape (n,)
        Of one thermal phonon, in hbar.
    """

    temperatures: FloatArray
    relaxation_times: FloatArray
    angular_momentum: FloatArray
    conductivity: FloatArray
    per_heat_flux: FloatArray
    magnetization: FloatArray | None
    helicity: FloatArray
    mean_helicity: FloatArray


def compute_heat_response(
    phonon: HarmonicCrystal,
    temperatures: ArrayLike,
    *,
    relaxation_time: float = 1e-12,
    conductivity: float | None = None,
    settings: ChiralitySettings | None = None,
) -> HeatResponse:
    """Compute what a gradient of temperature does.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    temperatures : array_like, shape (n,)
        In K, above zero.
    relaxation_time : float
        Of all modes, in s.
    conductivity : float, optional
        Mean of the diagonal of the thermal conductivity, in W m^-1 K^-1, that the relaxation
        time shall reproduce at each temperature, in place of the one given.
    settings : ChiralitySettings, optional
        Spacing of the mesh, and tolerances; the defaults if left out.

    Returns
    -------
    HeatResponse
    """
    settings = settings or ChiralitySettings()
    kelvin = np.atleast_1d(np.asarray(temperatures, dtype=np.float64))
    mesh = make_irreducible_mesh(phonon, settings.mesh_spacing)
    modes = compute_modes(phonon, mesh.q_points)
    sets = find_degenerate_sets(modes.frequencies, settings.degeneracy_tolerance)
    sample = make_thermal_sample(phonon, modes, sets, mesh.weights, irreducible=True)
    cutoff = settings.frequency_cutoff
    rotations = find_crystal_operations(phonon).cartesian
    per_time = _sum_conductivity(sample, kelvin, cutoff, rotations)
    times = np.full(len(kelvin), relaxation_time)
    if conductivity is not None:
        times = 3 * conductivity / np.trace(per_time, axis1=1, axis2=2)
    alpha = compute_velocity_angular_momentum_tensor(sample, kelvin, frequency_cutoff=cutoff)
    beta = None
    if phonon.nac_params is not None:
        found = compute_magnetization_tensor(phonon, sample, kelvin, frequency_cutoff=cutoff)
        beta = times[:, None, None] * found.response
    helicity = compute_helicity(
        compute_mean_angular_momentum(modes.eigenvectors, sets),
        find_zone_images(modes.q_points, phonon.primitive.cell),
    )
    # A star that improper operations join holds both signs.
    helicity = helicity * np.rint(np.linalg.det(rotations)).mean()
    numbers = _count_thermal_phonons(sample, kelvin, cutoff)
    total = np.einsum("tqb,qb->t", numbers, helicity)
    return HeatResponse(
        temperatures=kelvin,
        relaxation_times=times,
        angular_momentum=times[:, None, None] * alpha.response,
        conductivity=times[:, None, None] * per_time,
        per_heat_flux=-alpha.response @ np.linalg.inv(per_time),
        magnetization=beta,
        helicity=total,
        mean_helicity=total / numbers.sum(axis=(1, 2)),
    )


def _sum_conductivity(
    sample: ThermalSample, temperatures: FloatArray, cutoff: float, rotations: FloatArray
) -> FloatArray:
    """Kappa / tau in W m^-1 K^-1 per s, shape (n, 3, 3)."""
    traces = compute_block_traces(sample.velocities, sample.velocities, sample.sets)
    frequencies, counted = _take_frequencies(sample, cutoff)
    derivative = compute_occupation_derivative(frequencies, temperatures)
    factors = derivative * frequencies * sample.weights[:, None] * counted / sample.volume
    sums = _CONDUCTIVITY_UNIT * np.einsum("tqb,qbij->tij", factors, traces, optimize=True)
    turned = np.einsum("gai,tij,gbj->gtab", rotations, sums, rotations, optimize=True)
    return np.asarray(turned.mean(axis=0))


def _count_thermal_phonons(
    sample: ThermalSample, temperatures: FloatArray, cutoff: float
) -> FloatArray:
    """N of each mode times the weight of its q-point, shape (n_temperatures, nq, nb)."""
    frequencies, counted = _take_frequencies(sample, cutoff)
    x = h * tera * frequencies / (k * temperatures[:, None, None])
    # e^-x / (1 - e^-x) does not overflow.
    return np.asarray(np.exp(-x) / -np.expm1(-x) * counted * sample.weights[:, None])


def _take_frequencies(sample: ThermalSample, cutoff: float) -> tuple[FloatArray, IntArray]:
    """Mean frequency of each set, 1 where it does not count, and whether it does."""
    frequencies = average_over_sets(sample.modes.frequencies, sample.sets)
    counted = (frequencies > cutoff) & sample.counted
    return np.where(counted, frequencies, 1.0), counted.astype(np.int64)
