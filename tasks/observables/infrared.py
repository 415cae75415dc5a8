"""What infrared light sees: oscillator strengths, LO-TO splittings, reflectivity, dichroism.

With the charge of mode m at Gamma, p_m = sum_k Z_k e_k / sqrt(M_k) (no macroscopic field), and the
eigenvalues lambda = (2 pi nu)^2,

    eps_ab(nu) = eps_inf_ab + (e^2 / eps_0 V) sum_m p_ma p_mb / (lambda_m - lambda - i ...)

(X. Gonze, C. Lee, Phys. Rev. B 55, 10355 (1997)). Zeros of n.eps(nu).n are the longitudinal
frequencies of waves along n.

Dichroism. At a small k along n the polarisation of mode m is p_m(k) = sum_k Z_k e_k / sqrt(M_k),
with the positions of the atoms in the phase: the phases of wave and atom cancel, and no origin
enters. A wave of angular momentum +1 about n has the field e_L = (x + i y) / sqrt(2), and a set
absorbs the two waves differently by its rotatory strength

    R = lim (1/k) sum_set |e_L*.p(k)|^2 - |e_R*.p(k)|^2,       which adds up to 0 over all modes.

Charges are those of k = 0 for all k; that they depend on k (the response of the electrons' orbits,
quadrupoles) is left out.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.constants import angstrom, c, tera

from tasks.chirality.axes import ComplexArray, FloatArray, IntArray
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import Modes, compute_modes
from tasks.chirality.statistics import find_translations
from tasks.phonons.fourier import HarmonicCrystal, require_charges
from tasks.tolerances import DEGENERACY, FREQUENCY_CUTOFF

# 1/Å with 2 pi; R is the slope at zero, and there p(k) is linear to rounding.
_PROBE = 1e-3
# Oscillators below this share of the static response are forbidden ones.
_SILENT = 1e-7
_ABSORPTION: Final = "infrared absorption"


@dataclass(frozen=True, eq=False)
class InfraredResponse:
    """Dielectric response of the lattice.

    Attributes
    ----------
    frequencies : ndarray, shape (n_sets,)
        Of each set of optical modes at Gamma without a field (transverse), in THz.
    sizes : ndarray of int, shape (n_sets,)
        Modes in each set.
    charges : ndarray, shape (n_sets, 3, 3)
        Sum over the set of p_a p_b, in e^2/u.
    electronic : ndarray, shape (3, 3)
        Dielectric tensor of the electrons.
    scale : float
        e^2 / (eps_0 V) in THz^2 u / e^2, over (2 pi)^2.
    n_imaginary : int
        Imaginary modes, which are left out.
    """

    frequencies: FloatArray
    sizes: IntArray
    charges: FloatArray
    electronic: FloatArray
    scale: float
    n_imaginary: int

    @property
    def strengths(self) -> FloatArray:
        """What each set adds to the static dielectric tensor, shape (n_sets, 3, 3)."""
        return np.asarray(self.scale * self.charges / self.frequencies[:, None, None] ** 2)

    @property
    def static(self) -> FloatArray:
        """Static dielectric tensor of the crystal whose cell is held fixed, shape (3, 3)."""
        return np.asarray(self.electronic + self.strengths.sum(axis=0))

    def compute_dielectric_function(self, frequencies: ArrayLike, linewidth: float) -> ComplexArray:
        """Dielectric tensor with damped oscillators.

        Parameters
        ----------
        frequencies : array_like, shape (n,)
            In THz.
        linewidth : float
            Full width at half maximum of each line, as a fraction of its frequency.

        Returns
        -------
        ndarray, shape (n, 3, 3), complex
        """
        nu = np.asarray(frequencies, dtype=np.float64)[:, None]
        poles = self.frequencies**2 - nu**2 - 1j * linewidth * self.frequencies * nu
        sums = np.einsum("nm,mab->nab", self.scale / poles, self.charges)
        return np.asarray(self.electronic + sums)

    def find_longitudinal(self, direction: ArrayLike) -> FloatArray:
        """Longitudinal partner of each set for waves along a direction.

        Parameters
        ----------
        direction : array_like, shape (3,)
            Cartesian, of any length.

        Returns
        -------
        ndarray, shape (n_sets,)
            In THz: the zero of n.eps.n next above the pole of the set; NaN for a set that the field
            along the direction does not move.
        """
        n = np.asarray(direction, dtype=np.float64) / np.linalg.norm(direction)
        along = np.einsum("a,mab,b->m", n, self.charges, n)
        active = along / self.frequencies**2 > _SILENT * (n @ self.static @ n) / self.scale
        root = np.sqrt(self.scale * along[active] / (n @ self.electronic @ n))
        matrix = np.diag(self.frequencies[active] ** 2) + np.outer(root, root)
        found = np.full(len(along), np.nan)
        found[active] = np.sqrt(np.linalg.eigvalsh(matrix))
        return found


@dataclass(frozen=True, eq=False)
class Dichroism:
    """Absorption of circular light that runs along one direction.

    Attributes
    ----------
    direction : ndarray, shape (3,)
        Cartesian unit vector.
    frequencies : ndarray, shape (n_sets,)
        Of each set of optical modes, with the field of a wave along the direction, in THz.
    sizes : ndarray of int, shape (n_sets,)
        Modes in each set.
    strengths : ndarray, shape (n_sets,)
        Sum over the set of |p|^2 across the direction, in e^2/u.
    rotatory : ndarray, shape (n_sets,)
        Rotatory strength R in e^2 Å/u, k in 1/Å with 2 pi.
    dissymmetry : ndarray, shape (n_sets,)
        2 (A_L - A_R) / (A_L + A_R) for the wave vector of light in vacuum; NaN for a silent set.
    """

    direction: FloatArray
    frequencies: FloatArray
    sizes: IntArray
    strengths: FloatArray
    rotatory: FloatArray
    dissymmetry: FloatArray


def compute_infrared_response(
    phonon: HarmonicCrystal, tolerance: float = DEGENERACY
) -> InfraredResponse:
    """Compute the dielectric response of the lattice.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants and Born charges.
    tolerance : float
        Bands closer than this (THz) belong to one degenerate set.

    Returns
    -------
    InfraredResponse

    Raises
    ------
    ValueError
        Without Born charges.
    """
    charges = require_charges(phonon, _ABSORPTION)
    modes = compute_modes(phonon, np.zeros(3))
    kept = _select_optical(modes, phonon.primitive.masses)
    frequencies = modes.frequencies[0, kept]
    sets = find_degenerate_sets(frequencies[None], tolerance)[0]
    polarization = compute_mode_charges(phonon, modes)[0, kept]
    products = np.einsum("ma,mb->mab", polarization, polarization.conj()).real
    factor = 4 * np.pi * float(charges["factor"]) / abs(float(phonon.primitive.volume))
    return InfraredResponse(
        frequencies=_sum_over_sets(frequencies, sets) / np.bincount(sets),
        sizes=np.bincount(sets),
        charges=_sum_over_sets(products, sets),
        electronic=np.asarray(charges["dielectric"], dtype=np.float64),
        scale=factor * float(phonon.unit_conversion_factor) ** 2,
        n_imaginary=int((modes.frequencies < -FREQUENCY_CUTOFF).sum()),
    )


def compute_reflectivity(dielectric: ArrayLike) -> FloatArray:
    """Reflectivity at normal incidence, of light along a principal axis of the tensor.

    Parameters
    ----------
    dielectric : array_like, shape (...)
        Complex dielectric function for the field's direction.

    Returns
    -------
    ndarray, shape (...)
        |(n - 1) / (n + 1)|^2 with n the root of the dielectric function.
    """
    index = np.sqrt(np.asarray(dielectric, dtype=np.complex128))
    return np.asarray(np.abs((index - 1) / (index + 1)) ** 2)


def compute_dichroism(
    phonon: HarmonicCrystal, direction: ArrayLike, tolerance: float = DEGENERACY
) -> Dichroism:
    """Compute how differently modes absorb the two circular waves along a direction.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants and Born charges.
    direction : array_like, shape (3,)
        Cartesian, of any length.
    tolerance : float
        Bands closer than this (THz) belong to one degenerate set.

    Returns
    -------
    Dichroism

    Raises
    ------
    ValueError
        Without Born charges.
    """
    require_charges(phonon, _ABSORPTION)
    n = np.asarray(direction, dtype=np.float64) / np.linalg.norm(direction)
    along = phonon.primitive.cell @ n
    gamma = compute_modes(phonon, np.zeros(3), nac_direction=along)
    kept = _select_optical(gamma, phonon.primitive.masses)
    frequencies = gamma.frequencies[0, kept]
    sets = find_degenerate_sets(frequencies[None], tolerance)[0]
    near = compute_modes(phonon, np.outer([1, -1], along) * _PROBE / (2 * np.pi))
    fields = make_circular_fields(n)
    absorbed = np.abs(compute_mode_charges(phonon, near)[:, kept] @ fields.conj().T) ** 2
    sums = np.stack([_sum_over_sets(part, sets) for part in absorbed])
    # Odd in k: the mean over k and -k is free of what is even.
    rotatory = (sums[0, :, 0] - sums[0, :, 1] - sums[1, :, 0] + sums[1, :, 1]) / (2 * _PROBE)
    strengths = sums.sum(axis=2).mean(axis=0)
    mean = _sum_over_sets(frequencies, sets) / np.bincount(sets)
    light = 2 * np.pi * mean * tera / c * angstrom
    seen = strengths > _SILENT * strengths.max(initial=0.0)
    return Dichroism(
        direction=n,
        frequencies=mean,
        sizes=np.bincount(sets),
        strengths=strengths,
        rotatory=rotatory,
        dissymmetry=np.where(seen, 2 * light * rotatory / np.where(seen, strengths, 1.0), np.nan),
    )


def compute_mode_charges(phonon: HarmonicCrystal, modes: Modes) -> ComplexArray:
    """Polarisation of each mode.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With Born charges.
    modes : Modes
        Modes at q-points.

    Returns
    -------
    ndarray, shape (nq, nb, 3), complex
        p = sum_k Z_k e_k / sqrt(M_k), in e/u^(1/2).
    """
    born = np.asarray(require_charges(phonon, _ABSORPTION)["born"])
    weights = born / np.sqrt(phonon.primitive.masses)[:, None, None]
    n_q, n_rows, n_bands = modes.eigenvectors.shape
    vectors = modes.eigenvectors.reshape(n_q, n_rows // 3, 3, n_bands)
    return np.asarray(np.einsum("kab,qkbm->qma", weights, vectors))


def make_circular_fields(direction: FloatArray) -> ComplexArray:
    """Fields of the two circular waves about a direction.

    Parameters
    ----------
    direction : ndarray, shape (3,)
        Unit vector.

    Returns
    -------
    ndarray, shape (2, 3), complex
        Of angular momentum +1 (L) and -1 (R) about the direction, normalised.
    """
    first = np.cross(direction, np.eye(3)[np.abs(direction).argmin()])
    first /= np.linalg.norm(first)
    left = (first + 1j * np.cross(direction, first)) / np.sqrt(2)
    return np.stack([left, left.conj()])


def _select_optical(modes: Modes, masses: FloatArray) -> IntArray:
    """Bands at Gamma with a real frequency that are no translation."""
    moving = ~find_translations(modes, masses)[0]
    return np.flatnonzero(moving & (modes.frequencies[0] > FREQUENCY_CUTOFF))


def _sum_over_sets(values: FloatArray, sets: IntArray) -> FloatArray:
    """Sum over the modes of each set, first index the set."""
    starts = np.flatnonzero(np.diff(sets, prepend=-1))
    return np.asarray(np.add.reduceat(values, starts, axis=0)) if len(sets) else values
