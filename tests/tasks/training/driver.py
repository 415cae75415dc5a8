"""A training in a process of its own, to be killed: driver.py SETTINGS FOLDER."""

import sys
from pathlib import Path

from tasks.training import TrainingSettings, prepare_training, train_stage

settings = TrainingSettings.model_validate_json(Path(sys.argv[1]).read_text())
folder = Path(sys.argv[2])
prepare_training(settings, folder)
for number in range(1, len(settings.stages) + 1):
    train_stage(settings, folder, number, lambda epoch: print(epoch.stage, epoch.epoch, flush=True))
