"""Rows of the tables of observables, one function per kind."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tasks.chirality.axes import FloatArray, select_principal_axes
from tasks.chirality.bands import compute_band_structure, find_most_chiral_mode
from tasks.chirality.raman import find_zone_boundary
from tasks.conditions import Conditions
from tasks.failures import RemediableError
from tasks.observables.infrared import compute_dichroism, compute_infrared_response
from tasks.observables.moments import measure_magnetic_moments
from tasks.observables.raman import compute_raman_lines, estimate_refractive_index
from tasks.observables.response import compute_heat_response
from tasks.observables.scattering import (
    compute_circular_proxy,
    compute_displacement_tensors,
    compute_one_phonon,
)
from tasks.observables.topology import find_nodal_points
from tasks.phonons.fourier import HarmonicCrystal

Rows = list[dict[str, Any]]

_N_LINE: Final = 41
NEED_CHARGES: Final = frozenset({"infrared", "dichroism", "moments"})
"""Kinds of observables that are made by Born charges."""


def tabulate_observable(phonon: HarmonicCrystal, kind: str, conditions: Conditions) -> Rows:
    """Make the rows of one kind.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    kind : str
        Name of a table of ``tasks.tables.observables``.
    conditions : Conditions
        Temperature, line of Q, laser and so on.

    Returns
    -------
    list of dict
        Values by column, without the name of the material.

    Raises
    ------
    RemediableError
        Where charges or a refractive index are needed and not known, or for an unknown kind.
    """
    require_kind(kind)
    if kind in NEED_CHARGES and phonon.nac_params is None:
        message = "this takes Born charges, and the crystal was analysed without"
        remedy = "a metal has none; else analyse it with --nac predicted, or give a BORN file"
        raise RemediableError(message, remedy)
    return _TABULATORS[kind](phonon, conditions)


def require_kind(kind: str) -> None:
    """Refuse a name of no observable, with a `RemediableError` that lists them."""
    if kind not in _TABULATORS:
        known = ", ".join(_TABULATORS)
        raise RemediableError(f"there is no observable {kind!r}", f"choose of {known}")


def choose_line(
    phonon: HarmonicCrystal, conditions: Conditions, n_points: int = _N_LINE
) -> FloatArray:
    """Points of the line of Q along which a crystal is looked at.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        Any.
    conditions : Conditions
        Both ends, or none.
    n_points : int
        Number of points, both ends among them.

    Returns
    -------
    ndarray, shape (n, 3)
        Fractional reciprocal coordinates.
    """
    if conditions.line is not None:
        start, end = map(np.asarray, conditions.line)
    else:
        axes = select_principal_axes(phonon)
        start = 2 * find_zone_boundary(axes[0]) if axes else np.array([0.0, 0.0, 1.0])
        end = 2 * start
    return np.asarray(start + np.linspace(0, 1, n_points)[:, None] * (end - start))


def find_resonant_element(phonon: HarmonicCrystal) -> str:
    """Element whose resonance is looked at unless another is named."""
    primitive = phonon.primitive
    return str(primitive.symbols[int(np.argmax(primitive.masses))]).rstrip("0123456789")


def _tabulate_infrared(phonon: HarmonicCrystal, _: Conditions) -> Rows:
    found = compute_infrared_response(phonon)
    strengths = np.einsum("maa->ma", found.strengths)
    longitudinal = np.stack([found.find_longitudinal(n) for n in np.eye(3)], axis=1)
    return [
        {"frequency": float(nu), "n_modes": int(size)}
        | _name_parts("strength", strength)
        | _name_parts("longitudinal", pair)
        for nu, size, strength, pair in zip(
            found.frequencies, found.sizes, strengths, longitudinal, strict=True
        )
    ]


def _tabulate_dichroism(phonon: HarmonicCrystal, _: Conditions) -> Rows:
    rows = []
    for name, direction in zip("xyz", np.eye(3), strict=True):
        found = compute_dichroism(phonon, direction)
        rows += [
            {
                "direction": name,
                "frequency": float(found.frequencies[i]),
                "n_modes": int(found.sizes[i]),
                "strength": float(found.strengths[i]),
                "rotatory_strength": float(found.rotatory[i]),
                "dissymmetry": _leave_empty(found.dissymmetry[i]),
            }
            for i in range(len(found.frequencies))
        ]
    return rows


def _tabulate_moments(phonon: HarmonicCrystal, _: Conditions) -> Rows:
    bands = compute_band_structure(phonon)
    chiral = bands.q_points[find_most_chiral_mode(bands)[0]]
    points = {"Γ": np.zeros(3), "most chiral": chiral}
    found = measure_magnetic_moments(phonon, np.stack(list(points.values())))
    return [
        {"q_label": label, "band": band, "frequency": float(found.modes.frequencies[row, band])}
        | _name_parts("q", q_point, "abc")
        | _name_parts("l", found.angular_momentum[row, band])
        | _name_parts("moment", found.moment[row, band])
        | _name_parts("zeeman", found.zeeman[row, band])
        for row, (label, q_point) in enumerate(points.items())
        for band in range(found.modes.n_bands)
    ]


def _tabulate_raman(phonon: HarmonicCrystal, conditions: Conditions) -> Rows:
    index = conditions.refractive_index or estimate_refractive_index(phonon)
    if index is None:
        message = "the refractive index is not known: the crystal has no dielectric tensor"
        raise RemediableError(message, "give it, as in --index 1.54")
    rows = []
    for lines in compute_raman_lines(phonon, conditions.wavelength, index):
        name = f"{lines.axis.order}_{lines.axis.screw}" if lines.axis.screw else lines.axis.order
        rows += [
            {
                "axis": str(name),
                "frequency": float(lines.frequencies[i]),
                "n_modes": int(lines.sizes[i]),
                "channels": lines.channels[i],
                "splitting": float(lines.splittings[i]),
                "wave_number": lines.wave_number,
            }
            | _name_parts("axis", lines.axis.direction)
            for i in range(len(lines.frequencies))
        ]
    return rows


def _tabulate_scattering(phonon: HarmonicCrystal, conditions: Conditions) -> Rows:
    points, kelvin = choose_line(phonon, conditions), conditions.temperature
    element = conditions.element or find_resonant_element(phonon)
    tensors = compute_displacement_tensors(phonon, kelvin)
    along = points[-1] - points[0]
    found = compute_one_phonon(phonon, points, kelvin, conditions.probe, tensors, along)
    proxy = compute_circular_proxy(phonon, points, element, kelvin, tensors, along)
    return [
        {
            "band": band,
            "frequency": float(found.modes.frequencies[row, band]),
            "probe": str(conditions.probe),
            "temperature": kelvin,
            "intensity": float(found.intensities[row, band]),
            "element": element,
            "circular_proxy": float(proxy.intensities[row, band]),
        }
        | _name_parts("q", points[row], "abc")
        for row in range(len(points))
        for band in range(found.modes.n_bands)
    ]


def _tabulate_response(phonon: HarmonicCrystal, conditions: Conditions) -> Rows:
    found = compute_heat_response(
        phonon,
        conditions.temperatures,
        relaxation_time=conditions.relaxation_seconds,
        conductivity=conditions.conductivity,
    )
    magnetization = found.magnetization
    return [
        {
            "temperature": float(found.temperatures[i]),
            "relaxation_time": float(found.relaxation_times[i]),
            "conductivity": found.conductivity[i],
            "angular_momentum": found.angular_momentum[i],
            "per_heat_flux": found.per_heat_flux[i],
            "magnetization": None if magnetization is None else magnetization[i],
            "helicity": float(found.helicity[i]),
            "mean_helicity": float(found.mean_helicity[i]),
        }
        for i in range(len(found.temperatures))
    ]


def _tabulate_topology(phonon: HarmonicCrystal, _: Conditions) -> Rows:
    return [
        {
            "q_label": node.label,
            "first_band": node.first,
            "last_band": node.last,
            "frequency": node.frequency,
            "charge": node.charge,
        }
        | _name_parts("q", np.array(node.q_point), "abc")
        for node in find_nodal_points(phonon)
    ]


_TABULATORS: Final[Mapping[str, Callable[[HarmonicCrystal, Conditions], Rows]]] = MappingProxyType(
    {
        "infrared": _tabulate_infrared,
        "dichroism": _tabulate_dichroism,
        "raman": _tabulate_raman,
        "scattering": _tabulate_scattering,
        "moments": _tabulate_moments,
        "response": _tabulate_response,
        "topology": _tabulate_topology,
    }
)


def _name_parts(name: str, values: FloatArray, axes: str = "xyz") -> dict[str, float | None]:
    """Columns of a vector."""
    return {f"{name}_{axis}": _leave_empty(x) for axis, x in zip(axes, values, strict=True)}


def _leave_empty(value: float) -> float | None:
    """Number, or nothing where it is none."""
    return float(value) if np.isfinite(value) else None
