"""What the phonon database can tell about verdicts of a released catalogue."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.validation.released_stability import decide, make_supercell_matrix, read_known
from tasks.symmetry import find_dataset
from tests.crystals import zincblende


def test_what_is_imaginary_here_when_judged_as_there_decides_nothing():
    rows = pd.DataFrame(
        {
            "stable": [True, True, True, True, False],
            "min_frequency_dft": [0.0, -0.3, -2.0, -2.0, -2.0],
            "min_frequency_between": [np.nan, np.nan, -1.0, 0.0, np.nan],
            "min_frequency_in_cell": [np.nan, np.nan, np.nan, -1.9, np.nan],
        }
    )
    assert decide(rows)["decidable"].tolist() == [True, False, False, False, True]
    found = decide(rows.assign(min_frequency_in_cell=0.5, min_frequency_between=0.0))
    assert found["decidable"].tolist() == [True, False, True, True, True]
    assert found["agrees"].tolist() == [True, False, False, False, True]


def test_supercells_of_the_database_are_multiples_of_the_conventional_cell():
    atoms = zincblende()
    lattice = find_dataset(atoms, 1e-3).std_lattice
    matrix = make_supercell_matrix(find_dataset(atoms, 1e-3).transformation_matrix, "1.0, 1.0, 2.0")
    assert abs(np.linalg.det(matrix)) == pytest.approx(8)
    expected = np.diag([1, 1, 2]) @ lattice
    found = matrix.T @ atoms.cell.array
    assert found @ found.T == pytest.approx(expected @ expected.T)


def test_numbers_of_an_earlier_output_are_kept(tmp_path):
    output = tmp_path / "stability.parquet"
    assert read_known(output, "min_frequency_in_cell").empty
    pd.DataFrame({"chirality_key": ["a", "b"], "min_frequency_in_cell": [-1.0, np.nan]}).to_parquet(
        output
    )
    assert read_known(output, "min_frequency_in_cell").to_dict() == {"a": -1.0}
