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

from tasks.chirality import Modes, angular_momentum, compute_modes
from tasks.chirality.brillouin import compute_helicity
from tasks.chirality.thermal import ROOM_TEMPERATURE
from tasks.crystals.alignment import Alignment, align_crystals
from tasks.crystals.cells import make_atoms
from tasks.failures import RemediableError
from tasks.phonons.fourier import HarmonicCrystal
from tasks.results.counterparts import DISTANCE, CrystalPair, pair_crystals
from tasks.results.stored_crystals import read_interpolation
from tasks.storage import Dataset
from tasks.symmetry.zone import find_zone_images
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

    def compute_error_bars(self, first: str, second: str) -> dict[int, float]:
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


def compare_modes(
    first: HarmonicCrystal, second: HarmonicCrystal, alignment: Alignment | None = None
) -> Agreement:
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
    here = compute_modes(first, q_points)
    other = compute_modes(second, alignment.map_q_points(q_points))
    there = match_modes(here, map_modes(alignment, other))
    difference = float(np.abs(here.frequencies - there.frequencies).mean())
    return Agreement(
        here.frequencies.size,
        difference,
        difference / float(np.abs(here.frequencies).max()),
        *_compare_angular_momenta(here, there, first.primitive.cell),
        mean_frequency=float(np.abs(here.frequencies).mean()),
    )


def map_modes(alignment: Alignment, modes: Modes) -> Modes:
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
    turned = alignment.map_eigenvectors(modes.eigenvectors)
    return Modes(modes.q_points @ alignment.lattice.T, modes.frequencies, turned)


def match_modes(expected: Modes, found: Modes) -> Modes:
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


def flag_sharp_modes(modes: Modes, gap: float = GAP) -> NDArray[np.bool_]:
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


def _compare_angular_momenta(
    here: Modes, there: Modes, cell: FloatArray
) -> tuple[float, float | None, bool | None]:
    """Difference of l, share of equal sides, and whether the leading helicities agree."""
    images, sharp = find_zone_images(here.q_points, cell), flag_sharp_modes(here)
    if not sharp.any():
        return 0.0, None, None
    angular_momenta = [angular_momentum(modes.eigenvectors) for modes in (here, there)]
    l_here, l_there = (angular_momentum[sharp] for angular_momentum in angular_momenta)
    h_here, h_there = (
        compute_helicity(angular_momentum, images)[sharp] for angular_momentum in angular_momenta
    )
    large = np.linalg.norm(l_here, axis=-1) > LARGE
    same = (l_here * l_there).sum(axis=-1) > 0
    leading = int(np.abs(h_here).argmax())
    is_large = abs(h_here[leading]) > LARGE
    return (
        float(np.linalg.norm(l_here - l_there, axis=-1).mean()),
        float(same[large].mean()) if large.any() else None,
        bool(h_here[leading] * h_there[leading] > 0) if is_large else None,
    )


def make_agreement_row(found: Agreement, pair: CrystalPair) -> dict[str, Any]:
    """Row of the table ``agreement``.

    Parameters
    ----------
    found : Agreement
        Of the modes.
    pair : CrystalPair
        Whose modes they are, with tensors and splittings where those shall be compared.

    Returns
    -------
    dict
        Values by column.
    """
    here, there = pair.here, pair.there
    wave = here["helicity_wave_found"] == there["helicity_wave_found"]
    stability = bool(here["stable"]) == bool(there["stable"])
    bars = found.compute_error_bars(here["potential"], there["potential"])
    return {
        **_identify_pair(pair),
        **vars(found),
        **{f"frequency_bar_{number}": bar for number, bar in bars.items()},
        **_compute_disagreements(pair),
        "wave_agrees": wave,
        "stability_agrees": stability,
        "potentials_disagree": not wave or not stability or found.leading_sign_agrees is False,
    }


def _identify_pair(pair: CrystalPair) -> dict[str, Any]:
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


def _compute_disagreements(pair: CrystalPair) -> dict[str, Any]:
    """Relative differences of tensor, splittings and helicity; empty where one has none.

    Crystals that are not of the same structure may lie differently, and are not compared in these.
    """
    names = {"tensor": "tensor", "splitting_linear": "splitting"}
    differences = {**dict.fromkeys(names.values()), "helicity": None}
    rows = (pair.here, pair.there)
    known = all(row.get(name) is not None for row in rows for name in _SIZES)
    if known and pair.found_by == "structure":
        pairs = [_collect_quantities(row) for row in rows]
        differences = {
            name: compute_relative_difference(*(sizes[name] for sizes in pairs))
            for name in differences
        }
    return {f"{name}_disagreement": value for name, value in differences.items()}


def _collect_quantities(row: Row) -> dict[str, FloatArray]:
    """Tensor at room temperature, splittings and mean helicity of a row, as vectors."""
    nearest = np.abs(np.subtract(row["temperatures"], ROOM_TEMPERATURE)).argmin()
    return {
        "tensor": np.reshape(row["tensor"], (-1, 9))[nearest],
        "splitting": np.asarray(row["splitting_linear"], dtype=float),
        "helicity": np.atleast_1d(float(row["mean_optical_helicity"])),
    }


def compute_relative_difference(first: FloatArray, second: FloatArray) -> float | None:
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


def make_contradiction_row(pair: CrystalPair) -> dict[str, Any]:
    """Row of the table ``agreement`` where the other potential makes another crystal."""
    names = ("frequency_difference", "frequency_disagreement", "momentum_difference")
    return {
        **_identify_pair(pair),
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
    pairs, _ = pair_crystals(first, second)
    yield from compare_pairs(first, second, (pair for pair in pairs if not _is_compared(pair)))


def _is_compared(pair: CrystalPair) -> bool:
    """Whether the catalogue tells the comparison with these very results."""
    key = pair.there["chirality_key"]
    return bool(key) and pair.here.get("other_key") == key


def compare_pairs(
    first: Dataset, second: Dataset, pairs: Iterable[CrystalPair]
) -> Iterator[dict[str, Any] | str]:
    """Compare the results of crystals with those of their counterparts.

    Parameters
    ----------
    first, second : Dataset
        Of the crystals, and of their counterparts.
    pairs : iterable of CrystalPair
        From `tasks.results.counterparts.pair_crystals`.

    Yields
    ------
    dict or str
        A row of ``agreement`` for the first dataset, or why a crystal has none.
    """
    for pair in pairs:
        try:
            yield compare_pair(first, second, pair)
        except (RemediableError, ValueError) as error:
            yield f"{pair.here['material_id']}: {error}"


def compare_pair(first: Dataset, second: Dataset, pair: CrystalPair) -> dict[str, Any]:
    """Compare the results of a crystal with those of its counterpart.

    Of a counterpart of the other hand the mirror image is compared, which has the same frequencies
    and opposite angular momenta.

    Parameters
    ----------
    first, second : Dataset
        Of the crystal, and of its counterpart.
    pair : CrystalPair
        From `tasks.results.counterparts.pair_crystals`.

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
        return make_contradiction_row(pair)
    whole = replace(
        pair, here=_read_quantities(first, pair.here), there=_read_quantities(second, pair.there)
    )
    here = read_interpolation(first, whole.here).crystal
    there = read_interpolation(second, whole.there).crystal
    found = compare_modes(here, there, _align_pair(pair, here, there))
    return make_agreement_row(found, whole)


def _read_quantities(dataset: Dataset, row: Row) -> Row:
    """Row of a catalogue with tensors, splittings and charges, which an overview lacks."""
    [whole] = dataset.read("chirality", keys=[row["chirality_key"]]).to_pylist()
    return {**row, **whole}


def _align_pair(
    pair: CrystalPair, first: HarmonicCrystal, second: HarmonicCrystal
) -> Alignment | None:
    """How the crystals lie on each other as they were computed; the same structure lies already."""
    if pair.found_by == "structure":
        return None
    here, there = (make_atoms(crystal.primitive) for crystal in (first, second))
    found = align_crystals(here, there, DISTANCE)
    if found is None:
        message = f"relaxed, it no longer lies on {pair.there['material_id']}"
        raise RemediableError(message, "compare the structures of both")
    return found


def keep_agreement(
    dataset: Dataset, found: Iterable[dict[str, Any] | str], at_once: int = 50
) -> Iterator[dict[str, Any] | str]:
    """Commit rows of ``agreement`` while they are compared, so that one that is stopped loses few.

    Parameters
    ----------
    dataset : Dataset
        The first of the two; its next catalogue warns by the rows.
    found : iterable of dict or str
        From `compare_pairs` or `compare_datasets`.
    at_once : int
        Rows of a commit.

    Yields
    ------
    dict or str
        What was found.
    """
    rows: list[dict[str, Any]] = []
    for item in found:
        if isinstance(item, dict):
            rows.append(item)
        if len(rows) == at_once:
            _commit(dataset, rows)
            rows = []
        yield item
    if rows:
        _commit(dataset, rows)


def _commit(dataset: Dataset, rows: list[dict[str, Any]]) -> None:
    dataset.commit("comparison", {"agreement": rows}, [row["key"] for row in rows])
