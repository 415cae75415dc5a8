"""Style: one size, one scale of colours, files that are there and always the same."""

import matplotlib as mpl
import numpy as np
import pytest

from tasks.figures.style import (
    DIVERGING,
    FORMATS,
    SINGLE_COLUMN,
    apply_style,
    find_symmetric_limit,
    make_figure,
    save_figure,
)

SIGNATURES = {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}


def drawn():
    """A figure with a line and a label."""
    with apply_style():
        figure = make_figure(SINGLE_COLUMN, 2.0)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1])
        axes.set_xlabel(r"$\nu$ (THz)")
    return figure


def test_each_format_gives_a_file_of_its_kind(tmp_path):
    paths = save_figure(drawn(), tmp_path / "new" / "figure")
    assert [path.suffix[1:] for path in paths] == list(FORMATS)
    for path in paths:
        assert path.read_bytes().startswith(SIGNATURES[path.suffix[1:]])
        assert path.stat().st_size > 1000


def test_same_figure_gives_the_same_file(tmp_path):
    first = save_figure(drawn(), tmp_path / "first")
    second = save_figure(drawn(), tmp_path / "second")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_name_with_a_dot_keeps_it(tmp_path):
    [path] = save_figure(drawn(), tmp_path / "mp-1.5", ["png"])
    assert path.name == "mp-1.5.png"


def test_style_is_left_behind():
    before = mpl.rcParams["font.size"]
    with apply_style():
        assert mpl.rcParams["font.size"] == 7
    assert mpl.rcParams["font.size"] == before


@pytest.mark.parametrize(
    ("values", "limit"), [([0.43, -0.2], 0.45), ([1.0], 1.0), ([-7.3, np.nan], 7.5), ([0.0], 0.05)]
)
def test_limit_holds_all_values_and_no_noise(values, limit):
    assert find_symmetric_limit(values) == pytest.approx(limit)


def test_opposite_numbers_have_colours_of_equal_lightness():
    steps = np.linspace(0, 0.5, 26)
    luma = np.array([0.299, 0.587, 0.114])
    low, high = (DIVERGING(0.5 + sign * steps)[:, :3] @ luma for sign in (-1, 1))
    np.testing.assert_allclose(low, high, atol=0.1)
    # Lightness falls from the middle to either end, so that size shows in grey print.
    assert (np.diff(low) < 0).all()
    assert (np.diff(high) < 0).all()
