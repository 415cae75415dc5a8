"""Rows of the tables of observables, one function per kind."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tasks.chirality.axes import FloatArray, find_crystal_operations, select_principal_axes
from tasks.chirality.bands import compute_band_structure, find_most_chiral_mode
from tasks.chirality.raman import find_zone_boundary
from tasks.chirality.settings import ChiralitySettings
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
from tasks.observables.strain import (
    Slope,
    SplittingSlopes,
    StrainedCrystals,
    StrainSlopes,
    measure_splitting_slopes,
    measure_strain_slopes,
)
from tasks.observables.topology import find_nodal_points
from tasks.phonons.elasticity import VOIGT
from tasks.phonons.fourier import HarmonicCrystal
from tasks.tables.observables import OBSERVABLES
from tasks.tolerances import DEGENERACY

Rows = list[dict[str, Any]]

_N_LINE: Final = 41
_COMPONENTS: Final = tuple(f"{'xyz'[a]}{'xyz'[b]}" for a, b in VOIGT)
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
        Where charges or a refractive index are needed and not known, for an unknown kind, and for
        strain, which `tabulate_strain` treats.
    """
    require_kind(kind)
    if kind not in _TABULATORS:
        message = f"{kind} takes more than the force constants of the crystal at rest"
        raise RemediableError(message, "compute_strained_crystals makes it for tabulate_strain")
    if kind in NEED_CHARGES and phonon.nac_params is None:
        message = "this takes Born charges, and the crystal was analysed without"
        remedy = "a metal has none; else analyse it with --nac predicted, or give a BORN file"
        raise RemediableError(message, remedy)
    return _TABULATORS[kind](phonon, conditions)


def require_kind(kind: str) -> None:
    """Refuse a name of no observable, with a `RemediableError` that lists them."""
    if kind not in OBSERVABLES:
        known = ", ".join(OBSERVABLES)
        raise RemediableError(f"there is no observable {kind!r}", f"choose of {known}")


def tabulate_strain(crystal: HarmonicCrystal, strained: StrainedCrystals) -> Rows:
    """Make the rows of the response to strain, at Γ and at the most chiral optical mode.

    Parameters
    ----------
    crystal : phonopy.Phonopy or Interpolation
        The crystal at rest.
    strained : StrainedCrystals
        From `tasks.observables.strain.compute_strained_crystals`.

    Returns
    -------
    list of dict
        Values by column, without the name of the material; a row for each component of the strain
        and each set but the translations.
    """
    points = choose_points(crystal)
    found = measure_strain_slopes(crystal, strained, np.stack(list(points.values())))
    splittings = _measure_splittings(crystal, strained)
    return [
        {"q_label": label}
        | _name_parts("q", points[label], "abc")
        | _describe_set(found, row, int(band))
        | {"component": component}
        | _describe_slopes(found, (row, int(band), part))
        | _describe_splitting(splittings, found.frequencies[row, band], part, at_gamma=not row)
        for row, label in enumerate(points)
        for band in np.flatnonzero(np.diff(found.sets[row], prepend=-1) & ~found.left_out[row])
        for part, component in enumerate(_COMPONENTS)
    ]


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


def choose_points(phonon: HarmonicCrystal) -> dict[str, FloatArray]:
    """Choose the q-points at which single modes are told of.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.

    Returns
    -------
    dict
        Gamma, and the q-point of the most chiral optical mode of the band path, by their names.
    """
    bands = compute_band_structure(phonon)
    return {"Γ": np.zeros(3), "most chiral": bands.q_points[find_most_chiral_mode(bands)[0]]}


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
    points = choose_points(phonon)
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


def _measure_splittings(
    crystal: HarmonicCrystal, strained: StrainedCrystals
) -> SplittingSlopes | None:
    """Splittings along the axis of highest order; None of achiral crystals, and without an axis."""
    axes = select_principal_axes(crystal)
    if not axes or (np.linalg.det(find_crystal_operations(crystal).cartesian) < 0).any():
        return None
    wave_number = ChiralitySettings().light_wave_number
    return measure_splitting_slopes(crystal, strained, axes[0], wave_number)


def _describe_set(found: StrainSlopes, row: int, band: int) -> dict[str, Any]:
    """Columns of a degenerate set at rest, without splitting."""
    return {
        "band": band,
        "n_modes": int((found.sets[row] == found.sets[row, band]).sum()),
        "frequency": float(found.frequencies[row, band]),
        "helicity": float(found.helicity[row, band]),
    }


def _describe_slopes(found: StrainSlopes, place: tuple[int, int, int]) -> dict[str, float | None]:
    """Columns of what a component of the strain does to a set."""
    return (
        _name_slope("gruneisen", found.gruneisen, place)
        | _name_slope("helicity_slope", found.helicity_slope, place)
        | _name_slope("separation", found.separation, place)
    )


def _describe_splitting(
    found: SplittingSlopes | None, frequency: float, part: int, *, at_gamma: bool
) -> dict[str, float | None]:
    """Columns of the splitting of a doublet at Gamma; empty of other sets."""
    names = ("splitting", "splitting_slope", "splitting_slope_error")
    if found is None or not at_gamma or not len(found.frequencies):
        return dict.fromkeys(names)
    doublet = int(np.abs(found.frequencies - frequency).argmin())
    if abs(found.frequencies[doublet] - frequency) > DEGENERACY:
        return dict.fromkeys(names)
    linear = _leave_empty(found.linear[doublet])
    return {"splitting": linear} | _name_slope("splitting_slope", found.slope, (doublet, part))


def _name_slope(name: str, slope: Slope, place: tuple[int, ...]) -> dict[str, float | None]:
    """Columns of one number of a slope."""
    return {
        name: _leave_empty(slope.value[place]),
        f"{name}_error": _leave_empty(slope.error[place]),
    }


def _name_parts(name: str, values: FloatArray, axes: str = "xyz") -> dict[str, float | None]:
    """Columns of a vector."""
    return {f"{name}_{axis}": _leave_empty(x) for axis, x in zip(axes, values, strict=True)}


def _leave_empty(value: float) -> float | None:
    """Number, or nothing where it is none."""
    return float(value) if np.isfinite(value) else None
