"""Conditions under which instruments look at crystals, with their defaults."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_PICOSECOND: Final = 1e-12


class Probe(StrEnum):
    """What is scattered."""

    NEUTRON = "neutron"
    X_RAY = "x-ray"


@dataclass(frozen=True)
class Conditions:
    """Under which conditions an instrument looks at a crystal.

    Attributes
    ----------
    temperature : float
        Of the crystal in scattering, in K.
    temperatures : tuple of float
        Of responses to heat, in K.
    probe : Probe
        What is scattered.
    line : tuple of tuple of float, optional
        Both ends of a line of Q; from the first to the second reciprocal lattice vector along the
        principal axis if left out.
    resolution : float, optional
        Of pictures of scattering, full width at half maximum in meV; 1 % of the highest frequency
        if left out.
    element : str, optional
        Resonant element; the heaviest one if left out.
    wavelength : float
        Of the laser, in nm.
    refractive_index : float, optional
        Of the crystal there; from the dielectric tensor of the electrons if left out.
    relaxation_time : float
        Of all modes, in ps.
    conductivity : float, optional
        That the relaxation time shall reproduce, in W m^-1 K^-1.
    """

    temperature: float = 300.0
    temperatures: tuple[float, ...] = (100.0, 300.0, 1000.0)
    probe: Probe = Probe.NEUTRON
    line: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None
    resolution: float | None = None
    element: str | None = None
    wavelength: float = 532.0
    refractive_index: float | None = None
    relaxation_time: float = 1.0
    conductivity: float | None = None

    @property
    def relaxation_seconds(self) -> float:
        """The relaxation time in s."""
        return _PICOSECOND * self.relaxation_time
