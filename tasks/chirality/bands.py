"""Band structure of a crystal along the standard path, as arrays."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.chirality.analysis import tabulate_modes
from tasks.chirality.brillouin import make_band_path
from tasks.chirality.degeneracy import count_set_members
from tasks.chirality.settings import ChiralitySettings
from tasks.phonons.fourier import HarmonicCrystal
from tasks.units import THZ, FrequencyUnit

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

N_ACOUSTIC: Final = 3
# Helicities (hbar) below this are rounding: no mode of the path has one.
_NO_HELICITY: Final = 1e-3


@dataclass(frozen=True, eq=False)
class BandStructure:
    """Modes along the standard band path, one row per q-point and one column per band.

    Numbers of a degenerate set are its means, Tr(P A) / Tr(P), the same for each of its bands;
    the labels ``pam_raw`` and ``pam_integer`` are its spectrum in ascending order.

    Attributes
    ----------
    q_points : ndarray, shape (nq, 3)
        Fractional coordinates in the reciprocal basis of the primitive cell.
    labels : tuple of str
        Name of each named q-point ("Γ", "K", "Σ_0"), empty for those between.
    segments : ndarray of int, shape (nq,)
        Segment of the path, counted from 0; both ends of each are included.
    distances : ndarray, shape (nq,)
        Distance along the path, 1/Å without 2 pi; jumps between segments have no length.
    frequencies : ndarray, shape (nq, nb)
        Ascending, in `unit`; imaginary ones are negative.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band at its q-point.
    near_degenerate : ndarray of bool, shape (nq, nb)
        Sets that another one approaches within ten tolerances.
    angular_momentum : ndarray, shape (nq, nb, 3)
        Angular momentum l, Cartesian, in hbar.
    helicity : ndarray, shape (nq, nb)
        l . qhat, in hbar.
    cycloidicity : ndarray, shape (nq, nb)
        |qhat x l|, in hbar.
    pam_raw, pam_integer : ndarray, shape (nq, nb)
        Pseudo-angular momentum with and without the phase of the screw; NaN where there is none.
    pam_order, pam_screw : ndarray of int, shape (nq,)
        n and m of the axis n_m the labels belong to; 0 where no axis holds q.
    unit : FrequencyUnit
        Of the frequencies.
    """

    q_points: FloatArray
    labels: tuple[str, ...]
    segments: IntArray
    distances: FloatArray
    frequencies: FloatArray
    sets: IntArray
    near_degenerate: NDArray[np.bool_]
    angular_momentum: FloatArray
    helicity: FloatArray
    cycloidicity: FloatArray
    pam_raw: FloatArray
    pam_integer: FloatArray
    pam_order: IntArray
    pam_screw: IntArray
    unit: FrequencyUnit = THZ

    def convert_unit(self, unit: FrequencyUnit) -> Self:
        """Return the bands with their frequencies in another unit.

        Parameters
        ----------
        unit : FrequencyUnit
            The one wanted.

        Returns
        -------
        BandStructure
            Everything else is as it was.
        """
        factor = unit.per_terahertz / self.unit.per_terahertz
        return replace(self, frequencies=factor * self.frequencies, unit=unit)

    @property
    def set_sizes(self) -> IntArray:
        """Number of bands in the degenerate set of each band, shape (nq, nb)."""
        return count_set_members(self.sets)

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Distance and name of each named point; where the path jumps, "X|U"."""
        ends = np.flatnonzero(np.array([label != "" for label in self.labels]))
        names: dict[float, list[str]] = {}
        for end in ends:
            here = names.setdefault(round(float(self.distances[end]), 9), [])
            if self.labels[end] not in here:
                here.append(self.labels[end])
        return tuple((distance, "|".join(found)) for distance, found in names.items())

    @property
    def segment_slices(self) -> tuple[slice, ...]:
        """Rows of each segment."""
        changes = np.flatnonzero(np.diff(self.segments)) + 1
        return tuple(slice(*ends) for ends in pairwise([0, *changes, len(self.segments)]))

    def project_angular_momentum(self, direction: ArrayLike) -> FloatArray:
        """Component of the angular momentum along a direction.

        Parameters
        ----------
        direction : array_like, shape (3,)
            Cartesian, of any length.

        Returns
        -------
        ndarray, shape (nq, nb)
            In hbar.

        Raises
        ------
        ValueError
            When the direction has no length.
        """
        vector = np.asarray(direction, dtype=np.float64)
        length = float(np.linalg.norm(vector))
        if not length:
            msg = "the direction is zero: give a vector such as (0, 0, 1)"
            raise ValueError(msg)
        return np.asarray(self.angular_momentum @ vector / length)


def compute_band_structure(
    phonon: HarmonicCrystal, settings: ChiralitySettings | None = None
) -> BandStructure:
    """Compute the band structure of a crystal with its angular momenta and labels.

    The path is that of Y. Hinuma et al., Comput. Mater. Sci. 128, 140 (2017). With Born charges
    Gamma is approached along each segment.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    settings : ChiralitySettings, optional
        Spacing of the path and tolerance of the degenerate sets; the defaults if left out.

    Returns
    -------
    BandStructure
        In THz. See `tasks.chirality.analysis.tabulate_modes`, whose rows these are.

    Raises
    ------
    ValueError
        Where there are no force constants.
    """
    settings = settings or ChiralitySettings()
    path = make_band_path(phonon, settings.path_spacing)
    columns = tabulate_modes(phonon, path, settings)
    shape = (len(path.q_points), -1)

    def values(name: str) -> FloatArray:
        column = np.ma.filled(columns[name].astype(np.float64), np.nan)
        return np.asarray(column.reshape(shape))

    return BandStructure(
        q_points=path.q_points,
        labels=tuple("" if label == "path" else label for label in path.labels),
        segments=path.segments,
        distances=path.distances,
        frequencies=values("frequency"),
        sets=columns["degenerate_set"].astype(np.int64).reshape(shape),
        near_degenerate=columns["near_degenerate"].reshape(shape),
        angular_momentum=np.stack([values(f"l_{axis}") for axis in "xyz"], axis=-1),
        helicity=values("helicity"),
        cycloidicity=values("cycloidicity"),
        pam_raw=values("pam_raw"),
        pam_integer=values("pam_integer"),
        pam_order=_take_per_q(columns["pam_order"], shape),
        pam_screw=_take_per_q(columns["pam_screw"], shape),
    )


def _take_per_q(column: NDArray[np.int64], shape: tuple[int, int]) -> IntArray:
    """Value of each q-point, 0 where all its bands are masked; shape (nq,)."""
    filled = np.asarray(np.ma.filled(column, 0), dtype=np.int64)
    return np.asarray(filled.reshape(shape).max(axis=1))


def find_most_chiral_mode(bands: BandStructure) -> tuple[int, int]:
    """Find the optical mode of the path to look at first.

    Parameters
    ----------
    bands : BandStructure
        Of any crystal.

    Returns
    -------
    row, band : int
        The optical mode of the largest |h|; where no optical mode has helicity, as on the mirror
        planes of achiral crystals, that of the largest |l|. Of equal ones the first.
    """
    size = np.abs(bands.helicity)
    if not (size[:, N_ACOUSTIC:] > _NO_HELICITY).any():
        size = np.linalg.norm(bands.angular_momentum, axis=-1)
    # Copies of a mode elsewhere on the path differ by rounding.
    optical = size[:, N_ACOUSTIC:].round(6)
    if not optical.size:
        return 0, 0
    row, band = np.unravel_index(int(optical.argmax()), optical.shape)
    return int(row), N_ACOUSTIC + int(band)
