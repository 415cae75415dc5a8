"""All settings of a generation."""

from pydantic import BaseModel, ConfigDict, Field

from tasks.generation.candidates import CandidateSettings
from tasks.generation.model import SHIPPED
from tasks.generation.sampling import Conditions


class GenerationSettings(BaseModel):
    """What is generated, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = Field(
        SHIPPED, description="`default`, or sequences:model.pt of one's own training"
    )
    number: int = Field(100, ge=1, description="sequences that are drawn")
    seed: int = Field(0, ge=0, description="of all that is drawn")
    conditions: Conditions = Conditions()
    candidates: CandidateSettings = CandidateSettings()
