"""Magnetic moment of phonons from the circular motion of Born charges.

An ion of Born charge Z (Z_cd = dP_c/du_d, first index the polarisation) that moves by u carries
the current e Z du/dt, hence the moment m = (e/2) u x (Z du/dt). Averaged over a mode this is

    m = sum_k gamma_k l_k,    gamma_k = (e / 4 M_k) (Tr Z_k - Z_k^T),

which for an isotropic charge is the gyromagnetic ratio e Z / (2 M) of Juraschek & Spaldin,
Phys. Rev. Materials 3, 064405 (2019), arXiv:1812.05379. In units of the Bohr magneton per hbar,
gamma_k is (m_e / M_k)(Tr Z_k - Z_k^T) / 2. The moments of the electrons beyond the Born charges
(orbital response, spin) are not part of it.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.constants import angstrom, physical_constants

from tasks.chirality.axes import FloatArray, IntArray
from tasks.chirality.degeneracy import average_over_sets
from tasks.chirality.modes import Modes
from tasks.chirality.tensor import (
    AxialQuantity,
    TensorResult,
    ThermalSample,
    compute_thermal_response,
)
from tasks.chirality.velocity import METRE_PER_SECOND, compute_axial_elements
from tasks.phonons.fourier import HarmonicCrystal, require_charges
from tasks.tolerances import FREQUENCY_CUTOFF

_ELECTRON_MASS = physical_constants["electron mass in u"][0]
_BOHR_MAGNETON = physical_constants["Bohr magneton"][0]
MAGNETIZATION_UNIT = _BOHR_MAGNETON * METRE_PER_SECOND / angstrom**3


def compute_gyromagnetic_tensors(phonon: HarmonicCrystal) -> FloatArray:
    """Return the gyromagnetic tensor of each atom.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With Born charges.

    Returns
    -------
    ndarray, shape (n_atoms, 3, 3)
        gamma_k in Bohr magnetons per hbar; m_a = gamma_af l_f.

    Raises
    ------
    ValueError
        When the phonopy object has no Born charges.

    References
    ----------
    Juraschek & Spaldin, Phys. Rev. Materials 3, 064405 (2019), for isotropic charges; see the
    module's head for the tensor.
    """
    born = np.asarray(require_charges(phonon, "the magnetic moment")["born"])
    trace = np.trace(born, axis1=1, axis2=2)[:, None, None]
    ratio = _ELECTRON_MASS / phonon.primitive.masses[:, None, None]
    return np.asarray(ratio * (trace * np.eye(3) - born.swapaxes(1, 2)) / 2)


def compute_magnetic_moments(phonon: HarmonicCrystal, modes: Modes, sets: IntArray) -> FloatArray:
    """Return the magnetic moment of one phonon of each mode.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With Born charges.
    modes : Modes
        Modes at q-points.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.

    Returns
    -------
    ndarray, shape (nq, nb, 3)
        Tr(P m) / Tr P over the set of each band, in Bohr magnetons, Cartesian.

    Raises
    ------
    ValueError
        When the phonopy object has no Born charges.
    """
    elements = compute_axial_elements(
        modes.eigenvectors, sets, compute_gyromagnetic_tensors(phonon)
    )
    return average_over_sets(elements[0].real, sets)


def compute_magnetization_tensor(
    phonon: HarmonicCrystal,
    sample: ThermalSample,
    temperatures: ArrayLike = (100.0, 300.0, 1000.0),
    *,
    window_width: float = 1.0,
    frequency_cutoff: float = FREQUENCY_CUTOFF,
) -> TensorResult:
    """Return the magnetization a temperature gradient creates, M_i = beta_ij dT/dx_j.

    The velocity-angular-momentum tensor with the magnetic moment in place of the angular momentum.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With Born charges.
    sample : ThermalSample
        From ``tensor.make_thermal_sample``.
    temperatures : array_like, shape (n_temperatures,)
        In K.
    window_width : float
        Width of the frequency windows in THz.
    frequency_cutoff : float
        Modes below this frequency (THz) are left out; those below its negative count as imaginary.

    Returns
    -------
    TensorResult
        beta / tau in A K^-1 per s.

    Raises
    ------
    ValueError
        When the phonopy object has no Born charges.
    """
    tensors = compute_gyromagnetic_tensors(phonon)
    moment = AxialQuantity(
        lambda part: compute_axial_elements(part.modes.eigenvectors, part.sets, tensors),
        MAGNETIZATION_UNIT,
        "A K^-1 per s",
    )
    return compute_thermal_response(
        sample,
        moment,
        temperatures,
        window_width=window_width,
        frequency_cutoff=frequency_cutoff,
    )
