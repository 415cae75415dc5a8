"""Comparison of two potentials on one crystal: where they disagree, at least one of them is wrong.

Modes of both at the same q-points are paired by the overlap of their eigenvectors. What is compared
is what a user would act on: frequencies, the side to which angular momenta point, the sign of the
leading helicity, the helicity wave and the verdict about stability.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import qmc

from tasks.chirality import Modes, angular_momentum, modes_at
from tasks.chirality.brillouin import helicity
from tasks.chirality.thermal import ROOM_TEMPERATURE
from tasks.crystals.alignment import Alignment, aligned
from tasks.crystals.cells import atoms_of_cell
from tasks.failures import RemediableError
from tasks.phonons.fourier import Crystal
from tasks.results.counterparts import DISTANCE, Pair, paired
from tasks.results.stored import stored_interpolation
from tasks.storage import Dataset, Receipt
from tasks.symmetry.zone import zone_images
from tasks.tolerances import NOISE

FloatArray = NDArray[np.float64]
Row = Mapping[str, Any]

_N_Q_POINTS: Final = 32
# THz; inside a degenerate set angular momenta depend on the solver.
GAP: Final = NOISE
LARGE: Final = 0.1  # ħ
# Of 100 crystals 68 and 90 err with the first potential by no more than these times the difference
# of both and a share of the mean frequency: benchmarks/validation/error_bars.py.
BARS: Final[Mapping[tuple[str, str], Mapping[int, float]]] = {
    ("nequix-mp-1-pft", "nequix-oam-1-pft"): {68: 0.84, 90: 1.42},
    ("nequix-oam-1-pft", "nequix-mp-1-pft"): {68: 0.73, 90: 1.16},
}
FLOOR: Final = 0.02
_SIZES: Final = ("temperatures", "tensor", "splitting_linear", "mean_optical_helicity")


@dataclass(frozen=True)
class Agreement:
    """What two calculations say of the modes of one crystal.

    Attributes
    ----------
    n_modes_compared : int
        Modes at the sampled q-points.
    frequency_difference : float
        Mean |difference| of the frequencies of matched modes (THz).
    frequency_disagreement : float
        The same as a fraction of the highest frequency.
    momentum_difference : float
        Mean |difference| of l over sharp modes (ħ).
    sign_agreement : float or None
        Share of sharp modes with |l| above 0.1 ħ whose l points to the same side; None without.
    leading_sign_agrees : bool or None
        Whether the largest helicity above 0.1 ħ has the same sign in both; None where symmetry
        forbids helicity or all is smaller.
    mean_frequency : float
        Mean |frequency| of the first calculation (THz).
    """

    n_modes_compared: int
    frequency_difference: float
    frequency_disagreement: float
    momentum_difference: float
    sign_agreement: float | None
    leading_sign_agrees: bool | None
    mean_frequency: float

    def error_bars(self, first: str, second: str) -> dict[int, float]:
        """Errors of the frequencies that so many of 100 crystals do not exceed.

        Parameters
        ----------
        first, second : str
            Names of the potentials.

        Returns
        -------
        dict
            Mean |error| over the modes, of the first potential against DFT with the functional that
            both learned (THz), by the number of crystals; none of potentials whose errors nobody
            has compared with their difference.
        """
        unit = self.frequency_difference + FLOOR * self.mean_frequency
        return {number: k * unit for number, k in BARS.get((first, second), {}).items()}


def agreement(first: Crystal, second: Crystal, alignment: Alignment | None = None) -> Agreement:
    """Compare the modes of two calculations of one crystal.

    Parameters
    ----------
    first, second : phonopy.Phonopy or Interpolation
        With force constants fit for all q-points.
    alignment : Alignment, optional
        How the second one lies on the first one; without it both have the same atoms in the same
        order, in primitive cells of the same orientation.

    Returns
    -------
    Agreement
        The first one says which modes are sharp and large.

    Raises
    ------
    RemediableError
        When the primitive cells hold other atoms.
    """
    alignment = alignment or Alignment.identity(len(first.primitive))
    if sorted(alignment.order) != list(range(len(second.primitive))) or list(
        first.primitive.numbers
    ) != list(second.primitive.numbers[alignment.order]):
        message = "the primitive cells differ in their atoms"
        raise RemediableError(message, "screen both from the same structures")
    q_points = qmc.Halton(3, scramble=False).random(_N_Q_POINTS + 1)[1:]
    here = modes_at(first, q_points)
    other = modes_at(second, alignment.to_other(q_points))
    there = matched(here, modes_from_other(alignment, other))
    difference = float(np.abs(here.frequencies - there.frequencies).mean())
    return Agreement(
        here.frequencies.size,
        difference,
        difference / float(np.abs(here.frequencies).max()),
        *_momenta(here, there, first.primitive.cell),
        mean_frequency=float(np.abs(here.frequencies).mean()),
    )


def modes_from_other(alignment: Alignment, modes: Modes) -> Modes:
    """Modes of another crystal as if they were those of the crystal it is laid on.

    Parameters
    ----------
    alignment : Alignment
        How it lies.
    modes : Modes
        Of the other crystal.

    Returns
    -------
    Modes
        In the frame and with the atoms of the crystal, at the q-points that `to_other` took there.
    """
    turned = alignment.from_other(modes.eigenvectors)
    return Modes(modes.q_points @ alignment.lattice.T, modes.frequencies, turned)


def matched(expected: Modes, found: Modes) -> Modes:
    """Modes of the second calculation in the order of the first one's.

    Parameters
    ----------
    expected, found : Modes
        At the same q-points.

    Returns
    -------
    Modes
        At each q-point the assignment with the largest sum of squared overlaps.
    """
    overlaps = np.abs(np.swapaxes(expected.eigenvectors.conj(), 1, 2) @ found.eigenvectors) ** 2
    order = np.array([linear_sum_assignment(-overlap)[1] for overlap in overlaps])
    return Modes(
        found.q_points,
        np.take_along_axis(found.frequencies, order, axis=1),
        np.take_along_axis(found.eigenvectors, order[:, None], axis=2),
    )


def sharp_modes(modes: Modes, gap: float = GAP) -> NDArray[np.bool_]:
    """Tell which modes are apart from all others of their q-point.

    Parameters
    ----------
    modes : Modes
        Any.
    gap : float
        Distance (THz) that counts as apart.

    Returns
    -------
    ndarray of bool, shape (nq, nb)
        True where the angular momentum is one of the mode, not of the solver.
    """
    distances = np.abs(modes.frequencies[:, :, None] - modes.frequencies[:, None])
    distances[:, np.arange(modes.n_bands), np.arange(modes.n_bands)] = np.inf
    return np.asarray(distances.min(axis=2) > gap)


def _momenta(
    here: Modes, there: Modes, cell: FloatArray
) -> tuple[float, float | None, bool | None]:
    """Difference of l, share of equal sides, and whether the leading helicities agree."""
    images, sharp = zone_images(here.q_points, cell), sharp_modes(here)
    if not sharp.any():
        return 0.0, None, None
    momenta = [angular_momentum(modes.eigenvectors) for modes in (here, there)]
    l_here, l_there = (momentum[sharp] for momentum in momenta)
    h_here, h_there = (helicity(momentum, images)[sharp] for momentum in momenta)
    large = np.linalg.norm(l_here, axis=-1) > LARGE
    same = (l_here * l_there).sum(axis=-1) > 0
    leading = int(np.abs(h_here).argmax())
    told = abs(h_here[leading]) > LARGE
    return (
        float(np.linalg.norm(l_here - l_there, axis=-1).mean()),
        float(same[large].mean()) if large.any() else None,
        bool(h_here[leading] * h_there[leading] > 0) if told else None,
    )


def agreement_row(found: Agreement, pair: Pair) -> dict[str, Any]:
    """Row of the table ``agreement``.

    Parameters
    ----------
    found : Agreement
        Of the modes.
    pair : Pair
        Whose modes they are, with tensors and splittings where those shall be compared.

    Returns
    -------
    dict
        Values by column.
    """
    here, there = pair.here, pair.there
    wave = here["helicity_wave_found"] == there["helicity_wave_found"]
    stability = bool(here["stable"]) == bool(there["stable"])
    bars = found.error_bars(here["potential"], there["potential"])
    return {
        **_identity(pair),
        **vars(found),
        **{f"frequency_bar_{number}": bar for number, bar in bars.items()},
        **_differences(pair),
        "wave_agrees": wave,
        "stability_agrees": stability,
        "potentials_disagree": not wave or not stability or found.leading_sign_agrees is False,
    }


def _identity(pair: Pair) -> dict[str, Any]:
    """Columns that say of which rows a comparison is made."""
    return {
        "material_id": pair.here["material_id"],
        "key": pair.here["chirality_key"],
        "other_potential": pair.there["potential"],
        "other_key": pair.there.get("chirality_key"),
        "other_material_id": pair.there["material_id"],
        "other_found_by": pair.found_by,
        "other_mirrored": pair.mirrored,
    }


def _differences(pair: Pair) -> dict[str, Any]:
    """Relative differences of tensor, splittings and helicity; empty where one has none.

    Crystals that are not of the same structure may lie differently, and are not compared in these.
    """
    names = {"tensor": "tensor", "splitting_linear": "splitting"}
    told = {**dict.fromkeys(names.values()), "helicity": None}
    rows = (pair.here, pair.there)
    known = all(row.get(name) is not None for row in rows for name in _SIZES)
    if known and pair.found_by == "structure":
        pairs = [_sizes(row) for row in rows]
        told = {name: relative_difference(*(sizes[name] for sizes in pairs)) for name in told}
    return {f"{name}_disagreement": value for name, value in told.items()}


def _sizes(row: Row) -> dict[str, FloatArray]:
    """Tensor at room temperature, splittings and mean helicity of a row, as vectors."""
    nearest = np.abs(np.subtract(row["temperatures"], ROOM_TEMPERATURE)).argmin()
    return {
        "tensor": np.reshape(row["tensor"], (-1, 9))[nearest],
        "splitting": np.asarray(row["splitting_linear"], dtype=float),
        "helicity": np.atleast_1d(float(row["mean_optical_helicity"])),
    }


def relative_difference(first: FloatArray, second: FloatArray) -> float | None:
    """Length of the difference of two vectors in units of the longer one.

    Parameters
    ----------
    first, second : ndarray, shape (n,)
        In any unit.

    Returns
    -------
    float or None
        From 0 to 2; None of vectors that are unlike, empty or zero.
    """
    if first.shape != second.shape or not first.any():
        return None
    longer = max(float(np.linalg.norm(first)), float(np.linalg.norm(second)))
    return float(np.linalg.norm(second - first)) / longer


def contradiction_row(pair: Pair) -> dict[str, Any]:
    """Row of the table ``agreement`` where the other potential makes another crystal.

    Parameters
    ----------
    pair : Pair
        Of which the counterpart has no phonons.

    Returns
    -------
    dict
        Values by column, without any about modes.
    """
    names = ("frequency_difference", "frequency_disagreement", "momentum_difference")
    return {
        **_identity(pair),
        **dict.fromkeys(names, np.nan),
        "n_modes_compared": 0,
        "wave_agrees": False,
        "stability_agrees": False,
        "potentials_disagree": True,
        "other_failure": pair.there["reason"],
    }


def compare_datasets(first: Dataset, second: Dataset) -> Iterator[dict[str, Any] | str]:
    """Compare all crystals that two datasets share, but for those that are compared already.

    Parameters
    ----------
    first, second : Dataset
        With catalogues.

    Yields
    ------
    dict or str
        A row of ``agreement`` for the first dataset, or why a crystal has none.

    Raises
    ------
    RemediableError
        When they share none.
    """
    pairs, _ = paired(first, second)
    yield from compare_pairs(first, second, (pair for pair in pairs if not _is_compared(pair)))


def _is_compared(pair: Pair) -> bool:
    """Whether the catalogue tells the comparison with these very results."""
    key = pair.there["chirality_key"]
    return bool(key) and pair.here.get("other_key") == key


def compare_pairs(
    first: Dataset, second: Dataset, pairs: Iterable[Pair]
) -> Iterator[dict[str, Any] | str]:
    """Compare the results of crystals with those of their counterparts.

    Parameters
    ----------
    first, second : Dataset
        Of the crystals, and of their counterparts.
    pairs : iterable of Pair
        From `tasks.results.counterparts.paired`.

    Yields
    ------
    dict or str
        A row of ``agreement`` for the first dataset, or why a crystal has none.
    """
    for pair in pairs:
        try:
            yield compared(first, second, pair)
        except (RemediableError, ValueError) as error:
            yield f"{pair.here['material_id']}: {error}"


def compared(first: Dataset, second: Dataset, pair: Pair) -> dict[str, Any]:
    """Compare the results of a crystal with those of its counterpart.

    Of a counterpart of the other hand the mirror image is compared, which has the same frequencies
    and opposite angular momenta.

    Parameters
    ----------
    first, second : Dataset
        Of the crystal, and of its counterpart.
    pair : Pair
        From `tasks.results.counterparts.paired`.

    Returns
    -------
    dict
        Row of ``agreement`` for the first dataset.

    Raises
    ------
    RemediableError, ValueError
        When force constants are missing, or the relaxed crystals do not lie on each other.
    """
    if pair.there["outcome"] != "screened":
        return contradiction_row(pair)
    here = stored_interpolation(first, pair.here["phonon_key"]).crystal
    there = stored_interpolation(second, pair.there["phonon_key"]).crystal
    found = agreement(here, there, _alignment(pair, here, there))
    whole = replace(pair, here=_with_sizes(first, pair.here), there=_with_sizes(second, pair.there))
    return agreement_row(found, whole)


def _with_sizes(dataset: Dataset, row: Row) -> Row:
    """Row of a catalogue with tensors and splittings, which an overview lacks."""
    [whole] = dataset.read("chirality", keys=[row["chirality_key"]]).to_pylist()
    return {**row, **whole}


def _alignment(pair: Pair, first: Crystal, second: Crystal) -> Alignment | None:
    """How the crystals lie on each other as they were computed; the same structure lies already."""
    if pair.found_by == "structure":
        return None
    here, there = (atoms_of_cell(crystal.primitive) for crystal in (first, second))
    found = aligned(here, there, DISTANCE)
    if found is None:
        message = f"relaxed, it no longer lies on {pair.there['material_id']}"
        raise RemediableError(message, "compare the structures of both")
    return found


def commit_agreement(dataset: Dataset, rows: list[dict[str, Any]]) -> Receipt:
    """Add rows of ``agreement`` to a dataset; the next catalogue warns by them.

    Parameters
    ----------
    dataset : Dataset
        The first one compared.
    rows : list of dict
        At least one.

    Returns
    -------
    Receipt
        What was committed.
    """
    return dataset.commit("comparison", {"agreement": rows}, [row["key"] for row in rows])
