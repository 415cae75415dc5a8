"""A sequence model learns the demo crystals; what it is tested on it did not see."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from ase.io import read

from tasks.failures import RemediableError
from tasks.generation.learning import SequenceLearning
from tasks.generation.model import read_sequence_model
from tasks.generation.network import NetworkSizes
from tasks.training.sequence_data import PARTS, divide_formulas, read_sequences
from tasks.training.sequence_run import (
    CHECKPOINT,
    CRYSTALS,
    METRICS,
    fit_cells,
    fit_sequences,
    prepare_sequences,
    write_sequence_model,
)
from tasks.training.sequence_settings import SequenceTrainingSettings

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[3] / "data" / "demo"


def write_crystals(path: Path) -> Path:
    """The demo crystals as the training reads them."""
    crystals = {file.stem: read(file) for file in sorted(DEMO.glob("*.cif"))}
    rows = [
        {
            "material_id": name,
            "spacegroup_number": atoms.info["spacegroup"].no,
            "lattice": atoms.cell.array.ravel(),
            "atomic_numbers": atoms.numbers,
            "frac_coords": atoms.get_scaled_positions().ravel(),
        }
        for name, atoms in crystals.items()
    ]
    pd.DataFrame(rows).to_parquet(path)
    return path


def make_settings(folder: Path, **changes) -> SequenceTrainingSettings:
    return SequenceTrainingSettings(
        kind="sequences",
        file=write_crystals(folder / "crystals.parquet"),
        held_out=0.2,
        network=NetworkSizes(width=16, layers=1, heads=2, inner=16, dropout=0.0),
        training=SequenceLearning(epochs=12, batch_crystals=8, learning_rate=1e-2),
        licence="made here",
        **changes,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Settings, folder and model of a training."""
    folder = tmp_path_factory.mktemp("sequences")
    settings = make_settings(folder)
    prepare_sequences(settings, folder / "out")
    fit_sequences(settings, folder / "out")
    return settings, folder / "out", write_sequence_model(settings, folder / "out")


def test_crystals_are_described_and_divided_by_formula(trained):
    _, folder, _ = trained
    table = pd.read_parquet(folder / CRYSTALS)
    quartz = table.set_index("material_id").loc["quartz-152"]
    assert (quartz["formula"], quartz["number"]) == ("SiO2", 152)
    assert sorted(quartz["elements"]) == [8, 14]
    assert set(table["part"]) == set(PARTS)
    assert (table.groupby("formula")["part"].nunique() == 1).all()
    assert abs(np.linalg.det(quartz["cell"].reshape(3, 3))) == pytest.approx(113, abs=2)


def test_the_division_depends_on_the_formula_and_the_seed_alone():
    formulas = pd.Series([f"Si{n}O{n + 1}" for n in range(1, 400)])
    first = divide_formulas(formulas, 0.1, 0)
    assert (divide_formulas(formulas[::-1], 0.1, 0)[::-1] == first).all()
    assert (divide_formulas(formulas, 0.1, 1) != first).any()
    assert 0.05 < (first == "test").mean() < 0.15


def test_the_losses_fall(trained):
    _, folder, path = trained
    metrics = pd.read_parquet(folder / METRICS)
    assert metrics["training_loss"].iloc[-1] < 0.7 * metrics["training_loss"].iloc[0]
    card = read_sequence_model(path).card
    assert set(card.losses) == {"validation", "test", "new prototypes"}
    assert sum(card.crystals.values()) == len(pd.read_parquet(folder / CRYSTALS))
    last = metrics.iloc[-1]
    assert card.losses["validation"] == pytest.approx(
        {"position": last["position_loss"], "element": last["element_loss"]}
    )


def test_a_killed_training_takes_the_steps_it_would_have_taken(trained, tmp_path):
    settings, folder, _ = trained

    class KilledError(Exception):
        """In place of a signal."""

    def stop(epoch):
        if epoch.epoch == 5:
            raise KilledError

    prepare_sequences(settings, tmp_path)
    with pytest.raises(KilledError):
        fit_sequences(settings, tmp_path, stop)
    assert len(pd.read_parquet(tmp_path / METRICS)) == 5
    fit_sequences(settings, tmp_path)
    first, second = (
        torch.load(f / CHECKPOINT, weights_only=True)["average"] for f in (folder, tmp_path)
    )
    for name, values in first.items():
        assert torch.equal(values, second[name]), name


def test_another_setting_is_another_training(trained):
    settings, folder, _ = trained
    with pytest.raises(RemediableError, match="other settings"):
        prepare_sequences(settings.model_copy(update={"seed": 1}), folder)


def test_volumes_are_sums_over_atoms(trained):
    """Of crystals whose atoms have volumes, these are found."""
    _, folder, _ = trained
    table = pd.read_parquet(folder / CRYSTALS)
    alone = table[table["material_id"].isin(["diamond", "si"])]
    cells = fit_cells(alone)
    assert cells.elements == {6, 14}
    for _, row in alone.iterrows():
        volume = abs(np.linalg.det(row["cell"].reshape(3, 3)))
        assert 2 * cells.volumes[row["elements"][0]] == pytest.approx(volume)


def test_a_group_has_at_most_so_many_crystals(tmp_path):
    table = read_sequences(write_crystals(tmp_path / "crystals.parquet"), 1, 0)
    assert table["number"].is_unique


def test_unusable_files_are_refused(tmp_path):
    with pytest.raises(RemediableError, match="cannot read crystals"):
        read_sequences(tmp_path / "missing.parquet", 1, 0)
    few = make_settings(tmp_path)
    pd.read_parquet(few.file).head(2).to_parquet(few.file)
    with pytest.raises(RemediableError, match="too few formulas"):
        prepare_sequences(few, tmp_path / "out")
