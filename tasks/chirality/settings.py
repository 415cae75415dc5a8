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
    linewidth: PositiveFloat = Field(
        0.01,
        description="width of lines (FWHM) as a fraction of the frequency, within which angular "
        "momenta are averaged",
    )
    wave_number: PositiveFloat = Field(
        0.1, description="wave vector at which opposite hands are compared (1/Å, with 2π)"
    )
    light_wave_number: PositiveFloat = Field(
        0.005,
        description="wave vector that back-scattered visible light transfers (1/Å, with 2π)",
    )
    scattering_resolution: PositiveFloat = Field(
        1.5, description="resolution of inelastic X-ray and neutron scattering (meV)"
    )
    resonant_resolution: PositiveFloat = Field(
        25.0,
        description="resolution of resonant inelastic X-ray scattering: modes below it are lost in "
        "the elastic line (meV)",
    )
    temperatures: tuple[PositiveFloat, ...] = Field(
        (100.0, 300.0, 1000.0), min_length=1, description="temperatures of the response (K)"
    )
