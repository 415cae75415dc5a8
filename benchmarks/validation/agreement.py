"""How far two calculations of one crystal agree: pure functions of arrays.

Modes of two calculations at the same q-points are paired by the overlap of their eigenvectors. A
mode is *sharp* where no other of its q-point lies within `tasks.results.agreement.GAP` in the
reference:
inside a degenerate set angular momenta depend on the solver. Signs are compared for sharp modes
whose quantity exceeds `tasks.results.agreement.LARGE` in the reference.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest

from tasks.chirality import Modes, angular_momentum
from tasks.chirality.brillouin import compute_helicity
from tasks.results.agreement import LARGE, flag_sharp_modes, match_modes
from tasks.symmetry.zone import find_zone_images

FloatArray = NDArray[np.float64]

WIDE = 0.5  # THz
CONFIDENCE = 0.95
N_SAMPLED = 40
OTHER_ELEMENT = 1e6  # Å²


@dataclass(frozen=True)
class Alignment:
    """How the atoms of one crystal lie on those of another.

    Attributes
    ----------
    order : ndarray of int, shape (n_atoms,)
        Atom of the second crystal that lies on each atom of the first.
    inverted : bool
        Whether the second crystal has to be inverted first.
    farthest : float
        Largest distance of two atoms of a site (Å), the crystals laid on each other in the mean.
    """

    order: NDArray[np.int64]
    inverted: bool
    farthest: float

    def carried(self, modes: Modes) -> Modes:
        """Modes of the second crystal as those of the first, at the same q-points.

        Inversion turns the dynamical matrix D(q) into D(-q) = D(q)*: eigenvectors are conjugated
        and every angular momentum changes sign.
        """
        rows = (3 * self.order[:, None] + np.arange(3)).ravel()
        vectors = modes.eigenvectors[:, rows]
        return Modes(
            modes.q_points, modes.frequencies, vectors.conj() if self.inverted else vectors
        )


def align(first: Atoms, second: Atoms) -> Alignment:
    """Lay one crystal on another of the same cell, by a shift of the origin and the inversion.

    Parameters
    ----------
    first, second : ase.Atoms
        Primitive cells with nearly equal cell vectors.

    Returns
    -------
    Alignment
        Of the least distances, however large these are; without inversion where both would do.

    Raises
    ------
    ValueError
        When the crystals have other atoms.
    """
    if sorted(first.numbers) != sorted(second.numbers):
        raise ValueError("the crystals have other atoms")
    origins = np.flatnonzero(second.numbers == first.numbers[0])
    laid = [_laid(first, second, atom, inverted) for inverted in (False, True) for atom in origins]
    return min(laid, key=lambda found: (round(found.farthest, 2), found.inverted))


def _laid(first: Atoms, second: Atoms, origin: int, inverted: bool) -> Alignment:
    """Lay one atom of the second crystal on the first of the first, and all others as they come."""
    here = first.get_scaled_positions()
    there = second.get_scaled_positions() * (-1 if inverted else 1)
    offset = (here - here[0])[:, None] - (there - there[origin])
    vectors = (offset - np.rint(offset)) @ np.asarray(first.cell)
    squares = np.sum(vectors**2, axis=-1)
    squares[first.numbers[:, None] != second.numbers] = OTHER_ELEMENT
    sites, order = linear_sum_assignment(squares)
    moves = vectors[sites, order]
    farthest = np.linalg.norm(moves - moves.mean(axis=0), axis=-1).max()
    return Alignment(order, inverted, float(farthest))


def mode_agreement(expected: Modes, found: Modes, cell: ArrayLike) -> dict[str, Any]:
    """Deviations of frequencies, angular momenta and helicities.

    Parameters
    ----------
    expected, found : Modes
        Of the reference and of the potential, at the same q-points.
    cell : array_like, shape (3, 3)
        Primitive cell of the reference (Å).

    Returns
    -------
    dict
        ``frequency_mae`` of modes in ascending order and ``matched_frequency_mae`` (THz);
        ``overlap``, the mean over sharp modes; ``momentum_mae`` and ``helicity_mae`` over sharp
        modes (ħ); ``momentum_same_sign`` and ``helicity_same_sign``, shares of the ``n_momentum``
        and ``n_helicity`` sharp modes above `LARGE`, the former also for modes with no other
        within `WIDE`; ``leading_sign_agrees``, the sign of the largest helicity of a sharp mode;
        pairs of some sharp modes for figures.
    """
    other, sharp = match_modes(expected, found), flag_sharp_modes(expected)
    first, second = (angular_momentum(modes.eigenvectors) for modes in (expected, other))
    images = find_zone_images(expected.q_points, cell)
    h_first, h_second = compute_helicity(first, images), compute_helicity(second, images)
    along = np.einsum("qba,qba->qb", first, second)
    wide = flag_sharp_modes(expected, WIDE)
    size = np.linalg.norm(first, axis=-1)
    signs, clear = (sign_agreement(size[chosen], along[chosen]) for chosen in (sharp, wide))
    hands = sign_agreement(h_first[sharp], h_second[sharp])
    return {
        "frequency_mae": float(np.abs(expected.frequencies - found.frequencies).mean()),
        "frequency_shift": float((found.frequencies - expected.frequencies).mean()),
        "matched_frequency_mae": float(np.abs(expected.frequencies - other.frequencies).mean()),
        "n_sharp": int(sharp.sum()),
        "overlap": _mean(_overlap(expected, other)[sharp]),
        "momentum_mae": _mean(np.linalg.norm(first - second, axis=-1)[sharp]),
        "helicity_mae": _mean(np.abs(h_first - h_second)[sharp]),
        "n_momentum": signs.n,
        "momentum_same_sign": signs.share,
        "n_momentum_wide": clear.n,
        "momentum_same_sign_wide": clear.share,
        "n_helicity": hands.n,
        "helicity_same_sign": hands.share,
        "leading_sign_agrees": hands.leading,
        **_sampled(first[sharp], second[sharp]),
    }


@dataclass(frozen=True)
class SignAgreement:
    """Comparison of signs: number compared, share that agrees, and whether the largest does."""

    n: int
    share: float | None
    leading: bool | None


def sign_agreement(
    expected: FloatArray, found: FloatArray, threshold: float = LARGE
) -> SignAgreement:
    """Compare signs where the expected number is large.

    Parameters
    ----------
    expected, found : ndarray
        Of equal shape.
    threshold : float
        Numbers of no more than this size are not compared.

    Returns
    -------
    SignAgreement
        Share and leading are None where nothing is large enough.
    """
    large = np.abs(expected) > threshold
    if not large.any():
        return SignAgreement(0, None, None)
    same = expected[large] * found[large] > 0
    leading = int(np.argmax(np.abs(expected[large])))
    return SignAgreement(int(large.sum()), float(same.mean()), bool(same[leading]))


@dataclass(frozen=True)
class Share:
    """A share of successes with its confidence interval (Wilson)."""

    successes: int
    trials: int

    @property
    def value(self) -> float:
        """Estimate; NaN without trials."""
        return self.successes / self.trials if self.trials else np.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Interval at 95 % (E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927))."""
        if not self.trials:
            return 0.0, 1.0
        bounds = binomtest(self.successes, self.trials).proportion_ci(CONFIDENCE, "wilson")
        return float(bounds.low), float(bounds.high)

    def __str__(self) -> str:
        """Per cent, interval and counts."""
        if not self.trials:
            return "-"
        low, high = (100 * bound for bound in self.interval)
        return f"{100 * self.value:.0f} % ({low:.0f}-{high:.0f}), {self.successes} of {self.trials}"


@dataclass(frozen=True)
class Verdicts:
    """Verdicts against a reference: precision and recall of the positive one, and accuracy."""

    precision: Share
    recall: Share
    accuracy: Share

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN where nothing is positive on either side."""
        positive = self.precision.trials + self.recall.trials
        return 2 * self.recall.successes / positive if positive else np.nan


def compare_verdicts(expected: ArrayLike, found: ArrayLike) -> Verdicts:
    """Count true and false verdicts.

    Parameters
    ----------
    expected, found : array_like of bool
        Whether each is positive in the reference, and as found.

    Returns
    -------
    Verdicts
        Precision: share of those found positive that are; recall: share of the positive that are
        found.
    """
    wanted, given = np.asarray(expected, dtype=bool), np.asarray(found, dtype=bool)
    both = int((wanted & given).sum())
    return Verdicts(
        Share(both, int(given.sum())),
        Share(both, int(wanted.sum())),
        Share(int((wanted == given).sum()), wanted.size),
    )


def cosine(first: ArrayLike, second: ArrayLike) -> float | None:
    """Cosine between two tensors; None where one of them is zero."""
    a, b = np.ravel(first), np.ravel(second)
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm else None


def _overlap(expected: Modes, found: Modes) -> FloatArray:
    """Squared overlap of the modes of equal number, shape (nq, nb)."""
    products = np.einsum("qib,qib->qb", expected.eigenvectors.conj(), found.eigenvectors)
    return np.asarray(np.abs(products) ** 2)


def _sampled(first: FloatArray, second: FloatArray) -> dict[str, Any]:
    """The largest component of l of some modes, in both."""
    picked = np.random.default_rng(0).permutation(len(first))[:N_SAMPLED]
    axis = np.abs(first[picked]).argmax(axis=1)[:, None]
    pairs = (
        np.take_along_axis(angular_momenta[picked], axis, axis=1)[:, 0]
        for angular_momenta in (first, second)
    )
    return dict(zip(("sampled_momenta_dft", "sampled_momenta"), pairs, strict=True))


def _mean(values: FloatArray) -> float | None:
    """Mean; None of nothing."""
    return float(values.mean()) if values.size else None
