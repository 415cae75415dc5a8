"""Chirality of phonons: angular momentum, helicity and what follows from them."""

from tasks.chirality.analysis import ChiralityAnalysis, analyze_force_constants
from tasks.chirality.angular_momentum import angular_momentum
from tasks.chirality.modes import Modes, modes_at
from tasks.chirality.record import ChiralityRecord
from tasks.chirality.settings import ChiralitySettings
from tasks.chirality.spread import Divisions
from tasks.chirality.thermal import ThermalProperties, thermal_properties
from tasks.chirality.verdict import VERDICT_SETTINGS, ScoreSettings, Verdict, judge

__all__ = [
    "VERDICT_SETTINGS",
    "ChiralityAnalysis",
    "ChiralityRecord",
    "ChiralitySettings",
    "Divisions",
    "Modes",
    "ScoreSettings",
    "ThermalProperties",
    "Verdict",
    "analyze_force_constants",
    "angular_momentum",
    "judge",
    "modes_at",
    "thermal_properties",
]
