"""All settings of the training of a charge model."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from potentials.charges.training import NetworkTraining

_CONFIG = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EnsembleSettings(BaseModel):
    """How large a charge model is."""

    model_config = _CONFIG

    components: tuple[int, int, int, int] = Field(
        (384, 64, 64, 32), description="principal components of degree 0, 1, 2 and 3"
    )
    networks: int = Field(2, ge=2, description="networks, which differ by their random start")
    width: int = Field(192, ge=1, description="features of an atom inside a network")
    centres: int = Field(3000, ge=1, description="inducing points of the kernel")
    kernel_width: float = Field(
        1.0, gt=0, description="width of the kernel by the distance of two atoms"
    )
    kernel_noise: float = Field(0.003, gt=0, description="variance of labels by that of charges")


class ChargeTrainingSettings(BaseModel):
    """Settings of the training of a charge model, and what its card tells."""

    model_config = _CONFIG

    kind: Literal["charges"] = Field(description="tells it from the training of a potential")
    file: Path = Field(description="Parquet file of crystals with calculated Born charges")
    functionals: tuple[str, ...] = Field(
        ("PBEsol", "PBE(+U)"), min_length=1, description="labels of others are left out"
    )
    half_weight: float = Field(
        0.05,
        gt=0,
        description="violation of sum rule or site symmetry at which a crystal counts half (e)",
    )
    folds: int = Field(5, ge=2, description="parts, divided by formula, each left out once")
    ensemble: EnsembleSettings = EnsembleSettings()
    training: NetworkTraining = NetworkTraining()
    seed: int = Field(0, ge=0, description="of folds, weights and order")
    licence: str = Field("", description="terms of the weights")
    citation: str = Field("", description="what to cite for the data")
    limits: tuple[str, ...] = Field((), description="what to keep in mind, a sentence each")
