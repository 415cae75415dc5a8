"""Training and distillation from the command line, with a real Prefect server."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from ase.build import bulk
from typer.testing import CliRunner

from flows.training import label_source
from flows.training_cli import app
from potentials import load_charge_model, load_potential
from potentials.facet import read_facet
from tasks.generation.model import load_sequence_model
from tasks.training.labelling import DistillationSettings
from tests.tasks.training.charged import SMALL as SMALL_CHARGES
from tests.tasks.training.crystals import ELEMENTS
from tests.tasks.training.test_sequences import make_settings as make_sequence_settings

SMALL = {"channels": 4, "cutoff": 3.5, "correlation": 2}


@pytest.fixture(scope="module")
def command(environment):
    """Run a command of training_cli in a process of its own."""

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "flows.training_cli", *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    return run


def write(path, content):
    """Settings file."""
    path.write_text(yaml.safe_dump(content))
    return path


def test_train_makes_a_potential(command, tmp_path):
    data = {"files": [str(ELEMENTS)], "validation_share": 0.25}
    config = write(tmp_path / "c.yaml", {"model": SMALL, "data": data, "stages": [{"epochs": 2}]})
    output = tmp_path / "a model"
    result = command("train", "--config", config, "--output", output)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "model.pt" in result.stdout
    assert len(pd.read_parquet(output / "metrics.parquet")) == 2
    assert (output / "learning_curves.png").stat().st_size > 1000
    found = load_potential(f"facet:{output / 'model.pt'}").evaluate([bulk("Si")])
    assert np.isfinite(found.energies).all()


def test_train_makes_a_charge_model(command, tmp_path):
    config = write(tmp_path / "c.yaml", SMALL_CHARGES.model_dump(mode="json"))
    output = tmp_path / "charges"
    result = command("train", "--config", config, "--output", output)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "model.pt" in result.stdout
    assert pd.read_parquet(output / "errors.parquet")["crystal"].nunique() == 19
    model = load_charge_model(f"charges:{output / 'model.pt'}")
    found = model.predict(bulk("NaCl", "rocksalt", 5.6))
    assert np.trace(found.born[0]) > 0 > np.trace(found.born[1])


def test_train_makes_a_sequence_model(command, tmp_path):
    settings = make_sequence_settings(tmp_path)
    config = write(tmp_path / "c.yaml", settings.model_dump(mode="json"))
    output = tmp_path / "sequences"
    result = command("train", "--config", config, "--output", output)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "model.pt" in result.stdout
    assert len(pd.read_parquet(output / "metrics.parquet")) == settings.training.epochs
    model = load_sequence_model(f"sequences:{output / 'model.pt'}")
    assert model.card.licence == "made here"


def test_distill_teaches_a_student(command, tmp_path):
    """Held-out crystals are other crystals; the student knows the elements of the source."""
    for name, atoms in {
        "si": bulk("Si"),
        "ge": bulk("Ge"),
        "sige": bulk("SiGe", "zincblende", a=5.5),
    }.items():
        atoms.write(tmp_path / f"{name}.cif")
    (tmp_path / "broken.cif").write_text("data_x\n")
    settings = {
        "sampling": {"n_rattled": 1, "n_columns": 1, "min_length": 3.0, "max_atoms": 2},
        "chunk_size": 2,
        "training": {
            "model": SMALL,
            "data": {"validation_share": 0.4},
            "stages": [{"epochs": 1, "loss": {"hessian": 0.1}}],
        },
    }
    config, output = write(tmp_path / "d.yaml", settings), tmp_path / "student"
    result = command("distill", tmp_path, "--config", config, "--output", output)
    assert result.returncode == 0, result.stdout + result.stderr
    groups = [
        set(pd.read_parquet(output / "student" / f"{side}.parquet")["group"])
        for side in ("training", "validation")
    ]
    assert groups[0] | groups[1] == {"si", "ge", "sige"}
    assert not groups[0] & groups[1]
    assert len(list((output / "labels").glob("*.parquet"))) == 2
    errors = read_facet(output / "student" / "model.pt")[1]["training"]["validation_errors"]
    assert {"energy_mae", "force_mae", "stress_mae", "hessian_mae"} <= errors.keys()


def test_wrong_settings_are_told(tmp_path):
    (tmp_path / "c.yaml").write_text("data: {file: x}")
    result = CliRunner().invoke(
        app, ["train", "--config", str(tmp_path / "c.yaml"), "--output", str(tmp_path / "o")]
    )
    assert result.exit_code == 2
    assert not (tmp_path / "o").exists()


def test_labels_that_are_there_need_no_teacher(tmp_path):
    """The named teacher does not exist, and the labels stay as they are."""
    settings = DistillationSettings(teacher={"name": "facet:none.pt"})
    with pytest.raises(ValueError, match="no such file"):
        label_source(tmp_path, settings, tmp_path)
    (tmp_path / "labels.parquet").write_bytes(b"labels")
    label_source(tmp_path, settings, tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"labels"]
