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
from phonopy import Phonopy
from scipy.optimize import linear_sum_assignment
from scipy.stats import qmc

from tasks.catalogue import read_overview
from tasks.chirality import Modes, angular_momentum, modes_at
from tasks.chirality.brillouin import helicity
from tasks.columns import stored_phonon
from tasks.failures import RemediableError
from tasks.storage import Dataset, Receipt
from tasks.symmetry.zone import zone_images
from tasks.tolerances import NOISE

FloatArray = NDArray[np.float64]
Row = Mapping[str, Any]

_N_Q_POINTS: Final = 32
# THz; inside a degenerate set angular momenta depend on the solver.
GAP: Final = NOISE
LARGE: Final = 0.1  # ħ


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
    """

    n_modes_compared: int
    frequency_difference: float
    frequency_disagreement: float
    momentum_difference: float
    sign_agreement: float | None
    leading_sign_agrees: bool | None


def agreement(first: Phonopy, second: Phonopy) -> Agreement:
    """Compare the modes of two calculations of one crystal.

    Parameters
    ----------
    first, second : phonopy.Phonopy
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
        Rows of both catalogues.

    Returns
    -------
    dict
        Values by column.
    """
    wave = here["helicity_wave_found"] == there["helicity_wave_found"]
    stability = bool(here["stable"]) == bool(there["stable"])
    return {
        "material_id": here["material_id"],
        "key": here["chirality_key"],
        "other_potential": there["potential"],
        **vars(found),
        "wave_agrees": wave,
        "stability_agrees": stability,
        "potentials_disagree": not wave or not stability or found.leading_sign_agrees is False,
    }


def compare_datasets(first: Dataset, second: Dataset) -> Iterator[dict[str, Any] | str]:
    """Compare all crystals that two datasets share.

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
        try:
            phonons = (
                stored_phonon(dataset, row["phonon_key"])
                for dataset, row in ((first, here), (second, there))
            )
            yield agreement_row(agreement(*phonons), here, there)
        except (RemediableError, ValueError) as error:
            yield f"{here['material_id']}: {error}"


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
    others = there[there["outcome"] == "screened"].drop_duplicates("structure_hash")
    known = others.set_index("structure_hash").to_dict("index")
    for row in here[here["outcome"] == "screened"].to_dict("records"):
        if row["structure_hash"] in known:
            yield _named(row), _named(known[row["structure_hash"]])


def _named(row: Mapping[Any, Any]) -> Row:
    """A row with its columns by name."""
    return {str(name): value for name, value in row.items()}
