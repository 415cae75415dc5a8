"""What circularly polarised light sees of chiral phonons along a rotation axis.

Geometry: back-scattering along an axis of order n = 3, 4 or 6, at Gamma. L and R are the senses of
rotation of the field about the axis, +1 and -1, for the incident and the scattered beam alike
(first letter: incident). A Stokes process hands l = sigma_incident - sigma_scattered (mod n) to the
mode: RR and LL 0, RL -2, LR +2. The rule is necessary, not sufficient: a mode is called visible
where, in addition, its set allows a symmetric Raman tensor with that element,

    (1/|G|) sum_g chi_set(g) <e_i e_s| R x R |e_i e_s>  >  0.

Splitting: along an axis of a chiral crystal the partners of opposite hand, labels +l and -l, have
frequencies that differ by an odd function of q (Tsunetsugu & Kusunose, arXiv:2210.07569): linear
in q where an optical doublet starts at Gamma, quadratic for the transverse acoustic pair. The
dynamical matrix is split into blocks of one label each before it is diagonalised. So partners are
told apart however close they are, and no tolerance enters.

On a screw axis labels count the folds of the branches as well. In a crystal that a screw axis
divides into equal cells, partners are branches of the smaller cell at q + G and q - G, and differ
by the dispersion between the two, chiral or not. What belongs to chirality is told by their angular
momenta l' along the axis, each averaged over all branches within a linewidth (`resolution`): the
circular splitting of two partners is::

    (f_+ - f_-) (l'_+ - l'_-) / 2 .

In an achiral parent branches of opposite l coincide, and it is zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.chirality.angular_momentum import angular_momentum
from tasks.chirality.axes import (
    PARALLEL,
    ComplexArray,
    CrystalOperations,
    FloatArray,
    IntArray,
    RotationAxis,
    find_crystal_operations,
    rotate_modes,
    select_principal_axes,
)
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import Modes, compute_modes
from tasks.chirality.pam import compute_pseudo_angular_momentum
from tasks.chirality.resolution import resolve_angular_momentum
from tasks.chirality.statistics import find_translations
from tasks.chirality.velocity import compute_dynamical_matrix_gradient
from tasks.phonons.fourier import HarmonicCrystal, compute_dynamical_matrices
from tasks.tolerances import DEGENERACY

CHANNELS = (("R", "R"), ("L", "L"), ("R", "L"), ("L", "R"))
_TRANSFERS = np.array([0, 0, -2, 2])
# Characters are sums of numbers of order one over at most 48 operations.
_VISIBLE = 1e-3
# Wave vectors, as fractions of the zone boundary, from which the acoustic k^2 is extrapolated to
# Gamma. Closer to it interpolated force constants of real crystals often bend the acoustic modes.
_NEAR_GAMMA = np.array([0.1, 0.2])
# Place of the wave vector of circular splittings on the line: after Gamma and these two.
_PROBE = 3


@dataclass(frozen=True, eq=False)
class CircularRaman:
    """Visibility of the Gamma modes in circularly polarised back-scattering along one axis.

    Attributes
    ----------
    axis : RotationAxis
        Axis of light and of the pseudo-angular momentum.
    frequencies : ndarray, shape (nb,)
        In THz, negative for imaginary ones; polar modes with the field of q along the axis.
    pam : ndarray, shape (nb,)
        Pseudo-angular momentum, integers in (-n/2, n/2]; NaN where it is not sound.
    selected : ndarray of bool, shape (nb, 4)
        Allowed by the pseudo-angular momentum in the channels RR, LL, RL and LR.
    visible : ndarray of bool, shape (nb, 4)
        Allowed by the point group as well; never for the three translations.
    """

    axis: RotationAxis
    frequencies: FloatArray
    pam: FloatArray
    selected: NDArray[np.bool_]
    visible: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class BranchSplitting:
    """Splitting of partners of opposite hand along one axis, from Gamma to the zone boundary.

    Signs are those of nu(+l) - nu(-l), with nu = omega / 2 pi, for q along the axis: they do not
    depend on the sense of the axis and are opposite in the mirror image of the crystal.

    Attributes
    ----------
    axis : RotationAxis
        Axis of order 3, 4 or 6.
    maximum : float
        Largest |nu(+l) - nu(-l)|, in THz, among partners with real frequencies.
    labels : ndarray of int, shape (n_doublets,)
        Label l > 0 of each optical doublet.
    frequencies : ndarray, shape (n_doublets,)
        Frequency at Gamma in THz, negative for imaginary ones.
    linear : ndarray, shape (n_doublets,)
        d(nu(+l) - nu(-l)) / dk at Gamma in THz Å, k in Å^-1 with 2 pi; NaN for imaginary doublets.
    acoustic_quadratic : float
        Coefficient of k^2 in the splitting of the transverse acoustic pair, in THz Å^2, k as above,
        extrapolated from a tenth and a fifth of the zone boundary; NaN where the pair is
        imaginary there.
    circular : ndarray, shape (n_doublets + 1,)
        Circular splitting of each doublet at one wave vector, and last of the acoustic pair, in
        THz; 0 for imaginary partners.
    weights : ndarray, shape (n_doublets + 1,)
        (l'_+ - l'_-) / 2 there, in hbar.
    """

    axis: RotationAxis
    maximum: float
    labels: IntArray
    frequencies: FloatArray
    linear: FloatArray
    acoustic_quadratic: float
    circular: FloatArray
    weights: FloatArray


@dataclass(frozen=True)
class LineSettings:
    """Where and with which linewidth opposite hands are compared.

    Attributes
    ----------
    wave_number : float
        In 1/Å with 2 pi; the zone boundary where that is nearer.
    linewidth : float
        Full width at half maximum as a fraction of the frequency.
    """

    wave_number: float = 0.1
    linewidth: float = 0.01


def find_raman_visibility(
    phonon: HarmonicCrystal,
    tolerance: float = DEGENERACY,
    axes: Sequence[RotationAxis] | None = None,
) -> tuple[CircularRaman, ...]:
    """Find which Gamma modes circular Raman scattering sees along each rotation axis.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    tolerance : float
        Bands closer than this (THz) belong to one degenerate set.
    axes : sequence of RotationAxis, optional
        From ``axes.select_principal_axes``; found if left out.

    Returns
    -------
    tuple of CircularRaman
        One for each inequivalent axis of order 3, 4 or 6, highest order first.
    """
    axes = select_principal_axes(phonon) if axes is None else axes
    return tuple(_find_axis_visibility(phonon, axis, tolerance) for axis in axes)


def measure_branch_splittings(
    phonon: HarmonicCrystal,
    n_points: int = 40,
    axes: Sequence[RotationAxis] | None = None,
    lines: LineSettings = LineSettings(),
) -> tuple[BranchSplitting, ...]:
    """Measure the splitting of opposite hands along the axes of a chiral crystal.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    n_points : int
        Number of q-points from Gamma to the zone boundary.
    axes : sequence of RotationAxis, optional
        From ``axes.select_principal_axes``; found if left out.
    lines : LineSettings
        Where and with which linewidth circular splittings are taken.

    Returns
    -------
    tuple of BranchSplitting
        One for each inequivalent axis of order 3, 4 or 6; empty for a crystal with an improper
        operation, in which the partners are degenerate.
    """
    if (np.linalg.det(find_crystal_operations(phonon).cartesian) < 0).any():
        return ()
    axes = select_principal_axes(phonon) if axes is None else axes
    return tuple(measure_branch_splitting(phonon, axis, n_points, lines) for axis in axes)


def measure_branch_splitting(
    phonon: HarmonicCrystal,
    axis: RotationAxis,
    n_points: int = 40,
    lines: LineSettings = LineSettings(),
) -> BranchSplitting:
    """Measure the splitting of opposite hands along one axis.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    axis : RotationAxis
        Axis of order 3, 4 or 6.
    n_points : int
        Number of q-points from Gamma to the zone boundary.
    lines : LineSettings
        Where and with which linewidth the circular splitting is taken.

    Returns
    -------
    BranchSplitting
        Zero to rounding where a mirror plane contains the axis.

    Raises
    ------
    ValueError
        When the axis is two-fold: +1 and -1 are the same label there.
    """
    if axis.order == 2:
        message = (
            "a two-fold axis has no partners of opposite hand: take an axis of order 3, 4 or 6"
        )
        raise ValueError(message)
    boundary = find_zone_boundary(axis)
    length = float(np.linalg.norm(boundary @ np.linalg.inv(phonon.primitive.cell).T))
    probe = min(lines.wave_number / (2 * np.pi * length), 1.0)
    line = np.linspace(0, 1, n_points + 1)[1:]
    fractions = np.concatenate([[0.0], _NEAR_GAMMA, [probe], line])
    matrices = compute_dynamical_matrices(phonon, fractions[:, None] * boundary)
    slope = np.tensordot(
        axis.direction, compute_dynamical_matrix_gradient(phonon, np.zeros((1, 3)))[0], 1
    )
    pairs = [_make_pairs(matrices, slope, axis, label) for label in range(1, (axis.order + 1) // 2)]
    joined = _Pairs(
        *(np.concatenate(part, axis=-1) for part in zip(*map(_list_arrays, pairs), strict=True))
    )
    factor = float(phonon.unit_conversion_factor)
    weights = _compute_circular_weights(matrices[_PROBE], axis, factor, lines.linewidth)
    return _measure_pairs(axis, 2 * np.pi * length * fractions, joined, weights, factor)


def _compute_circular_weights(
    matrix: ComplexArray, axis: RotationAxis, factor: float, linewidth: float
) -> FloatArray:
    """(l'_+ - l'_-) / 2 of all partners at one q-point, in the order of the joined pairs."""
    bases = [make_label_basis(axis, label, len(matrix)) for label in range(axis.order)]
    blocks = [np.linalg.eigh(basis.conj().T @ matrix @ basis) for basis in bases]
    vectors = np.concatenate(
        [basis @ states for basis, (_, states) in zip(bases, blocks, strict=True)], axis=1
    )
    frequencies = (
        factor * _take_signed_root(np.concatenate([squares for squares, _ in blocks]))[None]
    )
    angular_momenta, widths = angular_momentum(vectors[None]), linewidth * np.abs(frequencies)
    resolved = resolve_angular_momentum(angular_momenta, frequencies, widths, frequencies > 0)
    ends = np.cumsum([basis.shape[1] for basis in bases])[:-1]
    by_label = np.split(resolved[0] @ axis.direction, ends)
    half = range(1, (axis.order + 1) // 2)
    return np.concatenate([(by_label[label] - by_label[-label]) / 2 for label in half])


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Partners of opposite hand along a line, in phonopy's unit of D.

    Attributes
    ----------
    labels : ndarray of int, shape (n_pairs,)
        l > 0.
    plus, minus : ndarray, shape (nq, n_pairs)
        Eigenvalues of D(q) of label +l and -l, ascending at each q.
    slopes : ndarray, shape (n_pairs,)
        d(eigenvalue)/dq of label +l at Gamma, q in Å^-1 without 2 pi; that of -l is opposite.
    """

    labels: IntArray
    plus: FloatArray
    minus: FloatArray
    slopes: FloatArray


def _list_arrays(pairs: _Pairs) -> tuple[IntArray | FloatArray, ...]:
    """Arrays of the pairs, in the order of the fields."""
    return pairs.labels, pairs.plus, pairs.minus, pairs.slopes


def _make_pairs(
    matrices: ComplexArray, slope: ComplexArray, axis: RotationAxis, label: int
) -> _Pairs:
    """Partners of labels +l and -l; the first q-point is Gamma."""
    plus, minus = (make_label_basis(axis, sign * label, len(slope)) for sign in (1, -1))
    blocks = plus.conj().T @ matrices @ plus
    vectors = plus @ np.linalg.eigh(blocks[0])[1]
    return _Pairs(
        labels=np.full(plus.shape[1], label),
        plus=np.asarray(np.linalg.eigvalsh(blocks)),
        minus=np.asarray(np.linalg.eigvalsh(minus.conj().T @ matrices @ minus)),
        slopes=np.einsum("kn,km,mn->n", vectors.conj(), slope, vectors).real,
    )


def _measure_pairs(
    axis: RotationAxis,
    wave_numbers: FloatArray,
    pairs: _Pairs,
    weights: FloatArray,
    factor: float,
) -> BranchSplitting:
    """Maxima along the line and coefficients at Gamma."""
    real = (pairs.plus > 0) & (pairs.minus > 0)
    plus, minus = (factor * _take_signed_root(squares) for squares in (pairs.plus, pairs.minus))
    difference = np.where(real, plus - minus, 0.0)
    acoustic = np.where(pairs.labels == 1, np.abs(pairs.plus[0]), np.inf).argmin()
    optical = np.delete(np.arange(len(pairs.labels)), acoustic)
    order = [*optical, acoustic]
    near = np.where(real[1:3], difference[1:3], np.nan)[:, acoustic] / wave_numbers[1:3] ** 2
    # f = factor sqrt(square): df/dk of +l is factor^2 slope / (2 f) / (2 pi), of -l the opposite.
    stable = plus[0] > 0
    linear = factor**2 * pairs.slopes / (2 * np.pi * np.where(stable, plus[0], np.nan))
    return BranchSplitting(
        axis=axis,
        maximum=float(np.abs(difference).max()),
        labels=pairs.labels[optical],
        frequencies=plus[0, optical],
        linear=linear[optical],
        # Value at 0 of an even function known at x and 2 x, to fourth order.
        acoustic_quadratic=float((4 * near[0] - near[1]) / 3),
        circular=(weights * difference[_PROBE])[order],
        weights=weights[order],
    )


def _take_signed_root(squares: FloatArray) -> FloatArray:
    """Square roots, negative for negative squares."""
    return np.asarray(np.sqrt(np.abs(squares)) * np.sign(squares))


def find_zone_boundary(axis: RotationAxis) -> FloatArray:
    """Half of the shortest reciprocal lattice vector along the axis.

    Parameters
    ----------
    axis : RotationAxis
        Any.

    Returns
    -------
    ndarray, shape (3,)
        Fractional, in the sense of the axis.
    """
    turn = np.rint(np.linalg.inv(axis.rotation)).astype(np.int64)
    total = np.sum([np.linalg.matrix_power(turn, p) for p in range(axis.order)], axis=0)
    row = total[np.abs(total).sum(axis=1).argmax()]
    vector = row // np.gcd.reduce(row)
    return np.asarray(vector * np.sign(vector @ axis.lattice_vector) / 2)


def make_label_basis(axis: RotationAxis, label: int, n_rows: int) -> ComplexArray:
    """Orthonormal displacements of one label l.

    Where R q = q, T(g) differs from its matrix at Gamma by the phase exp(-2 pi i m q.v / n) alone,
    which l leaves out: one basis serves the whole line.

    Parameters
    ----------
    axis : RotationAxis
        Any.
    label : int
        Pseudo-angular momentum without the phase of the screw.
    n_rows : int
        Three times the number of atoms.

    Returns
    -------
    ndarray, shape (n_rows, n), complex
        In columns. D(q) has no elements between spaces of different labels on the axis.
    """
    power = np.eye(n_rows, dtype=np.complex128)[None]
    projector = np.zeros_like(power[0])
    for p in range(axis.order):
        projector += np.exp(2j * np.pi * p * label / axis.order) * power[0] / axis.order
        power = rotate_modes(axis, np.zeros((1, 3)), power)
    weights, vectors = np.linalg.eigh((projector + projector.conj().T) / 2)
    return np.asarray(vectors[:, weights > 0.5])


def _find_axis_visibility(
    phonon: HarmonicCrystal, axis: RotationAxis, tolerance: float
) -> CircularRaman:
    """Selection rules of the Gamma modes for light along one axis."""
    # With charges, the macroscopic field of a wave vector along the axis.
    modes = compute_modes(phonon, np.zeros(3), nac_direction=phonon.primitive.cell @ axis.direction)
    sets = find_degenerate_sets(modes.frequencies, tolerance)
    pam = compute_pseudo_angular_momentum(modes, axis, sets).integer[0]
    selected = np.asarray((pam[:, None] - _TRANSFERS) % axis.order == 0)
    operations = find_crystal_operations(phonon)
    members = _select_symmetry_of_light(phonon, operations, axis)
    overlaps = _compute_channel_overlaps(operations.cartesian[members], axis)
    strength = _compute_characters(modes, operations, members, sets) @ overlaps / len(members)
    allowed = (strength > _VISIBLE) & ~find_translations(modes, phonon.primitive.masses).T
    return CircularRaman(axis, modes.frequencies[0], pam, selected, selected & allowed)


def find_seen_doublets(
    splitting: BranchSplitting, raman: CircularRaman, tolerance: float = DEGENERACY
) -> NDArray[np.bool_]:
    """Tell which optical doublets crossed circular channels see.

    Parameters
    ----------
    splitting : BranchSplitting
        Doublets along an axis.
    raman : CircularRaman
        Modes at Gamma and the channels that see them, for light along the same axis.
    tolerance : float
        Frequencies closer than this (THz) are those of one set.

    Returns
    -------
    ndarray of bool, shape (n_doublets,)
        True where RL or LR sees a mode of the doublet's frequency and label.
    """
    crossed = raman.visible[:, 2:].any(axis=1)
    same = np.abs(splitting.frequencies[:, None] - raman.frequencies) < tolerance
    same &= splitting.labels[:, None] == np.abs(raman.pam)
    return np.asarray((same & crossed).any(axis=1))


def _select_symmetry_of_light(
    phonon: HarmonicCrystal, operations: CrystalOperations, axis: RotationAxis
) -> IntArray:
    """Operations that the Gamma modes obey: with a field, those that keep the axis."""
    kept = np.abs(operations.cartesian @ axis.direction @ axis.direction) > PARALLEL
    if phonon.nac_params is None:
        kept[:] = True
    return np.flatnonzero(kept)


def _compute_characters(
    modes: Modes, operations: CrystalOperations, members: IntArray, sets: IntArray
) -> FloatArray:
    """Trace of each operation over the set of each Gamma mode, shape (nb, n_members)."""
    vectors = modes.eigenvectors[0].reshape(-1, 3, modes.eigenvectors.shape[-1])
    rotated = np.einsum("gab,kbn->gkan", operations.cartesian[members], vectors)
    landed = vectors[operations.sites[members]]
    diagonal = np.einsum("gkan,gkan->gn", landed.conj(), rotated).real
    together = sets[0][:, None] == sets[0]
    return np.asarray(together @ diagonal.T)


def _compute_channel_overlaps(rotations: FloatArray, axis: RotationAxis) -> FloatArray:
    """<e_i e_s|R x R|e_i e_s> of the symmetric tensor of each channel, shape (n_members, 4)."""
    helper = np.eye(3)[np.abs(axis.direction).argmin()]
    first = np.cross(axis.direction, helper)
    first /= np.linalg.norm(first)
    left = (first + 1j * np.cross(axis.direction, first)) / np.sqrt(2)
    field = {"L": left, "R": left.conj()}
    tensors = np.array([np.outer(field[s].conj(), field[i]) for i, s in CHANNELS])
    tensors = (tensors + tensors.swapaxes(1, 2)) / 2
    overlaps = np.einsum("cab,gad,gbe,cde->gc", tensors.conj(), rotations, rotations, tensors)
    return np.asarray(overlaps.real)
