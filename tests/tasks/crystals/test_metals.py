"""Metals are told by their band gap, or by their elements."""

import pytest

from tasks.crystals.metals import is_metal


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("Cu", True),
        ("MgCu2", True),
        ("FeSi", True),  # no oxidation states add up to zero
        ("MnTe", True),  # an open shell, no strong anion
        ("WC", True),
        ("Ni3S2", True),  # nickel of two oxidation states
        ("NiS", False),
        ("Fe3O4", False),
        ("ZnTe", False),
        ("TiO2", False),
        ("Te", False),
        ("He", False),
        ("SiO2", False),
        ("SCRIPT 4", False),
    ],
)
def test_elements_tell_a_metal(formula, expected):
    assert is_metal(formula) is expected
    assert is_metal(formula, float("nan")) is expected


@pytest.mark.parametrize(("band_gap", "expected"), [(0.0, True), (0.04, True), (0.3, False)])
def test_a_band_gap_decides(band_gap, expected):
    """Metals among themselves can have one, and oxides can be without."""
    for formula in ("MgCu2", "TiO2"):
        assert is_metal(formula, band_gap) is expected
