"""What is said of a student follows from the force constants of both."""

import pandas as pd
import pytest

from benchmarks.student import compared, summary
from tasks.phonons.rows import make_phonon_columns
from tests.crystals import spring_phonon, tellurium


def row(stiffness: float = 1.0) -> dict:
    """Row of a chiral crystal, all force constants scaled."""
    phonon = spring_phonon(tellurium())
    phonon.force_constants = stiffness * phonon.force_constants
    told = {"material_id": "te", "space_group": 152, "strain_forces": None}
    return make_phonon_columns(phonon) | told


def test_a_student_that_is_its_teacher_makes_no_error():
    found = compared(row(), row())
    assert found["frequency MAE (THz)"] == pytest.approx(0, abs=1e-9)
    assert found["same sign"] == 1
    assert found["modes"] > 20
    assert found["lowest (THz)"] == found["lowest (student)"] > 0


def test_stiffer_crystals_have_the_same_modes_at_higher_frequencies():
    """Force constants by 21 %, frequencies by 10 %, eigenvectors not at all."""
    exact, found = compared(row(), row()), compared(row(), row(1.21))
    assert found["same sign"] == 1
    assert found["lowest (student)"] == pytest.approx(1.1 * exact["lowest (THz)"], rel=1e-6)
    assert 0.02 < found["frequency MAE (THz)"] / exact["highest (THz)"] < 0.1


def test_signs_are_counted_by_mode_and_stability_among_stable_crystals():
    table = pd.DataFrame(
        {
            "frequency MAE (THz)": [0.1, 0.2, 0.6],
            "modes": [10, 30, 0],
            "same sign": [1.0, 0.8, None],
            "lowest (THz)": [1.0, 1.0, -2.0],
            "lowest (student)": [1.0, -0.5, -2.0],
        }
    )
    assert summary(table, 4.0)["student"].tolist() == [0.3, 0.85, 0.5, 4.0]
