"""Chirality of phonons: angular momentum, helicity and what follows from them.

What comes in: force constants as a phonopy object (or `Interpolation`) and settings. What goes
out: modes, a `ChiralityRecord`, a `Verdict`. From outside import the names below; figures and
pages may import the module of the quantity they show. It knows `tasks.phonons` and what comes
before it.
"""

from tasks.chirality.analysis import ChiralityAnalysis, analyze_force_constants
from tasks.chirality.angular_momentum import angular_momentum
from tasks.chirality.image_weighting import ImageWeightings
from tasks.chirality.modes import Modes, compute_modes
from tasks.chirality.settings import ChiralitySettings
from tasks.chirality.thermal import ThermalProperties, compute_thermal_properties
from tasks.chirality.verdict import VERDICT_SETTINGS, ScoreSettings, judge
from tasks.tables.chirality import ChiralityRecord, Verdict

__all__ = [
    "VERDICT_SETTINGS",
    "ChiralityAnalysis",
    "ChiralityRecord",
    "ChiralitySettings",
    "ImageWeightings",
    "Modes",
    "ScoreSettings",
    "ThermalProperties",
    "Verdict",
    "analyze_force_constants",
    "angular_momentum",
    "compute_modes",
    "compute_thermal_properties",
    "judge",
]
