"""Thermal properties of a harmonic crystal at constant volume, from the modes of a mesh.

    E_0 = (1/N_q) sum h nu / 2                          zero-point energy
    F   = E_0 + (1/N_q) k T sum ln(1 - e^-x)            free energy, x = h nu / (k T)
    S   = (1/N_q) k sum [x / (e^x - 1) - ln(1 - e^-x)]  entropy
    C_v = (1/N_q) k sum x^2 e^x / (e^x - 1)^2           heat capacity

per primitive cell, here times Avogadro's number: per mole of primitive cells. (A. Togo et al., J.
Phys.: Condens. Matter 35, 353001 (2023); phonopy's convention and units.) The three translations at
Gamma are left out, and so are the modes below the cutoff, imaginary ones among them: a crystal that
has these lacks their part, and says how large their share is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.constants import N_A, h, k, kilo, tera

from tasks.chirality.brillouin import make_irreducible_mesh
from tasks.chirality.modes import Modes, compute_modes
from tasks.chirality.settings import ChiralitySettings
from tasks.chirality.statistics import find_translations
from tasks.phonons.fourier import HarmonicCrystal

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ROOM_TEMPERATURE = 300.0  # K
_TEMPERATURES = np.arange(0.0, 1001.0, 10.0)


@dataclass(frozen=True, eq=False)
class ThermalProperties:
    """Thermal properties by temperature, per mole of primitive cells.

    Attributes
    ----------
    temperatures : ndarray, shape (n,)
        In K.
    free_energy : ndarray, shape (n,)
        Of the vibrations (Helmholtz), zero-point energy included, in kJ/mol.
    entropy, heat_capacity : ndarray, shape (n,)
        In J K^-1 mol^-1; the heat capacity at constant volume.
    zero_point_energy : float
        In kJ/mol.
    imaginary_fraction : float
        Share of the modes left out because they are imaginary.
    """

    temperatures: FloatArray
    free_energy: FloatArray
    entropy: FloatArray
    heat_capacity: FloatArray
    zero_point_energy: float
    imaginary_fraction: float


def compute_thermal_properties(
    phonon: HarmonicCrystal,
    temperatures: ArrayLike | None = None,
    settings: ChiralitySettings | None = None,
) -> ThermalProperties:
    """Thermal properties of a crystal from the mesh that the chirality stage samples.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    temperatures : array_like, shape (n,), optional
        In K, none below zero; 0 to 1000 K in steps of 10 K if left out.
    settings : ChiralitySettings, optional
        Spacing of the mesh, and cutoff; the defaults if left out.

    Returns
    -------
    ThermalProperties

    Raises
    ------
    ValueError
        For a temperature below zero, or without force constants.
    """
    settings = settings or ChiralitySettings()
    mesh = make_irreducible_mesh(phonon, settings.mesh_spacing)
    modes, masses = compute_modes(phonon, mesh.q_points), phonon.primitive.masses
    return sum_thermal_properties(
        modes, mesh.weights, masses, settings.frequency_cutoff, temperatures
    )


def sum_thermal_properties(
    modes: Modes,
    weights: IntArray,
    masses: FloatArray,
    cutoff: float,
    temperatures: ArrayLike | None = None,
) -> ThermalProperties:
    """Add up what the modes of a mesh give.

    Parameters
    ----------
    modes : Modes
        Modes at the q-points of a mesh.
    weights : ndarray of int, shape (nq,)
        Numbers of mesh points for which the q-points stand.
    masses : ndarray, shape (n,)
        Masses of the atoms of the primitive cell.
    cutoff : float
        Modes below this frequency (THz) are left out; those below its negative count as imaginary.
    temperatures : array_like, shape (n,), optional
        In K, none below zero; 0 to 1000 K in steps of 10 K if left out.

    Returns
    -------
    ThermalProperties

    Raises
    ------
    ValueError
        For a temperature below zero.
    """
    kelvin = np.atleast_1d(_TEMPERATURES if temperatures is None else np.asarray(temperatures))
    if (kelvin < 0).any():
        raise ValueError(f"a temperature is below zero: {kelvin.min():g} K")
    moving = ~find_translations(modes, masses)
    counted = moving & (modes.frequencies > cutoff)
    shares = np.broadcast_to(weights[:, None] / weights.sum(), counted.shape)
    quanta, shares_counted = h * tera * modes.frequencies[counted], shares[counted]
    zero_point = N_A / kilo * float(shares_counted @ quanta) / 2
    sums = np.array([_sum_over_modes(quanta, shares_counted, t) for t in kelvin]).reshape(-1, 3).T
    imaginary = moving & (modes.frequencies < -cutoff)
    return ThermalProperties(
        temperatures=kelvin.astype(np.float64),
        free_energy=zero_point + sums[0] / kilo,
        entropy=sums[1],
        heat_capacity=sums[2],
        zero_point_energy=zero_point,
        imaginary_fraction=float(shares[imaginary].sum() / modes.n_bands),
    )


def _sum_over_modes(
    quanta: FloatArray, shares: FloatArray, temperature: float
) -> tuple[float, float, float]:
    """Thermal free energy (J/mol), entropy and heat capacity (J K^-1 mol^-1)."""
    if temperature == 0:
        return 0.0, 0.0, 0.0
    x = quanta / (k * temperature)
    decay, empty = np.exp(-x), -np.expm1(-x)  # e^-x does not overflow
    logarithm = float(shares @ np.log(empty))
    entropy = float(shares @ (x * decay / empty)) - logarithm
    capacity = float(shares @ (x**2 * decay / empty**2))
    return N_A * k * temperature * logarithm, N_A * k * entropy, N_A * k * capacity
