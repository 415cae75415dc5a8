"""A charge model is trained, its errors are those of crystals it did not see."""

import numpy as np
import pandas as pd
import pytest
import torch

from flows.tables import Column, format_markdown_table
from potentials import load_charge_model
from potentials.charges import read_charge_model
from tasks.failures import RemediableError
from tasks.training.charge_data import read_row_atoms, read_table
from tasks.training.charge_errors import (
    compare_bars,
    format_errors,
    group_by_element,
    group_errors,
    summarize_errors,
)
from tasks.training.charge_run import (
    ERRORS,
    WHOLE,
    calibrate,
    fit_fold,
    get_fold_path,
    measure_errors,
    prepare_charges,
    write_model,
)
from tests.tasks.training.charged import CRYSTALS, SMALL

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Folder of a training, and the errors of all atoms."""
    folder = tmp_path_factory.mktemp("charges")
    prepare_charges(SMALL, folder)
    for number in (0, 1, WHOLE):
        fit_fold(SMALL, folder, number)
    errors = measure_errors(SMALL, folder)
    write_model(SMALL, folder, errors)
    return folder, errors


def test_folds_share_no_formula():
    table = read_table(SMALL)
    assert len(table) == 19
    assert set(table["functional"]) == {"PBEsol", "PBE(+U)"}
    assert (table.groupby("formula")["fold"].nunique() == 1).all()
    assert set(table["fold"]) == {0, 1}


def test_errors_are_those_of_the_fold_that_left_the_crystal_out(trained):
    """Predicted anew, from all atoms and their positions."""
    folder, errors = trained
    table = read_table(SMALL)
    for number in (0, 1):
        model = read_charge_model(get_fold_path(folder, number))
        known = set(model.card.elements)
        covered = table["atomic_numbers"].map(known.issuperset)
        row = table[(table["fold"] == number) & covered].iloc[0]
        found = model.predict(read_row_atoms(row), row["functional"])
        wrong = found.born - np.reshape(row["born"], (-1, 3, 3))
        mine = errors[errors["crystal"] == row.name]
        assert mine["count"].sum() == len(wrong)
        mean = np.average(mine["error"], weights=mine["count"])
        assert mean == pytest.approx(np.abs(wrong).mean(), abs=1e-3)
        root = np.sqrt((wrong**2).mean())
        assert mine["crystal_error"].iloc[0] == pytest.approx(root, abs=1e-3)
        dielectric = np.trace(found.dielectric) / np.trace(np.reshape(row["dielectric"], (3, 3)))
        assert mine["mean_dielectric_error"].iloc[0] == pytest.approx(abs(dielectric - 1), abs=1e-3)


def test_what_was_left_out_was_not_learned(trained):
    folder, _ = trained
    table = read_table(SMALL)
    for number in (0, 1):
        seen = table[table["fold"] != number]["atomic_numbers"]
        wanted = {int(z) for numbers in seen for z in numbers}
        assert set(read_charge_model(get_fold_path(folder, number)).card.elements) == wanted


def test_the_model_knows_its_errors(trained):
    folder, errors = trained
    model = load_charge_model(f"charges:{folder / 'model.pt'}")
    crystals = errors.drop_duplicates("crystal")
    found = [model.card.charges.compute_bar(spread) for spread in crystals["charge_spread"]]
    assert np.mean(found > crystals["crystal_error"]) == pytest.approx(0.68, abs=0.05)
    assert np.mean(np.array(found) <= model.card.charges.sure) == pytest.approx(0.8, abs=0.05)


def test_a_training_goes_on_where_it_stopped(trained):
    folder, errors = trained
    before = get_fold_path(folder, 0).read_bytes()
    prepare_charges(SMALL, folder)
    fit_fold(SMALL, folder, 0)
    assert get_fold_path(folder, 0).read_bytes() == before
    assert pd.read_parquet(folder / ERRORS).equals(errors.reset_index(drop=True))
    with pytest.raises(RemediableError, match="other settings"):
        prepare_charges(SMALL.model_copy(update={"seed": 1}), folder)


def test_chance_comes_from_the_seed_alone(trained, tmp_path):
    folder, _ = trained
    (tmp_path / "features.npz").write_bytes((folder / "features.npz").read_bytes())
    prepare_charges(SMALL, tmp_path)
    fit_fold(SMALL, tmp_path, 0)
    first, second = (read_charge_model(get_fold_path(f, 0)).ensemble for f in (folder, tmp_path))
    for name, values in first.state_dict().items():
        assert torch.equal(values, second.state_dict()[name])


def test_tables_count_all_crystals(trained):
    _, errors = trained
    groups = group_errors(errors)
    assert groups.loc["all", "crystals"] == 19
    assert groups.loc[["PBEsol", "PBE(+U)"], "crystals"].sum() == 19
    assert groups.loc["all", "sure_error"] <= groups["error"].max()
    assert groups.loc["all", "error"] == pytest.approx(summarize_errors(errors)["error"])
    assert group_by_element(errors)["error"].is_monotonic_decreasing
    assert compare_bars(errors).loc["all", "crystals"] == 19
    columns = [Column(head, cells) for head, cells in format_errors(groups).items()]
    assert format_markdown_table(columns).startswith("|  | crystals | error |")


def test_calibration_finds_a_law():
    generator = np.random.default_rng(0)
    spread = pd.Series(generator.uniform(0.01, 1, 5000))
    error = 2 * spread**1.5 * np.abs(generator.standard_normal(5000))
    found = calibrate(spread, error)
    assert found.power == pytest.approx(1.5, abs=0.1)
    assert found.scale == pytest.approx(2, rel=0.1)  # 68 % of normal numbers are below one


def test_unusable_files_are_refused(tmp_path):
    table = pd.read_parquet(CRYSTALS)
    table.assign(good=False).to_parquet(tmp_path / "none.parquet")
    with pytest.raises(RemediableError, match="too few crystals"):
        read_table(SMALL.model_copy(update={"file": tmp_path / "none.parquet"}))
    with pytest.raises(RemediableError, match="cannot read Born charges"):
        read_table(SMALL.model_copy(update={"file": tmp_path / "missing.parquet"}))
