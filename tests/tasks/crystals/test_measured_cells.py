"""A crystal is compared with its measured volume, whoever's file it was."""

from functools import partial
from pathlib import Path

import ase.io
import numpy as np
import pandas as pd
import pytest

from potentials import load_potential
from tasks.crystals.measured_cells import MeasuredCells, compute_volume_per_atom
from tasks.crystals.structures import standardize
from tasks.results import read_catalog
from tasks.results.building import build_catalog
from tasks.screening.plan import plan_screening
from tasks.screening.settings import ScreenSettings
from tests.tasks.alloys import SETTINGS, carry_out, intake_of, write_alloys

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[3] / "data" / "demo"
DEFAULT = partial(load_potential, "nequix-mp-1-pft")
# What density functional theory without dispersion does to cells: a and c longer, by so much.
COMPUTED = {"se": (1.035, 1.02), "te": (1.02, 1.005), "cdas2": (1.015, 1.01)}


def cube(n_atoms: int, volume: float) -> np.ndarray:
    """Cell of so many atoms of so much volume (Å^3) each."""
    return np.cbrt(n_atoms * volume) * np.eye(3)


HELIX = "_cell_measurement_temperature 293\n"


def test_published_cells_are_known_for_both_hands():
    known = MeasuredCells.from_rows([])
    volume = 4.916**2 * 5.4054 * 0.75**0.5 / 9
    for group in (152, 154):
        assert known.compare_volume("SiO2", group, 9, cube(9, 1.1 * volume)) == pytest.approx(
            0.1, abs=1e-4
        )


@pytest.mark.parametrize(
    ("formula", "group", "n_atoms"), [("SiO2", 180, 12), ("SiO2", 1, 9), ("GeS2", 154, 9)]
)
def test_other_crystals_are_not_compared(formula, group, n_atoms):
    assert (
        MeasuredCells.from_rows([]).compare_volume(formula, group, n_atoms, cube(n_atoms, 12.0))
        is None
    )


def test_of_several_measured_cells_the_nearest_counts():
    """Published ones differ by temperature and author."""
    cell = [10.0, 0, 0, 0, 10.0, 0, 0, 0, 10.0]
    row = {"formula": "Te", "space_group_number": 154, "n_atoms": 25, "cell": cell}
    rows = [row, row | {"cell": [11.0, *cell[1:]]}]
    found = MeasuredCells.from_rows(rows).compare_volume("Te", 152, 25, cube(25, 44.0))
    assert found == pytest.approx(0.0, abs=1e-12)
    assert compute_volume_per_atom(cell, 25) == pytest.approx(40.0)


def row_of(tmp_path, name: str, text: str) -> dict:
    """Row of the catalogue of the alloy on helices, and of a second file of it."""
    source = tmp_path / name
    source.mkdir()
    write_alloys(source, "helix")
    path = source / "helix.cif"
    path.write_text(path.read_text().replace("_cell_length_a", f"{text}_cell_length_a", 1))
    context = intake_of(source, tmp_path / f"{name}-out")
    carry_out(plan_screening(context), context)
    build_catalog(context.dataset)
    return read_catalog(context.dataset.root, "chirality").to_dict("records")[0]


def test_a_measured_cell_is_compared_and_another_one_is_not_checked(tmp_path):
    measured, unknown = row_of(tmp_path, "measured", HELIX), row_of(tmp_path, "unknown", "")
    assert measured["cell_origin"] == "measured"
    assert measured["measured_volume_change"] == pytest.approx(measured["volume_change"], abs=1e-9)
    assert "volume_unchecked" not in measured["warnings"]
    assert unknown["volume_change"] == measured["volume_change"]
    assert "volume_unchecked" in unknown["warnings"]
    assert unknown["reliable"] == measured["reliable"]


def test_one_measured_file_serves_all_files_of_a_crystal(tmp_path):
    """A computed cell, stretched, relaxes into the crystal of the measured one."""
    write_alloys(tmp_path, "helix")
    path = tmp_path / "helix.cif"
    stretched = ase.io.read(path)
    stretched.set_cell(stretched.cell.array * 1.02, scale_atoms=True)
    ase.io.write(tmp_path / "computed.cif", stretched)
    path.write_text(path.read_text().replace("_cell_length_a", f"{HELIX}_cell_length_a", 1))
    settings = ScreenSettings.model_validate(
        intake_of(tmp_path, tmp_path).settings.model_dump() | {"curation": {"duplicates": False}}
    )
    context = intake_of(tmp_path, tmp_path / "out", settings)
    carry_out(plan_screening(context), context)
    build_catalog(context.dataset)
    rows = read_catalog(context.dataset.root, "chirality").set_index("material_id")
    first, second = (rows.loc[name] for name in ("helix", "computed"))
    assert abs(first["volume_change"] - second["volume_change"]) > 0.03
    expected = first["measured_volume_change"]
    assert second["measured_volume_change"] == pytest.approx(expected, abs=1e-4)
    assert list(first["warnings"]) == list(second["warnings"])


@pytest.fixture(scope="module")
def both_origins(tmp_path_factory):
    """Three crystals from measured and from computed cells, screened with the default potential."""
    source = tmp_path_factory.mktemp("origins")
    for name, (a, c) in COMPUTED.items():
        text = (DEMO / f"{name}.cif").read_text()
        source.joinpath(f"{name}.cif").write_text(f"{text}{HELIX}")
        atoms = standardize(ase.io.read(DEMO / f"{name}.cif"), 0.01)
        atoms.set_cell(atoms.cell.array * [a, a, c], scale_atoms=True)
        ase.io.write(source / f"{name}-computed.cif", atoms)
    changes = {"potential": {}, "curation": {"duplicates": False}}
    settings = ScreenSettings.model_validate(SETTINGS.model_dump() | changes)
    context = intake_of(source, source / "out", settings, card=lambda: DEFAULT().card)
    carry_out(plan_screening(context), context, DEFAULT)
    build_catalog(context.dataset)
    return read_catalog(context.dataset.root, "chirality").set_index("material_id")


@pytest.mark.parametrize("name", COMPUTED)
def test_a_measured_and_a_computed_cell_give_one_crystal_and_one_verdict(both_origins, name):
    measured, computed = (both_origins.loc[n] for n in (name, f"{name}-computed"))
    assert abs(measured["volume_change"] - computed["volume_change"]) > 0.03
    assert measured["cell_origin"] == "measured"
    assert pd.isna(computed["cell_origin"])
    for column in ("measured_volume_change", "min_frequency", "max_frequency", "score"):
        assert computed[column] == pytest.approx(measured[column], abs=2e-3), column
    assert computed["reliable"] == measured["reliable"]
    assert list(computed["warnings"]) == list(measured["warnings"])
    named = measured["same_crystal_as"], computed["same_crystal_as"]
    assert [pd.isna(name) for name in named] in ([True, False], [False, True])
