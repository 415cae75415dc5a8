"""Tables of the errors of a charge model on crystals that it did not see."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import pandas as pd
from ase.data import chemical_symbols
from numpy.typing import NDArray

from tasks.crystals.born_charges import get_electronegativities
from tasks.training.charge_run import SURE, calibrate

_FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "oxides": ("O",),
    "fluorides": ("F",),
    "chlorides, bromides, iodides": ("Cl", "Br", "I"),
    "sulphides, selenides, tellurides": ("S", "Se", "Te"),
    "nitrides, phosphides, arsenides": ("N", "P", "As"),
}
_OTHER: Final = "others"
_PARTS: Final = ("error", "mean_charge", "symmetric", "antisymmetric", "element_error")


def summarize_errors(errors: pd.DataFrame) -> "pd.Series[float]":
    """Means over atoms, each as often as it occurs, and the median of the dielectric errors.

    Parameters
    ----------
    errors : pandas.DataFrame
        From `tasks.training.charge_run.measure_errors`, or rows of it.

    Returns
    -------
    pandas.Series
        ``crystals``, ``error`` and its parts in e, ``sure_error`` of the surest 80 % of crystals,
        ``dielectric`` as a fraction.
    """
    crystals = errors.drop_duplicates("crystal")
    limit = crystals["charge_spread"].quantile(SURE)
    means = {name: _average_errors(errors, name) for name in _PARTS}
    return pd.Series(
        {
            "crystals": float(len(crystals)),
            **means,
            "sure_error": _average_errors(errors[errors["charge_spread"] <= limit], "error"),
            "dielectric": crystals["mean_dielectric_error"].median(),
        }
    )


def group_errors(errors: pd.DataFrame) -> pd.DataFrame:
    """Errors of all crystals, by functional, by class of symmetry and by chemistry.

    Parameters
    ----------
    errors : pandas.DataFrame
        As of `summarize_errors`.

    Returns
    -------
    pandas.DataFrame
        One row per group.
    """
    family = errors["crystal"].map(_find_families(errors))
    groups = {"all": summarize_errors(errors)}
    for names in (errors["functional"], errors["symmetry_class"], family):
        for name, rows in errors.groupby(names):
            groups[str(name)] = summarize_errors(rows)
    return pd.DataFrame(groups).T


def group_by_element(errors: pd.DataFrame) -> pd.DataFrame:
    """Errors of the charges of each element, the largest first.

    Parameters
    ----------
    errors : pandas.DataFrame
        As of `summarize_errors`.

    Returns
    -------
    pandas.DataFrame
        One row per element: ``crystals``, ``error`` and ``element_error`` in e.
    """
    rows = {
        chemical_symbols[int(str(number))]: {
            "crystals": float(atoms["crystal"].nunique()),
            "error": _average_errors(atoms, "error"),
            "element_error": _average_errors(atoms, "element_error"),
        }
        for number, atoms in errors.groupby("number")
    }
    return pd.DataFrame(rows).T.sort_values("error", ascending=False)


def compare_bars(errors: pd.DataFrame) -> pd.DataFrame:
    """Compare bars with errors, each crystal's bar calibrated on the other folds.

    Parameters
    ----------
    errors : pandas.DataFrame
        As of `summarize_errors`.

    Returns
    -------
    pandas.DataFrame
        One row per fifth of the crystals by the bar of their charges, and one for all: means of
        ``bar`` and ``crystal_error`` (e), and which share errs less than one and than two bars, of
        the charges and of the dielectric tensor.
    """
    crystals = errors.drop_duplicates("crystal").copy()
    crystals["bar"] = _calibrate_bars(crystals, "charge_spread", "crystal_error")
    crystals["dielectric_bar"] = _calibrate_bars(crystals, "dielectric_spread", "dielectric_error")
    fifths = pd.qcut(crystals["bar"], 5, labels=["1", "2", "3", "4", "5"])
    rows = {"all": _count_covered(crystals)}
    for name, fifth in crystals.groupby(fifths, observed=True):
        rows[str(name)] = _count_covered(fifth)
    return pd.DataFrame(rows).T


def format_errors(rows: pd.DataFrame) -> dict[str, list[str]]:
    """Cells of a table of errors by the head of their column, the first without a head.

    Fractions of the dielectric tensor are in per cent.
    """
    shown: Mapping[str, Callable[[float], str]] = {
        "crystals": "{:.0f}".format,
        "dielectric": "{:.1%}".format,
    }
    cells = {
        str(name).replace("_", " "): [*map(shown.get(str(name), "{:.3f}".format), values)]
        for name, values in rows.items()
    }
    return {"": [*map(str, rows.index)], **cells}


def _average_errors(errors: pd.DataFrame, name: str) -> float:
    """Mean over all atoms."""
    return float(np.average(errors[name], weights=errors["count"]))


def _find_families(errors: pd.DataFrame) -> "pd.Series[str]":
    """Family of each crystal, by its most electronegative element."""
    family_of = {symbol: name for name, symbols in _FAMILIES.items() for symbol in symbols}

    def family(numbers: "pd.Series[int]") -> str:
        values = np.asarray(numbers, dtype=np.int64)
        strongest = values[np.nan_to_num(get_electronegativities(values)).argmax()]
        return family_of.get(chemical_symbols[strongest], _OTHER)

    found: pd.Series[str] = errors.groupby("crystal")["number"].agg(family)
    return found


def _calibrate_bars(crystals: pd.DataFrame, spread: str, error: str) -> NDArray[np.float64]:
    """Bars of crystals, calibrated without their own fold."""
    found = np.zeros(len(crystals))
    for fold in crystals["fold"].unique():
        mine = (crystals["fold"] == fold).to_numpy()
        others = crystals[~mine]
        calibration = calibrate(others[spread], others[error])
        found[mine] = [calibration.compute_bar(value) for value in crystals.loc[mine, spread]]
    return found


def _count_covered(crystals: pd.DataFrame) -> "pd.Series[float]":
    """Count which share of errors lies below the bars."""
    charges, dielectric = (
        crystals[error] / crystals[bar]
        for error, bar in (("crystal_error", "bar"), ("dielectric_error", "dielectric_bar"))
    )
    return pd.Series(
        {
            "crystals": float(len(crystals)),
            "bar": crystals["bar"].mean(),
            "crystal_error": crystals["crystal_error"].mean(),
            "below_one": (charges < 1).mean(),
            "below_two": (charges < 2).mean(),
            "dielectric_below_one": (dielectric < 1).mean(),
            "dielectric_below_two": (dielectric < 2).mean(),
        }
    )
