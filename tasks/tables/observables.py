"""Tables of observables: what `chiralscreen observe` writes, one file per kind.

They are computed from stored force constants on demand and are no part of a dataset.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from tasks.tables.columns import (
    Column,
    Table,
    declare_count,
    declare_real,
    declare_reals,
    declare_text,
)

_NAME = declare_text("material_id", "Name of the material.")
_MODES = declare_count("n_modes", "Modes in the degenerate set.")


def _declare_wave_vector(meaning: str) -> Iterator[Column]:
    """Three fractional components."""
    for axis in "abc":
        description = f"Component {axis} of {meaning}, in the primitive reciprocal basis."
        yield declare_real(f"q_{axis}", "", description)


def _declare_vector(name: str, unit: str, meaning: str, *, nullable: bool = False) -> list[Column]:
    """Three Cartesian components."""
    return [
        declare_real(f"{name}_{axis}", unit, meaning.format(axis), nullable=nullable)
        for axis in "xyz"
    ]


def _declare_slope(name: str, unit: str, meaning: str) -> Iterator[Column]:
    """A derivative by the strain, and how far from linear the strain taken is."""
    yield declare_real(name, unit, meaning, nullable=True)
    curvature = "Half the difference of the values from either sign of the strain."
    yield declare_real(f"{name}_error", unit, curvature, nullable=True)


_INFRARED = Table(
    "infrared",
    "Set of optical modes at Γ as infrared light sees it.",
    (
        _NAME,
        declare_real("frequency", "THz", "Of the transverse modes, without a macroscopic field."),
        _MODES,
        *_declare_vector(
            "strength", "", "What the set adds to the static dielectric constant along {}."
        ),
        *_declare_vector(
            "longitudinal",
            "THz",
            "Longitudinal frequency of the set for waves along {}: the next zero of the dielectric "
            "function above the pole.",
            nullable=True,
        ),
    ),
    ("material_id",),
    long=True,
)
_DICHROISM = Table(
    "dichroism",
    "Set of optical modes at Γ as the two circular waves along one direction see it.",
    (
        _NAME,
        declare_text("direction", "Direction of the light: x, y or z."),
        declare_real("frequency", "THz", "With the macroscopic field of a wave along it."),
        _MODES,
        declare_real("strength", "e²/u", "Squared polarisation across the direction."),
        declare_real(
            "rotatory_strength",
            "e² Å/u",
            "Difference of the squared polarisations along L and R per k, with 2π.",
        ),
        declare_real(
            "dissymmetry",
            "",
            "Difference of the absorptions of L and R over their mean.",
            nullable=True,
        ),
    ),
    ("material_id",),
    long=True,
)
_MOMENTS = Table(
    "moments",
    "Mode with its magnetic moment.",
    (
        _NAME,
        declare_text("q_label", "Name of the q-point."),
        *_declare_wave_vector("the wave vector"),
        declare_count("band", "Band, counted from 0."),
        declare_real("frequency", "THz", "Frequency; an imaginary one is negative."),
        *_declare_vector("l", "ħ", "Component {} of the angular momentum, mean of the set."),
        *_declare_vector("moment", "μ_N", "Component {} of the magnetic moment, mean of the set."),
        *_declare_vector(
            "zeeman", "meV/T", "Splitting of time-reversed partners in a field along {}."
        ),
    ),
    ("material_id",),
    long=True,
)
_RAMAN = Table(
    "raman",
    "Line of circular Raman back-scattering along an axis.",
    (
        _NAME,
        declare_text("axis", "Order of the axis, and its screw, as 3_1."),
        *_declare_vector("axis", "", "Component {} of the direction of the light."),
        declare_real("frequency", "THz", "At Γ; polar modes with the field of the axis."),
        _MODES,
        declare_text("channels", "Channels that see it; first letter: incident light."),
        declare_real("splitting", "THz", "ν(RL) − ν(LR) at the wave vector of the scattering."),
        declare_real("wave_number", "1/Å", "Of the phonon, with 2π."),
    ),
    ("material_id",),
    long=True,
)
_SCATTERING = Table(
    "scattering",
    "Mode at one Q as neutrons or X-rays see it.",
    (
        _NAME,
        *_declare_wave_vector("the momentum transfer Q"),
        declare_count("band", "Band, counted from 0."),
        declare_real("frequency", "THz", "Frequency; an imaginary one is negative."),
        declare_text("probe", "neutron or x-ray."),
        declare_real("temperature", "K", "Of the crystal."),
        declare_real(
            "intensity", "fm² or e²", "One-phonon intensity per primitive cell, Debye-Waller too."
        ),
        declare_text("element", "Resonant element."),
        declare_real(
            "circular_proxy", "Å²", "Proxy of the circular dichroism at its resonance; odd in hand."
        ),
    ),
    ("material_id",),
    long=True,
)
_RESPONSE = Table(
    "response",
    "Response to heat at one temperature.",
    (
        _NAME,
        declare_real("temperature", "K", "Temperature."),
        declare_real("relaxation_time", "s", "One for all modes."),
        declare_reals("conductivity", "W m⁻¹ K⁻¹", "Of the lattice with this relaxation time."),
        declare_reals(
            "angular_momentum", "J s m⁻² K⁻¹", "α; first index angular momentum, second gradient."
        ),
        declare_reals("per_heat_flux", "s² m⁻¹", "−α κ⁻¹: angular momentum per heat flux."),
        declare_reals("magnetization", "A/K", "β; empty without charges.", nullable=True),
        declare_real("helicity", "ħ", "Thermal helicity per primitive cell."),
        declare_real("mean_helicity", "ħ", "Of one thermal phonon."),
    ),
    ("material_id",),
    long=True,
)
_TOPOLOGY = Table(
    "topology",
    "Bands that meet at a point, with their charge.",
    (
        _NAME,
        declare_text("q_label", "Name of the q-point, or the axis it lies on."),
        *_declare_wave_vector("the point"),
        declare_count("first_band", "Lowest band that meets, counted from 0."),
        declare_count("last_band", "Highest band that meets."),
        declare_real("frequency", "THz", "Mean of the bands."),
        declare_count(
            "charge",
            "Largest charge of the gaps between them; empty on nodal lines and surfaces.",
            nullable=True,
        ),
    ),
    ("material_id",),
    long=True,
)

_STRAIN = Table(
    "strain",
    "How a set of modes follows one component of the strain.",
    (
        _NAME,
        declare_text("q_label", "Name of the q-point."),
        *_declare_wave_vector("the wave vector, which keeps its fractional coordinates"),
        declare_count("band", "Lowest band of the degenerate set, counted from 0."),
        _MODES,
        declare_real("frequency", "THz", "Mean of the set; an imaginary one is negative."),
        declare_text("component", "Of the strain ε: xx, yy, zz, yz, xz or xy; a shear is 2ε."),
        *_declare_slope("gruneisen", "", "−∂ ln ν/∂ε, mean of the set; empty for imaginary modes."),
        declare_real("helicity", "ħ", "Mean of the set, at rest."),
        *_declare_slope("helicity_slope", "ħ", "Derivative of the helicity by the strain."),
        *_declare_slope("separation", "THz", "How far the modes of the set move apart per strain."),
        declare_real(
            "splitting",
            "THz Å",
            "Of a doublet at Γ, (ν(+l) − ν(−l))/k along the main axis, at rest; odd in the hand.",
            nullable=True,
        ),
        *_declare_slope("splitting_slope", "THz Å", "Its derivative by the strain."),
    ),
    ("material_id",),
    long=True,
)

OBSERVABLES: Final[Mapping[str, Table]] = MappingProxyType(
    {
        table.name: table
        for table in (
            _INFRARED,
            _DICHROISM,
            _RAMAN,
            _SCATTERING,
            _MOMENTS,
            _RESPONSE,
            _TOPOLOGY,
            _STRAIN,
        )
    }
)
"""Every table of observables by its kind."""
