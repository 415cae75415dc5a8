"""Modes at chosen q-points of the band path, ready to be animated.

Angular momentum vanishes at many named points, by time reversal at all that are half a reciprocal
vector. So the middle of each segment is shown as well, and first of all the q-point of the most
chiral optical mode.

Inside a degenerate set any orthonormal basis is as good as another. The one shown diagonalises the
angular momentum about a stated axis, so that the partners circle in opposite senses instead of
swinging along arbitrary lines.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from phonopy import Phonopy

from tasks.chirality.analysis import ModeSample, flag_zone_centres, sample_modes
from tasks.chirality.angular_momentum import find_circular_basis
from tasks.chirality.axes import find_rotation_axes, rotate_modes
from tasks.chirality.bands import BandStructure, find_most_chiral_mode
from tasks.chirality.modes import Modes, compute_modes
from tasks.chirality.pam import label_modes
from tasks.chirality.raman import CHANNELS, find_raman_visibility
from tasks.tolerances import DEGENERACY

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class SpecialModes:
    """Modes at one q-point of the path.

    Attributes
    ----------
    label : str
        Name of the q-point; between named ones as "Γ–A", in the middle, or "Γ–A 0.25", the fraction
        of the way.
    row : int
        Row of the band structure it stands in.
    axis : ndarray, shape (3,)
        Unit vector n about which degenerate modes circle: the rotation axis that holds q, in its
        sense; otherwise along q.
    displacements : ndarray, shape (nb, n_atoms, 3), complex
        e / sqrt(M) of each mode, the largest component of a mode of modulus 1. The motion is
        Re{u_k exp[i (q . r - w t)]} with the position of each atom in the phase.
    circulation : ndarray, shape (nb,)
        l . n of these modes, in hbar; inside a degenerate set in descending order.
    pam : ndarray, shape (nb,)
        Pseudo-angular momentum of each of these modes about the axis; NaN where it is not sound.
    channels : tuple of str
        Channels of circular back-scattering that see each mode; empty away from Gamma.
    """

    label: str
    row: int
    axis: FloatArray
    displacements: ComplexArray
    circulation: FloatArray
    pam: FloatArray
    channels: tuple[str, ...]


def compute_special_modes(
    phonon: Phonopy, bands: BandStructure, tolerance: float = DEGENERACY
) -> tuple[SpecialModes, ...]:
    """Compute the modes at the q-points of a band structure that are worth looking at.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        The one the bands were computed from.
    bands : BandStructure
        Names the q-points.
    tolerance : float
        Bands closer than this (THz) belong to one degenerate set.

    Returns
    -------
    tuple of SpecialModes
        First the q-point of the most chiral optical mode, then each named one and the middle of
        each segment, in the order of the path.
    """
    return tuple(
        _compute_modes_at(phonon, bands, label, row, tolerance)
        for label, row in choose_rows(bands).items()
    )


def choose_rows(bands: BandStructure) -> dict[str, int]:
    """Choose the rows of a band structure whose modes are shown.

    Parameters
    ----------
    bands : BandStructure
        Of any crystal.

    Returns
    -------
    dict
        Rows by their names, each once, the most chiral optical mode's first.
    """
    rows = [find_most_chiral_mode(bands)[0]]
    for part in bands.segment_slices:
        rows += [part.start, (part.start + part.stop - 1) // 2, part.stop - 1]
    found: dict[str, int] = {}
    for row in rows:
        found.setdefault(_name_row(bands, row), int(row))
    return found


def _name_row(bands: BandStructure, row: int) -> str:
    """Name of a q-point; one without name gets that of its place in its segment."""
    if bands.labels[row]:
        return bands.labels[row]
    [part] = [part for part in bands.segment_slices if part.start <= row < part.stop]
    first, last = part.start, part.stop - 1
    name = f"{bands.labels[first]}–{bands.labels[last]}"
    if row == (first + last) // 2:
        return name
    return f"{name} {(row - first) / (last - first):.2f}"


def _compute_modes_at(
    phonon: Phonopy, bands: BandStructure, label: str, row: int, tolerance: float
) -> SpecialModes:
    """Modes at one q-point; with charges, Gamma is approached along the path."""
    at_gamma = bool(flag_zone_centres(bands.q_points[row]))
    charged = at_gamma and phonon.nac_params is not None
    direction = bands.q_points[row + 1] - bands.q_points[row] if charged else None
    modes = compute_modes(phonon, bands.q_points[row], nac_direction=direction)
    sample = sample_modes(phonon, modes, tolerance)
    axis, rotation = _choose_axis(phonon, modes, sample)
    vectors, circulation = find_circular_basis(
        modes.eigenvectors[0], sample.sets[0], axis, rotation
    )
    shown = Modes(modes.q_points, modes.frequencies, vectors[None])
    return SpecialModes(
        label=label,
        row=row,
        axis=axis,
        displacements=_compute_displacements(vectors, phonon.primitive.masses),
        circulation=circulation,
        pam=label_modes(phonon, shown, np.arange(modes.n_bands)[None]).integer[0],
        channels=_find_channels(phonon, modes.frequencies[0], tolerance) if at_gamma else (),
    )


def _choose_axis(
    phonon: Phonopy, modes: Modes, sample: ModeSample
) -> tuple[FloatArray, ComplexArray | None]:
    """Axis the labels refer to, with its rotation; along q where there is none, z at Gamma."""
    labels = label_modes(phonon, modes, sample.sets)
    for axis in find_rotation_axes(phonon):
        same = (axis.order, axis.screw) == (labels.order[0], labels.screw[0])
        if same and np.allclose([axis.direction, axis.centre], [labels.axis[0], labels.centre[0]]):
            vectors = modes.eigenvectors
            turned = rotate_modes(axis, modes.q_points, vectors)
            return np.asarray(axis.direction), np.asarray(vectors[0].conj().T @ turned[0])
    towards = sample.images.directions[0, 0]
    return towards if towards.any() else np.array([0.0, 0.0, 1.0]), None


def _compute_displacements(eigenvectors: ComplexArray, masses: FloatArray) -> ComplexArray:
    """Motion of the atoms, the largest component of each mode of modulus 1."""
    motion = eigenvectors.T.reshape(eigenvectors.shape[1], -1, 3) / np.sqrt(masses)[:, None]
    return np.asarray(motion / np.abs(motion).max(axis=(1, 2), keepdims=True))


def _find_channels(phonon: Phonopy, frequencies: FloatArray, tolerance: float) -> tuple[str, ...]:
    """Channels that see each mode along any axis; matched by frequency, as charges shift some."""
    seen = np.zeros((len(frequencies), len(CHANNELS)), dtype=bool)
    for raman in find_raman_visibility(phonon, tolerance):
        near = np.abs(frequencies[:, None] - raman.frequencies) < tolerance
        seen |= near @ raman.visible
    names = np.array(["".join(channel) for channel in CHANNELS])
    return tuple(" ".join(names[row]) for row in seen)
