"""Circular Raman spectra: lines with their channels, and how far they split in back-scattering.

Light of wavelength lambda in a crystal of refractive index n that is scattered back along an axis
creates a phonon of k = 4 pi n / lambda. RL and LR see partners +l and -l of a doublet there, whose
frequencies differ by c_1 k in a chiral crystal (`tasks.chirality.raman`). Positions and selection
rules are computed, intensities are not: they need the change of the polarisability.
"""

from dataclasses import dataclass

import numpy as np

from tasks.chirality.axes import FloatArray, IntArray, RotationAxis, select_principal_axes
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.raman import (
    CHANNELS,
    BranchSplitting,
    CircularRaman,
    find_raman_visibility,
    measure_branch_splittings,
)
from tasks.phonons.fourier import HarmonicCrystal
from tasks.tolerances import DEGENERACY

_ANGSTROM_PER_NANOMETRE = 10.0


@dataclass(frozen=True, eq=False)
class RamanLines:
    """Lines of circular back-scattering along one axis.

    Attributes
    ----------
    axis : RotationAxis
        Axis of light, which comes in along its direction.
    frequencies : ndarray, shape (n_lines,)
        Of each visible set at Gamma, in THz.
    sizes : ndarray of int, shape (n_lines,)
        Modes in each set.
    channels : tuple of str
        Channels that see each set, such as "RL LR".
    splittings : ndarray, shape (n_lines,)
        nu(RL) - nu(LR) at the wave vector of the scattering, in THz: of opposite sign in the mirror
        image; 0 where both channels see one frequency.
    wave_number : float
        Of the phonon, in 1/Å with 2 pi.
    """

    axis: RotationAxis
    frequencies: FloatArray
    sizes: IntArray
    channels: tuple[str, ...]
    splittings: FloatArray
    wave_number: float


def estimate_refractive_index(phonon: HarmonicCrystal) -> float | None:
    """Refractive index of visible light, from the dielectric tensor of the electrons.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        Any.

    Returns
    -------
    float or None
        Root of the mean of the diagonal; None without charges.
    """
    if phonon.nac_params is None:
        return None
    return float(np.sqrt(np.trace(phonon.nac_params["dielectric"]) / 3))


def compute_raman_lines(
    phonon: HarmonicCrystal,
    wavelength: float,
    refractive_index: float,
    tolerance: float = DEGENERACY,
) -> tuple[RamanLines, ...]:
    """Lines of circular Raman scattering along each rotation axis.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    wavelength : float
        Of the laser in vacuum, in nm.
    refractive_index : float
        Of the crystal there.
    tolerance : float
        Bands closer than this (THz) belong to one degenerate set.

    Returns
    -------
    tuple of RamanLines
        One for each inequivalent axis of order 3, 4 or 6, highest order first.
    """
    k = 4 * np.pi * refractive_index / (_ANGSTROM_PER_NANOMETRE * wavelength)
    axes = select_principal_axes(phonon)
    seen = find_raman_visibility(phonon, tolerance, axes)
    splittings = measure_branch_splittings(phonon, axes=axes) or [None] * len(axes)
    return tuple(
        _collect_lines(raman, splitting, k, tolerance)
        for raman, splitting in zip(seen, splittings, strict=True)
    )


def _collect_lines(
    raman: CircularRaman, splitting: BranchSplitting | None, k: float, tolerance: float
) -> RamanLines:
    """Lines of one axis."""
    sets = find_degenerate_sets(raman.frequencies[None], tolerance)[0]
    visible = np.stack([raman.visible[sets == s].any(axis=0) for s in range(sets.max() + 1)])
    chosen = np.flatnonzero(visible.any(axis=1))
    frequencies = np.array([raman.frequencies[sets == s].mean() for s in chosen])
    names = np.array(["".join(channel) for channel in CHANNELS])
    return RamanLines(
        axis=raman.axis,
        frequencies=frequencies,
        sizes=np.bincount(sets)[chosen],
        channels=tuple(" ".join(names[visible[s]]) for s in chosen),
        splittings=_find_splittings(frequencies, visible[chosen], splitting, k, tolerance),
        wave_number=k,
    )


def _find_splittings(
    frequencies: FloatArray,
    visible: FloatArray,
    splitting: BranchSplitting | None,
    k: float,
    tolerance: float,
) -> FloatArray:
    """nu(RL) - nu(LR) of each line that both channels see."""
    if splitting is None:
        return np.zeros(len(frequencies))
    order = splitting.axis.order
    # RL hands -2 (mod n) to the phonon: +1 on a three-fold axis, -2 on a six-fold one.
    label = {3: 1, 4: 2, 6: -2}[order]
    same = np.abs(frequencies[:, None] - splitting.frequencies) < tolerance
    same &= splitting.labels == abs(label)
    crossed = visible[:, 2:].all(axis=1)
    slopes = np.where(np.isfinite(splitting.linear), splitting.linear, 0.0)
    return np.asarray(np.sign(label) * k * crossed * (same * slopes).sum(axis=1))
