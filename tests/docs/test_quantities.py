"""Examples of quantities that no command writes run as they stand, and give what physics says."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "quantities.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """Names of the page after its examples ran in one namespace."""
    names: dict[str, Any] = {}
    for number, source in enumerate(BLOCK.findall(PAGE.read_text("utf-8"))):
        exec(compile(source, f"example {number}", "exec"), names)  # noqa: S102
    return names


def test_atoms_circle_in_a_mode_at_a_general_point(page):
    assert page["circular"].shape == (2, 2, 6)
    assert 0.1 < page["circling"] <= 1 + 1e-12


def test_transverse_pair_splits_into_opposite_angular_momenta(page):
    assert page["transverse"].sum() == pytest.approx(0, abs=1e-9)
    assert page["transverse"][1] == pytest.approx(1, abs=0.02)


def test_slope_of_the_bands_is_the_velocity_of_sound(page):
    assert page["longitudinal"] == pytest.approx(page["sound"][0, 2], rel=0.1)
    # Of measured elastic constants (104, 65 and 46 GPa) it would be 5.8 km/s.
    assert page["sound"][0, 2] == pytest.approx(5.8, rel=0.15)


def test_moments_are_those_of_ions_in_circular_motion(page):
    """Of the order of the electron's mass over an ion's, in Bohr magnetons."""
    largest = np.abs(page["moments"]).max()
    assert page["moments"].shape == (1, 6, 3)
    assert 1e-6 < largest < 2e-4
