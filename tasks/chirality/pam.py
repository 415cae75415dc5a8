"""Pseudo-angular momentum of modes on rotation and screw axes.

On an axis n_m that leaves q in place, T(g) e = exp(-2 pi i l_ph / n) e (``axes.rotate_modes``);
l_ph = l + m q.v (mod n) with l an integer, v the axis' lattice vector and q.v the component of q
in units of its inverse. The labels come from projectors on the n values of l,

    P_l = (1/n) sum_p exp{2 pi i p (l + m q.v) / n} T(g)^p,

whose traces over a degenerate set count how often each l occurs in it. So the labels of a set do
not depend on the basis the eigensolver chose inside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.chirality.axes import (
    PARALLEL,
    ComplexArray,
    FloatArray,
    IntArray,
    RotationAxis,
    find_rotation_axes,
    is_on_axis,
    rotate_modes,
)
from tasks.chirality.modes import Modes
from tasks.phonons.fourier import HarmonicCrystal

# Below this purity a label means nothing: the set is cut, or the forces break the symmetry.
PURITY_THRESHOLD = 0.9


@dataclass(frozen=True, eq=False)
class PamLabels:
    """Pseudo-angular momentum of the modes at q-points.

    Where no axis contains q, ``order`` is 0 and the labels are NaN; where ``purity`` is below
    0.9 they are NaN too.

    Attributes
    ----------
    raw : ndarray, shape (nq, nb)
        l_ph, in (-n/2, n/2].
    integer : ndarray, shape (nq, nb)
        l, in (-n/2, n/2], as floating-point numbers. The labels of a degenerate set are its
        spectrum in ascending order, handed to its bands in order.
    purity : ndarray, shape (nq, nb)
        1 - |deviation of the set's counts from integers|; 1 for a sound label. Of a single mode
        it falls below 1 exactly where |<T(g)>| does.
    order, screw : ndarray of int, shape (nq,)
        n and m of the axis used.
    axis : ndarray, shape (nq, 3)
        Its Cartesian direction, with its sense; zero where there is none.
    centre : ndarray, shape (nq, 3)
        Point of the axis nearest to the origin, Cartesian, in Å. Where R q = q + G with G != 0
        (K-like points) the label belongs to this rotation centre.
    """

    raw: FloatArray
    integer: FloatArray
    purity: FloatArray
    order: IntArray
    screw: IntArray
    axis: FloatArray
    centre: FloatArray

    @property
    def columns(self) -> dict[str, FloatArray | IntArray]:
        """Columns of the mode table, each of shape (nq, nb)."""
        shape = self.raw.shape
        return {
            "pam_raw": self.raw,
            "pam_integer": self.integer,
            "pam_order": np.broadcast_to(self.order[:, None], shape),
            "pam_screw": np.broadcast_to(self.screw[:, None], shape),
        }


def list_label_values(order: int) -> IntArray:
    """Return the integers in (-n/2, n/2], the labels an n-fold axis distinguishes.

    Parameters
    ----------
    order : int
        n.

    Returns
    -------
    ndarray of int, shape (n,)
        Ascending.
    """
    return np.arange(order, dtype=np.int64) - (order - 1) // 2


def compute_label_weights(modes: Modes, axis: RotationAxis) -> FloatArray:
    """Return the weight <e|P_l|e> of each label in each mode.

    Parameters
    ----------
    modes : Modes
        Modes at q-points that the axis contains.
    axis : RotationAxis
        Rotation or screw axis.

    Returns
    -------
    ndarray, shape (nq, nb, n)
        Weights, adding up to 1, in the order of ``label_values(n)``. Only their sums over
        degenerate sets are independent of the eigensolver.

    Raises
    ------
    ValueError
        When the axis does not contain one of the q-points.
    """
    outside = ~is_on_axis(axis, modes.q_points)
    if outside.any():
        message = (
            f"q = {modes.q_points[outside][0]} is not on the {axis.order}-fold axis along "
            f"{axis.direction}: select q-points with axes.contains"
        )
        raise ValueError(message)
    expectation = np.stack(list(_compute_powers(modes, axis)), axis=-1)
    phase = (
        list_label_values(axis.order)
        + (axis.screw * (modes.q_points @ axis.lattice_vector))[:, None]
    )
    power = np.arange(axis.order)
    waves = np.exp(2j * np.pi * power[:, None] * phase[:, None] / axis.order) / axis.order
    return np.asarray((expectation @ waves).real)


def compute_pseudo_angular_momentum(modes: Modes, axis: RotationAxis, sets: IntArray) -> PamLabels:
    """Label modes by their pseudo-angular momentum on one axis.

    Parameters
    ----------
    modes : Modes
        Modes at q-points that the axis contains.
    axis : RotationAxis
        Rotation or screw axis.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.

    Returns
    -------
    PamLabels
        Labels.

    Raises
    ------
    ValueError
        When the axis does not contain one of the q-points.
    """
    weights = compute_label_weights(modes, axis)
    together = sets[:, :, None] == sets[:, None, :]
    counts = together.astype(float) @ weights
    purity = 1 - np.abs(counts - np.rint(counts)).max(axis=-1)
    rank = np.tril(together, -1).sum(axis=-1)
    position = (np.cumsum(np.rint(counts), axis=-1) <= rank[..., None]).sum(axis=-1)
    sound = (purity >= PURITY_THRESHOLD) & (position < axis.order)
    integer = np.where(
        sound, list_label_values(axis.order)[np.minimum(position, axis.order - 1)], np.nan
    )
    shift = axis.screw * (modes.q_points @ axis.lattice_vector)
    n_q = len(modes.q_points)
    return PamLabels(
        raw=_wrap_labels(integer + shift[:, None], axis.order),
        integer=integer,
        purity=purity,
        order=np.full(n_q, axis.order),
        screw=np.full(n_q, axis.screw),
        axis=np.tile(axis.direction, (n_q, 1)),
        centre=np.tile(axis.centre, (n_q, 1)),
    )


def label_modes(
    phonon: HarmonicCrystal,
    modes: Modes,
    sets: IntArray,
    axes: Sequence[RotationAxis] | None = None,
) -> PamLabels:
    """Label the modes at any q-points, each on the best axis that contains it.

    The axis of the highest order is taken; of several, one along q, and then the first in the
    order of ``axes.find_rotation_axes``.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        The crystal the modes belong to.
    modes : Modes
        Modes, along a path or anywhere.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.
    axes : sequence of RotationAxis, optional
        From ``axes.find_rotation_axes``; found if left out.

    Returns
    -------
    PamLabels
        Labels, with order 0 and NaN where no axis contains q.
    """
    axes = find_rotation_axes(phonon) if axes is None else axes
    choice = _choose_axes(axes, modes.q_points, phonon.primitive.cell)
    labels = _make_empty_labels(*modes.frequencies.shape)
    for index in np.unique(choice[choice >= 0]):
        rows = np.flatnonzero(choice == index)
        found = compute_pseudo_angular_momentum(modes[rows], axes[index], sets[rows])
        for name, values in vars(found).items():
            getattr(labels, name)[rows] = values
    return labels


def _compute_powers(modes: Modes, axis: RotationAxis) -> list[ComplexArray]:
    """Expectation values <e|T(g)^p|e> for p = 0 ... n - 1, each of shape (nq, nb)."""
    vectors = modes.eigenvectors
    bra, values = vectors.conj(), []
    for _ in range(axis.order):
        values.append(np.einsum("qkb,qkb->qb", bra, vectors))
        vectors = rotate_modes(axis, modes.q_points, vectors)
    return values


def _wrap_labels(values: FloatArray, order: int) -> FloatArray:
    """Values modulo n in (-n/2, n/2]; rounding keeps noise from changing sides."""
    return np.asarray(order / 2 - np.round(order / 2 - values, 9) % order)


def _choose_axes(axes: Sequence[RotationAxis], q_points: FloatArray, cell: FloatArray) -> IntArray:
    """Index of the axis used at each q-point, -1 where none contains it; shape (nq,)."""
    if not axes:
        return np.full(len(q_points), -1)
    q = q_points @ np.linalg.inv(cell).T
    length = np.linalg.norm(q, axis=-1)
    merit = np.zeros((len(axes), len(q_points)))
    for row, axis in zip(merit, axes, strict=True):
        along = np.abs(q @ axis.direction) > PARALLEL * length
        row[:] = is_on_axis(axis, q_points) * (2 * axis.order + along)
    return np.where(merit.any(axis=0), merit.argmax(axis=0), -1)


def _make_empty_labels(n_q: int, n_bands: int) -> PamLabels:
    """Labels of q-points without an axis, to be filled where there is one."""
    return PamLabels(
        raw=np.full((n_q, n_bands), np.nan),
        integer=np.full((n_q, n_bands), np.nan),
        purity=np.full((n_q, n_bands), np.nan),
        order=np.zeros(n_q, dtype=np.int64),
        screw=np.zeros(n_q, dtype=np.int64),
        axis=np.zeros((n_q, 3)),
        centre=np.zeros((n_q, 3)),
    )
