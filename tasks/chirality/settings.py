"""Settings of the chirality stage."""

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat

from tasks.tolerances import DEGENERACY, FREQUENCY_CUTOFF


class ChiralitySettings(BaseModel):
    """How the chirality of force constants is sampled and judged."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mesh_spacing: PositiveFloat = Field(
        0.01, description="cube root of the volume per q-point of the mesh (1/Å, without 2π)"
    )
    path_spacing: PositiveFloat = Field(
        0.01, description="distance of q-points along the band path (1/Å, without 2π)"
    )
    degeneracy_tolerance: PositiveFloat = Field(
        DEGENERACY, description="bands closer than this form a degenerate set (THz)"
    )
    frequency_cutoff: PositiveFloat = Field(
        FREQUENCY_CUTOFF,
        description="modes below it are not occupied, below its negative imaginary (THz)",
    )
    window_width: PositiveFloat = Field(
        1.0, description="width of the frequency windows of resolved quantities (THz)"
    )
    helicity_bin_width: PositiveFloat = Field(
        0.1, description="width of the bins of the helicity density of states (THz)"
    )
    temperatures: tuple[PositiveFloat, ...] = Field(
        (100.0, 300.0, 1000.0), min_length=1, description="temperatures of the response (K)"
    )
