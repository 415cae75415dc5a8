"""A training goes on exactly where it was killed, keeps its best, and refuses what is not its."""

import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from potentials import Equivariance, load_potential
from potentials.facet import read_facet, read_notes
from tasks.failures import RemediableError
from tasks.training import (
    Epoch,
    StageSettings,
    TrainingSettings,
    prepare_training,
    train_stage,
    write_frames,
)
from tasks.training.curves import draw_curves
from tasks.training.run import CHECKPOINT, MODEL, fill_batches, read_metrics
from tests.tasks.training.crystals import (
    ELEMENTS,
    TINY,
    phonon_stage,
    quick,
    real_frames,
    silicon_labels,
    tiny_settings,
)

pytestmark = pytest.mark.slow

DRIVER = Path(__file__).parent / "driver.py"
STAGES = (
    StageSettings(epochs=4, batch_atoms=48, optimizer=quick()),
    StageSettings(epochs=2, batch_atoms=48, optimizer=quick(1e-3)),
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    path = tmp_path_factory.mktemp("settings") / "settings.json"
    path.write_text(tiny_settings(ELEMENTS, stages=STAGES).model_dump_json())
    return path


def start(settings: Path, folder: Path) -> subprocess.Popen[str]:
    """Train in another process, with one thread."""
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(settings), str(folder)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def uninterrupted(settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    process = start(settings, folder)
    printed = process.communicate(timeout=300)[0]
    assert printed.splitlines() == ["1 1", "1 2", "1 3", "1 4", "2 1", "2 2"]
    assert process.returncode == 0
    return folder


def test_killed_training_goes_on_as_if_nothing_had_been(settings, uninterrupted, tmp_path):
    process = start(settings, tmp_path)
    assert process.stdout.readline() == "1 1\n"
    assert process.stdout.readline() == "1 2\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 2 <= len(read_metrics(tmp_path)) < 6
    resumed = start(settings, tmp_path)
    printed = resumed.communicate(timeout=300)[0]
    assert resumed.returncode == 0
    assert "1 1\n" not in printed
    pd.testing.assert_frame_equal(
        read_metrics(tmp_path).drop(columns="seconds"),
        read_metrics(uninterrupted).drop(columns="seconds"),
        check_exact=True,
    )
    one, two = (read_facet(folder / MODEL)[0] for folder in (tmp_path, uninterrupted))
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, two.state_dict()[name])


def test_training_learns(uninterrupted):
    metrics = read_metrics(uninterrupted)
    losses = metrics["validation_loss"].to_numpy()
    assert losses[-1] < 0.8 * losses[0]
    assert np.isfinite(metrics[["energy_mae", "force_rmse", "stress_mae"]].to_numpy()).all()


def test_best_model_of_the_last_stage_is_kept(uninterrupted):
    metrics = read_metrics(uninterrupted)
    last = metrics[metrics["stage"] == 2]
    best = last.loc[last["validation_loss"].idxmin()]
    told = read_facet(uninterrupted / MODEL)[1]["training"]
    assert (told["stage"], told["epoch"]) == (2, best["epoch"])
    assert told["validation_errors"]["force_mae"] == best["force_mae"]
    assert last[last["is_best"]]["validation_loss"].is_monotonic_decreasing


def test_trained_model_is_a_potential(uninterrupted):
    potential = load_potential(f"facet:{uninterrupted / MODEL}")
    assert potential.card.name == "facet-own"
    assert potential.card.equivariance is Equivariance.O3
    frames = real_frames()
    found = potential.evaluate([frame.atoms for frame in frames])
    errors = [e - f.energy for e, f in zip(found.energies, frames, strict=True)]
    assert np.isfinite(errors).all()


def test_learning_curves_are_drawn(uninterrupted):
    assert draw_curves(uninterrupted).read_bytes().startswith(b"\x89PNG")


def test_finished_training_does_nothing_more(settings, uninterrupted):
    before = (uninterrupted / CHECKPOINT).stat().st_mtime_ns
    again: list[Epoch] = []
    for number in (1, 2):
        same = TrainingSettings.model_validate_json(settings.read_text())
        train_stage(same, uninterrupted, number, again.append)
    assert not again
    assert (uninterrupted / CHECKPOINT).stat().st_mtime_ns == before


def test_frames_without_a_label_that_counts_are_told(tmp_path):
    """The elements' frames have no Hessian columns."""
    settings = tiny_settings(ELEMENTS, stages=(phonon_stage(1),))
    prepare_training(settings, tmp_path)
    with pytest.raises(RemediableError, match="hessian"):
        train_stage(settings, tmp_path, 1)


def test_phonon_stage_lowers_the_error_of_hessian_columns(tmp_path):
    """Columns of 7net-0's Hessian of silicon; the loss of this stage is their error alone."""
    write_frames(tmp_path / "labels.parquet", silicon_labels())
    data = {"files": (tmp_path / "labels.parquet",), "validation_share": 0.5, "split_by": "group"}
    settings = tiny_settings(data=data, stages=(phonon_stage(12),))
    prepare_training(settings, tmp_path / "run")
    train_stage(settings, tmp_path / "run", 1)
    errors = read_metrics(tmp_path / "run")["hessian_mae"].to_numpy()
    assert errors.min() < 0.5 * errors[0]


def test_other_settings_are_refused(tmp_path):
    prepare_training(tiny_settings(ELEMENTS), tmp_path)
    prepare_training(tiny_settings(ELEMENTS), tmp_path)
    with pytest.raises(RemediableError, match="other settings"):
        prepare_training(tiny_settings(ELEMENTS, seed=5), tmp_path)


@pytest.mark.parametrize(
    "choice",
    [
        {"product": "gaunt"},
        {"product": "cp", "rank": 12},
        {"update": "gate", "radial": "bessel"},
        {"update": "grid_mlp", "grid_degree": 8, "radial": "mlp"},
    ],
    ids=lambda choice: "-".join(map(str, choice.values())),
)
def test_a_training_makes_the_architecture_of_its_settings(tmp_path, choice):
    model = TINY.model_dump() | choice
    settings = tiny_settings(ELEMENTS, model=model, stages=(StageSettings(epochs=1),))
    prepare_training(settings, tmp_path)
    train_stage(settings, tmp_path, 1)
    made = vars(read_facet(tmp_path / MODEL)[0].config)
    assert {name: made[name] for name in model} == model
    found = load_potential(f"facet:{tmp_path / MODEL}").evaluate([real_frames()[0].atoms])
    assert np.isfinite(found.forces[0]).all()


def test_a_training_begun_before_a_setting_existed_goes_on(tmp_path):
    settings = tiny_settings(ELEMENTS)
    prepare_training(settings, tmp_path)
    path = tmp_path / "settings.json"
    older = json.loads(path.read_text())
    del older["model"]["product"]
    path.write_text(json.dumps(older))
    text = json.dumps(older, separators=(",", ":")).encode()
    data = b"".join(
        (tmp_path / f"{name}.parquet").read_bytes() for name in ("training", "validation")
    )
    train_stage(settings, tmp_path, 1)
    notes = read_notes(tmp_path / CHECKPOINT)
    assert notes["identity"] == hashlib.sha256(text + data).hexdigest()
    again: list[Epoch] = []
    train_stage(settings, tmp_path, 1, again.append)
    assert not again


def test_checkpoint_of_other_data_is_refused(tmp_path):
    settings = _trained_one_epoch(tmp_path)
    write_frames(tmp_path / "training.parquet", real_frames()[:5])
    with pytest.raises(RemediableError, match="another training"):
        train_stage(settings, tmp_path, 1)


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def bare_pickle(content: object, path: Path) -> None:
    """Pickle without the archive around it."""
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("write", [torch.save, bare_pickle])
def test_hostile_checkpoint_is_refused_and_runs_nothing(tmp_path, write):
    settings = _trained_one_epoch(tmp_path)
    trap = tmp_path / "trap"
    write({"format": "facet-training-1", "notes": Hostile(trap)}, tmp_path / CHECKPOINT)
    with pytest.raises(RemediableError, match="holds more than tensors"):
        train_stage(settings, tmp_path, 1)
    assert not trap.exists()


def test_truncated_checkpoint_is_told(tmp_path):
    settings = _trained_one_epoch(tmp_path)
    content = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(content[: len(content) // 2])
    with pytest.raises(RemediableError, match="checkpoint"):
        train_stage(settings, tmp_path, 1)


def test_checkpoint_tells_its_history(tmp_path):
    _trained_one_epoch(tmp_path)
    assert [row["epoch"] for row in read_notes(tmp_path / CHECKPOINT)["history"]] == [1, 2, 3]


def test_batches_hold_every_frame_once_and_no_more_atoms_than_allowed():
    frames = real_frames()
    order = np.random.default_rng(1).permutation(len(frames)).tolist()
    batches = fill_batches(frames, 30, order)
    assert [id(f) for batch in batches for f in batch] == [id(frames[i]) for i in order]
    assert all(sum(len(f.atoms) for f in batch) <= 30 for batch in batches)
    assert fill_batches(frames, 1, order) == [[frames[i]] for i in order]


def _trained_one_epoch(folder):
    """Settings of a training that was stopped at its end."""
    settings = tiny_settings(ELEMENTS)
    epochs: list[Epoch] = []
    prepare_training(settings, folder)
    train_stage(settings, folder, 1, epochs.append)
    assert len(epochs) == 3
    return settings
