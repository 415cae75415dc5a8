"""What an instrument sees: numbers of experiments from the force constants of a crystal.

What comes in: force constants as a phonopy object (or `Interpolation`), with Born charges where
light or a magnetic field acts on them, and conditions such as a temperature; for strain the
potential. What goes out: lines,
spectra and moments. From outside import the names below. It knows `tasks.chirality` and what comes
before it.
"""

from tasks.conditions import Conditions, Probe
from tasks.observables.infrared import (
    Dichroism,
    InfraredResponse,
    compute_dichroism,
    compute_infrared_response,
    compute_reflectivity,
)
from tasks.observables.moments import MagneticMoments, measure_magnetic_moments
from tasks.observables.raman import RamanLines, compute_raman_lines, estimate_refractive_index
from tasks.observables.response import HeatResponse, compute_heat_response
from tasks.observables.scattering import (
    OnePhonon,
    compute_circular_proxy,
    compute_displacement_tensors,
    compute_one_phonon,
)
from tasks.observables.strain import (
    SplittingSlopes,
    StrainedCrystals,
    StrainSlopes,
    choose_strains,
    compute_strained_crystals,
    measure_splitting_slopes,
    measure_strain_slopes,
)
from tasks.observables.topology import NodalPoint, compute_charges, find_nodal_points

__all__ = [
    "Conditions",
    "Dichroism",
    "HeatResponse",
    "InfraredResponse",
    "MagneticMoments",
    "NodalPoint",
    "OnePhonon",
    "Probe",
    "RamanLines",
    "SplittingSlopes",
    "StrainSlopes",
    "StrainedCrystals",
    "choose_strains",
    "compute_charges",
    "compute_circular_proxy",
    "compute_dichroism",
    "compute_displacement_tensors",
    "compute_heat_response",
    "compute_infrared_response",
    "compute_one_phonon",
    "compute_raman_lines",
    "compute_reflectivity",
    "compute_strained_crystals",
    "estimate_refractive_index",
    "find_nodal_points",
    "measure_magnetic_moments",
    "measure_splitting_slopes",
    "measure_strain_slopes",
]
