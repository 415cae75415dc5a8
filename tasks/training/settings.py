"""All settings of a training."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from potentials.facet import (
    FacetConfig,
    LossWeights,
    Network,
    OptimizerSettings,
    Product,
    Radial,
    Update,
)
from tasks.failures import RemediableError
from tasks.storage.durable import write_durably

SETTINGS_FILE = "settings.json"

_CONFIG = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=())


class DataSettings(BaseModel):
    """Which frames, and which of them are kept for validation."""

    model_config = _CONFIG

    files: tuple[Path, ...] = Field(
        (),
        description="extended XYZ (plain, .gz, .xz) or Parquet files",
    )
    elements: tuple[str, ...] | None = Field(
        None, description="leave out frames with other elements; default: keep all"
    )
    validation_share: float = Field(0.1, gt=0, lt=1, description="share of the frames")
    split_by: Literal["frame", "group"] = Field(
        "frame", description="what is kept together: equal structures, or frames of a group"
    )


class ModelSettings(BaseModel):
    """Architecture, as far as the data do not decide it; see `potentials.facet.FacetConfig`."""

    model_config = _CONFIG

    network: Network = Field("facet", description="with built-in symmetry, or without")
    cutoff: float = Field(5.0, gt=0, description="radius of the graph (Å)")
    channels: int = Field(32, ge=1, description="features of each (l, m)")
    layers: int = Field(2, ge=1, description="rounds of message passing")
    l_max: int = Field(2, ge=0, description="largest degree of harmonics and messages")
    l_hidden: int = Field(1, ge=0, description="largest degree of what atoms send")
    radial: Radial = Field("spline", description="kind of the functions of the distance")
    n_radial: int = Field(8, ge=1, description="functions of the distance")
    product: Product = Field("cg", description="how features are coupled to harmonics")
    rank: int = Field(24, ge=1, description="terms of the product `cp`")
    update: Update = Field("grid_product", description="how the features of an atom are combined")
    correlation: int = Field(3, ge=1, description="factors of the update `grid_product`")
    grid_degree: int | None = Field(
        None, ge=1, description="degree to which its grid is exact; default: what products need"
    )
    energy_scale: float = Field(1.0, gt=0, description="energy of an atom per unit output (eV)")

    @model_validator(mode="after")
    def _make_a_model(self) -> Self:
        """Refuse what `FacetConfig` refuses, before any frame is read."""
        FacetConfig(**self.model_dump())
        return self


class StageSettings(BaseModel):
    """One stage of a training: so many epochs with one loss and one schedule."""

    model_config = _CONFIG

    epochs: int = Field(20, ge=1, description="passes over the training frames")
    batch_atoms: int = Field(128, ge=1, description="atoms of a step, one frame at least")
    turned: bool = Field(False, description="turn and reflect each frame at random in each step")
    loss: LossWeights = LossWeights()
    optimizer: OptimizerSettings = OptimizerSettings()


class TrainingSettings(BaseModel):
    """Settings of a training, and what its model card tells."""

    model_config = _CONFIG

    name: str = Field("facet-own", pattern=r"^facet-[a-z0-9-]+$", description="name of the model")
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    stages: tuple[StageSettings, ...] = Field(
        (StageSettings(),), min_length=1, description="one after the other, each from the best"
    )
    start: Path | None = Field(None, description="model to start from, in place of random weights")
    seed: int = Field(0, ge=0, description="seed of weights, split and order")
    device: str = Field("cpu", description="where to train")
    dtype: Literal["float32", "float64"] = Field("float32", description="precision of the steps")
    milliseconds_per_atom: float = Field(1.0, gt=0, description="cost of the model, for its card")
    licence: str = Field("MIT", description="terms of the weights")
    citation: str = Field("", description="what to cite for the data")

    @model_validator(mode="after")
    def _refuse_needless_equivariance(self) -> Self:
        """A network with built-in symmetry has no latent error to lower."""
        if self.model.network != "attention" and any(s.loss.equivariance for s in self.stages):
            raise ValueError("loss.equivariance needs model.network: attention")
        return self


def has_settings(folder: Path, settings: BaseModel) -> bool:
    """Tell whether a folder was begun with these settings.

    Parameters
    ----------
    folder : pathlib.Path
        Of a training or distillation.
    settings : BaseModel
        All settings.

    Returns
    -------
    bool
        False for a folder that was not begun.

    Raises
    ------
    RemediableError
        When it was begun with others.
    """
    recorded = folder / SETTINGS_FILE
    if not recorded.exists():
        return False
    # Settings that came later have their defaults in a folder that was begun before.
    try:
        begun = type(settings).model_validate_json(recorded.read_text("utf-8"))
    except ValidationError:
        begun = None
    if begun != settings:
        message = f"{folder} was begun with other settings"
        raise RemediableError(message, "choose another --output, or the settings it began with")
    return True


def record_settings(folder: Path, settings: BaseModel) -> None:
    """Note with which settings a folder is begun.

    Parameters
    ----------
    folder : pathlib.Path
        Of a training or distillation; made where it is missing.
    settings : BaseModel
        All settings.
    """
    text = settings.model_dump_json(indent=1)

    def write(path: Path) -> None:
        path.write_text(text, encoding="utf-8")

    write_durably(folder / SETTINGS_FILE, write)
