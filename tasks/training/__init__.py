"""Training of potentials: frames, reference energies, epochs, samples, labels.

What comes in: labelled structures, or crystals and a teacher. What goes out: a checkpoint of
Facet with its metrics. From outside import the names below, `labelling` and `curves`. It knows
`potentials`, crystals, relaxation, and of the screening the settings of a potential.
"""

from tasks.training.datasets import read_frames, split_frames, write_frames
from tasks.training.run import Epoch, prepare_training, train_stage
from tasks.training.settings import DataSettings, ModelSettings, StageSettings, TrainingSettings

__all__ = [
    "DataSettings",
    "Epoch",
    "ModelSettings",
    "StageSettings",
    "TrainingSettings",
    "prepare_training",
    "read_frames",
    "split_frames",
    "train_stage",
    "write_frames",
]
