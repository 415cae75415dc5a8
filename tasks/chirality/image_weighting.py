"""How much the numbers depend on the division of force constants among periodic images.

The supercell leaves the division open (`tasks.phonons.sum_rules`): two divisions that both obey
the sum rules are two guesses at one crystal, and where they differ nothing is known. Numbers of the
zone are compared at some q-points of the mesh, drawn evenly by their weights, where the modes of
the first division are there already; splittings along the axes are compared as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from tasks.chirality.brillouin import compute_helicity_size
from tasks.chirality.settings import ChiralitySettings
from tasks.chirality.statistics import N_TRANSLATIONS, compute_zone_statistics
from tasks.chirality.tensor import TensorResult, ThermalSample, compute_mean_response
from tasks.phonons.fourier import HarmonicCrystal

if TYPE_CHECKING:
    from tasks.chirality.analysis import ModeSample

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Share of the q-points that are drawn, and the least number: docs/trust.md tells the error.
_DRAWN_SHARE: Final = 1 / 12
_MIN_POINTS: Final = 8
# A quantity below this fraction of its scale is rounding noise.
_NOISE: Final = 1e-6


@dataclass(frozen=True)
class ImageWeightings:
    """The crystal with its force constants divided otherwise.

    Attributes
    ----------
    other : phonopy.Phonopy or Interpolation
        By other weights; the sum rules hold.
    equal_shares : phonopy.Phonopy
        Among the nearest images, as the supercell gives them; the sum rules are violated.
    """

    other: HarmonicCrystal
    equal_shares: HarmonicCrystal


@dataclass(frozen=True)
class ZoneNumbers:
    """What is compared of the zone: mean optical |h| (ħ) and the tensor (n_temperatures, 3, 3)."""

    helicity: float
    tensor: FloatArray


def sample_q_points(weights: IntArray) -> tuple[IntArray, IntArray]:
    """Draw q-points of a mesh at even steps of their summed weights.

    Parameters
    ----------
    weights : ndarray of int, shape (nq,)
        Numbers of mesh points for which the q-points stand.

    Returns
    -------
    rows : ndarray of int, shape (n,)
        Which q-points.
    counts : ndarray of int, shape (n,)
        Their weights in means over the drawn ones.
    """
    number = max(_MIN_POINTS, int(np.ceil(_DRAWN_SHARE * len(weights))))
    if number >= len(weights):
        return np.arange(len(weights)), weights
    steps = (np.arange(number) + 0.5) / number * weights.sum()
    rows = np.searchsorted(np.cumsum(weights), steps)
    return np.unique(rows, return_counts=True)


def compute_zone_numbers(
    sample: "ModeSample", thermal: ThermalSample, counts: IntArray, settings: ChiralitySettings
) -> ZoneNumbers:
    """Numbers of one division at the drawn q-points.

    Parameters
    ----------
    sample : ModeSample
        Its modes there.
    thermal : ThermalSample
        The same with velocities.
    counts : ndarray of int, shape (n,)
        Weights of the q-points.
    settings : ChiralitySettings
        Temperatures and cutoffs.

    Returns
    -------
    ZoneNumbers
        Estimates of those of the whole mesh.
    """
    cutoff = settings.frequency_cutoff
    counted = (sample.modes.frequencies >= -cutoff) & thermal.counted
    sizes = compute_helicity_size(sample.angular_momentum, sample.images)
    mean = compute_zone_statistics(sizes, counts, counted).optical_mean
    return ZoneNumbers(mean, compute_mean_response(thermal, settings.temperatures, cutoff))


def compare_zones(
    tensor: TensorResult, helicity: float, here: ZoneNumbers, there: ZoneNumbers
) -> dict[str, Any]:
    """Fields of the record that tell what another division changes in the zone.

    Parameters
    ----------
    tensor : TensorResult
        Tensor of the whole mesh.
    helicity : float
        Mean optical |h| of the whole mesh.
    here, there : ZoneNumbers
        Of both divisions at the drawn q-points.

    Returns
    -------
    dict
        Spreads are NaN, or empty, where symmetry forbids the quantity.
    """
    change = there.tensor - here.tensor
    size = np.linalg.norm(tensor.response, axis=(1, 2))
    told = size > _NOISE * tensor.scale
    spread = np.linalg.norm(change, axis=(1, 2)) / np.where(told, size, np.nan)
    shift = there.helicity - here.helicity
    return {
        "tensor_other": tuple((tensor.response + change).ravel().tolist()),
        "tensor_spread": tuple(spread.tolist()),
        "helicity_other": helicity + shift,
        "helicity_spread": abs(shift) / helicity if helicity > _NOISE else None,
    }


def compare_axes(linear: Sequence[float], other: Sequence[float]) -> dict[str, Any]:
    """Fields of the record that tell what another division changes along the axes.

    Parameters
    ----------
    linear, other : sequence of float
        Linear splittings along each axis by both divisions (THz Å).

    Returns
    -------
    dict
        Spreads are NaN where there is no splitting.
    """
    first, second = np.array(linear), np.array(other)
    told = np.where(np.abs(first) > _NOISE, np.abs(first), np.nan)
    return {
        "splitting_other": tuple(second.tolist()),
        "splitting_spread": tuple((np.abs(second - first) / told).tolist()),
    }


def compute_optical_shift(frequencies: FloatArray, usual: FloatArray, counts: IntArray) -> float:
    """Mean change of the optical frequencies.

    Parameters
    ----------
    frequencies, usual : ndarray, shape (n, nb)
        Ascending, in THz, by two divisions.
    counts : ndarray of int, shape (n,)
        Weights of the q-points.

    Returns
    -------
    float
        In THz; 0 for crystals without optical branches.
    """
    change = np.abs(frequencies - usual)[:, N_TRANSLATIONS:]
    return float(np.average(change.mean(axis=1), weights=counts)) if change.size else 0.0
