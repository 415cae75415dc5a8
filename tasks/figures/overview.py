"""Overviews of a dataset: elements, space groups, stability, scores, potentials compared."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from ase.data import chemical_symbols
from ase.formula import Formula
from matplotlib import colormaps, rcParams
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray
from pymatgen.core import Element

from tasks.figures.labels import QUANTITIES, WAVES, format_formula_tex
from tasks.figures.style import (
    CLASS_COLOURS,
    DOUBLE_COLUMN,
    INK,
    NEGATIVE,
    NEUTRAL,
    POSITIVE,
    SEQUENTIAL,
    SINGLE_COLUMN,
    WAVE_COLOURS,
    apply_style,
    make_figure,
)
from tasks.units import THZ, FrequencyUnit

FloatArray = NDArray[np.float64]

_LAST_ELEMENT: Final = 103
_NAMED: Final = 6
_CROWD: Final = 150  # points beyond which they shrink
_SYSTEMS: Final = {
    "triclinic": 1,
    "monoclinic": 3,
    "orthorhombic": 16,
    "tetragonal": 75,
    "trigonal": 143,
    "hexagonal": 168,
    "cubic": 195,
}
# Marker, whether it is filled, and what it means, by what says that a crystal exists.
_EVIDENCE: Final = {
    "observed": ("o", True, "observed"),
    "hull": ("s", True, "near the hull"),
    "": ("o", False, "no evidence"),
}
OUTCOMES: Final = ("screened", "skipped", "failed", "pending")


def draw_periodic_table(chirality: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw the elements of the candidates in the periodic table.

    Parameters
    ----------
    chirality : pandas.DataFrame
        The catalogue of materials; those with a score are candidates.
    title : str
        Above it.

    Returns
    -------
    matplotlib.figure.Figure
        Of the width of two columns: the colour of an element is the best score of a candidate
        that holds it, the number how many do.
    """
    counts, best = _group_by_element(chirality[chirality["score"].notna()])
    norm = Normalize(0.0, max(best.values(), default=1.0))
    with apply_style():
        figure = make_figure(DOUBLE_COLUMN, 3.3)
        axes = figure.subplots()
        for number in range(1, _LAST_ELEMENT + 1):
            symbol = chemical_symbols[number]
            colour = colormaps[SEQUENTIAL](norm(best[symbol])) if symbol in best else "0.95"
            _draw_element(axes, symbol, colour, counts.get(symbol, 0))
        axes.set(xlim=(0.4, 18.6), ylim=(9.9, 0.4))
        axes.set_axis_off()
        axes.set_title(title or "Elements of the candidates and their number")
        mappable = ScalarMappable(norm, SEQUENTIAL)
        figure.colorbar(mappable, ax=axes, label="Best score", shrink=0.7, aspect=25, pad=0.01)
    return figure


def draw_space_groups(chirality: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw the number of materials in each space group.

    Parameters
    ----------
    chirality : pandas.DataFrame
        The catalogue of materials.
    title : str
        Above it.

    Returns
    -------
    matplotlib.figure.Figure
        Of the width of two columns, coloured by the helicity wave that the group allows.
    """
    known = chirality[chirality["space_group_number"].notna()]
    with apply_style():
        figure = make_figure(DOUBLE_COLUMN, 2.2)
        axes = figure.subplots()
        for wave, rows in _group_by_wave(known, "helicity_wave"):
            counts = rows["space_group_number"].astype(int).value_counts()
            axes.bar(
                counts.index,
                counts.to_numpy(),
                color=WAVE_COLOURS[wave],
                label=WAVES[wave],
                width=1.0,
                edgecolor="white",
                linewidth=0.2,
            )
        _name_systems(axes)
        axes.set_xlim(0.5, 230.5)
        axes.set_ylim(0, axes.get_ylim()[1] * 1.1)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel(QUANTITIES["space_group_number"].axis)
        axes.set_ylabel(QUANTITIES["n_materials"].axis)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        axes.set_title(title, pad=14)
    return figure


def draw_stability(
    chirality: pd.DataFrame,
    *,
    tolerance: float | None = None,
    title: str = "",
    unit: FrequencyUnit = THZ,
) -> Figure:
    """Draw the distribution of the lowest frequencies.

    Parameters
    ----------
    chirality : pandas.DataFrame
        The catalogue of materials.
    tolerance : float, optional
        Frequencies below minus this (THz) make a material unstable; marked where it is given.
    title : str
        Above it.
    unit : FrequencyUnit
        Of the axis.

    Returns
    -------
    matplotlib.figure.Figure
        Of the width of one column.
    """
    rows = chirality[chirality["stable"].notna()]
    stable = rows["stable"].astype(bool).to_numpy()
    quantity = QUANTITIES["min_frequency_commensurate"].convert_unit(unit)
    lowest = quantity.scale * rows["min_frequency_commensurate"].to_numpy(dtype=np.float64)
    edges = np.histogram_bin_edges(lowest, bins=min(40, max(10, len(lowest) // 4)))
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 2.2)
        axes = figure.subplots()
        groups = [lowest[stable], lowest[~stable]]
        names = [f"stable ({stable.sum()})", f"unstable ({(~stable).sum()})"]
        axes.hist(groups, bins=list(edges), stacked=True, color=[NEGATIVE, POSITIVE], label=names)
        if tolerance is not None:
            axes.axvline(-quantity.scale * tolerance, color=INK, linewidth=0.7, linestyle="--")
        axes.set_xlabel(quantity.axis)
        axes.set_ylabel(QUANTITIES["n_materials"].axis)
        axes.legend()
        axes.set_title(title)
    return figure


def draw_scores(chirality: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw the score of the candidates against the size of their cell.

    Parameters
    ----------
    chirality : pandas.DataFrame
        The catalogue of materials.
    title : str
        Above it.

    Returns
    -------
    matplotlib.figure.Figure
        Of the width of one column, coloured by the helicity wave found; the best are named. Atoms
        are on a logarithmic axis, and many points are small. Where the catalogue knows it, the form
        of a marker tells what says that the crystal exists.
    """
    rows = chirality[chirality["score"].notna()].sort_values("score", ascending=False)
    kinds = rows["evidence"].fillna("") if "evidence" in rows else rows["score"].map(lambda _: "")
    forms = _EVIDENCE if kinds.ne("").any() else {"": _EVIDENCE["observed"]}
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 2.6)
        axes = figure.subplots()
        size = rcParams["lines.markersize"] * min(1.0, (_CROWD / max(len(rows), 1)) ** 0.25)
        for wave, members in _group_by_wave(rows, "helicity_wave_found"):
            axes.plot([], [], "o", color=WAVE_COLOURS[wave], label=f"{wave} wave")
            for kind, (marker, filled, _) in forms.items():
                some = members[kinds[members.index] == kind]
                form = _make_form(marker, WAVE_COLOURS[wave], filled=filled)
                axes.plot(some["n_atoms_primitive"], some["score"], markersize=size, **form)
        best = rows.drop_duplicates("formula").head(_NAMED)
        _name_best(axes, best)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.margins(x=0.1, y=0.12)
        axes.set_xlabel(QUANTITIES["n_atoms"].axis)
        axes.set_ylabel(QUANTITIES["score"].axis)
        places = {"ncols": 5, "columnspacing": 0.9, "handletextpad": 0.1}
        if len(forms) > 1:
            handles = _make_evidence_handles(forms)
            figure.legend(handles=handles, loc="outside lower center", ncols=3)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), **places)
        axes.set_title(title, pad=16)
    return figure


def _make_evidence_handles(forms: Mapping[str, tuple[str, bool, str]]) -> list[Line2D]:
    """Entries of a legend that tells the forms of markers."""
    return [
        Line2D([], [], label=text, **_make_form(marker, NEUTRAL, filled=filled))
        for marker, filled, text in forms.values()
    ]


def _make_form(marker: str, colour: str, *, filled: bool) -> dict[str, Any]:
    """How a point is drawn: filled with a white rim, or hollow."""
    return {
        "linestyle": "",
        "marker": marker,
        "markerfacecolor": colour if filled else "none",
        "markeredgecolor": "white" if filled else colour,
        "markeredgewidth": 0.3 if filled else 0.6,
    }


def draw_distributions(chirality: pd.DataFrame, *, title: str = "") -> Figure:
    """Draw the distributions of angular momentum and helicity over the materials.

    Parameters
    ----------
    chirality : pandas.DataFrame
        The catalogue of materials.
    title : str
        Above them.

    Returns
    -------
    matplotlib.figure.Figure
        Of the width of two columns; chiral crystals (class II) apart from the others (III).
    """
    rows = chirality[chirality["mean_optical_angular_momentum"].notna()]
    columns = ("mean_optical_angular_momentum", "mean_optical_helicity")
    with apply_style():
        figure = make_figure(DOUBLE_COLUMN, 2.1)
        panels = figure.subplots(1, 2)
        for axes, column in zip(panels, columns, strict=True):
            if len(rows):
                _draw_distribution(axes, rows, column)
            axes.set_xlabel(QUANTITIES[column].axis)
            axes.set_ylabel(QUANTITIES["n_materials"].axis)
        figure.suptitle(title)
    return figure


def draw_parity(
    first: pd.DataFrame,
    second: pd.DataFrame,
    column: str,
    names: tuple[str, str],
    *,
    unit: FrequencyUnit = THZ,
) -> Figure:
    """Draw one number of the same materials from two datasets against each other.

    Parameters
    ----------
    first, second : pandas.DataFrame
        Catalogues of materials, as of two potentials.
    column : str
        Which number, such as ``max_frequency`` or ``mean_optical_angular_momentum``.
    names : tuple of str
        Of the two datasets.
    unit : FrequencyUnit
        Of frequencies.

    Returns
    -------
    matplotlib.figure.Figure
        Of the width of one column, with the mean absolute difference and the correlation.

    Raises
    ------
    ValueError
        When the datasets share no material with this number.
    """
    both = first[["material_id", column]].merge(
        second[["material_id", column]], on="material_id", suffixes=("_1", "_2")
    )
    quantity = QUANTITIES[column].convert_unit(unit)
    numbers = both.dropna()[[f"{column}_1", f"{column}_2"]].to_numpy(dtype=np.float64)
    x, y = quantity.scale * numbers.T
    if not len(x):
        msg = f"the two datasets share no material with {column}: compare screenings of one source"
        raise ValueError(msg)
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 3.1)
        axes = figure.subplots()
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        margin = 0.05 * (high - low or 1.0)
        limits = (low - margin, high + margin)
        axes.plot(limits, limits, color=NEUTRAL, linewidth=0.6, zorder=0)
        axes.plot(x, y, "o", color=NEGATIVE, markeredgecolor="white", markeredgewidth=0.3)
        axes.set(xlim=limits, ylim=limits, aspect="equal")
        axes.set_xlabel(f"{quantity.short}, {names[0]}")
        axes.set_ylabel(f"{quantity.short}, {names[1]}")
        axes.set_title(quantity.name)
        axes.annotate(
            _describe_agreement(x, y, quantity.unit),
            (0.04, 0.96),
            xycoords="axes fraction",
            va="top",
        )
    return figure


def draw_outcomes(chirality: pd.DataFrame) -> Figure:
    """Draw what became of the materials of each class."""
    classes = chirality["chirality_class"].fillna("unknown").astype(str)
    counts = pd.crosstab(chirality["outcome"], classes).reindex(list(OUTCOMES)).dropna(how="all")
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 1.5)
        axes = figure.subplots()
        start = np.zeros(len(counts))
        for name in sorted(counts.columns):
            values = counts[name].to_numpy(dtype=np.float64)
            axes.barh(list(counts.index), values, left=start, color=CLASS_COLOURS[name], label=name)
            start += values
        axes.invert_yaxis()
        axes.set_xlabel(QUANTITIES["n_materials"].axis)
        axes.legend(title="class")
    return figure


def _draw_distribution(axes: Axes, rows: pd.DataFrame, column: str) -> None:
    """Stacked histogram of one number by class."""
    highest = max(float(rows[column].max()), 1e-3)
    groups = [(name, rows[rows["chirality_class"] == name][column]) for name in CLASS_COLOURS]
    present = [(name, values) for name, values in groups if len(values)]
    axes.hist(
        [values.to_numpy() for _, values in present],
        bins=list(np.linspace(0, 1.02 * highest, 21)),
        stacked=True,
        color=[CLASS_COLOURS[name] for name, _ in present],
        label=[f"class {name} ({len(values)})" for name, values in present],
    )
    axes.legend()


def _group_by_wave(rows: pd.DataFrame, column: str) -> list[tuple[str, pd.DataFrame]]:
    """Rows of each wave, in the order s, d, g, i, none."""
    waves = rows[column].fillna("none")
    return [(wave, rows[waves == wave]) for wave in WAVES if (waves == wave).any()]


def _name_best(axes: Axes, best: pd.DataFrame) -> None:
    """Formulas to the right of their points, else to the left; none where both sides are taken."""
    centres: list[tuple[float, float]] = []
    height = 0.05 * float(best["score"].max() or 1.0) if len(best) else 0.0
    low, high = axes.get_xlim()
    width = (high - low) / 4
    for formula, x, y in zip(
        best["formula"], best["n_atoms_primitive"], best["score"], strict=True
    ):
        free = [
            side
            for side in (1, -1)
            if not any(
                abs(x + side * width / 2 - a) < width and abs(y - b) < height for a, b in centres
            )
        ]
        if not free:
            continue
        axes.annotate(
            format_formula_tex(formula),
            (x, y),
            xytext=(4 * free[0], 1),
            textcoords="offset points",
            ha="left" if free[0] > 0 else "right",
            fontsize="small",
        )
        centres.append((x + free[0] * width / 2, y))


def _group_by_element(candidates: pd.DataFrame) -> tuple[dict[str, int], dict[str, float]]:
    """Number and best score of the candidates that hold each element."""
    held = [list(Formula(formula).count()) for formula in candidates["formula"]]
    table = pd.DataFrame({"element": held, "score": candidates["score"].to_numpy()})
    groups = table.explode("element").groupby("element")["score"]
    counts = {str(name): int(value) for name, value in groups.count().items()}
    return counts, {str(name): float(value) for name, value in groups.max().items()}


def _draw_element(axes: Axes, symbol: str, colour: object, count: int) -> None:
    """One cell of the periodic table."""
    x, y = find_place_of_element(symbol)
    corner = (x - 0.46, y - 0.46)
    axes.add_patch(Rectangle(corner, 0.92, 0.92, facecolor=colour, edgecolor="0.7", linewidth=0.4))
    dark = count > 0 and np.dot(np.asarray(colour)[:3], (0.3, 0.59, 0.11)) < 0.5
    ink = "white" if dark else INK if count else "0.6"
    axes.text(x, y - 0.02, symbol, ha="center", va="center", color=ink)
    if count:
        axes.text(x + 0.4, y + 0.38, str(count), ha="right", va="bottom", color=ink, fontsize=4.5)


def find_place_of_element(symbol: str) -> tuple[float, float]:
    """Place of an element in the periodic table; lanthanides and actinides stand apart.

    Parameters
    ----------
    symbol : str
        Of the element.

    Returns
    -------
    tuple of float
        Column and row, counted from 1.
    """
    element = Element(symbol)
    if element.is_lanthanoid or element.is_actinoid:
        first = 57 if element.is_lanthanoid else 89
        return element.Z - first + 3.0, 8.4 if element.is_lanthanoid else 9.4
    return float(element.group), float(element.row)


def _name_systems(axes: Axes) -> None:
    """Names of the crystal systems above the axis, lines between them."""
    starts = [*_SYSTEMS.values(), 231]
    for (name, start), end in zip(_SYSTEMS.items(), starts[1:], strict=True):
        axes.axvline(start - 0.5, color="0.85", linewidth=0.5, zorder=0)
        if end - start > 5:
            axes.annotate(
                name,
                ((start + end - 1) / 2, 1.01),
                xycoords=("data", "axes fraction"),
                ha="center",
                va="bottom",
                fontsize=6,
            )


def _describe_agreement(x: FloatArray, y: FloatArray, unit: str) -> str:
    """Number of materials, mean absolute difference, correlation."""
    lines = [f"{len(x)} materials", f"mean $|\\Delta|$ = {np.abs(x - y).mean():.2g} ${unit}$"]
    if len(x) > 2 and x.std() and y.std():
        lines.append(f"r = {np.corrcoef(x, y)[0, 1]:.3f}")
    return "\n".join(lines)
