"""Two potentials about one crystal: where they disagree, at least one of them is wrong.

Modes of both at the same q-points are paired by the overlap of their eigenvectors. What is compared
is what a user would act on: frequencies, the side to which angular momenta point, the sign of the
leading helicity, the helicity wave and the verdict about stability.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import qmc

from tasks.catalogue import read_overview
from tasks.chirality import Modes, angular_momentum, modes_at
from tasks.chirality.brillouin import helicity
from tasks.columns import stored_interpolation
from tasks.failures import RemediableError
from tasks.fourier import Crystal
from tasks.storage import Dataset, Receipt
from tasks.symmetry import classify_space_group
from tasks.symmetry.zone import zone_images
from tasks.tolerances import NOISE

FloatArray = NDArray[np.float64]
Row = Mapping[str, Any]

_N_Q_POINTS: Final = 32
# THz; inside a degenerate set angular momenta depend on the solver.
GAP: Final = NOISE
LARGE: Final = 0.1  # ħ
# Of 100 crystals 68 and 90 err by no more than these times the difference of the potentials and a
# share of the mean frequency: benchmarks/validation/error_bars.py.
BARS: Final = {68: 0.83, 90: 1.29}
FLOOR: Final = 0.02
_ROOM_TEMPERATURE: Final = 300.0
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

    def error_bar(self, percent: int) -> float:
        """Error of the frequencies that so many of 100 crystals do not exceed.

        Parameters
        ----------
        percent : {68, 90}
            How many.

        Returns
        -------
        float
            Mean |error| over the modes, of either potential against DFT (THz).
        """
        return BARS[percent] * (self.frequency_difference + FLOOR * self.mean_frequency)


def agreement(first: Crystal, second: Crystal) -> Agreement:
    """Compare the modes of two calculations of one crystal.

    Parameters
    ----------
    first, second : phonopy.Phonopy or Interpolation
        Same atoms in the same order, in primitive cells of the same orientation, with force
        constants fit for all q-points.

    Returns
    -------
    Agreement
        The first one says which modes are sharp and large.

    Raises
    ------
    RemediableError
        When the primitive cells hold other atoms.
    """
    if list(first.primitive.numbers) != list(second.primitive.numbers):
        message = "the primitive cells differ in their atoms"
        raise RemediableError(message, "screen both from the same structures")
    q_points = qmc.Halton(3, scramble=False).random(_N_Q_POINTS + 1)[1:]
    here = modes_at(first, q_points)
    there = matched(here, modes_at(second, q_points))
    difference = float(np.abs(here.frequencies - there.frequencies).mean())
    return Agreement(
        here.frequencies.size,
        difference,
        difference / float(np.abs(here.frequencies).max()),
        *_momenta(here, there, first.primitive.cell),
        mean_frequency=float(np.abs(here.frequencies).mean()),
    )


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


def agreement_row(found: Agreement, here: Row, there: Row) -> dict[str, Any]:
    """Row of the table ``agreement``.

    Parameters
    ----------
    found : Agreement
        Of the modes.
    here, there : mapping
        Rows of both catalogues, with tensors and splittings where those shall be compared.

    Returns
    -------
    dict
        Values by column.
    """
    wave = here["helicity_wave_found"] == there["helicity_wave_found"]
    stability = bool(here["stable"]) == bool(there["stable"])
    return {
        **_identity(here, there),
        **vars(found),
        **{f"frequency_bar_{percent}": found.error_bar(percent) for percent in BARS},
        **_differences(here, there),
        "wave_agrees": wave,
        "stability_agrees": stability,
        "potentials_disagree": not wave or not stability or found.leading_sign_agrees is False,
    }


def _identity(here: Row, there: Row) -> dict[str, Any]:
    """Columns that say of which rows a comparison is made."""
    return {
        "material_id": here["material_id"],
        "key": here["chirality_key"],
        "other_potential": there["potential"],
        "other_key": there.get("chirality_key"),
    }


def _differences(here: Row, there: Row) -> dict[str, Any]:
    """Relative differences of tensor, splittings and helicity; empty where one has none."""
    names = {"tensor": "tensor", "splitting_linear": "splitting"}
    told = {**dict.fromkeys(names.values()), "helicity": None}
    if all(row.get(name) is not None for row in (here, there) for name in _SIZES):
        pairs = [_sizes(here), _sizes(there)]
        told = {name: relative_difference(*(pair[name] for pair in pairs)) for name in told}
    return {f"{name}_disagreement": value for name, value in told.items()}


def _sizes(row: Row) -> dict[str, FloatArray]:
    """Tensor at room temperature, splittings and mean helicity of a row, as vectors."""
    nearest = np.abs(np.subtract(row["temperatures"], _ROOM_TEMPERATURE)).argmin()
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


def contradiction_row(here: Row, there: Row) -> dict[str, Any]:
    """Row of the table ``agreement`` where the other potential makes another crystal.

    Parameters
    ----------
    here, there : mapping
        Rows of both catalogues; the other has no phonons.

    Returns
    -------
    dict
        Values by column, without any about modes.
    """
    names = ("frequency_difference", "frequency_disagreement", "momentum_difference")
    return {
        **_identity(here, there),
        **dict.fromkeys(names, np.nan),
        "n_modes_compared": 0,
        "wave_agrees": False,
        "stability_agrees": False,
        "potentials_disagree": True,
        "other_failure": there["reason"],
    }


def compare_datasets(first: Dataset, second: Dataset) -> Iterator[dict[str, Any] | str]:
    """Compare all crystals that two datasets share, but for those that are compared already.

    Parameters
    ----------
    first, second : Dataset
        With catalogues; crystals are told apart by the digest of their structure.

    Yields
    ------
    dict or str
        A row of ``agreement`` for the first dataset, or why a crystal has none.
    """
    pairs = _shared(read_overview(first.root), read_overview(second.root))
    for here, there in pairs:
        if here.get("other_key") == there["chirality_key"]:
            continue
        try:
            yield _compared((first, here), (second, there))
        except (RemediableError, ValueError) as error:
            yield f"{here['material_id']}: {error}"


def _compared(*sides: tuple[Dataset, Row]) -> dict[str, Any]:
    """Row of one crystal from what both datasets have of it."""
    (_, here), (_, there) = sides
    if there["outcome"] != "screened":
        return contradiction_row(here, there)
    crystals = (stored_interpolation(dataset, row["phonon_key"]).crystal for dataset, row in sides)
    here, there = (
        {**row, **_named(dataset.read("chirality", keys=[row["chirality_key"]]).to_pylist()[0])}
        for dataset, row in sides
    )
    return agreement_row(agreement(*crystals), here, there)


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


def _shared(here: pd.DataFrame, there: pd.DataFrame) -> Iterator[tuple[Row, Row]]:
    """Rows of both catalogues about the same crystal."""
    told = (there["outcome"] == "screened") | _made_another(there)
    others = there[told].drop_duplicates("structure_hash")
    known = others.set_index("structure_hash").to_dict("index")
    for row in here[here["outcome"] == "screened"].to_dict("records"):
        if row["structure_hash"] in known:
            yield _named(row), _named(known[row["structure_hash"]])


def _made_another(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Crystals that failed because the potential took them into another chirality class."""
    changed = rows["symmetry_changed"].eq(True) & rows["relaxation_converged"].eq(True)
    groups = rows["space_group_number_relaxed"].fillna(0).astype(int)
    classes = [classify_space_group(n).chirality_class if n else None for n in groups]
    failed = rows["outcome"].eq("failed") & (rows["chirality_class"] != classes)
    return (changed & failed).fillna(value=False)


def _named(row: Mapping[Any, Any]) -> Row:
    """A row with its columns by name."""
    return {str(name): value for name, value in row.items()}
