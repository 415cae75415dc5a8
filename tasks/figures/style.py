"""Appearance of all figures: sizes, colours, the style sheet, files.

Figures are made without pyplot, so that nothing is left open and no display is needed; a notebook
shows a returned figure as it shows one of pyplot. Orange means right-handed or positive, blue the
opposite, grey zero; readers with any of the common colour deficiencies can tell them apart.
"""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

SINGLE_COLUMN: Final = 3.4  # inches
DOUBLE_COLUMN: Final = 7.0
FORMATS: Final = ("pdf", "svg", "png")

# Blue and orange of equal lightness; grey, not white, so that lines without colour are seen.
DIVERGING: Final = LinearSegmentedColormap.from_list(
    "chiralscreen", ["#0b3c8c", "#2f7fd1", "#c9c9c9", "#e06a2b", "#8f1d0c"]
)
# For sizes: the same grey at zero.
SIZES: Final = LinearSegmentedColormap.from_list(
    "chiralscreen_sizes", ["#c9c9c9", "#9a78b8", "#4b1d6b"]
)
SEQUENTIAL: Final = "viridis"
POSITIVE, NEGATIVE, NEUTRAL, INK = "#cf5a22", "#2a74c4", "#8c8c8c", "#222222"
CLASS_COLOURS: Final = {"I": NEUTRAL, "II": POSITIVE, "III": NEGATIVE, "unknown": "0.85"}
# Okabe and Ito's colours; one meaning each, everywhere.
WAVE_COLOURS: Final = {
    "s": "#D55E00",
    "d": "#0072B2",
    "g": "#009E73",
    "i": "#CC79A7",
    "none": "#8c8c8c",
}
PAM_COLOURS: Final = {
    -2: "#009E73",
    -1: "#0072B2",
    0: "#222222",
    1: "#D55E00",
    2: "#CC79A7",
    3: "#E69F00",
}
# Below this a colour scale would show noise of the arithmetic as if it were a result.
_NOTEBOOK_DPI: Final = 150
_LEAST_LIMIT: Final = 0.05


@contextmanager
def apply_style() -> Iterator[None]:
    """Apply the style sheet to what is made or written inside.

    Yields
    ------
    None
        Control.
    """
    sheet = files("tasks.figures") / "chiralscreen.mplstyle"
    with as_file(sheet) as path, matplotlib.style.context(path, after_reset=True):
        yield


def make_figure(width: float, height: float) -> Figure:
    """Make an empty figure; call it inside `apply_style`.

    Parameters
    ----------
    width, height : float
        In inches.

    Returns
    -------
    matplotlib.figure.Figure
        With automatic layout.
    """
    return _Drawing(figsize=(width, height), layout="constrained")


class _Drawing(Figure):
    """A figure that notebooks show, also where nobody imports pyplot."""

    def _repr_png_(self) -> bytes:
        """Picture of a notebook."""
        stream = io.BytesIO()
        with apply_style():
            self.savefig(stream, format="png", dpi=_NOTEBOOK_DPI)
        return stream.getvalue()


def save_figure(figure: Figure, path: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write a figure, once for each format.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : pathlib.Path
        Without suffix; its folder is made where it is missing.
    formats : sequence of str
        Suffixes that matplotlib knows.

    Returns
    -------
    list of pathlib.Path
        Files written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    paths = [path.with_name(f"{path.name}.{suffix}") for suffix in formats]
    with apply_style():
        for file in paths:
            # Without a date the same figure gives the same file.
            metadata: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(
                file.suffix[1:]
            ) or {}
            figure.savefig(file, metadata=metadata)
            # What the layout needs, the sizes of all texts, takes as long as the drawing.
            figure.set_layout_engine("none")
    return paths


def find_symmetric_limit(values: ArrayLike, least: float = _LEAST_LIMIT) -> float:
    """Limit of a colour scale from -limit to +limit.

    Parameters
    ----------
    values : array_like
        What is shown; NaN is left out.
    least : float
        Smallest limit, below which the values are shown as zero.

    Returns
    -------
    float
        Largest size of a value, rounded up to one significant digit and a half.
    """
    sizes = np.abs(np.asarray(values, dtype=np.float64))
    largest = max(float(np.nanmax(sizes, initial=0.0)), least)
    step = 10.0 ** np.floor(np.log10(largest)) / 2
    return float(np.ceil(largest / step - 1e-9) * step)


def choose_colour_map(norm: Normalize) -> LinearSegmentedColormap:
    """Colour map of a scale.

    Parameters
    ----------
    norm : matplotlib.colors.Normalize
        Its limits.

    Returns
    -------
    matplotlib.colors.LinearSegmentedColormap
        Diverging where the scale goes below zero, else of sizes.
    """
    assert norm.vmin is not None
    return DIVERGING if norm.vmin < 0 else SIZES


def add_colour_bar(
    axes: Axes | Sequence[Axes], norm: Normalize, label: str, *, horizontal: bool = False
) -> Colorbar:
    """Add a colour bar beside axes: diverging where the scale goes below zero.

    Parameters
    ----------
    axes : matplotlib.axes.Axes or sequence of them
        Whose space it takes.
    norm : matplotlib.colors.Normalize
        Limits of the scale.
    label : str
        With its unit.
    horizontal : bool
        Below instead of to the right.

    Returns
    -------
    matplotlib.colorbar.Colorbar
        The bar.
    """
    first = axes if isinstance(axes, Axes) else axes[0]
    figure = first.get_figure(root=True)
    assert figure is not None
    place: dict[str, Any] = (
        {"location": "bottom", "shrink": 0.6, "aspect": 30}
        if horizontal
        else {"pad": 0.02, "aspect": 30}
    )
    bar = figure.colorbar(
        ScalarMappable(norm, choose_colour_map(norm)), ax=axes, label=label, **place
    )
    bar.outline.set_linewidth(0.4)
    return bar
