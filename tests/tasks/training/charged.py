"""A small training of a charge model."""

from pathlib import Path

from potentials.charges import NetworkTraining
from tasks.training.charge_settings import ChargeTrainingSettings, EnsembleSettings

# 19 crystals of the Materials Project (CC-BY 4.0): small cells of compounds of 14 light elements.
CRYSTALS = Path(__file__).parent / "data" / "born_charges.parquet"
SMALL = ChargeTrainingSettings(
    kind="charges",
    file=CRYSTALS,
    folds=2,
    ensemble=EnsembleSettings(components=(8, 4, 4, 4), width=16, centres=20),
    training=NetworkTraining(epochs=3, batch_crystals=6),
)
