"""Labelled crystals for the tests of training."""

from functools import cache
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk

from potentials import load_potential
from potentials.facet import Frame, LossWeights, OptimizerSettings
from tasks.training import ModelSettings, StageSettings, TrainingSettings, read_frames
from tasks.training.labelling import DistillationSettings, SourceCrystal, label_crystals
from tasks.training.sampling import SamplingSettings

# 24 small cells of the mlearn data set (BSD-3-Clause): Li, Mo, Si and Ge, PBE.
ELEMENTS = Path(__file__).parents[3] / "data" / "training" / "elements.extxyz.xz"
TINY = ModelSettings(cutoff=3.5, channels=4, n_radial=5, correlation=2)


def real_frames() -> list[Frame]:
    """DFT energies, forces and stresses."""
    return read_frames(ELEMENTS)


def real_atoms() -> list[Atoms]:
    """The same frames as ASE reads them."""
    return ase.io.read(ELEMENTS, ":", format="extxyz")


def tiny_settings(*files: Path, **changes: object) -> TrainingSettings:
    """Settings of a training of seconds."""
    stages = (StageSettings(epochs=3, batch_atoms=48, optimizer=quick()),)
    basic: dict[str, object] = {
        "data": {"files": files, "validation_share": 0.25},
        "model": TINY,
        "stages": stages,
        "dtype": "float64",
    }
    return TrainingSettings.model_validate(basic | changes)


def quick(rate: float = 1e-2) -> OptimizerSettings:
    """Large steps, short average."""
    return OptimizerSettings(learning_rate=rate, average_decay=0.8)


@cache
def silicon_labels() -> list[Frame]:
    """Silicon, rattled and displaced, with four Hessian columns, by 7net-0."""
    sampling = SamplingSettings(n_rattled=2, n_columns=4, min_length=3.0, max_atoms=2)
    settings = DistillationSettings(sampling=sampling)
    crystals = [
        SourceCrystal(f"si-{number}", bulk("Si", a=length))
        for number, length in enumerate((5.3, 5.43))
    ]
    return label_crystals(crystals, load_potential("7net-0"), settings, None)


def phonon_stage(epochs: int) -> StageSettings:
    """A stage whose loss is the Hessian column's alone."""
    loss = LossWeights(energy=0.0, force=0.0, stress=0.0, hessian=1.0)
    return StageSettings(epochs=epochs, batch_atoms=8, loss=loss, optimizer=quick())


def same(one: float | np.ndarray, two: float | np.ndarray) -> bool:
    """Whether labels are equal, unknown ones included."""
    return bool(np.array_equal(one, two, equal_nan=True))
