"""Training of potentials of our own: frames, reference energies, epochs, samples, labels."""

from tasks.training.datasets import read_frames, split_frames, write_frames
from tasks.training.run import Epoch, prepare, run_stage
from tasks.training.settings import (
    DataSettings,
    ModelSettings,
    StageSettings,
    TrainingSettings,
)

__all__ = [
    "DataSettings",
    "Epoch",
    "ModelSettings",
    "StageSettings",
    "TrainingSettings",
    "prepare",
    "read_frames",
    "run_stage",
    "split_frames",
    "write_frames",
]
