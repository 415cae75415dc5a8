"""Labels: typeset as in print, with the units of the dataset."""

import pytest
from matplotlib.mathtext import MathTextParser

from tasks.figures.labels import (
    QUANTITIES,
    format_formula_tex,
    format_formula_text,
    format_q_point_tex,
    format_screw_tex,
    format_space_group_tex,
    format_space_group_text,
)
from tasks.storage import column_info


@pytest.mark.parametrize(
    ("formula", "tex", "text"),
    [
        ("SiO2", "SiO$_{2}$", "SiO₂"),
        ("Al2CdS4", "Al$_{2}$CdS$_{4}$", "Al₂CdS₄"),
        ("GaAs", "GaAs", "GaAs"),
        ("Ca10P6O26H2", "Ca$_{10}$P$_{6}$O$_{26}$H$_{2}$", "Ca₁₀P₆O₂₆H₂"),
        ("Fe0.95O", "Fe$_{0.95}$O", "Fe0.95O"),
    ],
)
def test_formula_has_subscripts(formula, tex, text):
    assert format_formula_tex(formula) == tex
    assert format_formula_text(formula) == text


@pytest.mark.parametrize(
    ("symbol", "tex", "text"),
    [
        ("P3_121", "$P3_{1}21$", "P3₁21"),
        ("I-42d", r"$I\bar{4}2d$", "I4̅2d"),
        ("P6_3mc", "$P6_{3}mc$", "P6₃mc"),
        ("R-3c", r"$R\bar{3}c$", "R3̅c"),
        ("P4_12_12", "$P4_{1}2_{1}2$", "P4₁2₁2"),
    ],
)
def test_space_group_has_screws_and_bars(symbol, tex, text):
    assert format_space_group_tex(symbol) == tex
    assert format_space_group_text(symbol) == text


def test_names_of_points_and_axes():
    assert format_q_point_tex("Σ_0") == "Σ$_{0}$"
    assert format_q_point_tex("X|U") == "X\nU"
    assert format_screw_tex(3, 1) == "$3_{1}$"
    assert format_screw_tex(4, 0) == "$4$"


@pytest.mark.parametrize("name", sorted(QUANTITIES))
def test_every_label_can_be_typeset(name):
    quantity = QUANTITIES[name]
    for label in (quantity.axis, quantity.short):
        MathTextParser("agg").parse(label)


def test_units_are_those_of_the_dataset():
    units = column_info("chirality")["unit"]
    shared = (set(QUANTITIES) & set(units.index)) - {"tensor"}
    assert {"mean_optical_helicity", "min_frequency_commensurate", "score"} <= shared
    assert {name: units[name] for name in shared} == {
        name: QUANTITIES[name].plain_unit for name in shared
    }


def test_scaled_unit_is_told_with_its_power():
    tensor = QUANTITIES["tensor"]
    assert tensor.scale == 1e6
    assert "10^{-6}" in tensor.axis
