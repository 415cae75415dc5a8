"""Tables of the validation: families, the figures of the field, lines and their modes."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.validation.agreement import compare_verdicts
from benchmarks.validation.families import family
from benchmarks.validation.measured_modes import assigned, lines_table, means_table
from benchmarks.validation.pbe_frequencies import primitive_cell, top_shifts
from benchmarks.validation.tables import families_table, field_table
from tests.crystals import rocksalt


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ([26, 14], "silicide"),
        ([74, 6], "carbide"),
        ([22, 28, 50], "intermetallic"),
        ([14, 6], None),
        ([26, 26], None),
        ([30, 8], None),
        ([26, 14, 8], None),
    ],
)
def test_families_are_told_by_elements(numbers, name):
    assert family(numbers) == name


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    verdicts = compare_verdicts([1, 1, 1, 0, 0], [1, 0, 0, 1, 0])
    precision, recall = verdicts.precision.value, verdicts.recall.value
    assert verdicts.f1 == pytest.approx(2 * precision * recall / (precision + recall))
    assert np.isnan(compare_verdicts([0, 0], [0, 0]).f1)


def test_figures_of_the_field_are_means_over_crystals():
    """A shift of all frequencies is one of the mean; a false instability costs recall."""
    rows = pd.DataFrame(
        {
            "potential": "a",
            "frequency_mae": [0.3, 0.1],
            "mean_shift": [-0.3, 0.1],
            "max_frequency": [9.0, 5.5],
            "max_frequency_dft": [10.0, 5.0],
            "min_frequency": [-0.06, 2.0],
            "min_frequency_dft": [0.0, 0.0],
        }
    )
    listed = rows.assign(potential="b", min_frequency_between=[-0.04, -1.0]).drop(
        columns=["max_frequency", "mean_shift", "frequency_mae"]
    )
    first, second = field_table({"pbe_frequencies": rows, "stability": listed}).to_dict("records")
    assert [first[f"ω_{name} MAE (THz)"] for name in ("max", "avg", "min")] == pytest.approx(
        [0.75, 0.2, 0.03]
    )
    assert first["zone MAE (THz)"] == pytest.approx(0.2)
    assert first["stability F1"] == pytest.approx(2 / 3)
    assert second["ω_min MAE (THz)"] == pytest.approx(0.52)
    assert np.isnan(second["ω_max MAE (THz)"])


def test_families_have_a_shift_for_each_potential():
    rows = pd.DataFrame(
        {
            "family": "silicide",
            "formula": "FeSi",
            "material_id": "mp-871",
            "space_group_dft": 198,
            "max_frequency_dft": 10.0,
            "potential": ["a", "b"],
            "max_frequency": [9.0, 10.5],
        }
    )
    [line] = families_table(rows).to_dict("records")
    assert (line["a (%)"], line["b (%)"]) == (-10.0, 5.0)


def test_shifts_of_the_highest_branch_are_told_near_and_beyond():
    """Lowered at Γ alone, the branch is lowered near it; weights count."""
    atoms = rocksalt()
    entry = {
        "atomic_numbers": atoms.numbers,
        "lattice": atoms.cell.array,
        "frac_coords": atoms.get_scaled_positions(),
        "primitive_matrix": np.eye(3),
        "qpoints": [[0, 0, 0], [0.1, 0.1, 0], [0.5, 0.5, 0]],
        "weights": [1, 3, 6],
        "frequencies_nonac_thz": [[0, 8.0], [1, 9.0], [2, 10.0]],
    }
    found = np.array([[0, 4.0], [1, 9.0], [2, 11.0]])
    shifts = top_shifts(found, entry, primitive_cell(entry))
    assert shifts == pytest.approx({"top_shift_near": -0.1, "top_shift_beyond": 0.1})


def test_lines_are_assigned_one_to_one_within_their_representation():
    modes = {"A1": [100.0, 205.0], "A2": [98.0], "E": [99.0, 140.0]}
    found = sorted(assigned({"A1": [201.0], "E": [95.0, 130.0]}, modes))
    assert found == [("A1", 201.0, 205.0), ("E", 95.0, 99.0), ("E", 130.0, 140.0)]
    [(kind, _, mode)] = assigned({"A1, E": [120.0]}, modes)
    assert (kind, mode) == ("A1", 100.0)


def test_deviations_of_lines_are_means_over_them():
    common = {"crystal": "te", "potential": "a", "cell": "fixed", "volume": 0.0}
    table = pd.DataFrame(
        [
            common | {"irrep": "A1", "measured": 120.0, "computed": 90.0},
            common | {"irrep": "E", "measured": 100.0, "computed": 110.0},
        ]
    )
    [means] = means_table(table).to_dict("records")
    assert means["error (cm⁻¹)"] == pytest.approx(20.0)
    assert means["shift (%)"] == pytest.approx((-25 + 10) / 2)
    assert lines_table(table)["a, fixed"].to_list() == ["E 110", "A1 90"]
