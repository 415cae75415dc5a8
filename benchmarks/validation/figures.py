"""Figures of the validation: parity of frequencies, of angular momenta, of lowest frequencies."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.validation.convergence import long_form
from benchmarks.validation.crystals import STABILITY_TOLERANCE
from tasks.figures.style import (
    DOUBLE_COLUMN,
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    apply_style,
    make_figure,
    save_figure,
)

FloatArray = NDArray[np.float64]
COLOURS = {  # Okabe and Ito
    "7net-0": "#0072B2",
    "7net-l3i5": "#D55E00",
    "chgnet": "#E69F00",
    "facet-tetrahedra": "#009E73",
    "nequix-mp-1-pft": "#CC79A7",
    "nequix-oam-1-pft": "#56B4E9",
}
HEIGHT, TITLES = 3.3, 0.5  # inches
FEW = 5  # crystals of which no picture is made
PANELS = {
    ("displacement", "frequency"): "change of frequencies (THz)",
    ("displacement, float32", "frequency"): "change of frequencies (THz)",
    ("supercell length", "frequency"): "change of frequencies (THz)",
    ("mesh spacing", "mean_momentum"): "relative change of mean |l|",
}


def draw_figures(tables: dict[str, pd.DataFrame], results: Path, folder: Path) -> list[Path]:
    """Draw every figure whose results are there.

    Parameters
    ----------
    tables : dict
        Rows by script.
    results : pathlib.Path
        Folder of results, of the convergence among them.
    folder : pathlib.Path
        Where the PNG files go.

    Returns
    -------
    list of pathlib.Path
        Files written.
    """
    figures: dict[str, Figure] = {}
    if (rows := tables.get("pbe_frequencies")) is not None:
        figures["frequencies"] = frequency_figure(rows)
    if (rows := tables.get("dft_modes")) is not None:
        figures["momenta"] = draw_angular_momentum_figure(rows)
    if (rows := tables.get("stability")) is not None:
        figures["stability"] = stability_figure(rows)
    if (path := results / "convergence.parquet").exists():
        figures["convergence"] = convergence_figure(pd.read_parquet(path))
    return [
        path
        for name, figure in figures.items()
        for path in save_figure(figure, folder / f"validation-{name}", ["png"])
    ]


def frequency_figure(rows: pd.DataFrame) -> Figure:
    """Frequencies of binary compounds: parity on the left, errors by highest frequency beside."""
    with apply_style():
        figure = make_figure(DOUBLE_COLUMN, HEIGHT)
        left, right = figure.subplots(1, 2)
        for name, group in _potentials(rows):
            colour = COLOURS.get(name, NEUTRAL)
            expected = _pooled(group["sampled_frequencies_dft"])
            left.plot(
                expected,
                _pooled(group["sampled_frequencies"]),
                ".",
                ms=1.5,
                color=colour,
                label=name,
            )
            right.loglog(
                group["max_frequency_dft"],
                group["frequency_mae"],
                ".",
                ms=4,
                color=colour,
                label=name,
            )
        _parity(left, "frequency, PBE (THz)", "frequency, potential (THz)")
        right.set_xticks([3, 5, 10, 20, 40], ["3", "5", "10", "20", "40"])
        right.minorticks_off()
        right.set_xlabel("highest frequency, PBE (THz)")
        right.set_ylabel("mean absolute error (THz)")
        right.legend()
    return figure


def draw_angular_momentum_figure(rows: pd.DataFrame) -> Figure:
    """Largest component of l of sharp modes, noise between two references beside."""
    own = rows[rows["potential"] != "dft"]
    groups = _potentials(own)
    repeated = rows[rows["potential"] == "dft"]
    panels = [*groups, ("second DFT calculation", repeated)] if len(repeated) else groups
    with apply_style():
        figure = make_figure(DOUBLE_COLUMN, DOUBLE_COLUMN / len(panels) + TITLES)
        axes = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
        for axis, (name, group) in zip(axes, panels, strict=True):
            expected = _pooled(group["sampled_momenta_dft"])
            found = _pooled(group["sampled_momenta"])
            same = expected * found > 0
            axis.plot(expected[same], found[same], ".", ms=2.5, color=POSITIVE)
            axis.plot(expected[~same], found[~same], ".", ms=2.5, color=NEGATIVE)
            _parity(axis, "l, DFT (ħ)", "l (ħ)", limits=(-1.05, 1.05))
            axis.set_title(name)
            axis.label_outer()
    return figure


def stability_figure(rows: pd.DataFrame) -> Figure:
    """Lowest frequencies: in the shaded quadrants the verdicts differ."""
    with apply_style():
        figure = make_figure(DOUBLE_COLUMN, HEIGHT)
        axis = figure.subplots()
        low = min(rows["min_frequency"].min(), rows["min_frequency_dft"].min()) - 0.3
        high = rows["min_frequency"].max() + 0.3
        edge = -STABILITY_TOLERANCE
        axis.fill_between([low, edge], edge, high, color=NEUTRAL, alpha=0.25, lw=0)
        axis.fill_between([edge, 0.3], low, edge, color=NEUTRAL, alpha=0.25, lw=0)
        for name, group in _potentials(rows):
            axis.plot(
                group["min_frequency_dft"],
                group["min_frequency"],
                ".",
                ms=4,
                color=COLOURS.get(name, NEUTRAL),
                label=name,
            )
        axis.set(xlim=(low, 0.3), ylim=(low, high))
        axis.set_xlabel("lowest frequency, PBEsol, whole zone (THz)")
        axis.set_ylabel("lowest frequency here, commensurate (THz)")
        axis.legend(loc="upper left")
    return figure


def convergence_figure(rows: pd.DataFrame) -> Figure:
    """Deviation from the finest value, one panel for each setting and measure."""
    table = long_form(rows[rows["error"].isna()])
    table = table[table["deviation"] > 0]
    panels = [
        (setting, measure)
        for setting, measure in PANELS
        if ((table["setting"] == setting) & (table["measure"] == measure)).any()
    ]
    with apply_style():
        figure = make_figure(DOUBLE_COLUMN, HEIGHT)
        axes = np.atleast_1d(figure.subplots(1, len(panels)))
        for axis, (setting, measure) in zip(axes, panels, strict=True):
            chosen = table[(table["setting"] == setting) & (table["measure"] == measure)]
            for crystal, group in chosen.groupby("crystal"):
                ordered = group.sort_values("value")
                axis.loglog(ordered["value"], ordered["deviation"], ".-", ms=4, label=crystal)
            values = sorted(chosen["value"].unique())
            axis.set_xticks(values, [f"{value:g}" for value in values])
            axis.tick_params(axis="x", labelrotation=60)
            axis.minorticks_off()
            axis.set_xlabel(f"{setting} ({chosen['unit'].iloc[0]})")
            axis.set_ylabel(PANELS[setting, measure])
        axes[-1].legend()
    return figure


def _potentials(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Rows of each potential that has computed more than a few crystals."""
    groups = [(str(name), group) for name, group in rows.groupby("potential")]
    return [(name, group) for name, group in groups if len(group) > FEW]


def _pooled(samples: Iterable[Any]) -> FloatArray:
    """Samples of all rows in one array."""
    return np.concatenate([np.asarray(sample, dtype=np.float64) for sample in samples])


def _parity(axis: Axes, x: str, y: str, limits: tuple[float, float] | None = None) -> None:
    """Equal axes with the diagonal."""
    low, high = limits or (
        min(axis.get_xlim()[0], axis.get_ylim()[0]),
        max(axis.get_xlim()[1], axis.get_ylim()[1]),
    )
    axis.plot([low, high], [low, high], color=NEUTRAL, lw=0.8, zorder=0)
    axis.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel=x, ylabel=y)
