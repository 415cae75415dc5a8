"""All settings of the training of a sequence model."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tasks.generation.learning import SequenceLearning
from tasks.generation.network import NetworkSizes


class SequenceTrainingSettings(BaseModel):
    """Settings of the training of a sequence model, and what its card tells."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["sequences"] = Field(description="tells it from the training of a potential")
    file: Path = Field(description="Parquet file of known crystals")
    most_of_group: int = Field(
        10_000, ge=1, description="most crystals of one space group, chosen at random"
    )
    held_out: float = Field(
        0.1, gt=0, lt=0.5, description="share of the formulas for validation, and for the test"
    )
    network: NetworkSizes = NetworkSizes()
    training: SequenceLearning = SequenceLearning()
    seed: int = Field(0, ge=0, description="of choice, division, weights and order")
    licence: str = Field("", description="terms of the weights")
    citation: str = Field("", description="what to cite for the data")
    limits: tuple[str, ...] = Field((), description="what to keep in mind, a sentence each")
