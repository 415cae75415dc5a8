"""From force constants to the chirality of phonons: the whole stage for one crystal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.chirality.angular_momentum import mean_angular_momentum
from tasks.chirality.axes import RotationAxis, crystal_operations, principal_axes, rotation_axes
from tasks.chirality.brillouin import (
    BandPath,
    Mesh,
    band_path,
    cycloidicity,
    helicity,
    helicity_size,
    inscribed_radius,
    irreducible_mesh,
    zone_directions,
)
from tasks.chirality.degeneracy import (
    degenerate_sets,
    near_degenerate,
    obeys_space_group,
    set_size,
    symmetry_partners,
)
from tasks.chirality.harmonics import HelicitySpectrum, helicity_spectrum
from tasks.chirality.magnetic import magnetization_tensor
from tasks.chirality.modes import Modes, frequencies_at, modes_at
from tasks.chirality.pam import pam_along_path
from tasks.chirality.raman import (
    CHANNELS,
    CircularRaman,
    Lines,
    Splitting,
    circular_raman,
    seen_doublets,
    splittings,
)
from tasks.chirality.resolution import MEV_PER_THZ, resolved_angular_momentum
from tasks.chirality.settings import ChiralitySettings
from tasks.chirality.spread import (
    Divisions,
    axis_spread,
    drawn_points,
    optical_shift,
    zone_numbers,
    zone_spread,
)
from tasks.chirality.statistics import atomic_means, translations, zone_statistics
from tasks.chirality.tensor import (
    TensorResult,
    ThermalSample,
    thermal_sample,
    velocity_angular_momentum_tensor,
)
from tasks.chirality.thermal import ROOM_TEMPERATURE, thermal_sums
from tasks.phonons.fourier import Crystal
from tasks.symmetry.zone import ZoneImages, zone_images
from tasks.tables.chirality import ChiralityRecord

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Columns = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class ModeSample:
    """Modes at q-points with their degenerate sets and angular momenta.

    Attributes
    ----------
    modes : Modes
        Frequencies and eigenvectors.
    sets : ndarray of int, shape (nq, nb)
        Labels of the degenerate sets.
    momentum : ndarray, shape (nq, nb, 3)
        Angular momentum Tr(P L) / Tr(P) of the set of each mode, in hbar.
    images : ZoneImages
        Images of the q-points in the first Brillouin zone.
    """

    modes: Modes
    sets: IntArray
    momentum: FloatArray
    images: ZoneImages

    def __getitem__(self, rows: IntArray) -> "ModeSample":
        """Sample at some of the q-points."""
        images = ZoneImages(self.images.vectors[rows], self.images.weights[rows])
        return ModeSample(self.modes[rows], self.sets[rows], self.momentum[rows], images)


@dataclass(frozen=True, eq=False)
class Responses:
    """Thermal responses and what distinguishes opposite hands along the axes.

    Attributes
    ----------
    spectrum : HelicitySpectrum
        Helicity density of states and its harmonics.
    thermal : ThermalSample
        What the next two are summed over.
    tensor : TensorResult
        Velocity-angular-momentum tensor.
    magnetization : TensorResult or None
        The same for the magnetic moment; None without Born charges.
    axes : tuple of RotationAxis
        Inequivalent axes of order 3, 4 or 6.
    splittings : tuple of Splitting
        One per axis of a chiral crystal; empty otherwise.
    raman : tuple of CircularRaman
        One per axis.
    """

    spectrum: HelicitySpectrum
    thermal: ThermalSample
    tensor: TensorResult
    magnetization: TensorResult | None
    axes: tuple[RotationAxis, ...]
    splittings: tuple[Splitting, ...]
    raman: tuple[CircularRaman, ...]


@dataclass(frozen=True, eq=False)
class ChiralityAnalysis:
    """Result of the chirality stage for one crystal.

    Attributes
    ----------
    record : ChiralityRecord
        One row per material.
    modes : mapping of str to ndarray
        Mode table along the band path, columns of equal length: q_label, q_a, q_b, q_c, segment,
        path_distance (1/Å without 2 pi), band, degenerate_set, near_degenerate, frequency (THz),
        l_x, l_y, l_z, helicity, cycloidicity (hbar), pam_raw, pam_integer, pam_order, pam_screw.
        Numbers of a degenerate set are its means, except the labels pam, which are its spectrum.
        Labels that do not exist are masked.
    responses : Responses
        Full results behind the record.
    """

    record: ChiralityRecord
    modes: Columns
    responses: Responses


def analyze_force_constants(
    phonon: Crystal,
    settings: ChiralitySettings | None = None,
    divisions: Divisions | None = None,
) -> ChiralityAnalysis:
    """Analyse the chirality of the phonons of one crystal.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants that obey the space group and the acoustic sum rule, the primitive
        cell set explicitly, and ``nac_params`` where Born charges are known.
    settings : ChiralitySettings, optional
        Sampling and tolerances; the defaults if left out.
    divisions : Divisions, optional
        The crystal with its force constants divided otherwise among periodic images; without them
        the record tells no spreads.

    Returns
    -------
    ChiralityAnalysis
        Record, mode table and the full results.

    Raises
    ------
    ValueError
        Where there are no force constants, or a frequency is not finite.
    """
    settings = settings or ChiralitySettings()
    mesh = irreducible_mesh(phonon, settings.mesh_spacing)
    zone = sample_modes(phonon, modes_at(phonon, mesh.q_points), settings.degeneracy_tolerance)
    axes = rotation_axes(phonon)
    responses = _responses(phonon, zone, mesh, settings, axes)
    fields = (
        _sampling_fields(phonon, mesh)
        | _momentum_fields(phonon, zone, mesh, settings)
        | _resolved_fields(phonon, zone, mesh, settings)
        | _stability_fields(phonon, zone, mesh, settings)
        | _spectrum_fields(responses.spectrum)
        | _tensor_fields(responses)
        | _axis_fields(responses, settings)
        | _thermal_fields(phonon, zone, mesh, settings)
    )
    if divisions:
        fields |= _spread_fields(zone, mesh, settings, divisions, responses, fields)
    table = mode_table(phonon, band_path(phonon, settings.path_spacing), settings, axes)
    return ChiralityAnalysis(ChiralityRecord(**fields), table, responses)


def sample_modes(
    phonon: Crystal,
    modes: Modes,
    tolerance: float,
    joined: NDArray[np.bool_] | None = None,
) -> ModeSample:
    """Find degenerate sets, angular momenta and zone images of modes.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        The crystal the modes belong to.
    modes : Modes
        Modes at q-points.
    tolerance : float
        Bands closer than this (THz) form a degenerate set.
    joined : ndarray of bool, shape (nq, nb - 1), optional
        Bands joined by symmetry, from `symmetry_partners`.

    Returns
    -------
    ModeSample
    """
    sets = degenerate_sets(modes.frequencies, tolerance, joined)
    momentum = mean_angular_momentum(modes.eigenvectors, sets)
    return ModeSample(modes, sets, momentum, zone_images(modes.q_points, phonon.primitive.cell))


def mode_table(
    phonon: Crystal,
    path: BandPath,
    settings: ChiralitySettings,
    axes: Sequence[RotationAxis] | None = None,
) -> Columns:
    """Tabulate the modes along a band path, one row per q-point and band.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        With force constants.
    path : BandPath
        Band path with its special points.
    settings : ChiralitySettings
        Tolerance of the degenerate sets.
    axes : sequence of RotationAxis, optional
        From ``axes.rotation_axes``; found if left out.

    Returns
    -------
    mapping of str to ndarray
        Columns as described in `ChiralityAnalysis`.
    """
    modes = _path_modes(phonon, path)
    tolerance = settings.degeneracy_tolerance
    joined = _joined_at_special_points(phonon, path, tolerance)
    sample = sample_modes(phonon, modes, tolerance, joined)
    labels = pam_along_path(phonon, modes, sample.sets, axes).columns
    order = labels["pam_order"].ravel()
    columns = _columns_per_mode(sample, near_degenerate(modes.frequencies, sample.sets, tolerance))
    return (
        {name: np.repeat(column, modes.n_bands) for name, column in _columns_per_q(path).items()}
        | {name: column.ravel() for name, column in columns.items()}
        | {name: _masked(column.ravel(), order) for name, column in labels.items()}
    )


def _columns_per_q(path: BandPath) -> dict[str, NDArray[Any]]:
    """Columns with one value per q-point."""
    return {
        "q_label": np.array(path.labels),
        "q_a": path.q_points[:, 0].astype(np.float32),
        "q_b": path.q_points[:, 1].astype(np.float32),
        "q_c": path.q_points[:, 2].astype(np.float32),
        "segment": path.segments.astype(np.int32),
        "path_distance": path.distances.astype(np.float32),
    }


def _columns_per_mode(sample: ModeSample, near: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Columns with one value per mode, shape (nq, nb) each."""
    shape = sample.sets.shape
    singles = {
        "frequency": sample.modes.frequencies,
        "l_x": sample.momentum[..., 0],
        "l_y": sample.momentum[..., 1],
        "l_z": sample.momentum[..., 2],
        "helicity": helicity(sample.momentum, sample.images),
        "cycloidicity": cycloidicity(sample.momentum, sample.images),
    }
    return {
        "band": np.broadcast_to(np.arange(shape[1], dtype=np.int32), shape),
        "degenerate_set": sample.sets.astype(np.int32),
        "near_degenerate": near,
        **{name: column.astype(np.float32) for name, column in singles.items()},
    }


def _masked(values: NDArray[Any], order: NDArray[Any]) -> NDArray[Any]:
    """Labels as stored: masked where no axis holds q or the label is not sound."""
    kind = np.int32 if np.issubdtype(values.dtype, np.integer) else np.float32
    return np.ma.masked_array(values.astype(kind), mask=(order == 0) | np.isnan(values))


def _path_modes(phonon: Crystal, path: BandPath) -> Modes:
    """Modes along the path; with charges, Gamma is approached along each segment."""
    modes = modes_at(phonon, path.q_points)
    at_gamma = np.flatnonzero(~path.q_points.any(axis=1))
    if phonon.nac_params is None or not len(at_gamma):
        return modes
    frequencies, eigenvectors = modes.frequencies.copy(), modes.eigenvectors.copy()
    for row in at_gamma:
        limit = modes_at(phonon, np.zeros(3), nac_direction=path.directions[row])
        frequencies[row], eigenvectors[row] = limit.frequencies[0], limit.eigenvectors[0]
    return Modes(modes.q_points, frequencies, eigenvectors)


def _joined_at_special_points(
    phonon: Crystal, path: BandPath, tolerance: float
) -> NDArray[np.bool_]:
    """Bands joined by symmetry at the named points; with charges not at Gamma."""
    joined = np.zeros((len(path.q_points), 3 * len(phonon.primitive) - 1), dtype=bool)
    if obeys_space_group(phonon, tolerance / 10):
        return joined
    rows = path.is_labelled
    if phonon.nac_params is not None:
        rows &= path.q_points.any(axis=1)
    points, inverse = np.unique(path.q_points[rows].round(9), axis=0, return_inverse=True)
    joined[rows] = symmetry_partners(phonon, points)[inverse.ravel()]
    return joined


def _responses(
    phonon: Crystal,
    zone: ModeSample,
    mesh: Mesh,
    settings: ChiralitySettings,
    axes: Sequence[RotationAxis],
) -> Responses:
    """Thermal responses on the mesh; Raman and splittings along the axes."""
    tolerance, cutoff = settings.degeneracy_tolerance, settings.frequency_cutoff
    mesh_modes = (phonon, zone.modes, zone.sets, mesh.weights)
    sample = thermal_sample(*mesh_modes, irreducible=True, tolerance=tolerance)
    options = {
        "window_width": settings.window_width,
        "frequency_cutoff": cutoff,
    }
    kelvin, principal = settings.temperatures, principal_axes(phonon, axes=axes)
    return Responses(
        spectrum=helicity_spectrum(
            *mesh_modes,
            irreducible=True,
            bin_width=settings.helicity_bin_width,
            frequency_cutoff=cutoff,
            momentum=zone.momentum,
            images=zone.images,
        ),
        thermal=sample,
        tensor=velocity_angular_momentum_tensor(sample, kelvin, **options),
        magnetization=magnetization_tensor(phonon, sample, kelvin, **options)
        if phonon.nac_params is not None
        else None,
        axes=principal,
        splittings=splittings(
            phonon, axes=principal, lines=Lines(settings.wave_number, settings.linewidth)
        ),
        raman=circular_raman(phonon, tolerance, principal),
    )


def _sampling_fields(phonon: Crystal, mesh: Mesh) -> dict[str, Any]:
    """Fields that say what was sampled."""
    return {
        "n_atoms": len(phonon.primitive),
        "nac": phonon.nac_params is not None,
        "mesh_numbers": tuple(mesh.numbers.tolist()),
        "n_q_points": int(mesh.weights.sum()),
        "n_stars": len(mesh.q_points),
    }


def _counted(phonon: Crystal, modes: Modes, cutoff: float) -> NDArray[np.bool_]:
    """Modes that enter the means: neither imaginary nor a translation."""
    return (modes.frequencies >= -cutoff) & ~translations(modes, phonon.primitive.masses)


def _momentum_fields(
    phonon: Crystal, zone: ModeSample, mesh: Mesh, settings: ChiralitySettings
) -> dict[str, Any]:
    """Means and maxima of the angular momentum over the zone."""
    counted = _counted(phonon, zone.modes, settings.frequency_cutoff)
    size = np.linalg.norm(zone.momentum, axis=-1)
    quantities = {
        "angular_momentum": size,
        "helicity": helicity_size(zone.momentum, zone.images),
        "cycloidicity": cycloidicity(zone.momentum, zone.images),
    }
    fields: dict[str, Any] = {}
    for name, values in quantities.items():
        found = zone_statistics(values, mesh.weights, counted)
        fields[f"mean_{name}"], fields[f"max_{name}"] = found.mean, found.maximum
        fields[f"mean_optical_{name}"] = found.optical_mean
        fields[f"max_optical_{name}"] = found.optical_maximum
    optical = np.where(counted, size, 0.0)
    optical[:, :3] = 0.0
    row, band = np.unravel_index(optical.argmax(), optical.shape)
    sites = crystal_operations(phonon).sites
    atoms = atomic_means(zone.modes, zone.sets, mesh.weights, counted, sites)
    return fields | {
        "max_optical_q_point": tuple(zone.modes.q_points[row].tolist()),
        "max_optical_frequency": float(zone.modes.frequencies[row, band]),
        "atomic_angular_momentum": tuple(atoms[0].tolist()),
        "atomic_polarization": tuple(atoms[1].tolist()),
    }


def _resolved_fields(
    phonon: Crystal, zone: ModeSample, mesh: Mesh, settings: ChiralitySettings
) -> dict[str, float]:
    """Means over the optical branches of what linewidths and resolutions leave."""
    counted = _counted(phonon, zone.modes, settings.frequency_cutoff)
    frequencies = zone.modes.frequencies

    def resolved(widths: FloatArray) -> FloatArray:
        return resolved_angular_momentum(zone.momentum, frequencies, widths, counted)

    def mean(values: FloatArray) -> float:
        return zone_statistics(values, mesh.weights, counted).optical_mean

    natural = resolved(settings.linewidth * np.abs(frequencies))
    along = helicity_size(natural, zone.images)
    resolution = settings.scattering_resolution / MEV_PER_THZ
    measured = resolved(np.full_like(frequencies, resolution))
    clear = frequencies > settings.resonant_resolution / MEV_PER_THZ
    return {
        "resolved_angular_momentum": mean(np.linalg.norm(natural, axis=-1)),
        "resolved_helicity": mean(along),
        "long_wave_helicity": _long_wave_helicity(phonon, settings),
        "scattering_angular_momentum": mean(np.linalg.norm(measured, axis=-1)),
        "resonant_helicity": mean(along * clear),
    }


def _long_wave_helicity(phonon: Crystal, settings: ChiralitySettings) -> float:
    """Mean of |h| that a linewidth leaves the optical branches at one |k|, over its directions."""
    directions, weights = zone_directions(phonon)
    cell = phonon.primitive.cell
    radius = min(settings.wave_number / (2 * np.pi), inscribed_radius(cell))
    modes = modes_at(phonon, radius * directions @ cell.T)
    sample = sample_modes(phonon, modes, settings.degeneracy_tolerance)
    counted = _counted(phonon, modes, settings.frequency_cutoff)
    widths = settings.linewidth * np.abs(modes.frequencies)
    resolved = resolved_angular_momentum(sample.momentum, modes.frequencies, widths, counted)
    found = helicity_size(resolved, sample.images)
    return zone_statistics(found, weights, counted).optical_mean


def _stability_fields(
    phonon: Crystal, zone: ModeSample, mesh: Mesh, settings: ChiralitySettings
) -> dict[str, Any]:
    """Imaginary and degenerate modes, and how well the sum rules hold."""
    modes, weights = zone.modes, mesh.weights
    share = np.broadcast_to(weights[:, None] / (weights.sum() * modes.n_bands), zone.sets.shape)
    uniform = translations(modes, phonon.primitive.masses)
    imaginary = (modes.frequencies < -settings.frequency_cutoff) & ~uniform
    near = near_degenerate(modes.frequencies, zone.sets, settings.degeneracy_tolerance)
    return {
        "min_frequency": float(modes.frequencies.min(where=~uniform, initial=np.inf)),
        "max_frequency": float(modes.frequencies.max()),
        "n_imaginary": int((weights @ imaginary).sum()),
        "imaginary_fraction": float(share[imaginary].sum()),
        "n_translations": int(uniform.sum()),
        "translation_frequency": float(np.abs(modes.frequencies[uniform]).max()),
        "degenerate_fraction": float(share[set_size(zone.sets) > 1].sum()),
        "near_degenerate_fraction": float(share[near].sum()),
        "sum_rule_violation": float(np.linalg.norm(zone.momentum.sum(axis=1), axis=-1).max()),
    }


def _spectrum_fields(spectrum: HelicitySpectrum) -> dict[str, Any]:
    """Helicity density of states, flattened."""
    return {
        "helicity_bin_width": spectrum.bin_width,
        "helicity_dos": _flat(spectrum.chi),
        "helicity_dos_absolute": _flat(spectrum.absolute),
        "helicity_harmonics": _flat(spectrum.amplitudes),
        "helicity_ratios": _flat(spectrum.relative_amplitudes),
        "helicity_wave_found": spectrum.wave,
    }


def _tensor_fields(responses: Responses) -> dict[str, Any]:
    """Thermal responses, flattened."""
    tensor, magnetization = responses.tensor, responses.magnetization
    return {
        "temperatures": _flat(tensor.temperatures),
        "tensor": _flat(tensor.response),
        "tensor_pseudoscalar": _flat(tensor.pseudoscalar),
        "tensor_polar_vector": _flat(tensor.polar_vector),
        "tensor_violation": _flat(tensor.violation),
        "tensor_largest_share": _flat(tensor.largest_share),
        "window_edges": _flat(tensor.window_edges),
        "tensor_windows": _flat(tensor.by_window),
        "magnetization": None if magnetization is None else _flat(magnetization.response),
    }


def _axis_fields(responses: Responses, settings: ChiralitySettings) -> dict[str, Any]:
    """Splittings and Raman selection along the axes, one list entry per axis or mode."""
    axes = responses.axes
    rows = [
        (index, raman.frequencies[mode], int(raman.pam[mode]), raman.visible[mode])
        for index, raman in enumerate(responses.raman)
        for mode in np.flatnonzero(raman.visible.any(axis=1))
    ]
    return {
        "axis_orders": tuple(axis.order for axis in axes),
        "axis_screws": tuple(axis.screw for axis in axes),
        "axis_directions": tuple(float(x) for axis in axes for x in axis.direction),
        "splitting_max": tuple(found.maximum for found in responses.splittings),
        "splitting_linear": tuple(_largest(found.linear) for found in responses.splittings),
        "splitting_acoustic": tuple(found.acoustic_quadratic for found in responses.splittings),
        "circular_splitting": tuple(
            MEV_PER_THZ * _largest(found.circular) for found in responses.splittings
        ),
        "raman_splitting": _raman_splittings(responses, settings),
        "raman_axes": tuple(row[0] for row in rows),
        "raman_frequencies": tuple(float(row[1]) for row in rows),
        "raman_pam": tuple(row[2] for row in rows),
        "raman_channels": tuple(
            " ".join("".join(CHANNELS[c]) for c in np.flatnonzero(row[3])) for row in rows
        ),
    }


def _thermal_fields(
    phonon: Crystal, zone: ModeSample, mesh: Mesh, settings: ChiralitySettings
) -> dict[str, float]:
    """Thermal properties at room temperature, which the names of the columns tell."""
    masses, cutoff = phonon.primitive.masses, settings.frequency_cutoff
    found = thermal_sums(zone.modes, mesh.weights, masses, cutoff, ROOM_TEMPERATURE)
    return {
        "zero_point_energy": found.zero_point_energy,
        "free_energy_300": float(found.free_energy[0]),
        "entropy_300": float(found.entropy[0]),
        "heat_capacity_300": float(found.heat_capacity[0]),
    }


def _raman_splittings(responses: Responses, settings: ChiralitySettings) -> tuple[float, ...]:
    """Largest circular splitting (meV) that light sees along each axis of a chiral crystal."""
    scale = MEV_PER_THZ * settings.light_wave_number
    return tuple(
        scale * _largest((found.linear * found.weights[:-1])[seen_doublets(found, raman)])
        for found, raman in zip(responses.splittings, responses.raman, strict=False)
    )


def _spread_fields(
    zone: ModeSample,
    mesh: Mesh,
    settings: ChiralitySettings,
    divisions: Divisions,
    responses: Responses,
    fields: Mapping[str, Any],
) -> dict[str, Any]:
    """What other divisions of the force constants change, at some q-points of the mesh."""
    rows, counts = drawn_points(mesh.weights)
    here, other = zone[rows], divisions.other
    points = here.modes.q_points
    there = sample_modes(other, modes_at(other, points), settings.degeneracy_tolerance)
    thermal = thermal_sample(other, there.modes, there.sets, counts, irreducible=False)
    numbers = (
        zone_numbers(here, responses.thermal.drawn(rows, counts), counts, settings),
        zone_numbers(there, thermal, counts, settings),
    )
    shift = optical_shift(here.modes.frequencies, frequencies_at(divisions.usual, points), counts)
    linear = splittings(other, n_points=1, axes=responses.axes)
    return (
        zone_spread(responses.tensor, fields["mean_optical_helicity"], *numbers)
        | axis_spread(fields["splitting_linear"], [_largest(axis.linear) for axis in linear])
        | {"optical_shift": shift}
    )


def _largest(values: FloatArray) -> float:
    """Number of largest size, with its sign; 0 where there is none."""
    sound = values[np.isfinite(values)]
    return float(sound[np.abs(sound).argmax()]) if len(sound) else 0.0


def _flat(values: FloatArray) -> tuple[float, ...]:
    """Plain numbers in C order."""
    return tuple(np.asarray(values).ravel().tolist())
